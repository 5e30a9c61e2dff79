// Any error body gives an Error whose texts are the library's own.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "gemini/upstream_error.h"
#include "require.h"

using namespace twinchat;
using namespace twinchat::gemini;

namespace {

constexpr std::chrono::hours kYear(365 * 24);

bool is_name(const std::string& text) {
  return text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '_' || c == '-' || c == '.' || c == '/';
         });
}

void check(const Error& error) {
  const std::string_view what = error.what();
  require(what == "the model did not accept the request." ||
          what == "the model refused this service's credentials." ||
          what.starts_with("the model \"asked\" is not available;") ||
          what == "the model is receiving too many requests." ||
          what == "the quota for the model is used up." ||
          what == "the model took too long to answer." ||
          what == "the model is overloaded or cannot be reached." ||
          what == "the model failed to answer.");
  const ErrorDetails& details = error.details();
  require(is_name(details.upstream_status) && is_name(details.reason) && is_name(details.quota_id));
  require(details.http_status >= 0);
  require(details.model == "asked");
  if (details.retry_after) {
    require(details.retry_after->count() >= 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static constexpr int kStatuses[] = {0,   200, 301, 400, 401, 403, 404, 408, 409,
                                      413, 429, 499, 500, 501, 502, 503, 504, 599};
  const int status = kStatuses[data[0] % std::size(kStatuses)];
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  check(upstream_error(input, status, "asked"));
  check(upstream_error(std::string_view(), status, "asked", input));
  is_signature_error(input);
  if (const auto duration = parse_duration(input)) {
    require(duration->count() >= 0 && *duration <= kYear);
  }
  return 0;
}
