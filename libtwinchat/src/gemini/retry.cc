#include "gemini/retry.h"

#include <algorithm>
#include <cmath>

namespace twinchat::gemini {
namespace {

using std::chrono::milliseconds;

milliseconds scaled(milliseconds time, double factor) {
  return milliseconds(std::llround(static_cast<double>(time.count()) * factor));
}

}  // namespace

bool is_rare_failure(const Error& error) {
  const int status = error.details().http_status;
  return status == 499 || status == 504 || error.details().reason == "MODEL_FAULT";
}

std::optional<milliseconds> retry_delay(const RetryOptions& options, const RetryCount& count,
                                        const Error& error, std::optional<milliseconds> time_left,
                                        const Random& random) {
  if (!error.details().retryable || count.attempts >= options.max_attempts) return std::nullopt;
  // Not even asked: it is for the caller to come back later.
  if (error.details().reason == "CIRCUIT_OPEN") return std::nullopt;
  if (error.details().reason == "EMPTY_ANSWER" && count.empty_answers > options.max_empty_retries) {
    return std::nullopt;
  }
  if (is_rare_failure(error) && count.rare > 1) return std::nullopt;

  const double doubled = std::ldexp(1.0, std::min(count.attempts - 1, 30));
  const auto ceiling = milliseconds(
      std::llround(std::min(static_cast<double>(options.max_backoff.count()),
                            static_cast<double>(options.initial_backoff.count()) * doubled)));
  milliseconds delay = scaled(ceiling, random());
  if (const auto asked = error.retry_after()) {
    if (*asked > options.max_server_delay) return std::nullopt;
    // A little later than asked, so that clients told the same do not all come back at once.
    delay =
        std::max(delay, *asked + scaled(std::min(*asked, milliseconds(10'000)), 0.1 * random()));
  }
  if (time_left && delay >= *time_left) return std::nullopt;
  return delay;
}

void RetryBudget::on_call() {
  tokens_ = std::min(tokens_ + ratio_, kMost);
}

bool RetryBudget::take() {
  if (ratio_ <= 0) return true;
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

}  // namespace twinchat::gemini
