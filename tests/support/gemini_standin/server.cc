#include "gemini_standin/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <system_error>

namespace twinchat::testing {
namespace {

constexpr std::uint64_t kListenerId = 1;
constexpr std::uint64_t kSignalsId = 2;

int checked(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

void add_to_epoll(int epoll, int fd, std::uint64_t id) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id;
  checked(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

std::string plain_error(const char* status_line) {
  return std::string("HTTP/1.1 ") + status_line +
         "\r\nContent-Type: text/html; charset=UTF-8\r\nContent-Length: 0\r\n"
         "Connection: close\r\n\r\n";
}

}  // namespace

struct Server::Connection {
  std::uint64_t id = 0;
  int fd = -1;
  std::unique_ptr<SSL, FreeTls> tls;
  RequestParser parser;
  std::string out;
  std::size_t sent = 0;
  Answer answer;
  std::size_t next_step = 0;
  Clock::time_point due{};
  std::uint64_t timer_serial = 0;  // a timer with another serial is stale
  bool busy = false;               // an answer is under way
  bool counted = true;
  bool called = false;    // has had a request
  bool own_talk = false;  // the request under way is for a /_ path
  bool keep_alive = true;
  bool timer_set = false;
  bool watching_writable = false;
  bool hanging = false;
};

Server::Server(std::uint16_t port, Handler handler) : handler_(std::move(handler)) {
  listener_ = checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  checked(setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "setsockopt");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  checked(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
  checked(listen(listener_, 4096), "listen");
  socklen_t length = sizeof address;
  checked(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), "getsockname");
  port_ = ntohs(address.sin_port);
  epoll_ = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  signals_ = checked(signalfd(-1, &stop_signals, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd");
  add_to_epoll(epoll_, listener_, kListenerId);
  add_to_epoll(epoll_, signals_, kSignalsId);
}

Server::~Server() {
  for (const auto& [id, connection] : connections_) close(connection->fd);
  close(signals_);
  close(epoll_);
  close(listener_);
}

void Server::FreeTls::operator()(ssl_st* session) const {
  SSL_free(session);
}
void Server::FreeTls::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}

void Server::use_tls(const std::string& certificate_file, const std::string& key_file) {
  tls_.reset(SSL_CTX_new(TLS_server_method()));
  if (!tls_ || SSL_CTX_use_certificate_chain_file(tls_.get(), certificate_file.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(tls_.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    throw std::runtime_error("cannot use the certificate " + certificate_file + " with the key " +
                             key_file);
  }
  // What is left to send may be moved in memory between two tries.
  SSL_CTX_set_mode(tls_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

ssize_t Server::receive(Connection& connection, char* bytes, std::size_t size) {
  if (!connection.tls) return recv(connection.fd, bytes, size, 0);
  ERR_clear_error();
  std::size_t count = 0;
  if (SSL_read_ex(connection.tls.get(), bytes, size, &count) == 1) {
    return static_cast<ssize_t>(count);
  }
  const int error = SSL_get_error(connection.tls.get(), 0);
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return 0;
  errno = EAGAIN;
  return -1;
}

ssize_t Server::transmit(Connection& connection, const char* bytes, std::size_t size) {
  if (!connection.tls) return send(connection.fd, bytes, size, MSG_NOSIGNAL);
  ERR_clear_error();
  std::size_t count = 0;
  if (SSL_write_ex(connection.tls.get(), bytes, size, &count) == 1) {
    return static_cast<ssize_t>(count);
  }
  const int error = SSL_get_error(connection.tls.get(), 0);
  errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
  return -1;
}

void Server::reset_stats() {
  stats_.calls = 0;
  stats_.connections_total = stats_.open_connections;
  stats_.max_in_flight = stats_.in_flight;
  stats_.aborted = 0;
}

int Server::wait_ms() const {
  if (timers_.empty()) return -1;
  const auto left = timers_.top().due - Clock::now();
  if (left <= Clock::duration::zero()) return 0;
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
}

void Server::run() {
  std::array<epoll_event, 512> events{};
  for (;;) {
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms());
    if (count < 0 && errno != EINTR) checked(count, "epoll_wait");
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const std::uint64_t id = event.data.u64;  // the struct is packed: no reference into it
      if (id == kSignalsId) return;
      if (id == kListenerId) {
        accept_all();
        continue;
      }
      auto found = connections_.find(id);
      if (found == connections_.end()) continue;
      if ((event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
        on_readable(*found->second);
        found = connections_.find(id);
        if (found == connections_.end()) continue;
      }
      if ((event.events & EPOLLOUT) != 0) process(*found->second);
    }
    fire_timers();
  }
}

void Server::accept_all() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto connection = std::make_unique<Connection>();
    connection->id = next_id_++;
    connection->fd = fd;
    if (tls_) {
      connection->tls.reset(SSL_new(tls_.get()));
      SSL_set_fd(connection->tls.get(), fd);
      SSL_set_accept_state(connection->tls.get());
    }
    add_to_epoll(epoll_, fd, connection->id);
    ++stats_.connections_total;
    ++stats_.open_connections;
    connections_.emplace(connection->id, std::move(connection));
  }
}

void Server::on_readable(Connection& connection) {
  static std::array<char, 64 * 1024> buffer;
  for (;;) {
    const ssize_t count = receive(connection, buffer.data(), buffer.size());
    if (count > 0) {
      connection.parser.feed({buffer.data(), static_cast<std::size_t>(count)});
      // TLS may hold more that epoll does not know of.
      if (!connection.tls && static_cast<std::size_t>(count) < buffer.size()) break;
    } else if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      break;
    } else {
      close_connection(connection, true);
      return;
    }
  }
  if (!connection.busy) process(connection);
}

// True when there is an answer to send now.
bool Server::take_request(Connection& connection) {
  HttpRequest request;
  const RequestParser::Result result = connection.parser.next(request);
  if (result == RequestParser::Result::kNeedMore) {
    if (connection.parser.take_expect_continue()) {
      connection.out += "HTTP/1.1 100 Continue\r\n\r\n";
      flush(connection);
    }
    return false;
  }
  connection.next_step = 0;
  connection.keep_alive = true;
  if (result != RequestParser::Result::kRequest) {
    const bool bad = result == RequestParser::Result::kBad;
    connection.answer = {};
    connection.answer.steps.push_back(
        {0, plain_error(bad ? "400 Bad Request" : "413 Request Entity Too Large"),
         Step::After::kClose});
  } else {
    request.connection_id = connection.id - 15;
    request.arrival_ms =
        std::chrono::duration<double, std::milli>(Clock::now().time_since_epoch()).count();
    connection.keep_alive = request.keep_alive;
    connection.own_talk = request.path.starts_with("/_");
    if (connection.own_talk && connection.counted && !connection.called) {
      connection.counted = false;
      --stats_.connections_total;
      --stats_.open_connections;
    }
    connection.called = true;
    connection.answer = handler_(std::move(request));
  }
  connection.busy = true;
  if (!connection.own_talk) {
    ++stats_.calls;
    ++stats_.in_flight;
    stats_.max_in_flight = std::max(stats_.max_in_flight, stats_.in_flight);
  }
  connection.due = Clock::now();
  if (!connection.answer.steps.empty()) {
    connection.due += std::chrono::milliseconds(connection.answer.steps.front().delay_ms);
  }
  return true;
}

void Server::process(Connection& connection) {
  for (;;) {
    if (!flush(connection)) return;
    if (!connection.busy) {
      if (!take_request(connection)) return;
    }
    if (connection.hanging) return;
    if (connection.next_step == connection.answer.steps.size()) {
      connection.busy = false;
      if (!connection.own_talk) --stats_.in_flight;
      connection.answer = {};
      if (!connection.keep_alive) {
        close_connection(connection, false);
        return;
      }
      continue;
    }
    const auto now = Clock::now();
    if (connection.due > now) {
      if (!connection.timer_set) {
        connection.timer_set = true;
        timers_.push({connection.due, connection.id, ++connection.timer_serial});
      }
      return;
    }
    Step& step = connection.answer.steps[connection.next_step];
    connection.out = std::move(step.bytes);
    connection.sent = 0;
    ++connection.next_step;
    if (connection.next_step < connection.answer.steps.size()) {
      connection.due =
          now + std::chrono::milliseconds(connection.answer.steps[connection.next_step].delay_ms);
    }
    switch (step.after) {
      case Step::After::kContinue:
        break;
      case Step::After::kHang:
        connection.hanging = true;
        break;
      case Step::After::kClose:
        connection.keep_alive = false;
        connection.next_step = connection.answer.steps.size();
        break;
      case Step::After::kReset: {
        // Best effort: bytes the kernel would not take at once are lost, as in a real reset.
        flush(connection);
        const linger at_once{1, 0};
        setsockopt(connection.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        connection.next_step = connection.answer.steps.size();
        connection.keep_alive = false;
        connection.out.clear();
        connection.sent = 0;
        break;
      }
    }
  }
}

// True when nothing is left to send. A broken connection counts as that: its end comes by read.
bool Server::flush(Connection& connection) {
  while (connection.sent < connection.out.size()) {
    const ssize_t count = transmit(connection, connection.out.data() + connection.sent,
                                   connection.out.size() - connection.sent);
    if (count >= 0) {
      connection.sent += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      watch_writable(connection, true);
      return false;
    } else if (errno != EINTR) {
      // The client is gone; EPOLLHUP or a read of zero closes the connection. Stop here.
      connection.out.clear();
      connection.sent = 0;
      connection.hanging = true;
      return false;
    }
  }
  connection.out.clear();
  connection.sent = 0;
  watch_writable(connection, false);
  return true;
}

void Server::watch_writable(Connection& connection, bool on) {
  if (connection.watching_writable == on) return;
  connection.watching_writable = on;
  epoll_event event{};
  event.events = EPOLLIN;
  if (on) event.events |= EPOLLOUT;
  event.data.u64 = connection.id;
  checked(epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event), "epoll_ctl");
}

void Server::close_connection(Connection& connection, bool by_client) {
  if (connection.busy && !connection.own_talk) {
    --stats_.in_flight;
    if (by_client) ++stats_.aborted;
  }
  if (connection.counted) --stats_.open_connections;
  if (!by_client) {
    // Unread input would turn the FIN into a reset.
    std::array<char, 4096> rest;
    while (recv(connection.fd, rest.data(), rest.size(), 0) > 0) {
    }
  }
  close(connection.fd);
  connections_.erase(connection.id);
}

void Server::fire_timers() {
  const auto now = Clock::now();
  while (!timers_.empty() && timers_.top().due <= now) {
    const Timer timer = timers_.top();
    timers_.pop();
    const auto found = connections_.find(timer.connection_id);
    if (found == connections_.end() || found->second->timer_serial != timer.serial) continue;
    found->second->timer_set = false;
    process(*found->second);
  }
}

}  // namespace twinchat::testing
