#include "calls.h"

#include <pthread.h>

namespace twinchat::python {

RunningCalls::Call::Call(RunningCalls& calls, bool cleans_up) : calls_(calls) {
  const std::lock_guard lock(calls_.mutex_);
  if (calls_.closed_ && !cleans_up) throw Error(ErrorCode::kFailedPrecondition, "This was closed.");
  stop_ = calls_.stops_.emplace(calls_.stops_.end());
}

RunningCalls::Call::~Call() {
  const std::lock_guard lock(calls_.mutex_);
  calls_.stops_.erase(stop_);
  // Under the lock: close() may be what keeps the object alive.
  calls_.ended_.notify_all();
}

void RunningCalls::close() {
  std::list<std::stop_source> stops;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    stops = stops_;
  }
  for (std::stop_source& stop : stops) stop.request_stop();
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return stops_.empty(); });
}

RunningCalls& free_calls() {
  // Outlives the interpreter. A forked process begins with none: those of its parent's threads are
  // not there to end.
  static RunningCalls* calls = new RunningCalls;
  [[maybe_unused]] static const int watched =
      ::pthread_atfork(nullptr, nullptr, [] { calls = new RunningCalls; });
  return *calls;
}

void stop_calls() {
  without_gil([] {
    free_calls().close();
    leave_python();
    // What the last callbacks left to be cleaned up.
    free_calls().close();
  });
}

Signals::Signals() {
  const py::module_ threading = py::module_::import("threading");
  main_thread_ = threading.attr("get_ident")().equal(threading.attr("main_thread")().attr("ident"));
}

std::exception_ptr Signals::run_handlers() {
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() == 0) return nullptr;
  try {
    throw py::error_already_set();
  } catch (const py::error_already_set&) {
    return std::current_exception();
  }
}

thread_local const CallerThread::OnExit* CallerThread::on_exit_here_ = nullptr;

void CallerThread::exit_if_meant(const py::error_already_set& thrown) {
  if (on_exit_here_ == nullptr || thrown.matches(PyExc_Exception)) return;
  (*on_exit_here_)(std::current_exception());
}

void CallerThread::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  work_.notify_one();
}

}  // namespace twinchat::python
