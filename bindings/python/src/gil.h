#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <utility>

namespace twinchat::python {

namespace py = pybind11;

// Runs `work` without the GIL. No Python object may be touched in it.
template <class Work>
decltype(auto) without_gil(Work&& work) {
  const py::gil_scoped_release released;
  return std::forward<Work>(work)();
}

// Gives up the GIL for a scope, if this thread has it: for destructors that wait, which nobody
// knows who calls.
class GilGivenUp {
 public:
  GilGivenUp();

 private:
  std::optional<py::gil_scoped_release> released_;
};

// A Python object that C++ may copy and let go of on any thread, with or without the GIL.
//
// Thread safety: as a shared_ptr. get() is for threads that have the GIL.
class Held {
 public:
  Held() = default;
  // Needs the GIL. None is held like nothing.
  explicit Held(py::object object);

  explicit operator bool() const noexcept { return object_ != nullptr; }
  py::handle get() const noexcept { return object_.get(); }

 private:
  std::shared_ptr<PyObject> object_;
};

// The scope of every way from a thread of C++ into Python: takes the GIL, and lets it be known that
// this thread is there, and on whose behalf. False after leave_python(): then no Python object may
// be touched. (A thread that asks for the GIL while the interpreter takes itself apart is ended on
// the spot, and with it, in the midst of C++, the process.)
class Callback {
 public:
  explicit Callback(const void* owner = nullptr);
  ~Callback();
  Callback(const Callback&) = delete;
  Callback& operator=(const Callback&) = delete;

  explicit operator bool() const noexcept { return gil_.has_value(); }

  // Whether the calling thread is in one.
  static bool here() noexcept { return innermost_ != nullptr; }
  // Whether it is in one of that owner's, who must not wait for it then.
  static bool here_for(const void* owner) noexcept;

 private:
  static thread_local const Callback* innermost_;

  const void* owner_;
  const Callback* outer_ = nullptr;
  std::optional<py::gil_scoped_acquire> gil_;
};

// Lets no thread of C++ into Python any more, and waits until those that are there have come out:
// for the end of the interpreter. Without the GIL.
void leave_python();

}  // namespace twinchat::python
