#include <pybind11/pybind11.h>

#include "bind.h"
#include "calls.h"
#include "twinchat/version.h"

// What the package's Python files are written over. The dataclasses and exceptions are theirs
// (twinchat._values, twinchat._errors); importing this module connects them with the library, and
// fails when they differ from it.
PYBIND11_MODULE(_twinchat, module) {
  namespace python = twinchat::python;
  module.doc() = "libtwinchat, as the package twinchat uses it";
  module.attr("__version__") = twinchat::version();
  python::bind_error(module);
  python::bind_content(module);
  python::bind_session(module);
  python::bind_store(module);
  python::bind_sqlite_store(module);
  python::bind_memory_store(module);
  python::bind_model(module);
  python::bind_gemini(module);
  python::bind_assistant(module);
  module.def("stop_calls", &python::stop_calls,
             "Ends what belongs to no assistant: for the end of the interpreter.");
}
