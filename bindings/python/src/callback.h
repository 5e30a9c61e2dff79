#pragma once

#include <functional>
#include <utility>

#include "calls.h"
#include "convert.h"
#include "error.h"
#include "gil.h"

namespace twinchat::python {

// Calls `python`, which needs the GIL, for a part of the library's that is written in Python. An
// exception becomes an Error: `message` and kUnknown, unless it is a TwinchatError.
template <class Work>
auto call_python(const char* message, const Work& python) {
  if (!python_runs()) throw Error(ErrorCode::kUnavailable, "Python is ending.");
  const Callback callback;
  try {
    return python();
  } catch (const py::error_already_set& thrown) {
    CallerThread::exit_if_meant(thrown);
    throw error_from_exception(thrown, message);
  }
}

// A Python function that is told something and cannot change it; empty for None. An exception of
// its own goes where Python reports those that nobody can catch (sys.unraisablehook).
template <class... Arguments>
std::function<void(Arguments...)> notifier(py::handle function) {
  Held held(py::reinterpret_borrow<py::object>(function));
  if (!held) return {};
  return [held = std::move(held)](Arguments... arguments) {
    if (!python_runs()) return;
    const Callback callback;
    try {
      held.get()(to_python(arguments)...);
    } catch (py::error_already_set& thrown) {
      thrown.discard_as_unraisable("a callback of twinchat");
    }
  };
}

}  // namespace twinchat::python
