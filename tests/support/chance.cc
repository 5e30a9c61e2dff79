#include "chance.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>

namespace twinchat::testing {
namespace {

template <class Number>
Number number_in(const char* variable, const char* text) {
  Number number{};
  const char* const end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number < 1) {
    throw std::invalid_argument(std::string(variable) + " is no positive number");
  }
  return number;
}

}  // namespace

int rounds(const char* variable, int usual) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? usual : number_in<int>(variable, text);
}

std::uint32_t chance_seed() {
  if (const char* const text = std::getenv("TWINCHAT_SEED")) {
    return number_in<std::uint32_t>("TWINCHAT_SEED", text);
  }
  return std::random_device{}();
}

}  // namespace twinchat::testing
