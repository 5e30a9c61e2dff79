#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "gemini/json.h"
#include "twinchat/error.h"

namespace twinchat::gemini {

// "34.07s", "373.8ms", "1h2m3s" -> the time, rounded up to milliseconds; nullopt for anything else.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// The Error for an upstream's error answer: by its HTTP status and, where the body is a
// google.rpc.Status (possibly in an array), by what that says. `http_status` 0 means that it came
// inside of a stream. `retry_after` is the Retry-After header. The table of upstream's codes is
// here and nowhere else.
Error upstream_error(const Json& body, int http_status, const std::string& model,
                     std::string_view retry_after = {});
Error upstream_error(std::string_view body, int http_status, const std::string& model,
                     std::string_view retry_after = {});

// Whether an error says that a thought signature was not accepted: worth one try without.
bool is_signature_error(std::string_view body);

}  // namespace twinchat::gemini
