#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>

#include "twinchat/gemini.h"

namespace twinchat::gemini {

// Stops calls to a model that fails, and lets one through now and then to see whether it is back.
//
// Thread safety: none; used on the I/O thread.
class CircuitBreaker {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit CircuitBreaker(const BreakerOptions& options) : options_(options) {}

  // With what an attempt goes out: as one of many, or as the one that finds out, while all others
  // are held back, whether the model is back.
  enum class Pass { kNormal, kProbe };

  // The pass for an attempt that is to be made now, or none. How it ended must be reported with it.
  std::optional<Pass> ask(TimePoint now);
  void on_success(TimePoint now, Pass pass);
  void on_failure(TimePoint now, Pass pass);
  // It ended in a way that says nothing of the model (cancelled, a quota).
  void on_neither(Pass pass);

  bool open() const noexcept { return open_; }
  // While open: when the next probe is let through, counted from `now`.
  std::chrono::milliseconds time_to_probe(TimePoint now) const;

 private:
  // The window is kept in slices, so that old outcomes leave it a tenth at a time.
  static constexpr std::size_t kSlices = 10;
  struct Slice {
    long long number = -1;
    int successes = 0;
    int failures = 0;
  };
  Slice& slice(TimePoint now);
  bool too_many_failures(TimePoint now) const;
  long long slice_number(TimePoint now) const;

  BreakerOptions options_;
  std::array<Slice, kSlices> slices_{};
  bool open_ = false;
  bool probing_ = false;
  TimePoint opened_at_{};
};

}  // namespace twinchat::gemini
