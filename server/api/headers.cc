#include "api/headers.h"

#include <algorithm>

#include "text.h"

namespace twinchat::server {
namespace {

// The host of "host:port" or "[v6]:port", small, without the dot at its end; empty when it is not
// of that form.
std::string host_name(std::string_view field) {
  std::string host = ascii_lower(field);
  const std::size_t bracket = host.find(']');
  const std::size_t colon = host.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon != std::string::npos) {
    const std::string port = host.substr(colon + 1);
    if (!std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return {};
    }
    host.resize(colon);
  }
  if (host.ends_with('.')) host.pop_back();
  const bool clean = std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' ||
           c == '[' || c == ']' || c == ':';
  });
  return clean ? host : std::string();
}

}  // namespace

AccessRules::AccessRules(std::vector<std::string> hosts, std::vector<std::string> origins)
    : hosts_(std::move(hosts)), origins_(std::move(origins)) {}

bool AccessRules::allows_host(std::string_view host_field) const {
  const std::string host = host_name(host_field);
  if (host.empty()) return false;
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const std::string& allowed) {
    if (allowed == "*" || allowed == host) return true;
    return allowed.starts_with('.') && (host.ends_with(allowed) || host == allowed.substr(1));
  });
}

bool AccessRules::allows_origin(std::string_view origin) const {
  return std::find(origins_.begin(), origins_.end(), ascii_lower(origin)) != origins_.end();
}

void add_security_headers(httplib::Headers& headers, bool admin) {
  headers.emplace("X-Content-Type-Options", "nosniff");
  headers.emplace("X-Frame-Options", "DENY");
  headers.emplace("Cross-Origin-Opener-Policy", "same-origin");
  if (!admin) return;
  headers.emplace("Cross-Origin-Resource-Policy", "same-origin");
  headers.emplace("Content-Security-Policy",
                  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                  "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri "
                  "'none'; object-src 'none'");
}

void add_cors_headers(httplib::Headers& headers, const AccessRules& rules, std::string_view origin,
                      bool preflight) {
  headers.emplace("Vary", "Origin");
  if (origin.empty() || !rules.allows_origin(origin)) return;
  headers.emplace("Access-Control-Allow-Origin", std::string(origin));
  if (!preflight) {
    headers.emplace("Access-Control-Expose-Headers",
                    "Idempotent-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id");
    return;
  }
  headers.emplace("Access-Control-Allow-Methods", "DELETE, GET, OPTIONS, PATCH, POST, PUT");
  headers.emplace("Access-Control-Allow-Headers",
                  "accept, authorization, content-type, user-agent, x-csrftoken, "
                  "x-requested-with, idempotency-key, last-event-id");
  headers.emplace("Access-Control-Max-Age", "86400");
}

}  // namespace twinchat::server
