#pragma once

#include <pybind11/pybind11.h>

#include "twinchat/error.h"

namespace twinchat::python {

namespace py = pybind11;

// What a Python exception in a part of the library's that is written in Python (a store, a model)
// is to the library: a TwinchatError with all that it says, anything else kUnknown with `message`.
// The exception is remembered under the Error's diagnostic. Needs the GIL.
Error error_from_exception(const py::error_already_set& thrown, const char* message);

// Raises the Error in Python: as the exception that is remembered for it, or as its cause.
void raise_error(const Error& error);

}  // namespace twinchat::python
