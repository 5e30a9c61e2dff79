#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace twinchat {

// The number of code points in `text`, or nullopt when it is not well-formed UTF-8 (overlong forms,
// surrogates and values above U+10FFFF are malformed).
std::optional<std::size_t> count_code_points(std::string_view text) noexcept;

}  // namespace twinchat
