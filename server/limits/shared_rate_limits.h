#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>

#include "limits/rate_limiter.h"
#include "twinchat/rate_buckets.h"

namespace twinchat::server {

// Has a limiter hold its limits together with those of other servers on the same database. Requests
// are judged by what is known here, and never wait: every interval a thread adds what was taken
// here to buckets in the database and learns what the others took. So each server may, once more,
// let through what comes to it within an interval before it knows that a limit is used up. While
// the database cannot be reached each counts for itself, and what it counted is told later.
//
// Thread safety: the constructor and the destructor by one thread.
class SharedRateLimits {
 public:
  // Keeps the reference.
  SharedRateLimits(RateLimiter& limiter, std::shared_ptr<RateBuckets> buckets,
                   std::chrono::milliseconds interval);
  // Waits for the thread, which may be waiting for the database.
  ~SharedRateLimits();
  SharedRateLimits(const SharedRateLimits&) = delete;
  SharedRateLimits& operator=(const SharedRateLimits&) = delete;

 private:
  void run(std::stop_token stop);
  void exchange();

  RateLimiter& limiter_;
  const std::shared_ptr<RateBuckets> buckets_;
  const std::chrono::milliseconds interval_;
  bool failing_ = false;  // the thread's
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace twinchat::server
