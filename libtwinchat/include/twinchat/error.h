#pragma once

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

#include "twinchat/export.h"

namespace twinchat {

// What went wrong, for decisions. The names and numbers are those of google.rpc.Code.
enum class ErrorCode {
  kCancelled = 1,           // the caller stopped it
  kUnknown = 2,             // an exception of somebody else's passed through
  kInvalidArgument = 3,     // the caller's input can never work
  kDeadlineExceeded = 4,    // a limit of time ran out; details().stage says which
  kNotFound = 5,            // no such session, or no such model
  kAlreadyExists = 6,       // the idempotency key was used with another text
  kPermissionDenied = 7,    // the upstream refuses this credential
  kResourceExhausted = 8,   // a quota, a rate limit or a full queue
  kFailedPrecondition = 9,  // the database or the account is not in a state to do this
  kAborted = 10,            // the same idempotency key is being worked on right now
  kOutOfRange = 11,         // a position or size outside of what exists
  kUnimplemented = 12,      // asked for something that this part cannot do
  kInternal = 13,           // the other side broke, or answered what cannot be understood
  kUnavailable = 14,        // the other side cannot be reached or is overloaded
  kDataLoss = 15,           // stored data is damaged
  kUnauthenticated = 16,    // no credential, or one that is not accepted
};

// The name as google.rpc.Code spells it, "NOT_FOUND" for kNotFound. A string with static lifetime.
TWINCHAT_EXPORT const char* to_string(ErrorCode code) noexcept;

// What is known beside the code. Everything is optional; nothing in here is ever a secret or a
// visitor's words.
struct ErrorDetails {
  // How long to wait before trying again, where somebody said so.
  std::optional<std::chrono::milliseconds> retry_after = {};
  // The same call may work later without a change.
  bool retryable = false;
  // The upstream's HTTP status; 0 when there was no answer.
  int http_status = 0;
  // The upstream's own name for it, such as "RESOURCE_EXHAUSTED".
  std::string upstream_status = {};
  // The machine-readable cause: the upstream's ErrorInfo.reason ("API_KEY_INVALID") or one of ours
  // ("EMPTY_ANSWER", "CIRCUIT_OPEN", "CONNECT", "TLS", "DNS", "CONNECTION_LOST", "DAILY_TOKENS").
  std::string reason = {};
  // The quota that was hit, as the upstream names it.
  std::string quota_id = {};
  // Which limit ran out: "queue", "connect", "first byte", "idle", "total" or "deadline".
  std::string stage = {};
  // The model that was asked last.
  std::string model = {};
  // The upstream's name for its last answer.
  std::string response_id = {};
  // Requests that were sent for this call, including the first.
  int attempts = 0;
  // One line for an operator's log: the library's own words about the technical cause.
  std::string diagnostic = {};
};

// The one exception type of the library.
//
// what() is a safe sentence: it may be shown to a visitor. It names what was tried, never a secret,
// an upstream's text or a visitor's words.
//
// Thread safety: immutable after construction, like any exception.
class TWINCHAT_EXPORT Error : public std::runtime_error {
 public:
  // `message` becomes what(): a sentence that anybody may read.
  Error(ErrorCode code, const std::string& message, ErrorDetails details = {});
  // A copy, so that an error can be kept and thrown elsewhere.
  Error(const Error&);
  // Likewise.
  Error& operator=(const Error&);
  ~Error() override;

  // What to decide by.
  ErrorCode code() const noexcept { return code_; }
  // What is known beside it.
  const ErrorDetails& details() const noexcept { return details_; }
  // How long to wait before trying again, where somebody said so.
  std::optional<std::chrono::milliseconds> retry_after() const noexcept {
    return details_.retry_after;
  }

 private:
  ErrorCode code_;
  ErrorDetails details_;
};

// A value or the Error in its place: what a completion callback is handed, where nothing can be
// thrown to the one who asked.
//
// Thread safety: as its value's.
template <class T>
class Result {
 public:
  // A value.
  Result(T value) : state_(std::move(value)) {}
  // An error.
  Result(Error error) : state_(std::move(error)) {}

  // Whether there is a value.
  bool ok() const noexcept { return state_.index() == 0; }
  // Likewise.
  explicit operator bool() const noexcept { return ok(); }

  // The value; throws the Error when there is none.
  const T& value() const& {
    if (!ok()) throw std::get<1>(state_);
    return std::get<0>(state_);
  }
  // The same, to be moved from.
  T&& value() && {
    if (!ok()) throw std::get<1>(state_);
    return std::get<0>(std::move(state_));
  }
  // The error; only to be called when !ok().
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace twinchat
