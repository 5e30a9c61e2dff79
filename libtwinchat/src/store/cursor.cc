#include "store/cursor.h"

#include <charconv>

#include "twinchat/error.h"

namespace twinchat {
namespace {

constexpr char kDigits[] = "0123456789abcdef";
constexpr std::string_view kHex = kDigits;

[[noreturn]] void refuse() {
  throw Error(ErrorCode::kInvalidArgument, "The cursor is not one of this list.");
}

}  // namespace

// Each value in hexadecimal digits, with a dot behind it.
std::string pack_cursor(const std::vector<std::string>& values) {
  std::string cursor;
  for (const std::string& value : values) {
    for (const char c : value) {
      cursor += kDigits[static_cast<unsigned char>(c) >> 4];
      cursor += kDigits[static_cast<unsigned char>(c) & 15u];
    }
    cursor += '.';
  }
  return cursor;
}

std::vector<std::string> unpack_cursor(std::string_view cursor, std::size_t count) {
  std::vector<std::string> values(1);
  for (std::size_t i = 0; i < cursor.size(); ++i) {
    if (cursor[i] == '.') {
      values.emplace_back();
      continue;
    }
    const std::size_t high = kHex.find(cursor[i]);
    const std::size_t low = i + 1 < cursor.size() ? kHex.find(cursor[i + 1]) : kHex.npos;
    if (high == kHex.npos || low == kHex.npos) refuse();
    values.back() += static_cast<char>(high * 16 + low);
    ++i;
  }
  if (values.size() != count + 1 || !values.back().empty()) refuse();
  values.pop_back();
  return values;
}

std::string pack_cursor(std::int64_t id) {
  return pack_cursor(std::vector<std::string>{std::to_string(id)});
}

std::int64_t unpack_id(std::string_view cursor, std::int64_t none) {
  return cursor.empty() ? none : cursor_number(unpack_cursor(cursor, 1).front());
}

std::int64_t cursor_number(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) refuse();
  return number;
}

}  // namespace twinchat
