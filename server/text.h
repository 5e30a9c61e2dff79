#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twinchat::server {

// Small questions about text. All take bytes and are pure functions, safe from any thread.

// The code point at `position` of valid UTF-8, moving `position` past it; nullopt, with `position`
// where it was, when what stands there is not UTF-8 (overlong forms, surrogates and values beyond
// U+10FFFF included).
std::optional<char32_t> next_code_point(std::string_view text, std::size_t& position);

bool is_utf8(std::string_view text);

// Code points of valid UTF-8.
std::size_t count_code_points(std::string_view text);

// Without white space, as Unicode defines it, at either end.
std::string_view trim(std::string_view text);

// ASCII letters made small; everything else as it is.
std::string ascii_lower(std::string_view text);

// The parts between the separators, trimmed, empty ones left out.
std::vector<std::string> split_list(std::string_view text, char separator);

// A UUID in its usual form, 8-4-4-4-12 hexadecimal digits.
bool is_uuid(std::string_view text);

// With each %XX undone; what is no such thing stays as it is.
std::string percent_decoded(std::string_view text);

// The value of the last parameter of that name in a request target's query ("/path?a=b&c=d"), with
// + and %XX undone; nullopt when there is none.
std::optional<std::string> query_value(std::string_view target, std::string_view name);

}  // namespace twinchat::server
