#include "gemini/upstream_error.h"

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <vector>

#include "catch.h"

using namespace twinchat;
using namespace twinchat::gemini;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

namespace {

// Words that an upstream might quote from a request, and that must not be found anywhere.
const std::string kCanary = "CANARY my secret illness";

void check_no_canary(const Error& error) {
  const ErrorDetails& details = error.details();
  for (const std::string& text :
       {std::string(error.what()), details.upstream_status, details.reason, details.quota_id,
        details.stage, details.response_id, details.diagnostic}) {
    INFO(text);
    CHECK(text.find("CANARY") == std::string::npos);
    CHECK(text.find("illness") == std::string::npos);
  }
}

std::string body(int code, const std::string& status, const std::string& details = "[]",
                 const std::string& message = kCanary) {
  Json json;
  json["error"] = {{"code", code}, {"message", message}, {"details", Json::parse(details)}};
  if (!status.empty()) json["error"]["status"] = status;
  return json.dump();
}

Error error_for(std::string_view text, int http_status, std::string_view retry_after = {}) {
  Error error = upstream_error(text, http_status, "the-model", retry_after);
  check_no_canary(error);
  return error;
}

std::string retry_info(const std::string& delay) {
  return R"([{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":")" + delay +
         R"("}])";
}

std::string quota_failure(const std::string& quota_id, const std::string& value = "15") {
  return R"([{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"m","quotaId":")" +
         quota_id + R"(","quotaValue":")" + value + R"("}]}])";
}

}  // namespace

TEST_CASE("Every error of the API has its code, and is retried or not") {
  struct Row {
    int http_status;
    const char* status;
    ErrorCode code;
    bool retryable;
  };
  const std::vector<Row> rows{
      {400, "INVALID_ARGUMENT", ErrorCode::kInvalidArgument, false},
      {400, "FAILED_PRECONDITION", ErrorCode::kFailedPrecondition, false},
      {400, "OUT_OF_RANGE", ErrorCode::kOutOfRange, false},
      {400, "", ErrorCode::kInvalidArgument, false},
      {401, "UNAUTHENTICATED", ErrorCode::kUnauthenticated, false},
      {403, "PERMISSION_DENIED", ErrorCode::kPermissionDenied, false},
      {404, "NOT_FOUND", ErrorCode::kNotFound, false},
      {408, "", ErrorCode::kDeadlineExceeded, true},
      {409, "ABORTED", ErrorCode::kUnavailable, true},
      {413, "", ErrorCode::kInvalidArgument, false},
      {429, "RESOURCE_EXHAUSTED", ErrorCode::kResourceExhausted, true},
      {499, "CANCELLED", ErrorCode::kUnavailable, true},
      {500, "INTERNAL", ErrorCode::kInternal, true},
      {501, "UNIMPLEMENTED", ErrorCode::kUnimplemented, false},
      {502, "", ErrorCode::kUnavailable, true},
      {503, "UNAVAILABLE", ErrorCode::kUnavailable, true},
      {504, "DEADLINE_EXCEEDED", ErrorCode::kDeadlineExceeded, true},
      {520, "", ErrorCode::kUnavailable, true},
      {599, "A_STATUS_OF_TOMORROW", ErrorCode::kUnavailable, true},
      {302, "", ErrorCode::kInternal, false},
      {418, "", ErrorCode::kInternal, false},
  };
  for (const Row& row : rows) {
    INFO(row.http_status << ' ' << row.status);
    const std::string text = body(row.http_status, row.status);
    // As an answer, in an array, in a stream (where the body alone tells), and with the body lost.
    for (const Error& error : {error_for(text, row.http_status),
                               error_for("[" + text + "]", row.http_status), error_for(text, 0)}) {
      CHECK(error.code() == row.code);
      CHECK(error.details().retryable == row.retryable);
      CHECK(error.details().http_status == row.http_status);
      CHECK(error.details().upstream_status == row.status);
      CHECK(error.details().model == "the-model");
      CHECK_FALSE(error.retry_after());
    }
  }
}

TEST_CASE("An error without a body that can be read is told by its HTTP status") {
  const std::vector<std::string> bodies{
      "",
      "<!DOCTYPE html><title>CANARY my secret illness</title>",
      "Bad Gateway",
      "null",
      "[]",
      "{}",
      "7",
      "\"CANARY\"",
      "{\"error\":null}",
      "{\"error\":\"CANARY my secret illness\"}",
      "{\"error\":[]}",
      "[[]]",
      "{\"error\":{",
      "{\"error\":{\"details\":\"CANARY\"}}",
      "{\"error\":{\"details\":{\"a\":{\"@type\":7}}}}",
      "{\"error\":{\"details\":[null,7,[],{}]}}",
      "{\"error\":{\"code\":\"503\",\"message\":7,\"status\":[]}}",
      std::string(100'000, '[')};
  for (const std::string& text : bodies) {
    INFO(text.substr(0, 100));
    CHECK(error_for(text, 502).code() == ErrorCode::kUnavailable);
    CHECK(error_for(text, 502).details().retryable);
    CHECK(error_for(text, 413).code() == ErrorCode::kInvalidArgument);
    CHECK(error_for(text, 403).code() == ErrorCode::kPermissionDenied);
    CHECK(error_for(text, 429).code() == ErrorCode::kResourceExhausted);
    CHECK(error_for(text, 429).details().retryable);
  }
}

TEST_CASE("A missing model is told with the setting that names it") {
  const std::string what = error_for(body(404, "NOT_FOUND"), 404).what();
  CHECK(what.find("the-model") != std::string::npos);
  CHECK(what.find("GEMINI_MODEL") != std::string::npos);
}

TEST_CASE("A bad key is a matter of credentials, though it comes as a bad request") {
  const Error error = error_for(
      body(
          400, "INVALID_ARGUMENT",
          R"([{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com","metadata":{}}])"),
      400);
  CHECK(error.code() == ErrorCode::kUnauthenticated);
  CHECK_FALSE(error.details().retryable);
  CHECK(error.details().reason == "API_KEY_INVALID");
  CHECK(std::string(error.what()) == "the model refused this service's credentials.");
}

TEST_CASE("A server's delay is read with all its decimals, rounded up") {
  struct Row {
    const char* text;
    milliseconds delay;
  };
  for (const Row& row : std::vector<Row>{{"60s", 60'000ms},
                                         {"0s", 0ms},
                                         {"34.0s", 34'000ms},
                                         {"34.07s", 34'070ms},
                                         {"34.074s", 34'074ms},
                                         {"34.0748s", 34'075ms},
                                         {"34.07482s", 34'075ms},
                                         {"34.074824s", 34'075ms},
                                         {"34.0748242s", 34'075ms},
                                         {"34.07482422s", 34'075ms},
                                         {"34.074824224s", 34'075ms},
                                         {"0.000000001s", 1ms},
                                         {"373.801628ms", 374ms},
                                         {"5ms", 5ms},
                                         {"1m30s", 90'000ms},
                                         {"1h2m3s", 3'723'000ms},
                                         {"2m", 120'000ms}}) {
    INFO(row.text);
    CHECK(parse_duration(row.text) == row.delay);
    CHECK(error_for(body(429, "RESOURCE_EXHAUSTED", retry_info(row.text)), 429).retry_after() ==
          row.delay);
  }
}

TEST_CASE("A delay of whole milliseconds is exact") {
  for (int ms = 0; ms < 100'000; ++ms) {
    const std::string text = fmt::format("{}.{:03}s", ms / 1000, ms % 1000);
    REQUIRE(parse_duration(text) == milliseconds(ms));
    REQUIRE(parse_duration(fmt::format("{}.{:03}000000s", ms / 1000, ms % 1000)) ==
            milliseconds(ms));
  }
}

TEST_CASE("What is no duration is none, and the longest is a year") {
  for (const char* text :
       {"",     "s",     "5",    "five", "-5s", "+5s", "5 s",  " 5s",  "5s ", "5sec", "5S",
        "1e3s", "0x10s", "infs", "nans", "inf", "5s,", "5.s5", "1,5s", "5us", "..s",  "1s-1s"}) {
    INFO(text);
    CHECK_FALSE(parse_duration(text));
  }
  CHECK(parse_duration("99999999999999999999h") == std::chrono::hours(24 * 365));
  CHECK(parse_duration(std::string(400, '9') + "s").value_or(std::chrono::hours(24 * 365)) ==
        std::chrono::hours(24 * 365));
}

TEST_CASE("Every place for a delay is looked at, the most exact first") {
  const auto delay = [](const std::string& text, std::string_view header = {}) {
    return error_for(text, 429, header).retry_after();
  };
  const std::string reset_info =
      R"([{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED","metadata":{"quotaResetDelay":"373.801628ms"}}])";
  CHECK(delay(body(429, "RESOURCE_EXHAUSTED", reset_info)) == 374ms);
  CHECK(delay(body(429, "RESOURCE_EXHAUSTED", "[]",
                   "You exceeded your current quota. Please retry in 53.01s.")) == 53'010ms);
  CHECK(delay(body(429, "RESOURCE_EXHAUSTED", "[]", "Please retry in 250.5ms, please")) == 251ms);
  CHECK(delay(body(429, "RESOURCE_EXHAUSTED", "[]", "Your quota will reset after 20s.")) ==
        20'000ms);
  CHECK(delay(body(429, "RESOURCE_EXHAUSTED", "[]", "quota will reset after 1h2m3s")) ==
        3'723'000ms);
  CHECK_FALSE(delay(body(429, "RESOURCE_EXHAUSTED", "[]", "Please retry in a while")));
  CHECK_FALSE(delay(body(429, "RESOURCE_EXHAUSTED", "[]", "Please retry in ")));

  CHECK(delay(body(429, "RESOURCE_EXHAUSTED"), "7") == 7'000ms);
  CHECK(delay("", "120") == 120'000ms);
  CHECK(delay("", "0") == 0ms);
  for (const char* bad : {"", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "99999999999999999"}) {
    CHECK_FALSE(delay("", bad));
  }

  // RetryInfo over everything else.
  CHECK(delay(body(429, "RESOURCE_EXHAUSTED", retry_info("2.5s"), "Please retry in 53s."), "7") ==
        2'500ms);
  const std::string both =
      reset_info.substr(0, reset_info.size() - 1) + "," + retry_info("9s").substr(1);
  CHECK(delay(body(429, "RESOURCE_EXHAUSTED", both)) == 9'000ms);
  // One that cannot be read stands for nothing.
  CHECK(delay(body(429, "RESOURCE_EXHAUSTED", retry_info("soon")), "7") == 7'000ms);
}

TEST_CASE("A quota that is spent for longer than a chat is not retried") {
  const auto error = [](const std::string& details, const std::string& message) {
    return error_for(body(429, "RESOURCE_EXHAUSTED", details, message), 429);
  };
  const std::string per_minute = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier";
  const std::string per_day = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
  const std::string prose =
      "You exceeded your current quota, please check your plan and billing details.";

  SECTION("a rate per minute passes, whatever its words") {
    const Error passing = error(quota_failure(per_minute), prose);
    CHECK(passing.details().retryable);
    CHECK(passing.details().quota_id == per_minute);
    CHECK_FALSE(passing.retry_after());
    CHECK(error("[]", "Quota exceeded for metric: m, limit: 15, model: x").details().retryable);
    CHECK(error("[]", "limit: 0.5").details().retryable);
  }
  SECTION("a daily one does not") {
    const Error spent = error(quota_failure(per_day), prose);
    CHECK_FALSE(spent.details().retryable);
    CHECK(spent.code() == ErrorCode::kResourceExhausted);
    CHECK(spent.details().quota_id == per_day);
    CHECK(spent.retry_after() == 3'600'000ms);
    CHECK(std::string(spent.what()) == "the quota for the model is used up.");
  }
  SECTION("a daily one among others is the one that counts") {
    const Error spent = error(
        R"([{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"PerMinute"},{"quotaId":"GenerateRequestsPerDay"},{"quotaId":"PerMinute2"}]}])",
        prose);
    CHECK_FALSE(spent.details().retryable);
    CHECK(spent.details().quota_id == "GenerateRequestsPerDay");
  }
  SECTION("the server's own delay is kept for the caller") {
    std::string details = quota_failure(per_day);
    details = details.substr(0, details.size() - 1) + "," + retry_info("30s").substr(1);
    const Error spent = error(details, prose);
    CHECK_FALSE(spent.details().retryable);
    CHECK(spent.retry_after() == 30'000ms);
  }
  SECTION("a limit of nothing does not") {
    CHECK_FALSE(
        error("[]", "Quota exceeded for metric: m, limit: 0, model: x").details().retryable);
    CHECK_FALSE(error("[]", "Quota exceeded, limit: 0").details().retryable);
    CHECK_FALSE(error("[]", "limit: 0\nmore").details().retryable);
    CHECK_FALSE(error(quota_failure(per_minute, "0"), prose).details().retryable);
  }
  SECTION("a spend cap does not") {
    CHECK_FALSE(error("[]", "Your project has exceeded its spending cap.").details().retryable);
    CHECK_FALSE(error("[]", "monthly spend cap reached").details().retryable);
    CHECK_FALSE(
        error(
            R"([{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"BILLING_DISABLED"}])",
            prose)
            .details()
            .retryable);
  }
}

TEST_CASE("Names that an upstream gives are kept only if they are names") {
  const std::string details = R"([
    {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"CANARY my secret illness"},
    {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"CANARY illness"}]},
    {"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"CANARY","description":"CANARY"}]},
    {"@type":"type.googleapis.com/google.rpc.LocalizedMessage","message":"CANARY"},
    {"@type":"type.googleapis.com/google.rpc.DebugInfo","detail":"CANARY"},
    {"@type":"type.googleapis.com/google.rpc.Help","links":[{"description":"CANARY","url":"CANARY"}]}
  ])";
  for (const int status : {400, 401, 403, 404, 408, 413, 429, 499, 500, 503, 504, 302}) {
    const Error error = error_for(body(status, "CANARY illness", details), status);
    CHECK(error.details().upstream_status.empty());
    CHECK(error.details().reason.empty());
    CHECK(error.details().quota_id.empty());
  }
  const std::string long_name(129, 'A');
  CHECK(error_for(body(500, long_name), 500).details().upstream_status.empty());
  CHECK(error_for(body(500, "A\nB"), 500).details().upstream_status.empty());
  CHECK(error_for(body(500, "\xC3\x84"), 500).details().upstream_status.empty());
}

TEST_CASE("A code that is no HTTP status does not become one") {
  for (const char* code : {"1e300", "-1", "99999999999", "18446744073709551615", "4294967799"}) {
    INFO(code);
    const Error error =
        error_for(std::string(R"({"error":{"code":)") + code + R"(,"message":"CANARY"}})", 0);
    CHECK(error.code() == ErrorCode::kInternal);
    CHECK(error.details().http_status == 0);
  }
}

TEST_CASE("A complaint about signatures is known by its words") {
  const auto complaint = [](const std::string& message) {
    return is_signature_error(body(400, "INVALID_ARGUMENT", "[]", message));
  };
  CHECK(complaint("Function call is missing a thought_signature in functionCall parts."));
  CHECK(complaint("Corrupted thought signature."));
  CHECK(complaint("Thought signature is not valid"));
  CHECK(complaint("Invalid value at 'contents[1].parts[0].thoughtSignature'"));
  CHECK(is_signature_error("[" + body(400, "", "[]", "Invalid thought signature") + "]"));
  CHECK_FALSE(complaint("The signature of the request has expired."));
  CHECK_FALSE(complaint("A thought"));
  for (const char* text : {"", "thought signature", "[]", "{}", "7", "{\"error\":7}"}) {
    CHECK_FALSE(is_signature_error(text));
  }
}
