#pragma once

#include <functional>

namespace twinchat::server {

// Chance in Retry-After. Clients that are all turned away at the same moment, for a reason that
// concerns them all, must not all come back at the same moment.
//
// Thread safety: every function may be called from any thread, if `random` may.
class RetrySpread {
 public:
  // `random` gives numbers from 0 up to, and without, 1. Empty: a generator of each thread's own.
  explicit RetrySpread(std::function<double()> random = {});

  // `seconds`, or up to `spread` more of them, each as likely.
  int operator()(int seconds, int spread) const;

  // The spread that suits a wait of so many seconds: half of it, from 2 to 300.
  static int suited_to(int seconds);

 private:
  std::function<double()> random_;
};

}  // namespace twinchat::server
