#include "http/event_loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "http/http_server.h"
#include "http/response_writer.h"

namespace twinchat::server {
namespace {

constexpr size_t kReadBuffer = 16 * 1024;
constexpr int kBacklog = 4096;
constexpr int kAcceptsARound = 128;
constexpr std::chrono::milliseconds kAcceptPause{100};

// epoll_event.data of the two descriptors that are no connections; a connection's has its
// generation, never 0, in the upper half.
constexpr uint64_t kListener = 1;
constexpr uint64_t kWake = 2;

[[noreturn]] void throw_errno(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

size_t default_connections() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 100'000;
  const size_t files = static_cast<size_t>(limit.rlim_cur);
  const size_t reserve = std::max<size_t>(64, files / 8);
  return files > 2 * reserve ? files - reserve : std::max<size_t>(1, files / 2);
}

std::string address_of(const sockaddr_storage& peer) {
  char text[INET6_ADDRSTRLEN] = "";
  if (peer.ss_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(peer).sin_addr, text, sizeof text);
  } else if (peer.ss_family == AF_INET6) {
    const in6_addr& address = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
      ::inet_ntop(AF_INET, address.s6_addr + 12, text, sizeof text);
    } else {
      ::inet_ntop(AF_INET6, &address, text, sizeof text);
    }
  }
  return text;
}

int bound_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

// Binds and listens, or returns the error number.
int open_listener(const addrinfo& address, bool any_family, UniqueFd& into) {
  UniqueFd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  // SO_REUSEADDR alone: a restart need not wait for old connections to time out, while a port
  // somebody listens on stays refused. SO_REUSEPORT would share it in silence.
  const int on = 1;
  const int off = 0;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.ai_family == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, any_family ? &off : &on, sizeof on);
  }
  if (::bind(fd.get(), address.ai_addr, address.ai_addrlen) != 0) return errno;
  if (::listen(fd.get(), kBacklog) != 0) return errno;
  into = std::move(fd);
  return 0;
}

}  // namespace

EventLoop::EventLoop(std::shared_ptr<ServerCore> core, LoopCalls calls)
    : core_(std::move(core)),
      calls_(std::move(calls)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      spare_(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
      buffer_(kReadBuffer) {
  if (!epoll_) throw_errno(errno, "epoll_create1");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWake;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, core_->wake_fd.get(), &event) != 0) {
    throw_errno(errno, "epoll_ctl");
  }
}

EventLoop::~EventLoop() {
  close_all();
}

void EventLoop::listen(const std::string& host, int port) {
  const std::string where = (host.empty() ? "*" : host) + ":" + std::to_string(port);
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int lookup = ::getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                   std::to_string(port).c_str(), &hints, &list);
  if (lookup != 0) {
    throw std::system_error(EADDRNOTAVAIL, std::generic_category(),
                            "cannot listen on " + where + " (" + ::gai_strerror(lookup) + ")");
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(list, ::freeaddrinfo);

  int error = EADDRNOTAVAIL;
  // For "every address" IPv6 first: its socket takes IPv4 too.
  for (int family : {host.empty() ? AF_INET6 : AF_UNSPEC, AF_UNSPEC}) {
    for (const addrinfo* a = addresses.get(); a != nullptr && !listener_; a = a->ai_next) {
      if (family != AF_UNSPEC && a->ai_family != family) continue;
      error = open_listener(*a, host.empty(), listener_);
      // Another address of the same name must not hide that the port is taken.
      if (error == EADDRINUSE) break;
    }
    if (listener_ || error == EADDRINUSE) break;
  }
  if (!listener_) throw_errno(error, "cannot listen on " + where);

  max_connections_ =
      core_->limits.connections != 0 ? core_->limits.connections : default_connections();
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kListener;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event) != 0) {
    throw_errno(errno, "epoll_ctl");
  }
  port_.store(bound_port(listener_.get()), std::memory_order_relaxed);
}

void EventLoop::stop(std::chrono::milliseconds drain) noexcept {
  const int64_t until = std::chrono::nanoseconds(Clock::now().time_since_epoch() + drain).count();
  int64_t current = drain_until_.load();
  while (until < current && !drain_until_.compare_exchange_weak(current, until)) {
  }
  core_->draining.store(true);
  core_->wake();
}

void EventLoop::run() {
  std::array<epoll_event, 256> events;
  if (calls_.on_beat) beat_at_ = Clock::now();
  for (;;) {
    if (core_->draining.load() && !draining_) begin_drain();
    if (draining_ &&
        (open_ == 0 || Clock::now().time_since_epoch().count() >= drain_until_.load())) {
      break;
    }
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_time());
    if (count < 0 && errno != EINTR) throw_errno(errno, "epoll_wait");
    now_ = Clock::now();
    bool look_at_woken = false;
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 == kListener) {
        accept_some();
      } else if (event.data.u64 == kWake) {
        look_at_woken = true;
      } else {
        const auto* found = find(static_cast<int>(event.data.u64 & 0xffffffff),
                                 static_cast<uint32_t>(event.data.u64 >> 32));
        if (found == nullptr) continue;
        const std::shared_ptr<Connection> connection = *found;
        handle(connection, connection->on_events(event.events, buffer_.data(), buffer_.size()));
      }
    }
    if (core_->interrupted.exchange(false) && calls_.on_interrupt) calls_.on_interrupt();
    if (look_at_woken) {
      core_->take_woken(woken_);
      for (const std::shared_ptr<Connection>& connection : woken_) {
        if (find(connection->fd(), connection->generation) == nullptr) continue;
        handle(connection, connection->on_wake(buffer_.data(), buffer_.size()));
      }
      woken_.clear();
    }
    run_timers();
    if (!ready_.empty()) {
      calls_.dispatch(ready_);
      ready_.clear();
    }
  }
  close_all();
}

void EventLoop::handle(const std::shared_ptr<Connection>& connection, Connection::Next next) {
  switch (next) {
    case Connection::Next::kRemove: {
      const int fd = connection->fd();
      if (find(fd, connection->generation) == nullptr) return;
      connection->close();
      by_fd_[static_cast<size_t>(fd)].reset();
      --open_;
      return;
    }
    case Connection::Next::kDispatch:
      ready_.push_back(connection);
      return;
    case Connection::Next::kNothing:
      schedule(*connection);
      if (core_->tls) limit_handshakes(*connection);
      return;
  }
}

const std::shared_ptr<Connection>* EventLoop::find(int fd, uint32_t generation) const {
  if (fd < 0 || static_cast<size_t>(fd) >= by_fd_.size()) return nullptr;
  const std::shared_ptr<Connection>& connection = by_fd_[static_cast<size_t>(fd)];
  return connection != nullptr && connection->generation == generation ? &connection : nullptr;
}

// Looked at no later than an idle time from now, whatever the deadline: a worker that gives an
// answer starts the idle time without telling us.
void EventLoop::schedule(Connection& connection) {
  const Clock::time_point when =
      std::min(connection.next_deadline(), now_ + core_->limits.idle_time);
  if (when >= connection.scheduled) return;
  connection.scheduled = when;
  timers_.push({when, connection.fd(), connection.generation});
}

// Ends the handshakes that have been going on for the longest when there are too many.
void EventLoop::limit_handshakes(Connection& connection) {
  if (connection.handshake_noted || !connection.shaking_hands()) return;
  connection.handshake_noted = true;
  handshakes_.emplace_back(connection.fd(), connection.generation);
  while (!handshakes_.empty()) {
    const auto [fd, generation] = handshakes_.front();
    const auto* found = find(fd, generation);
    if (found != nullptr && (*found)->shaking_hands()) {
      if (core_->handshakes.load(std::memory_order_relaxed) <= core_->limits.handshakes) return;
      core_->counters.rejected(RejectReason::kTlsTimeout);
      handle(std::shared_ptr(*found), Connection::Next::kRemove);
    }
    handshakes_.pop_front();
  }
}

void EventLoop::run_timers() {
  while (!timers_.empty() && timers_.top().when <= now_) {
    const Timer timer = timers_.top();
    timers_.pop();
    const auto* found = find(timer.fd, timer.generation);
    if (found == nullptr || (*found)->scheduled != timer.when) continue;
    const std::shared_ptr<Connection> connection = *found;
    connection->scheduled = Clock::time_point::max();
    handle(connection, connection->on_timer(now_));
  }
  if (beat_at_ <= now_) {
    beat_at_ = now_ + calls_.beat;
    calls_.on_beat();
  }
  if (accept_again_ <= now_) {
    accept_again_ = Clock::time_point::max();
    watch_listener(EPOLLIN);
  }
}

int EventLoop::wait_time() const {
  Clock::time_point until = std::min(accept_again_, beat_at_);
  if (!timers_.empty()) until = std::min(until, timers_.top().when);
  if (draining_) {
    until = std::min(until, Clock::time_point(std::chrono::nanoseconds(drain_until_.load())));
  }
  if (until == Clock::time_point::max()) return -1;
  const Clock::time_point now = Clock::now();
  if (until <= now) return 0;
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
  return static_cast<int>(std::min<int64_t>(wait, INT_MAX));
}

void EventLoop::accept_some() {
  for (int i = 0; i < kAcceptsARound && listener_; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    UniqueFd fd(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                          SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      switch (errno) {
        case EINTR:
        case ECONNABORTED:
        case EPROTO:
          continue;
        case EMFILE:
        case ENFILE:
          if (turn_away_with_spare()) continue;
          [[fallthrough]];
        case ENOBUFS:
        case ENOMEM:
          // The connection that waits would wake the loop again and again.
          watch_listener(0);
          accept_again_ = now_ + kAcceptPause;
          return;
        default:
          return;
      }
    }
    core_->counters.accepted.fetch_add(1, std::memory_order_relaxed);
    if (open_ >= max_connections_ && !shed_idle()) {
      turn_away(std::move(fd), address_of(peer));
    } else {
      add(std::move(fd), address_of(peer));
    }
  }
}

void EventLoop::add(UniqueFd fd, std::string client_address) {
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int number = fd.get();
  if (static_cast<size_t>(number) >= by_fd_.size()) by_fd_.resize(static_cast<size_t>(number) + 1);
  if (++generation_ == 0) ++generation_;
  auto connection = std::make_shared<Connection>(core_, std::move(fd), std::move(client_address));
  connection->generation = generation_;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = (static_cast<uint64_t>(generation_) << 32) | static_cast<uint32_t>(number);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, number, &event) != 0) {
    connection->close();
    return;
  }
  by_fd_[static_cast<size_t>(number)] = connection;
  ++open_;
  schedule(*connection);
}

void EventLoop::watch_listener(uint32_t events) {
  if (!listener_) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = kListener;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), &event);
}

// Out of descriptors: the spare one is given up for a moment to tell the client.
bool EventLoop::turn_away_with_spare() {
  if (!spare_) spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!spare_) return false;
  spare_.reset();
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  UniqueFd fd(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                        SOCK_NONBLOCK | SOCK_CLOEXEC));
  const bool accepted = static_cast<bool>(fd);
  turn_away(std::move(fd), address_of(peer));
  spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return accepted;
}

void EventLoop::turn_away(UniqueFd fd, const std::string& client_address) {
  if (!fd) return;
  core_->counters.rejected(RejectReason::kTooManyConnections);
  if (core_->tls) return;  // a handshake is more than it gets
  const httplib::Response response = core_->make_error({.status = 503,
                                                        .detail = "Too many connections.",
                                                        .client_address = client_address,
                                                        .since = now_});
  const std::string answer = write_head(response, {}, BodyFraming::kLength) + response.body;
  [[maybe_unused]] const ssize_t sent =
      ::send(fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
}

// Closes a connection found idle, going round from where the last search ended: whoever opens
// connections and says nothing loses them first to those who come and speak.
bool EventLoop::shed_idle() {
  constexpr size_t kLooks = 256;
  for (size_t i = 0; i < std::min(kLooks, by_fd_.size()); ++i) {
    hand_ = (hand_ + 1) % by_fd_.size();
    const std::shared_ptr<Connection> connection = by_fd_[hand_];
    if (connection != nullptr && connection->idle()) {
      core_->counters.idle_shed.fetch_add(1, std::memory_order_relaxed);
      handle(connection, Connection::Next::kRemove);
      return true;
    }
  }
  return false;
}

void EventLoop::begin_drain() {
  draining_ = true;
  if (calls_.on_drain) calls_.on_drain();
  listener_.reset();
  spare_.reset();
  for (size_t fd = 0; fd < by_fd_.size(); ++fd) {
    const std::shared_ptr<Connection> connection = by_fd_[fd];
    if (connection == nullptr) continue;
    handle(connection, connection->on_drain(buffer_.data(), buffer_.size()));
  }
  if (!ready_.empty()) {
    calls_.dispatch(ready_);
    ready_.clear();
  }
}

void EventLoop::close_all() {
  for (std::shared_ptr<Connection>& connection : by_fd_) {
    if (connection != nullptr) handle(std::shared_ptr(connection), Connection::Next::kRemove);
  }
}

}  // namespace twinchat::server
