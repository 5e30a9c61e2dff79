#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "twinchat/error.h"
#include "twinchat/gemini.h"

namespace twinchat::gemini {

using Clock = std::chrono::steady_clock;

// A random number in [0, 1).
using Random = std::function<double()>;

// What the retries of one call have come to.
struct RetryCount {
  int attempts = 0;       // requests sent to the present model
  int empty_answers = 0;  // of those, answers without text
  int rare = 0;           // of those, failures that deserve one more try only
};

// How long to wait before `error` is answered with another attempt; nullopt when it is not to be.
// Pure: what is random comes from `random`, and the time is the caller's. `count` holds the
// attempt that failed; `time_left` is what remains until the deadline, if there is one.
std::optional<std::chrono::milliseconds> retry_delay(
    const RetryOptions& options, const RetryCount& count, const Error& error,
    std::optional<std::chrono::milliseconds> time_left, const Random& random);

// Failures that another attempt may mend, but hardly a third: cancelled by the server (499), too
// slow there (504), or a fault of the model's output.
bool is_rare_failure(const Error& error);

// The share of retries among the calls of late, as a bucket of tokens: every call puts in `ratio`,
// a retry takes one out.
//
// Thread safety: none; used on the I/O thread.
class RetryBudget {
 public:
  explicit RetryBudget(double ratio) : ratio_(ratio) {}
  void on_call();
  // Takes a token; false when there is none.
  bool take();

 private:
  static constexpr double kAllowance = 10;
  static constexpr double kMost = 200;
  double ratio_;
  double tokens_ = kAllowance;
};

}  // namespace twinchat::gemini
