// One thread, one epoll loop, and sends that complete into it: the program goes on ticking while
// the answers are awaited, and needs no lock, for everything of its own happens on the loop. With
// Qt the executor is one line: QMetaObject::invokeMethod(qApp, std::move(task),
// Qt::QueuedConnection).
//   GEMINI_API_KEY=... event_loop "What is insulin?" "What is a metabolism?"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "gemini_from_environment.h"
#include "twinchat/twinchat.h"

namespace {

// shown: loop
// Thread safety: post() may be called from any thread, everything else from the loop's.
class EventLoop {
 public:
  EventLoop() {
    watch(wake_, [this] { run_posted(); });
  }
  ~EventLoop() {
    close(wake_);
    close(epoll_);
  }
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void watch(int fd, std::function<void()> on_readable) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event));
    watched_[fd] = std::move(on_readable);
  }

  void post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
    eventfd_write(wake_, 1);
  }

  void run_while(const std::function<bool()>& goes_on) {
    while (goes_on()) {
      epoll_event event{};
      const int ready = epoll_wait(epoll_, &event, 1, -1);
      if (ready < 0 && errno != EINTR) checked(ready);
      if (ready > 0) watched_.at(event.data.fd)();
    }
  }

  static int checked(int result) {
    if (result < 0) throw std::system_error(errno, std::generic_category());
    return result;
  }

 private:
  void run_posted() {
    eventfd_t count = 0;
    eventfd_read(wake_, &count);
    std::vector<std::function<void()>> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(posted_);
    }
    for (auto& task : tasks) task();
  }

  const int epoll_ = checked(epoll_create1(EPOLL_CLOEXEC));
  const int wake_ = checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::map<int, std::function<void()>> watched_;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
};
// shown: end

}  // namespace

int main(int argc, char** argv) {
  try {
    EventLoop loop;
    const int timer = EventLoop::checked(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    constexpr timespec kTick{.tv_sec = 0, .tv_nsec = 100'000'000};
    const itimerspec ticks{.it_interval = kTick, .it_value = kTick};
    EventLoop::checked(timerfd_settime(timer, 0, &ticks, nullptr));
    int ticked = 0;
    loop.watch(timer, [&] {
      std::uint64_t expired = 0;
      if (read(timer, &expired, sizeof expired) > 0) ++ticked;
    });

    // shown: executor
    twinchat::Assistant assistant(
        twinchat::open_store("sqlite:///chat.db"),
        twinchat::make_gemini_model(gemini_from_environment()),
        {.executor = [&loop](std::function<void()> task) { loop.post(std::move(task)); }});
    std::map<std::string, std::string> sessions;  // by question
    for (int i = 1; i < argc; ++i) sessions[argv[i]] = assistant.create_session().session_id;
    for (const auto& [question, session] : sessions) {
      assistant.start_send(
          session, question, {}, [&question = question](twinchat::Result<twinchat::Turn> turn) {
            std::cout << question << " -> " << (turn ? turn.value().text() : turn.error().what())
                      << "\n";
          });
    }
    // ~Assistant waits for every on_done, and they come through the loop: it has to run till then.
    loop.run_while([&assistant] { return assistant.in_flight() > 0; });
    // shown: end
    std::cout << "meanwhile the timer ticked " << ticked << " times\n";
    close(timer);
  } catch (const std::exception& error) {
    std::cerr << "event_loop: " << error.what() << "\n";
    return 1;
  }
}
