#include "gemini/json.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "text.h"

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

// Neither quoted nor part of a longer character: most bytes of most texts.
constexpr bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

// The first byte from `begin` on that is not plain, or the end.
std::size_t end_of_plain(std::string_view text, std::size_t begin) {
  constexpr std::size_t kBlock = 16;  // looked at without a branch, for the compiler to vectorize
  while (begin + kBlock <= text.size()) {
    unsigned char plain = 1;
    for (std::size_t i = 0; i < kBlock; ++i) {
      plain = static_cast<unsigned char>(plain & (is_plain(text[begin + i]) ? 1 : 0));
    }
    if (plain == 0) break;
    begin += kBlock;
  }
  while (begin < text.size() && is_plain(text[begin])) ++begin;
  return begin;
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

void append_json_string(std::string& out, std::string_view text) {
  const std::size_t start = out.size();
  bool is_valid = false;  // as UTF-8; not asked before it matters
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t end = end_of_plain(text, i);
    out += text.substr(i, end - i);
    i = end;
    if (i == text.size()) break;
    const char c = text[i++];
    if (static_cast<unsigned char>(c) >= 0x80) {
      if (!is_valid && !count_code_points(text)) {
        out.resize(start);
        out += dump_json(Json(text));
        return;
      }
      is_valid = true;
      out += c;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else {
      const std::string control = dump_json(Json(std::string(1, c)));
      out.append(control, 1, control.size() - 2);
    }
  }
  out += '"';
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
