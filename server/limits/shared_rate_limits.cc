#include "limits/shared_rate_limits.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>
#include <vector>

#include "twinchat/error.h"

namespace twinchat::server {
namespace {

// Of one transaction; what is left waits for the next interval.
constexpr std::size_t kMostAtOnce = 4'096;
// When the database cannot be reached, it is left alone for so many intervals.
constexpr int kPause = 10;

}  // namespace

SharedRateLimits::SharedRateLimits(RateLimiter& limiter, std::shared_ptr<RateBuckets> buckets,
                                   std::chrono::milliseconds interval)
    : limiter_(limiter), buckets_(std::move(buckets)), interval_(interval) {
  limiter_.share();
  thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
}

SharedRateLimits::~SharedRateLimits() = default;

void SharedRateLimits::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, failing_ ? interval_ * kPause : interval_, [] { return false; });
    }
    if (!stop.stop_requested()) exchange();
  }
  // What was counted last is the others' to know, too.
  if (!failing_) exchange();
}

void SharedRateLimits::exchange() {
  const std::vector<RateUse> uses = limiter_.taken(kMostAtOnce);
  if (uses.empty()) return;
  std::vector<BucketUse> told;
  told.reserve(uses.size());
  for (const RateUse& use : uses) {
    told.push_back({fmt::format("{}:{:016x}", name_of(use.rate_class, use.scope), use.key),
                    std::chrono::ceil<std::chrono::microseconds>(use.taken)});
  }
  try {
    const auto until_full = buckets_->add(told);
    for (std::size_t i = 0; i < uses.size() && i < until_full.size(); ++i) {
      limiter_.heard(uses[i], until_full[i]);
    }
    if (std::exchange(failing_, false)) spdlog::info("rate limits are shared again");
  } catch (const Error& error) {
    for (const RateUse& use : uses) limiter_.not_told(use);
    if (!std::exchange(failing_, true)) {
      spdlog::warn("rate limits are not shared with other servers: {}", error.what());
    }
  }
}

}  // namespace twinchat::server
