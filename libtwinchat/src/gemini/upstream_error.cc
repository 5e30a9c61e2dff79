#include "gemini/upstream_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace twinchat::gemini {
namespace {

using std::chrono::milliseconds;

// A daily quota resets at midnight in California; without a hint from the server this is how long a
// client is told to stay away.
constexpr milliseconds kDailyQuotaPause = std::chrono::hours(1);

struct Row {
  int http_status;
  std::string_view upstream_status;
  ErrorCode code;
  bool retryable;
};

// The first row that fits by name, else by HTTP status, holds.
constexpr std::array<Row, 16> kTable{{
    {400, "INVALID_ARGUMENT", ErrorCode::kInvalidArgument, false},
    {400, "FAILED_PRECONDITION", ErrorCode::kFailedPrecondition, false},
    {400, "OUT_OF_RANGE", ErrorCode::kOutOfRange, false},
    {401, "UNAUTHENTICATED", ErrorCode::kUnauthenticated, false},
    {403, "PERMISSION_DENIED", ErrorCode::kPermissionDenied, false},
    {404, "NOT_FOUND", ErrorCode::kNotFound, false},
    {408, "", ErrorCode::kDeadlineExceeded, true},
    {409, "ABORTED", ErrorCode::kUnavailable, true},
    {413, "", ErrorCode::kInvalidArgument, false},
    {429, "RESOURCE_EXHAUSTED", ErrorCode::kResourceExhausted, true},
    // The server gave up on it, not our caller.
    {499, "CANCELLED", ErrorCode::kUnavailable, true},
    {500, "INTERNAL", ErrorCode::kInternal, true},
    {501, "UNIMPLEMENTED", ErrorCode::kUnimplemented, false},
    {502, "", ErrorCode::kUnavailable, true},
    {503, "UNAVAILABLE", ErrorCode::kUnavailable, true},
    {504, "DEADLINE_EXCEEDED", ErrorCode::kDeadlineExceeded, true},
}};

Row row_for(int http_status, std::string_view upstream_status) {
  for (const Row& row : kTable) {
    if (!upstream_status.empty() && row.upstream_status == upstream_status) return row;
  }
  for (const Row& row : kTable) {
    if (row.http_status == http_status) return row;
  }
  if (http_status >= 500) return {http_status, "", ErrorCode::kUnavailable, true};
  return {http_status, "", ErrorCode::kInternal, false};
}

// The sentence for a visitor. Nothing of the upstream's own words goes in.
std::string safe_sentence(ErrorCode code, const ErrorDetails& details) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kFailedPrecondition:
    case ErrorCode::kOutOfRange:
    case ErrorCode::kUnimplemented:
      return "the model did not accept the request.";
    case ErrorCode::kUnauthenticated:
    case ErrorCode::kPermissionDenied:
      return "the model refused this service's credentials.";
    case ErrorCode::kNotFound:
      return fmt::format(
          "the model \"{}\" is not available; the model setting (GEMINI_MODEL) has to name one "
          "that "
          "is.",
          details.model);
    case ErrorCode::kResourceExhausted:
      return details.retryable ? "the model is receiving too many requests."
                               : "the quota for the model is used up.";
    case ErrorCode::kDeadlineExceeded:
      return "the model took too long to answer.";
    case ErrorCode::kUnavailable:
      return "the model is overloaded or cannot be reached.";
    default:
      return "the model failed to answer.";
  }
}

bool contains(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

// A name of the upstream's as it is kept: text that is none is dropped, for it might quote
// anything.
std::string name_field(const Json& object, const char* name) {
  const std::string value = string_field(object, name);
  const bool is_name = value.size() <= 128 && std::all_of(value.begin(), value.end(), [](char c) {
                         return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                                (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.' ||
                                c == '/';
                       });
  return is_name ? value : std::string();
}

// "... Please retry in 53.01s." and "Your quota will reset after 20s": the time that follows.
std::optional<milliseconds> duration_after(std::string_view message, std::string_view phrase) {
  const std::size_t at = message.find(phrase);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = message.substr(at + phrase.size());
  std::size_t end = rest.find_first_not_of("0123456789.hms");
  rest = rest.substr(0, end);
  while (!rest.empty() && rest.back() == '.') rest.remove_suffix(1);
  return parse_duration(rest);
}

// Whether a quota error will not pass within the time of a chat, by the data that came with it.
bool is_spent(const Json& error, const ErrorDetails& details, std::string_view message) {
  if (contains(details.quota_id, "PerDay") || contains(message, "limit: 0,") ||
      message.ends_with("limit: 0") || contains(message, "limit: 0\n")) {
    return true;
  }
  for (const Json& detail : field(error, "details")) {
    for (const Json& violation : field(detail, "violations")) {
      if (string_field(violation, "quotaValue") == "0" ||
          contains(string_field(violation, "quotaId"), "PerDay")) {
        return true;
      }
    }
  }
  return contains(message, "spend cap") || contains(message, "spending cap") ||
         details.reason == "BILLING_DISABLED";
}

void read_details(const Json& error, ErrorDetails& details) {
  for (const Json& detail : field(error, "details")) {
    const std::string type = string_field(detail, "@type");
    if (type.ends_with("google.rpc.ErrorInfo")) {
      details.reason = name_field(detail, "reason");
      if (!details.retry_after) {
        details.retry_after =
            parse_duration(string_field(field(detail, "metadata"), "quotaResetDelay"));
      }
    } else if (type.ends_with("google.rpc.RetryInfo")) {
      const auto delay = parse_duration(string_field(detail, "retryDelay"));
      if (delay) details.retry_after = delay;
    } else if (type.ends_with("google.rpc.QuotaFailure")) {
      for (const Json& violation : field(detail, "violations")) {
        const std::string id = name_field(violation, "quotaId");
        if (details.quota_id.empty() || contains(id, "PerDay")) details.quota_id = id;
      }
    }
  }
}

}  // namespace

std::optional<milliseconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  // In whole nanoseconds: what a server says in decimals has to come out exact.
  constexpr std::int64_t kLongest = 365LL * 24 * 3'600 * 1'000'000'000;
  std::int64_t total = 0;
  const auto digits = [&text] {
    const std::string_view found = text.substr(0, text.find_first_not_of("0123456789"));
    text.remove_prefix(found.size());
    return found;
  };
  while (!text.empty()) {
    const std::string_view whole = digits();
    std::string_view decimals;
    if (text.starts_with('.')) {
      text.remove_prefix(1);
      decimals = digits();
    }
    if (whole.empty() && decimals.empty()) return std::nullopt;
    std::int64_t unit = 0;
    std::size_t unit_size = 1;
    if (text.starts_with("ms")) {
      unit = 1'000'000;
      unit_size = 2;
    } else if (text.starts_with('s')) {
      unit = 1'000'000'000;
    } else if (text.starts_with('m')) {
      unit = 60'000'000'000;
    } else if (text.starts_with('h')) {
      unit = 3'600'000'000'000;
    } else {
      return std::nullopt;
    }
    text.remove_prefix(unit_size);
    std::int64_t number = 0;
    for (const char digit : whole) number = std::min(number * 10 + (digit - '0'), kLongest / 1'000);
    total += number > kLongest / unit ? kLongest : number * unit;
    for (const char digit : decimals) {
      unit /= 10;
      total += unit > 0 ? (digit - '0') * unit : digit > '0';
    }
    total = std::min(total, kLongest);
  }
  return std::chrono::ceil<milliseconds>(std::chrono::nanoseconds(total));
}

Error upstream_error(const Json& body, int http_status, const std::string& model,
                     std::string_view retry_after) {
  const Json& status = body.is_array() && !body.empty() ? body.front() : body;
  const Json& error = field(status, "error");
  const std::string message = string_field(error, "message");

  ErrorDetails details;
  details.model = model;
  details.upstream_status = name_field(error, "status");
  details.http_status = http_status;
  if (const std::int64_t code = int_field(error, "code");
      http_status == 0 && code > 0 && code < 600) {
    details.http_status = static_cast<int>(code);
  }
  int seconds = 0;
  const auto header =
      std::from_chars(retry_after.data(), retry_after.data() + retry_after.size(), seconds);
  if (header.ec == std::errc() && seconds >= 0) details.retry_after = std::chrono::seconds(seconds);
  read_details(error, details);
  for (const std::string_view phrase : {"Please retry in ", "will reset after "}) {
    if (!details.retry_after) details.retry_after = duration_after(message, phrase);
  }

  const Row row = row_for(details.http_status, details.upstream_status);
  ErrorCode code = row.code;
  details.retryable = row.retryable;
  if (code == ErrorCode::kResourceExhausted && is_spent(error, details, message)) {
    details.retryable = false;
    if (!details.retry_after) details.retry_after = kDailyQuotaPause;
  }
  if (details.reason == "API_KEY_INVALID") code = ErrorCode::kUnauthenticated;
  if (code == ErrorCode::kDeadlineExceeded) details.stage = "upstream";
  // The upstream's message may quote the request, so not even a log gets it.
  details.diagnostic = fmt::format("upstream answered {} {} {}", details.http_status,
                                   details.upstream_status, details.reason);
  std::string sentence = safe_sentence(code, details);
  return Error(code, sentence, std::move(details));
}

Error upstream_error(std::string_view body, int http_status, const std::string& model,
                     std::string_view retry_after) {
  return upstream_error(parse_json(body).value_or(Json()), http_status, model, retry_after);
}

bool is_signature_error(std::string_view body) {
  const auto json = parse_json(body);
  if (!json) return false;
  const Json& status = json->is_array() && !json->empty() ? json->front() : *json;
  std::string message = string_field(field(status, "error"), "message");
  std::transform(message.begin(), message.end(), message.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return contains(message, "thought signature") || contains(message, "thought_signature") ||
         contains(message, "thoughtsignature");
}

}  // namespace twinchat::gemini
