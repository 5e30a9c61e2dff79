// Accepts connections and tells them when something has happened. Internal.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "http/connection.h"
#include "http/server_core.h"

namespace twinchat::server {

// Whom the loop tells of what; all are called on its thread.
struct LoopCalls {
  // Has complete requests handled; called once a round with all of them.
  std::function<void(std::vector<std::shared_ptr<Connection>>& connections)> dispatch;
  // See HttpServerOptions; may be empty.
  std::function<void()> on_drain = {};
  std::function<void()> on_interrupt = {};
  std::function<void()> on_beat = {};
  std::chrono::milliseconds beat{};
};

// One epoll instance, edge triggered: a request costs no epoll_ctl.
//
// Thread safety: listen() and run() belong to one thread after the other; port() and stop() may be
// called from any thread.
class EventLoop {
 public:
  EventLoop(std::shared_ptr<ServerCore> core, LoopCalls calls);
  ~EventLoop();

  void listen(const std::string& host, int port);
  int port() const { return port_.load(std::memory_order_relaxed); }
  void run();
  void stop(std::chrono::milliseconds drain) noexcept;

 private:
  using Clock = Connection::Clock;

  // When to look at a connection. A connection has at most one that counts, the one equal to its
  // `scheduled`; a deadline that moves back costs nothing until the old one comes.
  struct Timer {
    Clock::time_point when;
    int fd;
    uint32_t generation;
    bool operator>(const Timer& other) const { return when > other.when; }
  };

  void accept_some();
  void add(UniqueFd fd, std::string client_address);
  void turn_away(UniqueFd fd, const std::string& client_address);
  bool shed_idle();
  void handle(const std::shared_ptr<Connection>& connection, Connection::Next next);
  void schedule(Connection& connection);
  void limit_handshakes(Connection& connection);
  void run_timers();
  void watch_listener(uint32_t events);
  bool turn_away_with_spare();
  void begin_drain();
  void close_all();
  int wait_time() const;
  const std::shared_ptr<Connection>* find(int fd, uint32_t generation) const;

  const std::shared_ptr<ServerCore> core_;
  const LoopCalls calls_;

  UniqueFd epoll_;
  UniqueFd listener_;
  UniqueFd spare_;  // given up to be able to accept, and turn away, when descriptors have run out
  std::atomic<int> port_{0};
  size_t max_connections_ = 0;

  std::vector<std::shared_ptr<Connection>> by_fd_;
  size_t open_ = 0;
  size_t hand_ = 0;  // where shed_idle() goes on
  uint32_t generation_ = 0;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::deque<std::pair<int, uint32_t>> handshakes_;  // descriptors and generations, oldest first
  std::vector<std::shared_ptr<Connection>> ready_;   // to be dispatched
  std::vector<std::shared_ptr<Connection>> woken_;
  std::vector<char> buffer_;

  Clock::time_point now_ = Clock::now();  // of this round
  Clock::time_point beat_at_ = Clock::time_point::max();
  Clock::time_point accept_again_ = Clock::time_point::max();  // when accepting goes on

  std::atomic<int64_t> drain_until_{INT64_MAX};  // steady clock, nanoseconds
  bool draining_ = false;
};

}  // namespace twinchat::server
