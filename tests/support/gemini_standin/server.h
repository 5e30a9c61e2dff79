#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "gemini_standin/http_message.h"

struct ssl_ctx_st;
struct ssl_st;

namespace twinchat::testing {

// A piece of an answer: wait, send the bytes exactly as they are, then do what `after` says.
struct Step {
  enum class After { kContinue, kClose, kReset, kHang };
  int delay_ms = 0;  // since the piece before was handed to the kernel
  std::string bytes;
  After after = After::kContinue;
};

struct Answer {
  std::vector<Step> steps;
};

struct ServerStats {
  std::int64_t calls = 0;
  std::int64_t open_connections = 0;
  std::int64_t connections_total = 0;
  std::int64_t in_flight = 0;
  std::int64_t max_in_flight = 0;
  std::int64_t aborted = 0;  // answers the client did not wait for
};

// A loopback HTTP/1.1 server on one epoll loop: it frames requests, asks the handler for the whole
// answer at once, and sends the answer's steps when they are due. It adds nothing to the bytes.
// Requests for paths that begin with "/_" are the tests' own talk with the stand-in: they, and
// connections that begin with one, are left out of the statistics.
//
// Thread safety: none; everything, the handler too, runs on the thread that calls run().
class Server {
 public:
  using Handler = std::function<Answer(HttpRequest)>;

  // Listens on 127.0.0.1:`port`, 0 for a free one. Throws std::system_error.
  Server(std::uint16_t port, Handler handler);
  // Speaks TLS from now on, with these PEM files. Connections end without a close_notify, as those
  // of many servers do. Throws std::runtime_error when the files cannot be used.
  void use_tls(const std::string& certificate_file, const std::string& key_file);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const { return port_; }
  const ServerStats& stats() const { return stats_; }
  // Counters back to zero; what is open or in flight at the moment stays counted.
  void reset_stats();
  // Serves until SIGTERM or SIGINT, which the caller must have blocked.
  void run();

 private:
  using Clock = std::chrono::steady_clock;
  struct Connection;
  struct Timer {
    Clock::time_point due;
    std::uint64_t connection_id;
    std::uint64_t serial;
    bool operator>(const Timer& other) const { return due > other.due; }
  };

  void accept_all();
  void on_readable(Connection& connection);
  void process(Connection& connection);
  bool take_request(Connection& connection);
  bool flush(Connection& connection);
  // As recv() and send(), through TLS where it is spoken; EAGAIN for "wait".
  static ssize_t receive(Connection& connection, char* bytes, std::size_t size);
  static ssize_t transmit(Connection& connection, const char* bytes, std::size_t size);
  void watch_writable(Connection& connection, bool on);
  void close_connection(Connection& connection, bool by_client);
  void fire_timers();
  int wait_ms() const;

  struct FreeTls {
    void operator()(ssl_st* session) const;
    void operator()(ssl_ctx_st* context) const;
  };

  Handler handler_;
  std::unique_ptr<ssl_ctx_st, FreeTls> tls_;  // null: plain HTTP
  int listener_ = -1;
  int epoll_ = -1;
  int signals_ = -1;
  std::uint16_t port_ = 0;
  std::uint64_t next_id_ = 16;  // below: the listener and the signals in epoll's data
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  ServerStats stats_;
};

}  // namespace twinchat::testing
