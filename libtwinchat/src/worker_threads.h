#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace twinchat {

// A few threads that run tasks, and one clock for tasks that are due later. Threads are made when
// the first task comes.
//
// Thread safety: post(), at() and cancel() may be called from any thread; stop() and the
// destructor, which calls it, from a thread that is none of these.
class WorkerThreads {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using TimerId = std::uint64_t;  // never 0

  explicit WorkerThreads(std::size_t count) : count_(count) {}
  ~WorkerThreads() { stop(); }
  WorkerThreads(const WorkerThreads&) = delete;
  WorkerThreads& operator=(const WorkerThreads&) = delete;

  // Runs `task` soon. A task must not throw.
  void post(std::function<void()> task);
  // Runs `task` at `when` unless cancelled before; a task that has begun is not waited for.
  TimerId at(TimePoint when, std::function<void()> task);
  void cancel(TimerId timer);
  // Runs what has been posted, drops what is due later, and waits for the threads to end. Nothing
  // may be posted after that.
  void stop();

 private:
  void run();
  void need_threads();

  const std::size_t count_;
  std::mutex mutex_;  // guards all below
  std::condition_variable work_;
  std::deque<std::function<void()>> tasks_;
  std::map<std::pair<TimePoint, TimerId>, std::function<void()>> timers_;
  std::map<TimerId, TimePoint> timer_times_;
  TimerId last_timer_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace twinchat
