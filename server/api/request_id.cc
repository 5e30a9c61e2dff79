#include "api/request_id.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

namespace twinchat::server {
namespace {

bool is_lower_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_all_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

bool is_id_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

}  // namespace

std::string request_id(std::string_view field) {
  if (!field.empty() && field.size() <= 64 &&
      std::all_of(field.begin(), field.end(), is_id_character)) {
    return std::string(field);
  }
  // It names, it protects nothing.
  thread_local std::mt19937_64 random{(std::uint64_t{std::random_device{}()} << 32) |
                                      std::random_device{}()};
  const std::uint64_t high = random();
  return fmt::format("{:016x}{:016x}", high, random());
}

std::string trace_id(std::string_view traceparent) {
  // version "-" trace id "-" parent id "-" flags, and in later versions perhaps "-" and more.
  constexpr std::size_t kSize = 55;
  if (traceparent.size() < kSize) return {};
  const std::string_view version = traceparent.substr(0, 2);
  const std::string_view trace = traceparent.substr(3, 32);
  const std::string_view parent = traceparent.substr(36, 16);
  const std::string_view flags = traceparent.substr(53, 2);
  for (const std::size_t hyphen : {2u, 35u, 52u}) {
    if (traceparent[hyphen] != '-') return {};
  }
  for (const std::string_view part : {version, trace, parent, flags}) {
    if (!is_lower_hex(part)) return {};
  }
  if (version == "ff" || is_all_zero(trace) || is_all_zero(parent)) return {};
  if (traceparent.size() > kSize && (version == "00" || traceparent[kSize] != '-')) return {};
  return std::string(trace);
}

}  // namespace twinchat::server
