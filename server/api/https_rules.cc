#include "api/https_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text.h"

namespace twinchat::server {
namespace {

constexpr std::array<std::string_view, 2> kHealthChecks = {"/livez", "/readyz"};

bool is_health_check(std::string_view path) {
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::find(kHealthChecks.begin(), kHealthChecks.end(), path) != kHealthChecks.end();
}

bool is_exempt(std::string_view path, std::string_view pattern) {
  if (!pattern.ends_with('*')) return path == pattern;
  return path.starts_with(pattern.substr(0, pattern.size() - 1));
}

}  // namespace

bool HttpsRules::is_secure(bool tls, std::string_view peer, std::string_view proxy_header) const {
  if (tls) return true;
  if (proxy_header.empty()) return false;
  const std::size_t comma = proxy_header.rfind(',');
  if (comma != std::string_view::npos) proxy_header.remove_prefix(comma + 1);
  if (ascii_lower(trim(proxy_header)) != ascii_lower(options_.proxy_value)) return false;
  const auto address = IpAddress::parse(peer);
  return address &&
         std::any_of(options_.trusted_proxies.begin(), options_.trusted_proxies.end(),
                     [&](const AddressRange& range) { return range.contains(*address); });
}

void HttpsRules::add_headers(httplib::Headers& headers, bool secure, bool admin) const {
  headers.emplace("Referrer-Policy", admin ? "no-referrer" : options_.referrer_policy);
  // Browsers hear it over https alone; Django says it there alone, too.
  if (secure && options_.hsts.count() > 0) {
    headers.emplace("Strict-Transport-Security",
                    fmt::format("max-age={}{}{}", options_.hsts.count(),
                                options_.hsts_subdomains ? "; includeSubDomains" : "",
                                options_.hsts_preload ? "; preload" : ""));
  } else if (admin) {
    headers.emplace("Strict-Transport-Security", "max-age=31536000");
  }
}

std::optional<std::string> HttpsRules::redirect(bool secure, std::string_view path,
                                                std::string_view host,
                                                std::string_view target) const {
  if (!options_.redirect || secure || is_health_check(path)) return std::nullopt;
  const auto& exempt = options_.redirect_exempt;
  if (std::any_of(exempt.begin(), exempt.end(),
                  [&](const std::string& pattern) { return is_exempt(path, pattern); })) {
    return std::nullopt;
  }
  return fmt::format("https://{}{}", options_.redirect_host.empty() ? host : options_.redirect_host,
                     target);
}

}  // namespace twinchat::server
