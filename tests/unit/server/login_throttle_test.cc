#include "admin/login_throttle.h"

#include <string>

#include "catch.h"

namespace twinchat::server {
namespace {

using std::chrono::seconds;

const IpAddress kHere = IpAddress::parse("192.0.2.1").value();
const IpAddress kElsewhere = IpAddress::parse("192.0.2.2").value();

TEST_CASE("Three failures are free, then each one doubles the wait up to a quarter of an hour") {
  LoginThrottle throttle;
  LoginThrottle::Clock::time_point now{};
  for (int i = 0; i < 3; ++i) CHECK_FALSE(throttle.attempt("jane", kHere, now));
  for (int wait = 1; wait <= 512; wait *= 2) {
    CHECK(throttle.attempt("jane", kHere, now) == seconds(wait));
    CHECK(throttle.attempt("jane", kHere, now + seconds(wait) - seconds(1)) == seconds(1));
    now += seconds(wait);
    CHECK_FALSE(throttle.attempt("jane", kHere, now));
  }
  CHECK(throttle.attempt("jane", kHere, now) == seconds(900));
  // Neither another name here nor the same elsewhere.
  CHECK_FALSE(throttle.attempt("john", kHere, now));
  CHECK_FALSE(throttle.attempt("jane", kElsewhere, now));
  throttle.succeeded("jane", kHere);
  CHECK_FALSE(throttle.attempt("jane", kHere, now));
}

TEST_CASE("An address that tries one name after the other has to wait as well") {
  LoginThrottle throttle;
  const LoginThrottle::Clock::time_point now{};
  for (int i = 0; i < 20; ++i) CHECK_FALSE(throttle.attempt("u" + std::to_string(i), kHere, now));
  CHECK(throttle.attempt("another", kHere, now));
  CHECK_FALSE(throttle.attempt("another", kElsewhere, now));
}

TEST_CASE("All together have a limit, which does not hold up who is known") {
  LoginThrottle throttle;
  const LoginThrottle::Clock::time_point now{};
  CHECK_FALSE(throttle.attempt("jane", kHere, now));
  throttle.succeeded("jane", kHere);
  for (int i = 0; i < 60; ++i) {
    const auto address = IpAddress::parse("198.51.100." + std::to_string(i)).value();
    CHECK_FALSE(throttle.attempt("victim", address, now));
  }
  CHECK(throttle.attempt("jane", kElsewhere, now) == seconds(60));
  CHECK_FALSE(throttle.attempt("jane", kHere, now));
  CHECK_FALSE(throttle.attempt("jane", kElsewhere, now + seconds(5)));
}

TEST_CASE("Many addresses do not fill the memory, and those that failed last are remembered") {
  LoginThrottle throttle;
  LoginThrottle::Clock::time_point now{};
  for (int i = 0; i < 30'000; ++i) {
    now += seconds(1);
    const std::string text = "10." + std::to_string(i / 65'536) + "." +
                             std::to_string(i / 256 % 256) + "." + std::to_string(i % 256);
    throttle.attempt("victim", IpAddress::parse(text).value(), now);
  }
  for (int i = 0; i < 3; ++i) throttle.attempt("jane", kHere, now);
  CHECK(throttle.attempt("jane", kHere, now));
}

}  // namespace
}  // namespace twinchat::server
