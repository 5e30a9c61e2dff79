#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace twinchat::server {

// What a million tokens cost, for the estimate in the admin.
//
// Thread safety: a plain value.
struct TokenPrices {
  double input = 0;   // of the prompt
  double cached = 0;  // of the part of it that the model had in its cache
  double output = 0;  // of answers and thoughts
  std::string currency = "USD";

  // "input=0.3, cached=0.075, output=2.5, currency=USD"; what is left out is as above. nullopt for
  // anything else.
  static std::optional<TokenPrices> parse(std::string_view text);
};

}  // namespace twinchat::server
