#include "gemini/json.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace twinchat::gemini {
namespace {

constexpr std::size_t kMaxDepth = 128;

bool is_too_deep(std::string_view text) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

}  // namespace

std::optional<Json> parse_json(std::string_view text) {
  if (is_too_deep(text)) return std::nullopt;
  Json value = Json::parse(text, nullptr, false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const Json& field(const Json& object, const char* name) {
  static const Json none;
  if (!object.is_object()) return none;
  const auto found = object.find(name);
  return found == object.end() ? none : *found;
}

std::string string_field(const Json& object, const char* name) {
  const Json& value = field(object, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::int64_t int_field(const Json& object, const char* name) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  const Json& value = field(object, name);
  if (value.is_number_unsigned()) {
    return static_cast<std::int64_t>(
        std::min(value.get<std::uint64_t>(), static_cast<std::uint64_t>(kMost)));
  }
  if (value.is_number_float()) {
    // 2^63, the first double that no int64 holds.
    constexpr double kTooMuch = 9223372036854775808.0;
    const double number = value.get<double>();
    if (number >= kTooMuch) return kMost;
    return number < -kTooMuch ? std::numeric_limits<std::int64_t>::min()
                              : static_cast<std::int64_t>(number);
  }
  return value.is_number() ? value.get<std::int64_t>() : 0;
}

}  // namespace twinchat::gemini
