#pragma once

#include <httplib.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "limits/client_address.h"

namespace twinchat::server {

// What the SECURE_* settings say; they mean what they mean in Django, unless something else is
// said.
struct HttpsOptions {
  // The header by which a proxy says that its client came by https, and the value it then has:
  // SECURE_PROXY_SSL_HEADER. Believed from `trusted_proxies` alone.
  std::string proxy_header = "X-Forwarded-Proto";
  std::string proxy_value = "https";
  std::vector<AddressRange> trusted_proxies = {};
  // SECURE_SSL_REDIRECT: whoever comes by http is sent to https, to this host (SECURE_SSL_HOST) or
  // the one that was asked for; not for these paths (SECURE_REDIRECT_EXEMPT; with a * at the end
  // all that begin so), nor for the health checks.
  bool redirect = false;
  std::string redirect_host = {};
  std::vector<std::string> redirect_exempt = {};
  // SECURE_HSTS_SECONDS, _INCLUDE_SUBDOMAINS, _PRELOAD. The admin says a year without.
  std::chrono::seconds hsts{0};
  bool hsts_subdomains = false;
  bool hsts_preload = false;
  // SECURE_REFERRER_POLICY. The admin says no-referrer.
  std::string referrer_policy = "same-origin";
};

// Who came by https, and what that means for their answers.
//
// Thread safety: immutable after construction.
class HttpsRules {
 public:
  explicit HttpsRules(HttpsOptions options = {}) : options_(std::move(options)) {}

  // Whether a request came by https: over TLS to this server, or to a trusted proxy that says so.
  // `proxy_header` is the value of the field of that name; of several values the last counts, which
  // the nearest proxy wrote.
  bool is_secure(bool tls, std::string_view peer, std::string_view proxy_header) const;

  // The name of that field.
  const std::string& proxy_header() const { return options_.proxy_header; }

  // Puts on `headers` what an answer says about https and about the page it was asked from.
  void add_headers(httplib::Headers& headers, bool secure, bool admin) const;

  // The URL to send a request to that came without https; nullopt when it is to be served. `path`
  // is decoded, `target` as it came.
  std::optional<std::string> redirect(bool secure, std::string_view path, std::string_view host,
                                      std::string_view target) const;

 private:
  HttpsOptions options_;
};

}  // namespace twinchat::server
