#include "api/idempotency_key.h"

#include <algorithm>

#include "api/refusal.h"
#include "text.h"

namespace twinchat::server {
namespace {

// What a quoted string of RFC 8941 means; nullopt when the quotes do not close.
std::optional<std::string> unquoted(std::string_view quoted) {
  std::string value;
  for (std::size_t i = 1; i < quoted.size(); ++i) {
    if (quoted[i] == '"') return i + 1 == quoted.size() ? std::optional(value) : std::nullopt;
    if (quoted[i] == '\\' && ++i == quoted.size()) break;
    value += quoted[i];
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> idempotency_key(const httplib::Request& request) {
  if (!request.has_header("Idempotency-Key")) return std::nullopt;
  const std::string field = request.get_header_value("Idempotency-Key");
  const std::string_view text = trim(field);
  const auto key = text.starts_with('"') ? unquoted(text) : std::string(text);
  const bool printable =
      key && std::all_of(key->begin(), key->end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (!key || key->empty() || key->size() > 255 || !printable) {
    throw Refusal(400, {{"detail", "Idempotency-Key takes 1 to 255 printable ASCII characters."}});
  }
  return key;
}

}  // namespace twinchat::server
