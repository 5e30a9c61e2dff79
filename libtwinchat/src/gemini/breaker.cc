#include "gemini/breaker.h"

#include <algorithm>

namespace twinchat::gemini {

using std::chrono::milliseconds;

long long CircuitBreaker::slice_number(TimePoint now) const {
  const auto length =
      std::max<milliseconds::rep>(1, options_.window.count() / static_cast<long long>(kSlices));
  return std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count() / length;
}

CircuitBreaker::Slice& CircuitBreaker::slice(TimePoint now) {
  const long long number = slice_number(now);
  Slice& found = slices_[static_cast<std::size_t>(number) % kSlices];
  if (found.number != number) found = Slice{.number = number};
  return found;
}

bool CircuitBreaker::too_many_failures(TimePoint now) const {
  const long long newest = slice_number(now);
  int successes = 0;
  int failures = 0;
  for (const Slice& slice : slices_) {
    if (slice.number <= newest - static_cast<long long>(kSlices)) continue;
    successes += slice.successes;
    failures += slice.failures;
  }
  const int all = successes + failures;
  return all >= options_.min_calls && failures >= options_.failure_ratio * all;
}

std::optional<CircuitBreaker::Pass> CircuitBreaker::ask(TimePoint now) {
  if (!options_.enabled || !open_) return Pass::kNormal;
  if (probing_ || now - opened_at_ < options_.open_for) return std::nullopt;
  probing_ = true;
  return Pass::kProbe;
}

void CircuitBreaker::on_success(TimePoint now, Pass pass) {
  if (pass == Pass::kProbe) {
    open_ = false;
    probing_ = false;
    slices_.fill({});
  }
  ++slice(now).successes;
}

void CircuitBreaker::on_failure(TimePoint now, Pass pass) {
  ++slice(now).failures;
  if (!options_.enabled) return;
  if (pass == Pass::kProbe) {
    probing_ = false;
    opened_at_ = now;
  } else if (!open_ && too_many_failures(now)) {
    open_ = true;
    opened_at_ = now;
  }
}

void CircuitBreaker::on_neither(Pass pass) {
  if (pass == Pass::kProbe) probing_ = false;
}

milliseconds CircuitBreaker::time_to_probe(TimePoint now) const {
  if (!open_) return milliseconds(0);
  const auto left = std::chrono::ceil<milliseconds>(opened_at_ + options_.open_for - now);
  return std::max(left, milliseconds(0));
}

}  // namespace twinchat::gemini
