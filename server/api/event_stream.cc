#include "api/event_stream.h"

#include <fmt/format.h>

namespace twinchat::server {

bool EventStream::send(std::string_view event, const Json& data) {
  std::lock_guard lock(mutex_);
  if (ended_) return false;
  last_sent_ = Clock::now();
  return write(fmt::format("id: {}\nevent: {}\ndata: {}\n\n", next_id_++, event, to_text(data)));
}

bool EventStream::send(std::string_view event, const Json& data, std::int64_t id) {
  std::lock_guard lock(mutex_);
  if (ended_) return false;
  last_sent_ = Clock::now();
  return write(fmt::format("id: {}\nevent: {}\ndata: {}\n\n", id, event, to_text(data)));
}

bool EventStream::keep_alive(Clock::time_point silent_since) {
  std::lock_guard lock(mutex_);
  if (ended_) return false;
  if (last_sent_ > silent_since) return true;
  last_sent_ = Clock::now();
  return write(": ping\n\n");
}

// With the mutex held.
bool EventStream::write(std::string_view text) {
  const bool taken = reply_->write(text);
  if (taken) bytes_ += text.size();
  return taken;
}

std::size_t EventStream::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

void EventStream::end() {
  std::lock_guard lock(mutex_);
  if (!std::exchange(ended_, true)) reply_->end();
}

Heartbeat::Heartbeat(std::chrono::milliseconds interval)
    : interval_(interval), thread_([this](std::stop_token stop) { run(stop); }) {}

Heartbeat::~Heartbeat() {
  thread_.request_stop();
  thread_.join();
}

void Heartbeat::watch(const std::shared_ptr<EventStream>& stream) {
  std::lock_guard lock(mutex_);
  streams_.push_back(stream);
  wake_.notify_one();
}

void Heartbeat::run(std::stop_token stop) {
  std::vector<std::shared_ptr<EventStream>> due;
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, stop, [&] { return !streams_.empty(); });
      // Looked at four times an interval, a stream is silent for at most a quarter longer.
      wake_.wait_for(lock, stop, interval_ / 4, [] { return false; });
      std::erase_if(streams_, [&](const std::weak_ptr<EventStream>& weak) {
        if (auto stream = weak.lock()) due.push_back(std::move(stream));
        return weak.expired();
      });
    }
    for (const auto& stream : due) stream->keep_alive(EventStream::Clock::now() - interval_);
    due.clear();
  }
}

}  // namespace twinchat::server
