#include "api/https_rules.h"

#include "catch.h"

namespace twinchat::server {
namespace {

std::string hsts_of(const HttpsRules& rules, bool secure, bool admin = false) {
  httplib::Headers headers;
  rules.add_headers(headers, secure, admin);
  const auto found = headers.find("Strict-Transport-Security");
  return found == headers.end() ? "" : found->second;
}

TEST_CASE("A proxy's word on https counts when the proxy is trusted") {
  const HttpsRules rules({.trusted_proxies = {AddressRange::parse("10.0.0.0/8").value()}});
  CHECK(rules.proxy_header() == "X-Forwarded-Proto");
  CHECK(rules.is_secure(true, "192.0.2.1", ""));
  CHECK(rules.is_secure(false, "10.1.2.3", "https"));
  CHECK(rules.is_secure(false, "10.1.2.3", "HTTPS"));
  CHECK(rules.is_secure(false, "10.1.2.3", "http, https"));
  for (const char* value : {"", "http", "https, http", "https,", "httpsx", "on"}) {
    CAPTURE(value);
    CHECK_FALSE(rules.is_secure(false, "10.1.2.3", value));
  }
  CHECK_FALSE(rules.is_secure(false, "192.0.2.1", "https"));
  CHECK_FALSE(rules.is_secure(false, "", "https"));
  CHECK_FALSE(HttpsRules().is_secure(false, "127.0.0.1", "https"));
  // No header is believed when the setting is off.
  const HttpsRules off({.proxy_header = "",
                        .proxy_value = "",
                        .trusted_proxies = {AddressRange::parse("10.0.0.0/8").value()}});
  CHECK_FALSE(off.is_secure(false, "10.1.2.3", ""));
}

TEST_CASE("Strict-Transport-Security goes out over https, as the settings say") {
  CHECK(hsts_of(HttpsRules(), true) == "");
  CHECK(hsts_of(HttpsRules({.hsts = std::chrono::seconds(3600)}), true) == "max-age=3600");
  CHECK(hsts_of(HttpsRules({.hsts = std::chrono::seconds(3600)}), false) == "");
  CHECK(hsts_of(
            HttpsRules(
                {.hsts = std::chrono::seconds(60), .hsts_subdomains = true, .hsts_preload = true}),
            true) == "max-age=60; includeSubDomains; preload");
  CHECK(hsts_of(HttpsRules(), true, true) == "max-age=31536000");
  CHECK(hsts_of(HttpsRules({.hsts = std::chrono::seconds(60)}), true, true) == "max-age=60");
}

TEST_CASE("Who comes without https is sent there, except to what is exempt and the health checks") {
  const HttpsRules rules({.redirect = true, .redirect_exempt = {"/plain/", "/open/*"}});
  CHECK(rules.redirect(false, "/api/", "example.com", "/api/?a=b") ==
        "https://example.com/api/?a=b");
  CHECK(rules.redirect(false, "/plain", "h", "/plain") == "https://h/plain");
  CHECK(rules.redirect(false, "/open", "h", "/open") == "https://h/open");
  CHECK(rules.redirect(false, "/livezz", "h", "/livezz") == "https://h/livezz");
  CHECK(rules.redirect(false, "/", "h", "/") == "https://h/");
  for (const char* path : {"/plain/", "/open/", "/open/a/b", "/livez", "/livez/", "/readyz"}) {
    CAPTURE(path);
    CHECK_FALSE(rules.redirect(false, path, "h", path));
  }
  CHECK_FALSE(rules.redirect(true, "/api/", "h", "/api/"));
  CHECK_FALSE(HttpsRules().redirect(false, "/api/", "h", "/api/"));
  const HttpsRules elsewhere({.redirect = true, .redirect_host = "secure.example:8443"});
  CHECK(elsewhere.redirect(false, "/a", "h:80", "/a") == "https://secure.example:8443/a");
}

}  // namespace
}  // namespace twinchat::server
