#include "admin/prices.h"

#include <charconv>

#include "text.h"

namespace twinchat::server {

std::optional<TokenPrices> TokenPrices::parse(std::string_view text) {
  TokenPrices prices;
  for (const std::string& pair : split_list(text, ',')) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos) return std::nullopt;
    const std::string name(trim(std::string_view(pair).substr(0, equals)));
    const std::string value(trim(std::string_view(pair).substr(equals + 1)));
    if (name == "currency") {
      if (value.size() != 3) return std::nullopt;
      prices.currency = value;
      continue;
    }
    double* const price = name == "input"    ? &prices.input
                          : name == "cached" ? &prices.cached
                          : name == "output" ? &prices.output
                                             : nullptr;
    if (price == nullptr) return std::nullopt;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), *price);
    if (error != std::errc() || end != value.data() + value.size() || !(*price >= 0)) {
      return std::nullopt;
    }
  }
  return prices;
}

}  // namespace twinchat::server
