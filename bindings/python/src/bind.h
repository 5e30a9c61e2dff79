#pragma once

#include <pybind11/pybind11.h>

// One function a public header, each in the file of that name.
namespace twinchat::python {

void bind_error(pybind11::module_& module);
void bind_content(pybind11::module_& module);
void bind_session(pybind11::module_& module);
void bind_store(pybind11::module_& module);
void bind_sqlite_store(pybind11::module_& module);
void bind_memory_store(pybind11::module_& module);
void bind_model(pybind11::module_& module);
void bind_gemini(pybind11::module_& module);
void bind_assistant(pybind11::module_& module);

}  // namespace twinchat::python
