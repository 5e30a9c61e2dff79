#include "admin/login_throttle.h"

#include <string>

#include "catch.h"
#include "twinchat/database.h"

namespace twinchat::server {
namespace {

using std::chrono::seconds;

const IpAddress kHere = IpAddress::parse("192.0.2.1").value();
const IpAddress kElsewhere = IpAddress::parse("192.0.2.2").value();

// A server of its own over `database`.
LoginThrottle throttle_on(const Database& database) {
  return LoginThrottle(*database.accounts, KeyedHash("the same for all"));
}

TEST_CASE("Three failures are free, then each one doubles the wait up to a quarter of an hour") {
  const Database database = make_memory_database();
  LoginThrottle throttle = throttle_on(database);
  Timestamp now{};
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
  const Database database = make_memory_database();
  LoginThrottle throttle = throttle_on(database);
  const Timestamp now{};
  for (int i = 0; i < 20; ++i) CHECK_FALSE(throttle.attempt("u" + std::to_string(i), kHere, now));
  CHECK(throttle.attempt("another", kHere, now));
  CHECK_FALSE(throttle.attempt("another", kElsewhere, now));
}

TEST_CASE("All together have a limit, which does not hold up who is known") {
  const Database database = make_memory_database();
  LoginThrottle throttle = throttle_on(database);
  const Timestamp now{};
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

TEST_CASE("Several servers on one database count together, and one with another key by itself") {
  const Database database = make_memory_database();
  LoginThrottle one = throttle_on(database);
  LoginThrottle two = throttle_on(database);
  const Timestamp now{};
  CHECK_FALSE(one.attempt("jane", kHere, now));
  CHECK_FALSE(two.attempt("jane", kHere, now));
  CHECK_FALSE(one.attempt("jane", kHere, now));
  CHECK(two.attempt("jane", kHere, now) == seconds(1));
  CHECK(one.attempt("jane", kHere, now) == seconds(1));
  LoginThrottle other(*database.accounts, KeyedHash("another"));
  CHECK_FALSE(other.attempt("jane", kHere, now));
  two.succeeded("jane", kHere, now);
  CHECK_FALSE(one.attempt("jane", kHere, now));
}

TEST_CASE("Failures are forgotten after a day, and who has logged in is known for longer") {
  const Database database = make_memory_database();
  LoginThrottle throttle = throttle_on(database);
  Timestamp now{};
  for (int i = 0; i < 3; ++i) throttle.attempt("john", kHere, now);
  CHECK(throttle.attempt("john", kHere, now));
  throttle.attempt("jane", kElsewhere, now);
  throttle.succeeded("jane", kElsewhere, now);
  now += std::chrono::hours(24);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(throttle.attempt("john", kHere, now));
  for (int i = 0; i < 57; ++i) {
    throttle.attempt("victim", IpAddress::parse("198.51.100." + std::to_string(i)).value(), now);
  }
  CHECK(throttle.attempt("john", kElsewhere, now) == seconds(60));
  CHECK_FALSE(throttle.attempt("jane", kElsewhere, now));
}

TEST_CASE(
    "A clock that is set back makes nobody wait, and one that is a little behind changes nothing") {
  const Database database = make_memory_database();
  LoginThrottle throttle = throttle_on(database);
  const Timestamp now{std::chrono::hours(1'000)};
  Timestamp later = now;
  for (int i = 0; i < 20; ++i) {
    throttle.attempt("jane", kHere, later);
    later += seconds(1'000);
  }
  throttle.attempt("jane", kHere, later);
  CHECK(throttle.attempt("jane", kHere, later - seconds(10)) == seconds(900));
  CHECK_FALSE(throttle.attempt("jane", kHere, now - std::chrono::hours(900)));
  CHECK_FALSE(throttle.attempt("john", kElsewhere, now - std::chrono::hours(900)));
}

}  // namespace
}  // namespace twinchat::server
