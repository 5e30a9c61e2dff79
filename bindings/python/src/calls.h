#pragma once

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <stop_token>
#include <utility>

#include "gil.h"
#include "twinchat/error.h"

namespace twinchat::python {

// Something of the library's that lives in the process that made it: its threads and locks are not
// there, or not in order, in a process that was forked off. There get() refuses, and the destructor
// touches nothing. Otherwise the destructor gives up the GIL.
//
// Thread safety: as a shared_ptr.
template <class T>
class Owned {
 public:
  Owned() = default;
  explicit Owned(std::shared_ptr<T> object) : object_(std::move(object)) {}
  Owned(Owned&&) noexcept = default;
  Owned& operator=(Owned&&) = delete;
  ~Owned() {
    if (is_forked()) {
      new std::shared_ptr<T>(std::move(object_));
      return;
    }
    const GilGivenUp gil;
    object_.reset();
  }

  bool is_forked() const noexcept { return pid_ != ::getpid(); }
  // kFailedPrecondition in a forked process.
  const std::shared_ptr<T>& get() const {
    if (is_forked()) {
      throw Error(ErrorCode::kFailedPrecondition,
                  "This was made before the process was forked; make another after the fork.");
    }
    return object_;
  }
  // What is destroyed elsewhere.
  std::shared_ptr<T> take() noexcept { return std::move(object_); }

 private:
  std::shared_ptr<T> object_;
  pid_t pid_ = ::getpid();
};

// The calls of threads into one object, so that whoever closes it can stop them and wait for their
// end.
//
// Thread safety: every function may be called from any thread, close() without the GIL.
class RunningCalls {
 public:
  // One call, from its construction to its end.
  class Call {
   public:
    // kFailedPrecondition when the calls were closed, unless it is one that cleans up.
    explicit Call(RunningCalls& calls, bool cleans_up = false);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    // Stopped by close().
    std::stop_source& stop() { return *stop_; }

   private:
    RunningCalls& calls_;
    std::list<std::stop_source>::iterator stop_;
  };

  // Stops the calls, waits for their end, and lets none begin after that but those that clean up.
  void close();

 private:
  std::mutex mutex_;  // guards all below
  std::condition_variable ended_;
  std::list<std::stop_source> stops_;
  bool closed_ = false;
};

// The calls into what belongs to no assistant: models, stores, started sends; and what cleans up on
// threads of its own.
RunningCalls& free_calls();
// Closes them, for the end of the interpreter, and lets nobody into Python after that. Needs the
// GIL, and gives it up.
void stop_calls();

// Lets Ctrl-C through to a thread that waits in C++ without the GIL: Python runs signal handlers on
// its main thread alone, and only when it is asked to.
class Signals {
 public:
  // Needs the GIL.
  Signals();

  // Waits on `changed` until `done` holds. Every now and then the handlers are run, on the main
  // thread; an exception of theirs comes out, with `lock` held.
  template <class Done>
  void wait(std::condition_variable& changed, std::unique_lock<std::mutex>& lock, Done done) const {
    if (!main_thread_) {
      changed.wait(lock, done);
      return;
    }
    while (!changed.wait_for(lock, kEvery, done)) {
      lock.unlock();
      const auto thrown = run_handlers();
      lock.lock();
      if (thrown) std::rethrow_exception(thrown);
    }
  }

 private:
  static std::exception_ptr run_handlers();

  static constexpr std::chrono::milliseconds kEvery{50};
  bool main_thread_;
};

// An Executor on the thread that waits for the work to be done.
//
// Thread safety: any thread may post; one runs.
class CallerThread {
 public:
  void post(std::function<void()> task);

  // Receives an exception that is to come out of what this thread waits in.
  using OnExit = std::function<void(std::exception_ptr)>;

  // Runs tasks, without the GIL, until `done` holds, which a task must bring about. What a signal
  // handler raises is given to `on_exit`, once, and no handler is run any more; likewise what a
  // task gives to exit_if_meant().
  template <class Done>
  void run_until(const Signals& signals, Done done, const OnExit& on_exit) {
    const OnExit* const outer = std::exchange(on_exit_here_, &on_exit);
    std::unique_lock lock(mutex_);
    const auto has_work = [this] { return !tasks_.empty(); };
    bool signalled = false;
    while (!done()) {
      try {
        if (signalled) {
          work_.wait(lock, has_work);
        } else {
          signals.wait(work_, lock, has_work);
        }
      } catch (const py::error_already_set&) {
        signalled = true;
        lock.unlock();
        on_exit(std::current_exception());
        lock.lock();
        continue;
      }
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
    on_exit_here_ = outer;
  }

  // In the handler of an exception that Python code raised and that the library would swallow or
  // change: one that is no Exception (KeyboardInterrupt, SystemExit) ends what this thread waits
  // in.
  static void exit_if_meant(const py::error_already_set& thrown);

 private:
  static thread_local const OnExit* on_exit_here_;

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::function<void()>> tasks_;
};

}  // namespace twinchat::python
