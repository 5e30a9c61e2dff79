#include "api/retry_spread.h"

#include <algorithm>
#include <random>
#include <utility>

namespace twinchat::server {
namespace {

double random_fraction() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(random);
}

}  // namespace

RetrySpread::RetrySpread(std::function<double()> random) : random_(std::move(random)) {
  if (!random_) random_ = random_fraction;
}

int RetrySpread::operator()(int seconds, int spread) const {
  if (spread <= 0) return seconds;
  return seconds + std::min(spread, static_cast<int>(random_() * (spread + 1)));
}

int RetrySpread::suited_to(int seconds) {
  return std::clamp(seconds / 2, 2, 300);
}

}  // namespace twinchat::server
