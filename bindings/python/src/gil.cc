#include "gil.h"

#include <pthread.h>

#include <condition_variable>
#include <mutex>

namespace twinchat::python {
namespace {

// Threads of C++ in Python.
struct Gate {
  std::mutex mutex;  // guards all below
  std::condition_variable left;
  int inside = 0;
  bool closed = false;
};

// Outlives the interpreter. A forked process has none of its parent's threads.
Gate*& gate() {
  static Gate* the_gate = new Gate;
  [[maybe_unused]] static const int watched =
      ::pthread_atfork(nullptr, nullptr, [] { the_gate = new Gate; });
  return the_gate;
}

bool enter_python() {
  Gate& the_gate = *gate();
  const std::lock_guard lock(the_gate.mutex);
  if (!the_gate.closed) ++the_gate.inside;
  return !the_gate.closed;
}

void come_out_of_python() {
  Gate& the_gate = *gate();
  const std::lock_guard lock(the_gate.mutex);
  if (the_gate.inside > 0 && --the_gate.inside == 0) the_gate.left.notify_all();
}

bool is_finalizing() noexcept {
#if PY_VERSION_HEX >= 0x030d0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

}  // namespace

GilGivenUp::GilGivenUp() {
  if (Py_IsInitialized() != 0 && !is_finalizing() && PyGILState_Check() != 0) released_.emplace();
}

Held::Held(py::object object) {
  if (object.is_none()) return;
  object_ = std::shared_ptr<PyObject>(object.release().ptr(), [](PyObject* held) {
    // At the very end the object stays: the process takes it along.
    if (const Callback python; python) Py_DECREF(held);
  });
}

thread_local const Callback* Callback::innermost_ = nullptr;

Callback::Callback(const void* owner) : owner_(owner) {
  if (!enter_python()) return;
  gil_.emplace();
  outer_ = std::exchange(innermost_, this);
}

Callback::~Callback() {
  if (!gil_) return;
  innermost_ = outer_;
  gil_.reset();
  come_out_of_python();
}

bool Callback::here_for(const void* owner) noexcept {
  for (const Callback* each = innermost_; each != nullptr; each = each->outer_) {
    if (each->owner_ == owner) return true;
  }
  return false;
}

void leave_python() {
  Gate& the_gate = *gate();
  std::unique_lock lock(the_gate.mutex);
  the_gate.closed = true;
  the_gate.left.wait(lock, [&] { return the_gate.inside == 0; });
}

}  // namespace twinchat::python
