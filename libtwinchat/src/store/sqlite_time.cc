#include "store/sqlite_time.h"

#include <chrono>
#include <cstdio>

namespace twinchat::sqlite {
namespace {

// Takes exactly `digits` decimal digits off the front of `text`.
bool take_number(std::string_view& text, std::size_t digits, int& value) {
  if (text.size() < digits) return false;
  value = 0;
  for (char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

// Microseconds; what is finer is cut off.
int take_fraction(std::string_view& text) {
  int value = 0;
  int scale = 100'000;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    value += (text.front() - '0') * scale;
    scale /= 10;
    text.remove_prefix(1);
  }
  return value;
}

}  // namespace

std::string time_text(Timestamp time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  const auto fraction = clock.subseconds().count();
  char text[64];
  const int size = std::snprintf(
      text, sizeof text,
      fraction == 0 ? "%04d-%02u-%02u %02d:%02d:%02d" : "%04d-%02u-%02u %02d:%02d:%02d.%06d",
      static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
      static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
      static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
      static_cast<int>(fraction));
  return std::string(text, static_cast<std::size_t>(size));
}

std::optional<Timestamp> time_from_text(std::string_view text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, micros = 0;
  if (!take_number(text, 4, year) || !take(text, '-') || !take_number(text, 2, month) ||
      !take(text, '-') || !take_number(text, 2, day) || !(take(text, ' ') || take(text, 'T')) ||
      !take_number(text, 2, hour) || !take(text, ':') || !take_number(text, 2, minute) ||
      !take(text, ':') || !take_number(text, 2, second)) {
    return std::nullopt;
  }
  if (take(text, '.')) micros = take_fraction(text);
  std::chrono::minutes offset{0};
  if (!text.empty() && !take(text, 'Z')) {
    const bool east = text.front() == '+';
    int hours = 0, minutes = 0;
    if (!(take(text, '+') || take(text, '-')) || !take_number(text, 2, hours)) return std::nullopt;
    take(text, ':');
    if (!text.empty() && !take_number(text, 2, minutes)) return std::nullopt;
    offset = std::chrono::minutes((east ? 1 : -1) * (hours * 60 + minutes));
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!text.empty() || !date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + std::chrono::microseconds(micros) - offset;
}

}  // namespace twinchat::sqlite
