#include "api/headers.h"

#include "catch.h"

namespace twinchat::server {
namespace {

TEST_CASE("A host is allowed by name, with any port and case and a dot at its end") {
  const AccessRules rules({"localhost", "127.0.0.1", ".example.com", "[::1]"}, {});
  for (const char* host :
       {"localhost", "LocalHost:8000", "localhost.", "localhost.:80", "127.0.0.1:1", "example.com",
        "a.example.com", "a.b.Example.com:443", "[::1]:8000", "[::1]"}) {
    CAPTURE(host);
    CHECK(rules.allows_host(host));
  }
  for (const char* host :
       {"", "evil.com", "localhost.evil.com", "evilexample.com", "localhost:x", "localhost:80:80",
        "localhost/", "user@localhost", "127.0.0.2", "[::2]", "localhost evil", ":80", "."}) {
    CAPTURE(host);
    CHECK_FALSE(rules.allows_host(host));
  }
}

TEST_CASE("A star allows every well-formed host") {
  const AccessRules rules({"*"}, {});
  CHECK(rules.allows_host("anything.at.all:99"));
  CHECK_FALSE(rules.allows_host("a b"));
}

TEST_CASE("An origin is allowed when scheme, host and port are the same") {
  const AccessRules rules({}, {"http://localhost:3000", "https://example.com"});
  CHECK(rules.allows_origin("http://localhost:3000"));
  CHECK(rules.allows_origin("https://example.com"));
  for (const char* origin :
       {"null", "", "http://localhost", "http://localhost:30000", "https://localhost:3000",
        "http://example.com", "https://example.com.evil.com", "https://example.com/", "*"}) {
    CAPTURE(origin);
    CHECK_FALSE(rules.allows_origin(origin));
  }
}

}  // namespace
}  // namespace twinchat::server
