#include "gemini/retry.h"

#include <chrono>
#include <optional>
#include <vector>

#include "catch.h"
#include "gemini/breaker.h"

using namespace twinchat;
using namespace twinchat::gemini;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

namespace {

Error failure(ErrorDetails details = {.retryable = true}) {
  return Error(ErrorCode::kUnavailable, "x", std::move(details));
}

std::optional<milliseconds> delay_for(const RetryCount& count, const Error& error, double random,
                                      std::optional<milliseconds> time_left = {},
                                      const RetryOptions& options = {}) {
  return retry_delay(options, count, error, time_left, [random] { return random; });
}

constexpr double kAlmostOne = 0.999999999;

using Pass = CircuitBreaker::Pass;

CircuitBreaker::TimePoint at(milliseconds time) {
  return CircuitBreaker::TimePoint(std::chrono::hours(1'000) + time);
}

}  // namespace

TEST_CASE("The pause before an attempt is random up to a limit that doubles to its maximum") {
  RetryOptions options{.max_attempts = 100};
  const std::vector<milliseconds> limits{500ms,   1'000ms,  2'000ms,  4'000ms,
                                         8'000ms, 16'000ms, 20'000ms, 20'000ms};
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const RetryCount count{.attempts = static_cast<int>(i) + 1};
    CHECK(delay_for(count, failure(), 0.0, {}, options) == 0ms);
    CHECK(delay_for(count, failure(), 0.5, {}, options) == limits[i] / 2);
    CHECK(delay_for(count, failure(), kAlmostOne, {}, options) == limits[i]);
  }
  CHECK(delay_for({.attempts = 99}, failure(), kAlmostOne, {}, options) == 20'000ms);
  options.max_backoff = 100ms;
  CHECK(delay_for({.attempts = 1}, failure(), 0.5, {}, options) == 50ms);
}

TEST_CASE("Attempts end at their number, and at once for what will not pass") {
  CHECK(delay_for({.attempts = 3}, failure(), 0.5));
  CHECK_FALSE(delay_for({.attempts = 4}, failure(), 0.5));
  CHECK_FALSE(delay_for({.attempts = 1}, failure(), 0.5, {}, {.max_attempts = 1}));
  CHECK_FALSE(delay_for({.attempts = 1}, failure({.retryable = false}), 0.5));
}

TEST_CASE("A server's delay is kept to, with a tenth of it at most on top") {
  const auto asked = [](milliseconds delay) {
    return failure({.retry_after = delay, .retryable = true});
  };
  CHECK(delay_for({.attempts = 1}, asked(2'000ms), 0.0) == 2'000ms);
  CHECK(delay_for({.attempts = 1}, asked(2'000ms), 0.5) == 2'100ms);
  CHECK(delay_for({.attempts = 1}, asked(2'000ms), kAlmostOne) == 2'200ms);
  CHECK(delay_for({.attempts = 1}, asked(60'000ms), kAlmostOne) == 61'000ms);
  CHECK(delay_for({.attempts = 1}, asked(60'001ms), 0.0) == std::nullopt);
  // Its own pause where that is longer.
  CHECK(delay_for({.attempts = 3}, asked(100ms), 0.5) == 1'000ms);
  CHECK(delay_for({.attempts = 1}, asked(0ms), 0.5) == 250ms);
}

TEST_CASE("A pause that would reach the deadline is not begun") {
  CHECK(delay_for({.attempts = 1}, failure(), 0.5, 251ms) == 250ms);
  CHECK_FALSE(delay_for({.attempts = 1}, failure(), 0.5, 250ms));
  CHECK_FALSE(delay_for({.attempts = 1}, failure(), 0.0, 0ms));
  CHECK_FALSE(delay_for({.attempts = 1}, failure(), 0.0, -5ms));
  CHECK_FALSE(delay_for({.attempts = 1}, failure({.retry_after = 3'000ms, .retryable = true}), 0.0,
                        3'000ms));
}

TEST_CASE("An empty answer is asked for again as often as is set, a rare failure once") {
  const Error empty = failure({.retryable = true, .reason = "EMPTY_ANSWER"});
  CHECK(delay_for({.attempts = 1, .empty_answers = 1}, empty, 0.5));
  CHECK(delay_for({.attempts = 2, .empty_answers = 2}, empty, 0.5));
  CHECK_FALSE(delay_for({.attempts = 3, .empty_answers = 3}, empty, 0.5));
  CHECK_FALSE(
      delay_for({.attempts = 1, .empty_answers = 1}, empty, 0.5, {}, {.max_empty_retries = 0}));
  for (const Error& rare : {failure({.retryable = true, .http_status = 499}),
                            failure({.retryable = true, .http_status = 504}),
                            failure({.retryable = true, .reason = "MODEL_FAULT"})}) {
    CHECK(is_rare_failure(rare));
    CHECK(delay_for({.attempts = 1, .rare = 1}, rare, 0.5));
    CHECK_FALSE(delay_for({.attempts = 2, .rare = 2}, rare, 0.5));
  }
  // One that was rare does not count against others.
  CHECK_FALSE(is_rare_failure(failure()));
  CHECK(delay_for({.attempts = 3, .rare = 2}, failure(), 0.5));
}

TEST_CASE("Retries are a share of the calls, beyond an allowance") {
  RetryBudget budget(0.25);
  for (int i = 0; i < 10; ++i) CHECK(budget.take());
  CHECK_FALSE(budget.take());
  for (int i = 0; i < 3; ++i) budget.on_call();
  CHECK_FALSE(budget.take());
  budget.on_call();
  CHECK(budget.take());
  CHECK_FALSE(budget.take());
}

TEST_CASE("The budget does not grow without end in quiet times") {
  RetryBudget budget(0.5);
  for (int i = 0; i < 100'000; ++i) budget.on_call();
  for (int i = 0; i < 200; ++i) CHECK(budget.take());
  CHECK_FALSE(budget.take());
}

TEST_CASE("A budget of nothing sets no limit") {
  RetryBudget budget(0.0);
  for (int i = 0; i < 1'000; ++i) CHECK(budget.take());
}

TEST_CASE("The breaker opens at the share of failures, and not before there are enough calls") {
  CircuitBreaker breaker({.window = 10s, .min_calls = 4, .failure_ratio = 0.5, .open_for = 1s});
  breaker.on_failure(at(0ms), Pass::kNormal);
  breaker.on_failure(at(0ms), Pass::kNormal);
  breaker.on_failure(at(0ms), Pass::kNormal);
  CHECK_FALSE(breaker.open());
  CHECK(breaker.ask(at(0ms)));
  breaker.on_failure(at(0ms), Pass::kNormal);
  CHECK(breaker.open());
  CHECK_FALSE(breaker.ask(at(0ms)));
}

TEST_CASE("Successes keep the breaker closed") {
  CircuitBreaker breaker({.window = 10s, .min_calls = 4, .failure_ratio = 0.5, .open_for = 1s});
  for (int i = 0; i < 5; ++i) breaker.on_success(at(0ms), Pass::kNormal);
  for (int i = 0; i < 4; ++i) breaker.on_failure(at(0ms), Pass::kNormal);
  CHECK_FALSE(breaker.open());
  breaker.on_failure(at(0ms), Pass::kNormal);
  CHECK(breaker.open());
}

TEST_CASE("Failures leave the window with time") {
  CircuitBreaker breaker({.window = 10s, .min_calls = 4, .failure_ratio = 0.5, .open_for = 1s});
  for (int i = 0; i < 3; ++i) breaker.on_failure(at(0ms), Pass::kNormal);
  SECTION("slowly enough to count within it") {
    breaker.on_failure(at(8'900ms), Pass::kNormal);
    CHECK(breaker.open());
  }
  SECTION("and are gone after it") {
    breaker.on_failure(at(10'000ms), Pass::kNormal);
    CHECK_FALSE(breaker.open());
  }
  SECTION("also after many windows") {
    breaker.on_failure(at(1'000'000ms), Pass::kNormal);
    CHECK_FALSE(breaker.open());
  }
}

TEST_CASE("An open breaker lets one probe through after its time") {
  CircuitBreaker breaker({.window = 10s, .min_calls = 1, .failure_ratio = 0.5, .open_for = 1s});
  breaker.on_failure(at(0ms), Pass::kNormal);
  REQUIRE(breaker.open());
  CHECK(breaker.time_to_probe(at(0ms)) == 1'000ms);
  CHECK(breaker.time_to_probe(at(400ms)) == 600ms);
  CHECK(breaker.time_to_probe(at(5'000ms)) == 0ms);
  CHECK_FALSE(breaker.ask(at(999ms)));
  CHECK(breaker.ask(at(1'000ms)) == Pass::kProbe);
  CHECK_FALSE(breaker.ask(at(1'000ms)));

  SECTION("and closes when that succeeds, forgetting what was") {
    breaker.on_success(at(1'100ms), Pass::kProbe);
    CHECK_FALSE(breaker.open());
    CHECK(breaker.ask(at(1'100ms)));
    CHECK(breaker.time_to_probe(at(1'100ms)) == 0ms);
    breaker.on_success(at(1'100ms), Pass::kNormal);
    breaker.on_failure(at(1'100ms), Pass::kNormal);
    CHECK_FALSE(breaker.open());
  }
  SECTION("and stays open from then on when it fails") {
    breaker.on_failure(at(1'100ms), Pass::kProbe);
    CHECK(breaker.open());
    CHECK_FALSE(breaker.ask(at(2'099ms)));
    CHECK(breaker.ask(at(2'100ms)));
  }
  SECTION("and lets another one through when that said nothing") {
    breaker.on_neither(Pass::kProbe);
    CHECK(breaker.open());
    CHECK(breaker.ask(at(1'100ms)) == Pass::kProbe);
  }
}

TEST_CASE(
    "While a probe is out, attempts of before neither close the breaker nor let another through") {
  CircuitBreaker breaker({.window = 10s, .min_calls = 1, .failure_ratio = 0.5, .open_for = 1s});
  breaker.on_failure(at(0ms), Pass::kNormal);
  REQUIRE(breaker.ask(at(1'000ms)) == Pass::kProbe);
  SECTION("when they succeed") {
    breaker.on_success(at(1'100ms), Pass::kNormal);
  }
  SECTION("when they fail") {
    breaker.on_failure(at(1'100ms), Pass::kNormal);
  }
  SECTION("when they say nothing") {
    breaker.on_neither(Pass::kNormal);
  }
  CHECK(breaker.open());
  CHECK_FALSE(breaker.ask(at(5'000ms)));
  breaker.on_success(at(5'000ms), Pass::kProbe);
  CHECK_FALSE(breaker.open());
}

TEST_CASE("A breaker that is turned off never opens") {
  CircuitBreaker breaker({.enabled = false, .min_calls = 1});
  for (int i = 0; i < 100; ++i) breaker.on_failure(at(0ms), Pass::kNormal);
  CHECK_FALSE(breaker.open());
  CHECK(breaker.ask(at(0ms)));
}
