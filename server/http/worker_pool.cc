#include "http/worker_pool.h"

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

namespace twinchat::server {

WorkerPool::WorkerPool(WorkerPoolOptions options) : options_(std::move(options)) {
  std::unique_lock lock(mutex_);
  for (size_t i = 0; i < std::max<size_t>(1, options_.min_workers); ++i) start_worker_locked();
  keeper_ = std::thread([this] { keep(); });
}

WorkerPool::~WorkerPool() {
  shutdown();
}

void WorkerPool::shutdown() {
  std::vector<std::thread> threads;
  {
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    for (Sleeper* sleeper : std::exchange(idle_, {})) {
      sleeper->woken = true;
      sleeper->wake.notify_one();
    }
    keeper_wake_.notify_one();
  }
  keeper_.join();  // only the keeper starts threads once the pool runs
  {
    std::unique_lock lock(mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

bool WorkerPool::submit(Job job) {
  std::vector<Job> jobs;
  jobs.push_back(std::move(job));
  return submit(jobs);
}

bool WorkerPool::submit(std::vector<Job>& jobs) {
  if (jobs.empty()) return true;
  const Clock::time_point now = Clock::now();
  std::unique_lock lock(mutex_);
  if (stopping_) return false;
  for (Job& job : jobs) jobs_.push_back({std::move(job), now});
  jobs.clear();
  queued_.store(jobs_.size(), std::memory_order_relaxed);
  wake_one_locked();
  return true;
}

// Threads are woken one after the other, each by the one before when it has its job and sees
// another: a burst of short jobs is then done by the few threads that are awake anyway.
void WorkerPool::wake_one_locked() {
  if (!idle_.empty()) {
    if (waking_) return;
    waking_ = true;
    Sleeper* sleeper = idle_.back();
    idle_.pop_back();
    sleeper->woken = true;
    sleeper->wake.notify_one();
  } else if (keeper_sleeps_) {
    keeper_sleeps_ = false;
    keeper_wake_.notify_one();
  }
}

void WorkerPool::start_worker_locked() {
  try {
    threads_.emplace_back([this] { work(); });
    worker_count_.fetch_add(1, std::memory_order_relaxed);
  } catch (const std::system_error&) {
    // No more threads to be had: the jobs wait for those there are.
    if (threads_.empty()) throw;
  }
}

void WorkerPool::work() {
  Sleeper self;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!jobs_.empty()) {
      Job job = std::move(jobs_.front().job);
      jobs_.pop_front();
      queued_.store(jobs_.size(), std::memory_order_relaxed);
      if (!jobs_.empty()) wake_one_locked();
      lock.unlock();
      try {
        job();
        job = nullptr;
      } catch (const std::exception& error) {
        if (options_.on_escaped_exception) options_.on_escaped_exception(error.what());
      } catch (...) {
        if (options_.on_escaped_exception) options_.on_escaped_exception("unknown exception");
      }
      lock.lock();
      continue;
    }
    if (stopping_) return;
    self.woken = false;
    idle_.push_back(&self);
    if (!self.wake.wait_for(lock, options_.idle_time, [&self] { return self.woken; })) {
      idle_.erase(std::find(idle_.begin(), idle_.end(), &self));
      if (worker_count_.load(std::memory_order_relaxed) > options_.min_workers) {
        worker_count_.fetch_sub(1, std::memory_order_relaxed);
        ended_.push_back(std::this_thread::get_id());
        keeper_sleeps_ = false;
        keeper_wake_.notify_one();
        return;
      }
    } else {
      waking_ = false;
    }
  }
}

// Jobs that wait while every thread is inside one: either the threads are short of processor time,
// and more of them would not help, or they are blocked, and only time tells which.
void WorkerPool::keep() {
  constexpr int kQuietTicks = 64;
  int quiet = 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (jobs_.empty() && ++quiet > kQuietTicks) {
      join_ended_locked(lock);
      keeper_sleeps_ = true;
      keeper_wake_.wait(lock, [this] { return stopping_ || !keeper_sleeps_; });
      quiet = 0;
    }
    keeper_wake_.wait_for(lock, options_.patience, [this] { return stopping_; });
    if (!jobs_.empty() && Clock::now() - jobs_.front().since >= options_.patience) {
      quiet = 0;
      relieve_locked();
    }
  }
}

void WorkerPool::relieve_locked() {
  if (!idle_.empty()) {
    waking_ = false;
    wake_one_locked();
    return;
  }
  const size_t workers = worker_count_.load(std::memory_order_relaxed);
  if (workers >= options_.max_workers) return;
  const size_t more = std::min({jobs_.size(), workers, options_.max_workers - workers});
  for (size_t i = 0; i < more; ++i) start_worker_locked();
}

void WorkerPool::join_ended_locked(std::unique_lock<std::mutex>& lock) {
  if (ended_.empty()) return;
  std::vector<std::thread> joinable;
  for (std::thread::id id : std::exchange(ended_, {})) {
    auto it = std::find_if(threads_.begin(), threads_.end(),
                           [id](const std::thread& thread) { return thread.get_id() == id; });
    joinable.push_back(std::move(*it));
    threads_.erase(it);
  }
  lock.unlock();
  for (std::thread& thread : joinable) thread.join();
  lock.lock();
}

}  // namespace twinchat::server
