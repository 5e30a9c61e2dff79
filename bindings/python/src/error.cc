#include "error.h"

#include <cstdint>
#include <exception>
#include <map>
#include <string>

#include "bind.h"
#include "convert.h"
#include "fields.h"

namespace twinchat::python {
namespace {

// The one table from the library's codes to Python's classes.
const char* class_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCancelled:
      return "Cancelled";
    case ErrorCode::kUnknown:
      return "Unknown";
    case ErrorCode::kInvalidArgument:
      return "InvalidArgument";
    case ErrorCode::kDeadlineExceeded:
      return "DeadlineExceeded";
    case ErrorCode::kNotFound:
      return "NotFound";
    case ErrorCode::kAlreadyExists:
      return "AlreadyExists";
    case ErrorCode::kPermissionDenied:
      return "PermissionDenied";
    case ErrorCode::kResourceExhausted:
      return "RateLimited";
    case ErrorCode::kFailedPrecondition:
      return "FailedPrecondition";
    case ErrorCode::kAborted:
      return "Aborted";
    case ErrorCode::kOutOfRange:
      return "OutOfRange";
    case ErrorCode::kUnimplemented:
      return "Unimplemented";
    case ErrorCode::kInternal:
      return "Internal";
    case ErrorCode::kUnavailable:
      return "Unavailable";
    case ErrorCode::kDataLoss:
      return "DataLoss";
    case ErrorCode::kUnauthenticated:
      return "Unauthenticated";
  }
  return "Unknown";
}

PyObject* errors_module = nullptr;  // twinchat._errors, for as long as the process lives

py::object error_class(const char* name) {
  return py::reinterpret_borrow<py::object>(errors_module).attr(name);
}

// Exceptions on their way through the library, which knows of an Error alone. Few at a time: an
// Error that never comes back to Python (one of an answer that was cut) leaves its exception here
// until kMost others have come after it. Guarded by the GIL.
class Remembered {
 public:
  // Gives the words by which the exception is found again.
  std::string put(py::object exception) {
    if (exceptions_.size() >= kMost) exceptions_.erase(exceptions_.begin());
    exceptions_.emplace(++last_, std::move(exception));
    return kBefore + std::to_string(last_) + ")";
  }

  // Takes the exception that `words` end with and cuts them off it; null when there is none.
  py::object take(std::string& words) {
    const auto at = words.rfind(kBefore);
    if (at == std::string::npos || !words.ends_with(')')) return {};
    const std::string digits = words.substr(at + kBefore.size());
    const auto found = exceptions_.find(std::strtoull(digits.c_str(), nullptr, 10));
    if (found == exceptions_.end()) return {};
    words.erase(at);
    const py::object exception = std::move(found->second);
    exceptions_.erase(found);
    return exception;
  }

 private:
  static constexpr std::size_t kMost = 64;
  const std::string kBefore = " (Python exception ";
  std::map<std::uint64_t, py::object> exceptions_;
  std::uint64_t last_ = 0;
};

Remembered& remembered() {
  static auto* const all = new Remembered;  // outlives the interpreter
  return *all;
}

py::object make_exception(const Error& error, const std::string& diagnostic) {
  py::dict details = fields_to_dict(error.details());
  details["diagnostic"] = string_to_python(diagnostic);
  return error_class(class_name(error.code()))(string_to_python(error.what()), **details);
}

}  // namespace

py::object error_to_python(const Error& error) {
  std::string diagnostic = error.details().diagnostic;
  const py::object original = remembered().take(diagnostic);
  if (original && py::isinstance(original, error_class("TwinchatError"))) return original;
  py::object made = make_exception(error, diagnostic);
  if (original) made.attr("__cause__") = original;
  return made;
}

Error error_from_python(py::handle from, Place place) {
  if (!py::isinstance(from, error_class("TwinchatError"))) wrong_type(place, "TwinchatError", from);
  ErrorDetails details;
  read_fields(details, [&](const char* name) { return py::object(from.attr(name)); });
  return Error(from_python<ErrorCode>(from.attr("code"), {"TwinchatError", "code"}),
               py::str(from).cast<std::string>(), details);
}

Error error_from_exception(const py::error_already_set& thrown, const char* message) {
  const py::object exception = thrown.value();
  if (thrown.trace()) exception.attr("__traceback__") = thrown.trace();
  Error error(
      ErrorCode::kUnknown, message,
      {.diagnostic = "it raised " + py::str(thrown.type().attr("__name__")).cast<std::string>()});
  if (py::isinstance(exception, error_class("TwinchatError"))) {
    try {
      error = error_from_python(exception, {});
    } catch (const py::error_already_set&) {
      // One whose attributes are not what they should be is as good as any other.
    } catch (const Error&) {
    }
  }
  ErrorDetails details = error.details();
  details.diagnostic += remembered().put(exception);
  return Error(error.code(), error.what(), details);
}

void raise_error(const Error& error) {
  const py::object exception = error_to_python(error);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
}

void bind_error(py::module_& module) {
  py::module_ errors = py::module_::import("twinchat._errors");
  register_enum<ErrorCode>(errors);
  for (int code = static_cast<int>(ErrorCode::kCancelled);
       code <= static_cast<int>(ErrorCode::kUnauthenticated); ++code) {
    const char* name = class_name(static_cast<ErrorCode>(code));
    const py::object its_code = errors.attr(name).attr("code");
    if (!its_code.is(to_python(static_cast<ErrorCode>(code)))) {
      throw py::import_error(std::string("twinchat: the code of ") + name + " differs");
    }
  }
  errors_module = errors.release().ptr();
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const Error& error) {
      raise_error(error);
    }
  });
  static_cast<void>(module);
}

}  // namespace twinchat::python
