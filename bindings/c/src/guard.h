#pragma once

#include <string>

#include "twinchat.h"
#include "twinchat/error.h"

namespace twinchat::c {

// The C code for the library's, and back. A number that is none is the unknown one.
twinchat_code code_of(ErrorCode code) noexcept;
ErrorCode error_code_of(twinchat_code code) noexcept;

// The handle of an error. Never fails: without memory it is that of an error made beforehand.
twinchat_error* error_handle(const Error& error) noexcept;

// The exception that is being handled, as an error: kUnknown for one of somebody else's. Only to
// be called in a catch block.
Error current_error();

// Puts the exception that is being handled into `*error`, unless `error` is null, and gives its
// code. Only to be called in a catch block.
twinchat_code report(twinchat_error** error) noexcept;

// Does `action` and tells how it went: the border that no exception crosses.
template <class Action>
twinchat_code guarded(twinchat_error** error, Action action) noexcept {
  if (error != nullptr) *error = nullptr;
  try {
    action();
    return TWINCHAT_OK;
  } catch (...) {
    return report(error);
  }
}

// `pointer`, which the caller must not leave out; kInvalidArgument with its name when it did.
template <class T>
T* needed(T* pointer, const char* name) {
  if (pointer == nullptr) {
    throw Error(ErrorCode::kInvalidArgument, std::string(name) + " must not be NULL.");
  }
  return pointer;
}

// The out parameter: what it points to is NULL until there is something to give.
template <class T>
T** cleared(T** out, const char* name) {
  *needed(out, name) = nullptr;
  return out;
}

}  // namespace twinchat::c
