#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "api/call.h"
#include "api/event_stream.h"
#include "twinchat/assistant.h"

namespace twinchat::server {

class AnswerStreams;

// What a streamed answer answers. With a key it may be resumed.
struct StreamedQuestion {
  std::string session_id;
  std::string text;
  UserDetailsUpdate details = {};
  std::string key = {};

  friend bool operator==(const StreamedQuestion&, const StreamedQuestion&) = default;
};

// One answer as events: session, deltas, and done or error.
//
// With a key the ids of events are bytes of the answer's text up to and with the event, and the
// answer outlives its client: it is kept, and goes on to whoever comes for the rest, for as long as
// AnswerStreamOptions::window says. Without one ids are running numbers, and the answer stops when
// its client goes away.
//
// A session event says that the whole answer follows, whatever was seen of it before.
//
// Thread safety: begun(), add(), finish() and fail() are called one after the other; everything
// else by any thread at any time.
class AnswerStream : public std::enable_shared_from_this<AnswerStream> {
 public:
  // Stopped when nobody will read the answer any more.
  std::stop_token stop_token() const { return stop_.get_token(); }
  // Whether somebody reads it now.
  bool has_client() const;

  // What becomes of the turn: as SendOptions::on_begin and on_text.
  void begun(const Turn& turn);
  bool add(std::string_view text);
  // The ends. Nothing comes after one.
  void finish(const Turn& turn);
  void fail(const Refusal& refusal);

 private:
  friend class AnswerStreams;

  struct Client {
    std::shared_ptr<LateAnswer> answer;
    std::shared_ptr<EventStream> events;
  };

  AnswerStream(AnswerStreams& streams, StreamedQuestion question);

  // Goes on to this client, after `last_event` if that is an id of this answer. False when it does
  // not: the answer has ended, its text is not kept, or another client reads it and this one does
  // not say that it was here before.
  bool attach(const std::shared_ptr<LateAnswer>& client, std::optional<std::uint64_t> last_event);

  // With the mutex held:
  void begin_stream(const std::shared_ptr<LateAnswer>& client);
  bool send(std::string_view event, const Json& data, std::uint64_t id);
  void send_session();
  void keep(std::string_view text);
  void forget_text();
  std::optional<Client> let_client_go();
  void account();

  // Has the client's going away noticed.
  void watch(const Client& client);
  void client_gone(const EventStream* events);
  void expire(std::uint64_t absence);
  void end(std::string_view event, Json data, const Refusal* refusal);

  AnswerStreams& streams_;
  const StreamedQuestion question_;
  std::stop_source stop_;

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::optional<Client> client_;
  std::optional<std::uint64_t> last_event_;  // until begun(): what the client has seen
  bool begun_ = false;
  bool ended_ = false;
  bool kept_ = false;  // text_ is all of the answer so far
  std::string text_;
  std::uint64_t bytes_ = 0;  // of the answer so far
  std::uint64_t skip_ = 0;   // so many of them the client has seen
  bool said_something_ = false;
  std::uint64_t absence_ = 0;  // numbers the times without a client
  bool counted_kept_ = false;
  bool counted_absent_ = false;
};

struct AnswerStreamOptions {
  // How long an answer goes on without a client; 0: not at all.
  std::chrono::milliseconds window{60'000};
  // How much text of answers under way is kept, all together.
  std::size_t max_bytes = 32u << 20;
  // How long a stream may be silent.
  std::chrono::milliseconds heartbeat{10'000};
  // Where timers run. Must run or drop the task.
  Executor executor = {};
};

// A snapshot. `resumed`, `expired` and `dropped` only grow.
struct AnswerStreamStats {
  std::size_t kept = 0;       // answers under way whose text is kept
  std::size_t absent = 0;     // of them, without a client
  std::size_t bytes = 0;      // of their texts
  std::uint64_t resumed = 0;  // clients that came back and got the rest
  std::uint64_t expired = 0;  // answers that nobody came back for
  std::uint64_t dropped = 0;  // answers whose text did not fit
};

// The streamed answers under way: finds the one that a client comes back for, keeps their texts
// within bounds, and ends those for which nobody comes back.
//
// Thread safety: every function may be called from any number of threads at once.
class AnswerStreams {
 public:
  explicit AnswerStreams(AnswerStreamOptions options);
  // Waits for the timers' thread. No stream may be left.
  ~AnswerStreams();
  AnswerStreams(const AnswerStreams&) = delete;
  AnswerStreams& operator=(const AnswerStreams&) = delete;

  // Answers the client with a stream for a turn that is about to begin. With `last_event`, the id
  // of the last event that the client has seen, the stream goes on after it if the turn turns out
  // to have that answer already; otherwise it begins anew. While another stream of the same key is
  // under way, this one cannot be resumed.
  std::shared_ptr<AnswerStream> begin(StreamedQuestion question,
                                      const std::shared_ptr<LateAnswer>& client,
                                      std::optional<std::uint64_t> last_event);

  // Has the answer to that very question that is under way go on to this client. False when there
  // is none: nobody has asked, it has ended or its text is not kept; and while another client reads
  // it, unless this one says by `last_event` that it was there before.
  bool resume(const StreamedQuestion& question, const std::shared_ptr<LateAnswer>& client,
              std::optional<std::uint64_t> last_event);

  // Runs the task by the executor, that much later.
  void after(std::chrono::milliseconds time, std::function<void()> task);

  AnswerStreamStats stats() const;

 private:
  friend class AnswerStream;
  using Clock = std::chrono::steady_clock;
  using Name = std::pair<std::string, std::string>;  // session and key

  bool keeps() const { return options_.window.count() > 0; }
  // Takes room for so many bytes more, if there is any.
  bool reserve(std::size_t bytes);
  void release(std::size_t bytes) { bytes_ -= bytes; }
  bool add(const std::shared_ptr<AnswerStream>& stream);
  void remove(const AnswerStream& stream);
  void run_timers(const std::stop_token& stop);

  const AnswerStreamOptions options_;
  Heartbeat heartbeat_;
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> kept_{0};
  std::atomic<std::size_t> absent_{0};
  std::atomic<std::uint64_t> resumed_{0};
  std::atomic<std::uint64_t> expired_{0};
  std::atomic<std::uint64_t> dropped_{0};

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::map<Name, std::weak_ptr<AnswerStream>> streams_;
  std::condition_variable_any wake_;
  std::multimap<Clock::time_point, std::function<void()>> timers_;
  std::jthread thread_;
};

}  // namespace twinchat::server
