#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "api/json.h"
#include "http/http_server.h"

namespace twinchat::server {

// Server-Sent Events to one client.
//
// Thread safety: every function may be called from any thread; events do not mix.
class EventStream {
 public:
  using Clock = std::chrono::steady_clock;

  // Writes to a Reply whose stream has begun.
  explicit EventStream(std::shared_ptr<Reply> reply) : reply_(std::move(reply)) {}

  // Sends one event with the next id. False when the client is gone or reads too slowly: nothing
  // more will reach it.
  bool send(std::string_view event, const Json& data);
  // The same with an id of the caller's, which the client names when it comes again.
  bool send(std::string_view event, const Json& data, std::int64_t id);

  // Sends a comment if nothing was sent since `silent_since`. False when there is no point in
  // further calls.
  bool keep_alive(Clock::time_point silent_since);

  // Of all that was sent.
  std::size_t bytes() const;

  // The last word. Nothing is sent afterwards.
  void end();

 private:
  const std::shared_ptr<Reply> reply_;
  bool write(std::string_view text);

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::size_t bytes_ = 0;
  std::uint64_t next_id_ = 1;
  Clock::time_point last_sent_ = Clock::now();
  bool ended_ = false;
};

// Keeps silent streams alive, so that nobody on the way takes them for dead, and a client that is
// gone is noticed.
//
// Thread safety: every function may be called from any thread.
class Heartbeat {
 public:
  explicit Heartbeat(std::chrono::milliseconds interval);
  // Waits for the thread, not for the streams.
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  // Watches over the stream for as long as somebody else holds it.
  void watch(const std::shared_ptr<EventStream>& stream);

 private:
  void run(std::stop_token stop);

  const std::chrono::milliseconds interval_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::vector<std::weak_ptr<EventStream>> streams_;  // guarded by mutex_
  std::jthread thread_;
};

}  // namespace twinchat::server
