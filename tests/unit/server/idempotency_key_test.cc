#include "api/idempotency_key.h"

#include "api/refusal.h"
#include "catch.h"

namespace twinchat::server {
namespace {

std::optional<std::string> key_of(const std::string& field) {
  httplib::Request request;
  request.headers.emplace("Idempotency-Key", field);
  return idempotency_key(request);
}

TEST_CASE("A key may be quoted or bare") {
  CHECK(key_of("abc-1") == "abc-1");
  CHECK(key_of("\"abc-1\"") == "abc-1");
  CHECK(key_of(R"("a\"b\\c")") == R"(a"b\c)");
  CHECK(key_of(std::string(255, 'k')) == std::string(255, 'k'));
  CHECK_FALSE(idempotency_key({}).has_value());
}

TEST_CASE("A key that is empty, too long, not printable or badly quoted is refused") {
  const std::string field = GENERATE(as<std::string>(), "", "\"\"", "\"", "\"abc", "\"abc\"d",
                                     "\"abc\\", std::string(256, 'k'), "caf\xC3\xA9", "a\tb");
  CAPTURE(field);
  CHECK_THROWS_AS(key_of(field), Refusal);
}

}  // namespace
}  // namespace twinchat::server
