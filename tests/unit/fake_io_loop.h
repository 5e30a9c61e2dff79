#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gemini/io_loop.h"

namespace twinchat::testing {

// What a server does in one transfer, step by step.
struct Head {
  int status = 200;
  std::string retry_after = {};
};
using Step = std::variant<Head, std::string, gemini::TransferEnd>;
struct TimedStep {
  std::chrono::milliseconds after{0};  // since the step before
  Step what;
};
using Script = std::vector<TimedStep>;

// A complete answer that comes in one piece.
inline Script replies(int status, std::string body, std::string retry_after = {}) {
  return {{.what = Head{.status = status, .retry_after = std::move(retry_after)}},
          {.what = std::move(body)},
          {.what = gemini::TransferEnd{}}};
}

// A stream whose pieces come `apart` from one another, and its end.
inline Script streams(const std::vector<std::string>& pieces, gemini::TransferEnd end = {},
                      std::chrono::milliseconds apart = std::chrono::milliseconds(0)) {
  Script script{{.what = Head{}}};
  for (const std::string& piece : pieces) script.push_back({.after = apart, .what = piece});
  script.push_back({.after = apart, .what = std::move(end)});
  return script;
}

// A network that gives way after a time.
inline gemini::TransferEnd lost(const char* reason = "CONNECTION_LOST") {
  return {.kind = gemini::TransferEnd::Kind::kFailed, .reason = reason, .diagnostic = "scripted"};
}
inline gemini::TransferEnd timed_out(const char* stage) {
  return {.kind = gemini::TransferEnd::Kind::kTimeout, .stage = stage, .diagnostic = {}};
}
inline Script ends(gemini::TransferEnd end,
                   std::chrono::milliseconds after = std::chrono::milliseconds(0)) {
  return {{.after = after, .what = std::move(end)}};
}

// Nothing ever comes.
inline Script hangs() {
  return {};
}

// An IoLoop with a clock that jumps from one event to the next and a network that follows scripts.
// It is as strict as its interface allows: a handler is let go of the moment its transfer ends or
// is aborted.
//
// Thread safety: none, not even post().
class FakeIoLoop final : public gemini::IoLoop {
 public:
  struct Sent {
    std::chrono::milliseconds when;
    gemini::HttpRequest request;
    bool aborted = false;
  };

  TimePoint now() const override { return now_; }
  std::chrono::milliseconds elapsed() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now_ - kBegin);
  }
  TimePoint after(std::chrono::milliseconds time) const { return kBegin + time; }

  void post(std::function<void()> task) override { at(now_, std::move(task)); }

  TimerId at(TimePoint when, std::function<void()> task) override {
    const TimerId id = ++last_id_;
    const TimePoint time = std::max(when, now_);
    tasks_.emplace(std::pair(time, id), std::move(task));
    times_.emplace(id, time);
    return id;
  }

  void cancel(TimerId timer) override {
    const auto found = times_.find(timer);
    if (found == times_.end()) return;
    tasks_.erase({found->second, timer});
    times_.erase(found);
  }

  gemini::IoLoop::TransferId send(gemini::HttpRequest request,
                                  std::shared_ptr<gemini::TransferHandler> handler) override {
    const TransferId id = ++last_id_;
    transfers_.emplace(id, Transfer{.handler = std::move(handler), .sent = sent_.size()});
    sent_.push_back({.when = elapsed(), .request = std::move(request)});
    Script script;
    if (!scripts_.empty()) {
      script = std::move(scripts_.front());
      scripts_.pop_front();
    }
    TimePoint time = now_;
    for (TimedStep& step : script) {
      time += step.after;
      at(time, [this, id, what = std::move(step.what)] { deliver(id, what); });
    }
    return id;
  }

  void abort(TransferId id) override {
    const auto found = transfers_.find(id);
    if (found == transfers_.end()) return;
    sent_[found->second.sent].aborted = true;
    transfers_.erase(found);
  }

  // What the transfers to come will do, in their order. Those beyond hang.
  void play(Script script) { scripts_.push_back(std::move(script)); }

  // Runs until nothing is left to happen.
  void run() {
    while (!tasks_.empty()) run_next();
  }
  // Runs what happens up to then, and stays there.
  void run_to(std::chrono::milliseconds time) {
    const TimePoint end = after(time);
    while (!tasks_.empty() && tasks_.begin()->first.first <= end) run_next();
    now_ = std::max(now_, end);
  }

  const std::vector<Sent>& sent() const { return sent_; }
  std::size_t transfers_under_way() const { return transfers_.size(); }
  std::size_t tasks_left() const { return tasks_.size(); }

 private:
  struct Transfer {
    std::shared_ptr<gemini::TransferHandler> handler;
    std::size_t sent;
  };

  void run_next() {
    auto entry = tasks_.extract(tasks_.begin());
    now_ = entry.key().first;
    times_.erase(entry.key().second);
    entry.mapped()();
  }

  void deliver(TransferId id, const Step& step) {
    const auto found = transfers_.find(id);
    if (found == transfers_.end()) return;
    gemini::TransferHandler* handler = found->second.handler.get();
    if (const auto* head = std::get_if<Head>(&step)) {
      handler->on_head(head->status, head->retry_after);
    } else if (const auto* bytes = std::get_if<std::string>(&step)) {
      handler->on_body(*bytes);
    } else {
      const auto kept = std::move(found->second.handler);
      transfers_.erase(found);
      kept->on_end(std::get<gemini::TransferEnd>(step));
    }
  }

  static constexpr TimePoint kBegin{std::chrono::hours(1'000)};

  TimePoint now_ = kBegin;
  std::uint64_t last_id_ = 0;
  std::map<std::pair<TimePoint, TimerId>, std::function<void()>> tasks_;
  std::map<TimerId, TimePoint> times_;
  std::map<TransferId, Transfer> transfers_;
  std::deque<Script> scripts_;
  std::vector<Sent> sent_;
};

}  // namespace twinchat::testing
