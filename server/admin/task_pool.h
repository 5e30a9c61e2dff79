#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

namespace twinchat::server {

// A few threads of their own for work that keeps a core busy or writes at length: hashing
// passwords, exports. However much of it is asked for, chats keep their workers.
//
// Thread safety: every function may be called from any thread.
class TaskPool {
 public:
  // So many at the same time, and so many more that wait.
  TaskPool(std::size_t threads, std::size_t max_waiting);
  // Waits for the tasks that run; those that wait are dropped.
  ~TaskPool();
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  // Has the task run soon, which must not throw. False when too many wait.
  bool post(std::function<void()> task);

 private:
  void run();

  const std::size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::queue<std::function<void()>> waiting_;  // guarded by mutex_
  bool stopping_ = false;                      // guarded by mutex_
  std::vector<std::jthread> threads_;
};

}  // namespace twinchat::server
