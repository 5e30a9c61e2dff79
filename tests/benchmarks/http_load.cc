// Thousands of visitors from one thread, for server_bench.py:
//
//   http-load PORT visitors COUNT SECONDS WARM_UP HISTORY_PATH
//     so many visitors, each with a session of its own that asks again as soon as it is answered;
//     beside them one that reads HISTORY_PATH every 20 ms
//   http-load PORT idle COUNT SECONDS
//     so many connections that say nothing
//
// Says "ready" when all are there (the visitors after WARM_UP seconds), measures for SECONDS, and
// prints one line of JSON: answers, failures, latencies in milliseconds, its own processor seconds.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

// What was seen while measuring.
struct Tally {
  std::vector<double> latencies;  // milliseconds
  std::int64_t failures = 0;

  double percentile(double part) {
    if (latencies.empty()) return 0;
    const auto at = static_cast<std::size_t>(part * static_cast<double>(latencies.size() - 1));
    std::nth_element(latencies.begin(), latencies.begin() + static_cast<std::ptrdiff_t>(at),
                     latencies.end());
    return latencies[at];
  }
};

struct Visitor {
  int socket = -1;
  bool reads_history = false;
  std::string session_id = {};
  std::string received = {};
  bool waiting = false;
  Clock::time_point asked_at = {};
};

int number(const char* text) {
  int value = 0;
  const char* const end = text + std::strlen(text);
  if (std::from_chars(text, end, value).ptr != end || value < 0) {
    throw std::invalid_argument(std::string("not a number: ") + text);
  }
  return value;
}

// The size of the complete response at the beginning of `bytes`, 0 when there is none yet.
std::size_t response_size(std::string_view bytes) {
  const std::size_t head = bytes.find("\r\n\r\n");
  if (head == std::string_view::npos) return 0;
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  const std::size_t field = bytes.substr(0, head).find(kLength);
  std::size_t length = 0;
  if (field != std::string_view::npos) {
    std::from_chars(bytes.data() + field + kLength.size(), bytes.data() + bytes.size(), length);
  }
  const std::size_t size = head + 4 + length;
  return bytes.size() >= size ? size : 0;
}

class Load {
 public:
  explicit Load(int port) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(static_cast<std::uint16_t>(port));
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  ~Load() {
    for (const Visitor& visitor : visitors_) ::close(visitor.socket);
    ::close(epoll_);
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  Visitor& connect(bool watched) {
    Visitor& visitor = visitors_.emplace_back();
    visitor.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (visitor.socket < 0 ||
        ::connect(visitor.socket, reinterpret_cast<sockaddr*>(&address_), sizeof address_) != 0) {
      throw std::runtime_error(std::string("cannot connect: ") + std::strerror(errno));
    }
    const int on = 1;
    ::setsockopt(visitor.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &visitor;
    if (watched) ::epoll_ctl(epoll_, EPOLL_CTL_ADD, visitor.socket, &event);
    return visitor;
  }

  // Lets the visitors talk until then.
  void run(Clock::time_point until) {
    std::vector<epoll_event> events(512);
    while (Clock::now() < until) {
      const int ready = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 5);
      for (int i = 0; i < ready; ++i) {
        receive(*static_cast<Visitor*>(events[static_cast<std::size_t>(i)].data.ptr));
      }
      if (historian_ != nullptr && !historian_->waiting && Clock::now() >= next_history_) {
        next_history_ = Clock::now() + std::chrono::milliseconds(20);
        send(*historian_, "GET " + history_path_ + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
      }
    }
  }

  // The visitors come one after the other within `time`.
  void welcome(int count, Clock::duration time, std::string history_path) {
    const auto begin = Clock::now();
    for (int i = 0; i < count; ++i) {
      post(connect(true), "/api/chat/sessions/create_session/", "{}");
      if (i % 16 == 0) run(std::min(begin + time * i / count, Clock::now() + time));
    }
    history_path_ = std::move(history_path);
    historian_ = &connect(true);
    historian_->reads_history = true;
  }

  void measure(bool measuring) { measuring_ = measuring; }
  Tally& messages() { return messages_; }
  Tally& history() { return history_; }

 private:
  void post(Visitor& visitor, std::string_view path, const std::string& body) {
    send(visitor, "POST " + std::string(path) +
                      " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                      "Content-Length: " +
                      std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  // Requests are small: what the socket does not take at once is a failure.
  void send(Visitor& visitor, const std::string& request) {
    visitor.asked_at = Clock::now();
    visitor.waiting = true;
    if (::send(visitor.socket, request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT) !=
        static_cast<ssize_t>(request.size())) {
      fail(visitor);
    }
  }

  void receive(Visitor& visitor) {
    char buffer[16384];
    const ssize_t size = ::recv(visitor.socket, buffer, sizeof buffer, MSG_DONTWAIT);
    if (size <= 0) {
      if (size < 0 && errno == EAGAIN) return;
      ::epoll_ctl(epoll_, EPOLL_CTL_DEL, visitor.socket, nullptr);
      return fail(visitor);
    }
    visitor.received.append(buffer, static_cast<std::size_t>(size));
    const std::size_t response = response_size(visitor.received);
    if (response == 0) return;
    visitor.waiting = false;
    const bool good = visitor.received.starts_with("HTTP/1.1 20");
    if (visitor.session_id.empty() && !visitor.reads_history) {
      constexpr std::string_view kId = "\"session_id\":\"";
      const std::size_t at = visitor.received.find(kId);
      if (!good || at == std::string::npos) return fail(visitor);
      visitor.session_id = visitor.received.substr(at + kId.size(), 36);
    } else if (measuring_) {
      Tally& tally = visitor.reads_history ? history_ : messages_;
      if (good) {
        tally.latencies.push_back(Milliseconds(Clock::now() - visitor.asked_at).count());
      } else {
        ++tally.failures;
      }
    }
    visitor.received.clear();
    if (visitor.reads_history) return;
    post(visitor, "/api/chat/message/",
         R"({"session_id":")" + visitor.session_id +
             R"(","message":"How can I reverse diabetes?"})");
  }

  void fail(Visitor& visitor) { ++(visitor.reads_history ? history_ : messages_).failures; }

  int epoll_;
  sockaddr_in address_{};
  std::deque<Visitor> visitors_;  // stay where they are
  Visitor* historian_ = nullptr;
  std::string history_path_;
  Clock::time_point next_history_{};
  bool measuring_ = false;
  Tally messages_;
  Tally history_;
};

double processor_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// As many descriptors as the system allows; false when `count` connections do not fit.
bool raise_descriptors(int count) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur >= static_cast<rlim_t>(count) + 64;
}

int run(const std::vector<const char*>& arguments) {
  if (arguments.size() < 4) throw std::invalid_argument("too few arguments");
  const std::string_view mode = arguments[1];
  const int count = number(arguments[2]);
  const auto time = std::chrono::seconds(number(arguments[3]));
  if (!raise_descriptors(count)) {
    throw std::runtime_error("the hard limit of open files is too low for so many connections");
  }
  Load load(number(arguments[0]));
  if (mode == "idle") {
    for (int i = 0; i < count; ++i) load.connect(false);
  } else if (mode == "visitors" && arguments.size() == 6) {
    const auto warm_up = std::chrono::seconds(number(arguments[4]));
    const auto begin = Clock::now();
    load.welcome(count, warm_up / 2, arguments[5]);
    load.run(begin + warm_up);
  } else {
    throw std::invalid_argument("unknown mode");
  }
  std::cout << "ready" << std::endl;
  const double used_before = processor_seconds();
  load.measure(true);
  const auto begin = Clock::now();
  load.run(begin + time);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::printf(
      "{\"seconds\":%.3f,\"answers\":%zu,\"failures\":%lld,\"p50\":%.2f,\"p99\":%.2f,"
      "\"history_reads\":%zu,\"history_failures\":%lld,\"history_p99\":%.2f,\"cpu\":%.3f}\n",
      seconds, load.messages().latencies.size(), static_cast<long long>(load.messages().failures),
      load.messages().percentile(0.5), load.messages().percentile(0.99),
      load.history().latencies.size(), static_cast<long long>(load.history().failures),
      load.history().percentile(0.99), processor_seconds() - used_before);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "http-load: " << error.what()
              << "\nusage: http-load PORT visitors COUNT SECONDS WARM_UP HISTORY_PATH\n"
                 "       http-load PORT idle COUNT SECONDS\n";
    return 1;
  }
}
