// What the event loop, the connections, the replies and the HttpServer share. Internal to this
// folder. Replies may outlive the HttpServer; they keep this alive.
#pragma once

#include <httplib.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "http/http_limits.h"
#include "http/http_server_stats.h"
#include "http/worker_pool.h"

namespace twinchat::server {

class Connection;
class TlsContext;
struct ErrorCause;

// Owns a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Thread safety: the fields before the pool are constant while the server runs; everything else may
// be used from any thread.
struct ServerCore {
  using ErrorAnswer = std::function<httplib::Response(const ErrorCause& cause)>;
  using Log = std::function<void(std::string_view)>;

  ServerCore(const HttpLimits& limits, ErrorAnswer error_answer, Log log,
             WorkerPoolOptions pool_options, std::shared_ptr<TlsContext> tls);

  // The answer of this room to something that never reached a handler, or that failed in one.
  httplib::Response make_error(const ErrorCause& cause) const;

  // Says what only the operator may know. Never throws.
  void report(std::string_view what) const noexcept;

  // Has the event loop look at the connection.
  void wake(std::shared_ptr<Connection> connection);

  // Wakes the event loop. Async-signal-safe.
  void wake() noexcept;

  // Takes the connections to look at. Event loop only.
  void take_woken(std::vector<std::shared_ptr<Connection>>& into);

  // Runs the function on a worker, or, when there are none any more, here.
  void run(std::function<void()> function);

  const HttpLimits limits;
  const ErrorAnswer error_answer;
  const Log log;
  const std::shared_ptr<TlsContext> tls;  // null: plain HTTP
  UniqueFd wake_fd;

  HttpCounters counters;
  std::atomic<size_t> unfinished_bytes{0};
  std::atomic<size_t> unsent_bytes{0};
  std::atomic<size_t> unsent_connections{0};  // that hold them
  std::atomic<size_t> handshakes{0};          // of TLS, under way
  std::atomic<bool> draining{false};
  std::atomic<bool> interrupted{false};

  std::mutex woken_mutex;
  std::vector<std::shared_ptr<Connection>> woken;

  WorkerPool pool;
};

}  // namespace twinchat::server
