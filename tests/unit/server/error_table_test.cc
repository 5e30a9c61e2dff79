#include "api/error_table.h"

#include "catch.h"

namespace twinchat::server {
namespace {

Refusal refusal(ErrorCode code, ErrorDetails details = {}) {
  return refusal_for(Error(code, "It did not work.", std::move(details)));
}

ErrorDetails of_model(int http_status = 0, std::string reason = {}) {
  return {.http_status = http_status, .reason = std::move(reason), .model = "m", .attempts = 1};
}

TEST_CASE("A failure of the model is 502, 503 or 504 and never says more than the safe sentence") {
  const auto [code, http_status, reason, status] =
      GENERATE(table<ErrorCode, int, std::string, int>({
          {ErrorCode::kInternal, 500, "", 502},
          {ErrorCode::kInternal, 0, "EMPTY_ANSWER", 502},
          {ErrorCode::kPermissionDenied, 403, "", 502},
          {ErrorCode::kUnauthenticated, 401, "API_KEY_INVALID", 502},
          {ErrorCode::kInvalidArgument, 400, "", 502},
          {ErrorCode::kNotFound, 404, "", 502},
          {ErrorCode::kFailedPrecondition, 400, "", 502},
          {ErrorCode::kUnavailable, 0, "CONNECT", 502},
          {ErrorCode::kUnavailable, 0, "CONNECTION_LOST", 502},
          {ErrorCode::kUnavailable, 503, "", 503},
          {ErrorCode::kUnavailable, 0, "CIRCUIT_OPEN", 503},
          {ErrorCode::kResourceExhausted, 429, "", 503},
          {ErrorCode::kCancelled, 0, "", 503},
          {ErrorCode::kDeadlineExceeded, 0, "", 504},
      }));
  CAPTURE(to_string(code), http_status, reason);
  const Refusal r = refusal(code, of_model(http_status, reason));
  CHECK(r.status == status);
  CHECK(to_text(r.body) == R"({"error":"Failed to get response from Gemini: It did not work."})");
  CHECK(r.retry_after.has_value() == (status == 503));
}

TEST_CASE("Everything around the model keeps its own words") {
  const auto [code, status] = GENERATE(table<ErrorCode, int>({
      {ErrorCode::kInvalidArgument, 400},
      {ErrorCode::kAborted, 409},
      {ErrorCode::kAlreadyExists, 422},
      {ErrorCode::kUnavailable, 503},
      {ErrorCode::kResourceExhausted, 503},
      {ErrorCode::kCancelled, 503},
      {ErrorCode::kFailedPrecondition, 503},
      {ErrorCode::kInternal, 500},
      {ErrorCode::kUnknown, 500},
      {ErrorCode::kDataLoss, 500},
  }));
  CAPTURE(to_string(code));
  const Refusal r = refusal(code);
  CHECK(r.status == status);
  CHECK(to_text(r.body) == R"({"error":"It did not work."})");
  CHECK(r.retry_after.has_value() == (status == 503 || status == 409));
}

TEST_CASE("Used up tokens of the day are 429 with a code, and all are not to come back at once") {
  ErrorDetails details;
  details.reason = "DAILY_TOKENS";
  details.retry_after = std::chrono::hours(12);
  const Refusal r = refusal(ErrorCode::kResourceExhausted, details);
  CHECK(r.status == 429);
  CHECK(to_text(r.body) == R"({"error":"It did not work.","code":"daily_tokens"})");
  CHECK(r.retry_after == 12 * 60 * 60);
  CHECK(r.spread == 300);
}

TEST_CASE("Every 503 is spread, and nothing that concerns one alone") {
  CHECK(refusal(ErrorCode::kUnavailable).spread > 0);
  CHECK(refusal(ErrorCode::kResourceExhausted, of_model(429)).spread > 0);
  CHECK(refusal(ErrorCode::kAborted).spread == 0);
}

TEST_CASE("An unknown session is 404 in the words the web client knows") {
  const Refusal r = refusal(ErrorCode::kNotFound);
  CHECK(r.status == 404);
  CHECK(to_text(r.body) == R"({"error":"Session not found"})");
}

TEST_CASE("Retry-After is rounded up to whole seconds") {
  ErrorDetails details = of_model(429);
  details.retry_after = std::chrono::milliseconds(12'001);
  CHECK(refusal(ErrorCode::kResourceExhausted, details).retry_after == 13);
  details.retry_after = std::chrono::milliseconds(0);
  CHECK(refusal(ErrorCode::kResourceExhausted, details).retry_after == 1);
}

}  // namespace
}  // namespace twinchat::server
