#include <exception>
#include <new>

#include "guard.h"
#include "handles.h"

namespace twinchat::c {
namespace {

// Made when the library is loaded: it must be there when nothing else can be made.
const Error& out_of_memory() {
  static const Error error(ErrorCode::kResourceExhausted, "There is not enough memory.",
                           {.retryable = true, .reason = "OUT_OF_MEMORY"});
  return error;
}
const Error& made_early = out_of_memory();

}  // namespace

twinchat_code code_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kCancelled:
      return TWINCHAT_CANCELLED;
    case ErrorCode::kUnknown:
      return TWINCHAT_UNKNOWN;
    case ErrorCode::kInvalidArgument:
      return TWINCHAT_INVALID_ARGUMENT;
    case ErrorCode::kDeadlineExceeded:
      return TWINCHAT_DEADLINE_EXCEEDED;
    case ErrorCode::kNotFound:
      return TWINCHAT_NOT_FOUND;
    case ErrorCode::kAlreadyExists:
      return TWINCHAT_ALREADY_EXISTS;
    case ErrorCode::kPermissionDenied:
      return TWINCHAT_PERMISSION_DENIED;
    case ErrorCode::kResourceExhausted:
      return TWINCHAT_RESOURCE_EXHAUSTED;
    case ErrorCode::kFailedPrecondition:
      return TWINCHAT_FAILED_PRECONDITION;
    case ErrorCode::kAborted:
      return TWINCHAT_ABORTED;
    case ErrorCode::kOutOfRange:
      return TWINCHAT_OUT_OF_RANGE;
    case ErrorCode::kUnimplemented:
      return TWINCHAT_UNIMPLEMENTED;
    case ErrorCode::kInternal:
      return TWINCHAT_INTERNAL;
    case ErrorCode::kUnavailable:
      return TWINCHAT_UNAVAILABLE;
    case ErrorCode::kDataLoss:
      return TWINCHAT_DATA_LOSS;
    case ErrorCode::kUnauthenticated:
      return TWINCHAT_UNAUTHENTICATED;
  }
  return TWINCHAT_UNKNOWN;
}

ErrorCode error_code_of(twinchat_code code) noexcept {
  switch (code) {
    case TWINCHAT_OK:
    case TWINCHAT_UNKNOWN:
      return ErrorCode::kUnknown;
    case TWINCHAT_CANCELLED:
      return ErrorCode::kCancelled;
    case TWINCHAT_INVALID_ARGUMENT:
      return ErrorCode::kInvalidArgument;
    case TWINCHAT_DEADLINE_EXCEEDED:
      return ErrorCode::kDeadlineExceeded;
    case TWINCHAT_NOT_FOUND:
      return ErrorCode::kNotFound;
    case TWINCHAT_ALREADY_EXISTS:
      return ErrorCode::kAlreadyExists;
    case TWINCHAT_PERMISSION_DENIED:
      return ErrorCode::kPermissionDenied;
    case TWINCHAT_RESOURCE_EXHAUSTED:
      return ErrorCode::kResourceExhausted;
    case TWINCHAT_FAILED_PRECONDITION:
      return ErrorCode::kFailedPrecondition;
    case TWINCHAT_ABORTED:
      return ErrorCode::kAborted;
    case TWINCHAT_OUT_OF_RANGE:
      return ErrorCode::kOutOfRange;
    case TWINCHAT_UNIMPLEMENTED:
      return ErrorCode::kUnimplemented;
    case TWINCHAT_INTERNAL:
      return ErrorCode::kInternal;
    case TWINCHAT_UNAVAILABLE:
      return ErrorCode::kUnavailable;
    case TWINCHAT_DATA_LOSS:
      return ErrorCode::kDataLoss;
    case TWINCHAT_UNAUTHENTICATED:
      return ErrorCode::kUnauthenticated;
  }
  return ErrorCode::kUnknown;
}

twinchat_error* error_handle(const Error& error) noexcept {
  try {
    return new_handle<twinchat_error>(error);
  } catch (...) {
    return const_cast<twinchat_error*>(handle_of<twinchat_error>(out_of_memory()));
  }
}

Error current_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  } catch (...) {
    return Error(ErrorCode::kUnknown, "Something failed in a way that is not known here.");
  }
}

twinchat_code report(twinchat_error** error) noexcept {
  try {
    const Error current = current_error();
    if (error != nullptr) *error = error_handle(current);
    return code_of(current.code());
  } catch (...) {
    if (error != nullptr) *error = error_handle(out_of_memory());
    return code_of(out_of_memory().code());
  }
}

}  // namespace twinchat::c

using twinchat::c::behind;

const char* twinchat_code_name(twinchat_code code) {
  return code == TWINCHAT_OK ? "OK" : twinchat::to_string(twinchat::c::error_code_of(code));
}

twinchat_code twinchat_error_code(const twinchat_error* error) {
  return error != nullptr ? twinchat::c::code_of(behind(error)->code()) : TWINCHAT_OK;
}

const char* twinchat_error_message(const twinchat_error* error) {
  return error != nullptr ? behind(error)->what() : "";
}

const char* twinchat_error_diagnostic(const twinchat_error* error) {
  return error != nullptr ? behind(error)->details().diagnostic.c_str() : "";
}

const char* twinchat_error_reason(const twinchat_error* error) {
  return error != nullptr ? behind(error)->details().reason.c_str() : "";
}

const char* twinchat_error_stage(const twinchat_error* error) {
  return error != nullptr ? behind(error)->details().stage.c_str() : "";
}

int64_t twinchat_error_retry_after_ms(const twinchat_error* error) {
  const auto after = error != nullptr ? behind(error)->retry_after() : std::nullopt;
  return after ? after->count() : -1;
}

int twinchat_error_retryable(const twinchat_error* error) {
  return error != nullptr && behind(error)->details().retryable ? 1 : 0;
}

int twinchat_error_http_status(const twinchat_error* error) {
  return error != nullptr ? behind(error)->details().http_status : 0;
}

void twinchat_error_free(twinchat_error* error) {
  if (behind(error) != &twinchat::c::out_of_memory()) twinchat::c::release(error);
}
