#pragma once

#include <memory>

#include "calls.h"
#include "gil.h"
#include "twinchat/model.h"

namespace twinchat::python {

// A model of the library's, as Python has it.
struct NativeModel {
  Owned<Model> model;
};

// The model that a Python object is, shared with it: one of the library's, or an instance of a
// class that derives from twinchat.Model. TypeError for anything else.
// The latter is called on behalf of `owner`, as a Callback has it.
std::shared_ptr<Model> model_from_python(py::handle object, const void* owner);

}  // namespace twinchat::python
