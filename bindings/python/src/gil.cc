#include "gil.h"

namespace twinchat::python {
namespace {

thread_local int callback_depth = 0;

}  // namespace

bool python_runs() noexcept {
#if PY_VERSION_HEX >= 0x030d0000
  const bool finalizing = Py_IsFinalizing() != 0;
#else
  const bool finalizing = _Py_IsFinalizing() != 0;
#endif
  return Py_IsInitialized() != 0 && !finalizing;
}

Held::Held(py::object object) {
  if (object.is_none()) return;
  object_ = std::shared_ptr<PyObject>(object.release().ptr(), [](PyObject* held) {
    // At the very end the object stays: the process takes it along.
    if (!python_runs()) return;
    const py::gil_scoped_acquire gil;
    Py_DECREF(held);
  });
}

Callback::Callback() {
  ++callback_depth;
}

Callback::~Callback() {
  --callback_depth;
}

bool Callback::here() noexcept {
  return callback_depth > 0;
}

}  // namespace twinchat::python
