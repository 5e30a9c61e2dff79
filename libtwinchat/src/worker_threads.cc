#include "worker_threads.h"

#include <utility>

#include "start_thread.h"

namespace twinchat {

void WorkerThreads::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void WorkerThreads::need_threads() {
  while (threads_.size() < count_) threads_.push_back(start_thread([this] { run(); }));
}

void WorkerThreads::post(std::function<void()> task) {
  // Told under the lock: the task may be what lets this object be destroyed.
  const std::lock_guard lock(mutex_);
  need_threads();
  tasks_.push_back(std::move(task));
  work_.notify_one();
}

WorkerThreads::TimerId WorkerThreads::at(TimePoint when, std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  need_threads();
  const TimerId id = ++last_timer_;
  timers_.emplace(std::pair(when, id), std::move(task));
  timer_times_.emplace(id, when);
  work_.notify_all();
  return id;
}

void WorkerThreads::cancel(TimerId timer) {
  const std::lock_guard lock(mutex_);
  const auto found = timer_times_.find(timer);
  if (found == timer_times_.end()) return;
  timers_.erase({found->second, timer});
  timer_times_.erase(found);
}

void WorkerThreads::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (!timers_.empty() && timers_.begin()->first.first <= std::chrono::steady_clock::now()) {
      auto entry = timers_.extract(timers_.begin());
      timer_times_.erase(entry.key().second);
      tasks_.push_back(std::move(entry.mapped()));
    }
    if (!tasks_.empty()) {
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    } else if (stopping_) {
      return;
    } else if (timers_.empty()) {
      work_.wait(lock);
    } else {
      work_.wait_until(lock, TimePoint(timers_.begin()->first.first));
    }
  }
}

}  // namespace twinchat
