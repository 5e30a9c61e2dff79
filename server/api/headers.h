#pragma once

#include <httplib.h>

#include <string>
#include <string_view>
#include <vector>

namespace twinchat::server {

// Which hosts and which origins are served.
//
// Thread safety: immutable after construction.
class AccessRules {
 public:
  // As in Settings: hosts as ALLOWED_HOSTS has them, origins as CORS_ALLOWED_ORIGINS.
  AccessRules(std::vector<std::string> hosts, std::vector<std::string> origins);

  // Whether a request with that Host field is for us: any port, any case, a dot at the end allowed.
  bool allows_host(std::string_view host_field) const;

  // Whether scripts of that origin may read answers. Exact, apart from case.
  bool allows_origin(std::string_view origin) const;

 private:
  std::vector<std::string> hosts_;
  std::vector<std::string> origins_;
};

// Puts the fields on `headers` that every answer carries, whatever it is and however it was asked
// for (see HttpsRules for the others); those of the admin are stricter.
void add_security_headers(httplib::Headers& headers, bool admin = false);

// Puts those on that let an allowed page, the one of Origin, read the answer; `preflight` adds what
// it may send.
void add_cors_headers(httplib::Headers& headers, const AccessRules& rules, std::string_view origin,
                      bool preflight);

}  // namespace twinchat::server
