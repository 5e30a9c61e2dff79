#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "api/call.h"
#include "api/event_stream.h"
#include "twinchat/records.h"

namespace twinchat::server {

// Conversations that operators have open: what is said in them goes out as it comes. One thread
// looks through all of them every second, so that what another process writes is seen too.
//
// Thread safety: every function may be called from any thread.
class LiveConversations {
 public:
  // Keeps the reference. Streams are silent for no longer than `heartbeat`.
  LiveConversations(Records& records, std::chrono::milliseconds heartbeat);
  ~LiveConversations();
  LiveConversations(const LiveConversations&) = delete;
  LiveConversations& operator=(const LiveConversations&) = delete;

  // Answers with the events of the session after that message. `still_allowed` is asked now and
  // then; when it says no, the stream ends. Refusal 503 when too many are open.
  void open(Call& call, const std::string& session_id, std::int64_t after,
            std::function<bool()> still_allowed);

  // Has all streams end soon; no others are opened. Does not wait.
  void stop();

 private:
  struct Watched;

  void run(std::stop_token stop);
  bool look(Watched& watched);
  static void end(Watched& watched);

  Records& records_;
  Heartbeat heartbeat_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::vector<std::unique_ptr<Watched>> watched_;  // guarded by mutex_
  std::size_t open_ = 0;  // guarded by mutex_: also those that are being looked at
  bool stopped_ = false;  // guarded by mutex_
  std::jthread thread_;
};

}  // namespace twinchat::server
