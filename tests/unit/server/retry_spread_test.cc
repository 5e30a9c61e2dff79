#include "api/retry_spread.h"

#include <set>

#include "catch.h"

using twinchat::server::RetrySpread;

namespace {

TEST_CASE("A wait is spread over the seconds after it, each as likely") {
  double chance = 0;
  const RetrySpread spread([&] { return chance; });
  CHECK(spread(10, 4) == 10);
  chance = 0.5;
  CHECK(spread(10, 4) == 12);
  chance = 0.9999;
  CHECK(spread(10, 4) == 14);
  CHECK(spread(10, 0) == 10);
}

TEST_CASE("Without a source of chance of the caller's there is one") {
  const RetrySpread spread;
  std::set<int> seen;
  for (int i = 0; i < 10'000; ++i) seen.insert(spread(5, 3));
  CHECK(seen == std::set<int>{5, 6, 7, 8});
}

TEST_CASE("The spread that suits a wait is half of it, within bounds") {
  CHECK(RetrySpread::suited_to(1) == 2);
  CHECK(RetrySpread::suited_to(60) == 30);
  CHECK(RetrySpread::suited_to(86'400) == 300);
}

}  // namespace
