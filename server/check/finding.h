#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace twinchat::server {

// How bad it is: worth knowing, better mended, or not to be served with.
enum class Severity { kNote, kWarning, kError };

// "note", "warning", "error"
std::string_view name_of(Severity severity);

// Something about an installation that an operator should hear of.
//
// Thread safety: a plain value.
struct Finding {
  std::string id;  // of a few words, the same for ever: "rate-limits-off"
  Severity severity = Severity::kWarning;
  std::string what;    // a sentence; never a secret
  std::string remedy;  // and what to do about it
};

}  // namespace twinchat::server
