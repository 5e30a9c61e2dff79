// Threads for work that may block, as many as the work needs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

namespace twinchat::server {

struct WorkerPoolOptions {
  // Threads kept even when there is nothing to do. Default 2.
  size_t min_workers = 2;

  // Threads at most, however much waits. Default 128.
  size_t max_workers = 128;

  // A thread above the minimum that had nothing to do for this long ends. Default 5 s.
  std::chrono::milliseconds idle_time{5'000};

  // How long the oldest job may wait before the pool takes the busy threads for blocked and adds
  // more. Short jobs are thus served by few threads, whatever their number. Default 1 ms.
  std::chrono::milliseconds patience{1};

  // Told of a job that let an exception escape. Called on the worker.
  std::function<void(std::string_view what)> on_escaped_exception = {};
};

// Runs jobs in the order they came. The queue has no bound of its own: bound what is submitted (the
// server has at most one request a connection in it).
//
// Thread safety: every function may be called from any thread, from a job too, except shutdown()
// and the destructor, which wait for the jobs.
class WorkerPool {
 public:
  using Job = std::function<void()>;

  explicit WorkerPool(WorkerPoolOptions options);

  // shutdown().
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Queues the job and returns at once. False, and the job is not run, after shutdown().
  bool submit(Job job);

  // Queues all jobs with one lock and one wake-up, and empties `jobs`.
  bool submit(std::vector<Job>& jobs);

  // Runs what is queued, takes nothing new, ends the threads. Blocks until they are joined.
  void shutdown();

  size_t workers() const { return worker_count_.load(std::memory_order_relaxed); }
  size_t queued() const { return queued_.load(std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;

  struct QueuedJob {
    Job job;
    Clock::time_point since;
  };

  // On the stack of its thread; in idle_ while the thread sleeps.
  struct Sleeper {
    std::condition_variable wake;
    bool woken = false;
  };

  void work();
  void keep();
  void wake_one_locked();
  void relieve_locked();
  void start_worker_locked();
  void join_ended_locked(std::unique_lock<std::mutex>& lock);

  const WorkerPoolOptions options_;

  std::mutex mutex_;
  std::deque<QueuedJob> jobs_;
  std::vector<Sleeper*> idle_;  // the last to fall asleep is woken first: the surplus ages
  std::vector<std::thread> threads_;
  std::vector<std::thread::id> ended_;
  std::condition_variable keeper_wake_;
  bool keeper_sleeps_ = false;
  bool waking_ = false;  // a woken worker has not reached its job yet; it wakes the next one
  bool stopping_ = false;

  std::atomic<size_t> worker_count_{0};
  std::atomic<size_t> queued_{0};
  std::thread keeper_;
};

}  // namespace twinchat::server
