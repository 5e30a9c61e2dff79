#include "api/answer_stream.h"

#include <algorithm>

#include "api/session_json.h"

namespace twinchat::server {
namespace {

// Whether the text can be cut there: not within a code point.
bool is_border(std::string_view text, std::uint64_t at) {
  return at == text.size() ||
         (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0u) != 0x80u);
}

}  // namespace

AnswerStream::AnswerStream(AnswerStreams& streams, StreamedQuestion question)
    : streams_(streams), question_(std::move(question)) {}

bool AnswerStream::has_client() const {
  const std::lock_guard lock(mutex_);
  return client_.has_value();
}

void AnswerStream::begin_stream(const std::shared_ptr<LateAnswer>& client) {
  client_ =
      Client{client, std::make_shared<EventStream>(client->begin_stream(
                         {{"Content-Type", "text/event-stream"}, {"X-Accel-Buffering", "no"}}))};
}

void AnswerStream::watch(const Client& client) {
  streams_.heartbeat_.watch(client.events);
  client.answer->on_close([weak = weak_from_this(), events = client.events.get()] {
    if (const auto self = weak.lock()) self->client_gone(events);
  });
}

bool AnswerStream::send(std::string_view event, const Json& data, std::uint64_t id) {
  if (!client_) return false;
  return question_.key.empty() ? client_->events->send(event, data)
                               : client_->events->send(event, data, static_cast<std::int64_t>(id));
}

void AnswerStream::send_session() {
  send("session", {{"session_id", question_.session_id}}, 0);
}

void AnswerStream::begun(const Turn& turn) {
  const std::lock_guard lock(mutex_);
  begun_ = true;
  // What the store has needs no second copy.
  if (turn.replayed) forget_text();
  if (last_event_) {
    // A refusal stands in place of what may have been seen of an answer.
    const bool goes_on = turn.replayed && turn.status != TurnStatus::kBlocked &&
                         is_border(turn.text(), *last_event_);
    if (goes_on) {
      skip_ = *last_event_;
      ++streams_.resumed_;
    } else {
      send_session();
    }
    last_event_.reset();
  }
  account();
}

bool AnswerStream::add(std::string_view text) {
  std::optional<Client> gone;
  const std::lock_guard lock(mutex_);
  said_something_ = true;
  keep(text);
  const std::uint64_t seen = skip_ - std::min(skip_, bytes_);
  bytes_ += text.size();
  text.remove_prefix(std::min<std::uint64_t>(seen, text.size()));
  if (client_ && !text.empty() && !send("delta", {{"text", text}}, bytes_)) {
    gone = let_client_go();
  }
  account();
  return client_ || kept_;
}

void AnswerStream::keep(std::string_view text) {
  if (!kept_) return;
  if (streams_.reserve(text.size())) {
    text_ += text;
  } else {
    ++streams_.dropped_;
    forget_text();
  }
}

void AnswerStream::forget_text() {
  kept_ = false;
  streams_.release(text_.size());
  text_ = std::string();
}

// The caller lets go of it without the mutex.
std::optional<AnswerStream::Client> AnswerStream::let_client_go() {
  std::optional<Client> gone = std::exchange(client_, std::nullopt);
  gone->events->end();
  gone->answer->stream_ended(gone->events->bytes());
  if (kept_) {
    streams_.after(streams_.options_.window, [weak = weak_from_this(), absence = ++absence_] {
      if (const auto self = weak.lock()) self->expire(absence);
    });
  }
  return gone;
}

void AnswerStream::account() {
  const auto count = [](bool& counted, bool is, std::atomic<std::size_t>& total) {
    if (counted == is) return;
    counted = is;
    is ? ++total : --total;
  };
  count(counted_kept_, kept_ && !ended_, streams_.kept_);
  count(counted_absent_, kept_ && !ended_ && !client_, streams_.absent_);
}

void AnswerStream::client_gone(const EventStream* events) {
  std::optional<Client> gone;
  {
    const std::lock_guard lock(mutex_);
    if (!client_ || client_->events.get() != events) return;
    gone = let_client_go();
    account();
    if (kept_) return;
  }
  stop_.request_stop();
}

void AnswerStream::expire(std::uint64_t absence) {
  {
    const std::lock_guard lock(mutex_);
    if (client_ || ended_ || !kept_ || absence != absence_) return;
    ++streams_.expired_;
    forget_text();
    account();
  }
  stop_.request_stop();
}

bool AnswerStream::attach(const std::shared_ptr<LateAnswer>& client,
                          std::optional<std::uint64_t> last_event) {
  std::optional<Client> before;
  Client now;
  {
    const std::lock_guard lock(mutex_);
    if (ended_ || !kept_ || (client_ && !last_event)) return false;
    if (client_) before = let_client_go();
    ++absence_;
    begin_stream(client);
    now = *client_;
    if (!begun_) {
      last_event_ = last_event;
      if (!last_event) send_session();
    } else {
      const bool goes_on = last_event && is_border(text_, *last_event);
      if (!goes_on) send_session();
      const std::string_view rest = std::string_view(text_).substr(goes_on ? *last_event : 0);
      if (!rest.empty()) send("delta", {{"text", rest}}, bytes_);
      ++streams_.resumed_;
    }
    account();
  }
  watch(now);
  return true;
}

void AnswerStream::finish(const Turn& turn) {
  bool in_one_piece = false;
  {
    const std::lock_guard lock(mutex_);
    in_one_piece = !said_something_ && turn.answer;
  }
  // A refusal was not streamed by the model.
  if (in_one_piece) add(turn.text());
  Json data = to_json(turn);
  data["status"] = to_string(turn.status);
  data["usage"] = to_json(turn.usage);
  end("done", std::move(data), nullptr);
}

void AnswerStream::fail(const Refusal& refusal) {
  Json data = refusal.body;
  data["http_status"] = refusal.status;
  end("error", std::move(data), &refusal);
}

void AnswerStream::end(std::string_view event, Json data, const Refusal* refusal) {
  std::optional<Client> client;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    forget_text();
    if (client_) {
      if (refusal != nullptr) {
        if (const auto wait = client_->answer->retry_after(*refusal)) data["retry_after"] = *wait;
      }
      send(event, data, bytes_);
      client = let_client_go();
    }
    account();
  }
  streams_.remove(*this);
}

AnswerStreams::AnswerStreams(AnswerStreamOptions options)
    : options_(std::move(options)),
      heartbeat_(options_.heartbeat),
      thread_([this](const std::stop_token& stop) { run_timers(stop); }) {}

AnswerStreams::~AnswerStreams() {
  thread_.request_stop();
  thread_.join();
}

std::shared_ptr<AnswerStream> AnswerStreams::begin(StreamedQuestion question,
                                                   const std::shared_ptr<LateAnswer>& client,
                                                   std::optional<std::uint64_t> last_event) {
  const std::shared_ptr<AnswerStream> stream(new AnswerStream(*this, std::move(question)));
  AnswerStream::Client made;
  {
    // Whoever finds the stream finds it with its client.
    const std::lock_guard lock(stream->mutex_);
    stream->kept_ = options_.window.count() > 0 && !stream->question_.key.empty() && add(stream);
    if (!stream->question_.key.empty()) stream->last_event_ = last_event;
    stream->begin_stream(client);
    if (!stream->last_event_) stream->send_session();
    stream->account();
    made = *stream->client_;
  }
  stream->watch(made);
  return stream;
}

bool AnswerStreams::resume(const StreamedQuestion& question,
                           const std::shared_ptr<LateAnswer>& client,
                           std::optional<std::uint64_t> last_event) {
  std::shared_ptr<AnswerStream> found;
  {
    const std::lock_guard lock(mutex_);
    const auto at = streams_.find({question.session_id, question.key});
    if (at != streams_.end()) found = at->second.lock();
  }
  return found && found->question_ == question && found->attach(client, last_event);
}

bool AnswerStreams::add(const std::shared_ptr<AnswerStream>& stream) {
  const std::lock_guard lock(mutex_);
  std::weak_ptr<AnswerStream>& place =
      streams_[{stream->question_.session_id, stream->question_.key}];
  if (!place.expired()) return false;
  place = stream;
  return true;
}

void AnswerStreams::remove(const AnswerStream& stream) {
  const std::lock_guard lock(mutex_);
  const auto at = streams_.find({stream.question_.session_id, stream.question_.key});
  if (at != streams_.end() && at->second.lock().get() == &stream) streams_.erase(at);
}

bool AnswerStreams::reserve(std::size_t bytes) {
  if (bytes_.fetch_add(bytes) + bytes <= options_.max_bytes) return true;
  bytes_ -= bytes;
  return false;
}

void AnswerStreams::after(std::chrono::milliseconds time, std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  timers_.emplace(Clock::now() + time, std::move(task));
  wake_.notify_one();
}

void AnswerStreams::run_timers(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (timers_.empty()) {
      wake_.wait(lock, stop, [this] { return !timers_.empty(); });
      continue;
    }
    const auto first = timers_.begin();
    if (const Clock::time_point at = first->first; at > Clock::now()) {
      // Until then, or an earlier one.
      wake_.wait_until(lock, stop, at, [&] { return timers_.begin()->first < at; });
      continue;
    }
    std::function<void()> task = std::move(first->second);
    timers_.erase(first);
    lock.unlock();
    options_.executor(std::move(task));
    task = nullptr;
    lock.lock();
  }
}

AnswerStreamStats AnswerStreams::stats() const {
  return {.kept = kept_,
          .absent = absent_,
          .bytes = bytes_,
          .resumed = resumed_,
          .expired = expired_,
          .dropped = dropped_};
}

}  // namespace twinchat::server
