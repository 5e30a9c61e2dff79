#pragma once

#include <functional>
#include <utility>

#include "calls.h"
#include "convert.h"
#include "error.h"
#include "gil.h"

namespace twinchat::python {

// A call out of Python that may wait: who closes `calls` waits for its end, with what it gives or
// raises, so that its thread asks for the GIL no more.
template <class Work>
auto counted(RunningCalls& calls, const Work& work) {
  RunningCalls::Call call(calls);
  try {
    return work(call.stop());
  } catch (const Error& error) {
    raise_error(error);
    throw py::error_already_set();
  }
}

// Calls `python`, which needs the GIL, for a part of the library's that is written in Python. An
// exception becomes an Error: `message` and kUnknown, unless it is a TwinchatError. `owner` as of a
// Callback.
template <class Work>
auto call_python(const void* owner, const char* message, const Work& python) {
  const Callback callback(owner);
  if (!callback) throw Error(ErrorCode::kUnavailable, "Python is ending.");
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
    const Callback callback;
    if (!callback) return;
    try {
      held.get()(to_python(arguments)...);
    } catch (py::error_already_set& thrown) {
      thrown.discard_as_unraisable("a callback of twinchat");
    }
  };
}

}  // namespace twinchat::python
