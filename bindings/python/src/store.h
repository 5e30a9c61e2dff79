#pragma once

#include <memory>
#include <utility>

#include "calls.h"
#include "gil.h"
#include "twinchat/store.h"

namespace twinchat::python {

// A store of the library's, as Python has it.
struct NativeStore {
  Owned<Store> store;
};

// The store that a Python object is, shared with it: one of the library's, or an instance of a
// class that derives from twinchat.Store. TypeError for anything else.
// The latter is called on behalf of `owner`, as a Callback has it.
std::shared_ptr<Store> store_from_python(py::handle object, const void* owner);

}  // namespace twinchat::python
