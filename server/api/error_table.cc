#include "api/error_table.h"

#include <algorithm>

#include "api/retry_spread.h"

namespace twinchat::server {
namespace {

constexpr int kDefaultRetryAfter = 5;

bool is_of_the_model(const Error& error) {
  const ErrorDetails& details = error.details();
  return !details.model.empty() || details.attempts > 0 || details.http_status != 0 ||
         !details.upstream_status.empty() || details.reason == "EMPTY_ANSWER";
}

// The model was asked, or should have been.
int model_status(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kDeadlineExceeded:
      return 504;
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kCancelled:
      return 503;
    case ErrorCode::kUnavailable:
      // It said so itself, or we stopped asking; otherwise it could not be reached or broke off.
      return error.details().http_status != 0 || error.details().reason == "CIRCUIT_OPEN" ? 503
                                                                                          : 502;
    case ErrorCode::kUnknown:
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kNotFound:
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kFailedPrecondition:
    case ErrorCode::kAborted:
    case ErrorCode::kOutOfRange:
    case ErrorCode::kUnimplemented:
    case ErrorCode::kInternal:
    case ErrorCode::kDataLoss:
    case ErrorCode::kUnauthenticated:
      return 502;
  }
  return 502;
}

// Everything around the model.
int own_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kOutOfRange:
      return 400;
    case ErrorCode::kUnauthenticated:
      return 401;
    case ErrorCode::kPermissionDenied:
      return 403;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kAborted:
      return 409;
    case ErrorCode::kAlreadyExists:
      return 422;
    case ErrorCode::kUnimplemented:
      return 501;
    case ErrorCode::kCancelled:
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kFailedPrecondition:
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kDeadlineExceeded:
      return 504;
    case ErrorCode::kUnknown:
    case ErrorCode::kInternal:
    case ErrorCode::kDataLoss:
      return 500;
  }
  return 500;
}

int seconds_of(std::chrono::milliseconds wait) {
  return std::max(1, static_cast<int>(std::chrono::ceil<std::chrono::seconds>(wait).count()));
}

}  // namespace

Refusal refusal_for(const Error& error) {
  if (!is_of_the_model(error) && error.code() == ErrorCode::kNotFound) {
    return {404, {{"error", "Session not found"}}};
  }
  const bool model = is_of_the_model(error) || error.code() == ErrorCode::kDeadlineExceeded;
  const std::string sentence = error.what();
  if (error.details().reason == "DAILY_TOKENS") {
    Refusal refusal(429, {{"error", sentence}, {"code", "daily_tokens"}});
    refusal.retry_after = seconds_of(error.retry_after().value_or(std::chrono::hours(1)));
    refusal.spread = RetrySpread::suited_to(24 * 60 * 60);  // all come back after midnight
    return refusal;
  }
  Refusal refusal(
      model ? model_status(error) : own_status(error.code()),
      {{"error", model ? "Failed to get response from Gemini: " + sentence : sentence}});
  if (const auto wait = error.retry_after()) {
    refusal.retry_after = seconds_of(*wait);
  } else if (refusal.status == 503) {
    refusal.retry_after = kDefaultRetryAfter;
  } else if (refusal.status == 409) {
    refusal.retry_after = 1;  // another process has it in hand
  }
  if (refusal.status == 503) refusal.spread = RetrySpread::suited_to(*refusal.retry_after);
  return refusal;
}

}  // namespace twinchat::server
