#pragma once

#include <vector>

#include "api/call.h"
#include "limits/client_address.h"
#include "limits/rate_limiter.h"

namespace twinchat::server {

// The rate limits as the routes use them: who asks, and the 429 for whoever asks too often.
//
// Thread safety: every function may be called from any number of threads at once.
class RequestLimits {
 public:
  // Believes X-Forwarded-For from the addresses of `trusted` only. Servers that share their counts
  // have the same `hash`.
  RequestLimits(const RateLimits& limits, std::vector<AddressRange> trusted,
                KeyedHash hash = KeyedHash())
      : limiter_(limits, hash), trusted_(std::move(trusted)) {}

  // Who asks.
  IpAddress client_of(const Call& call) const;
  // The same from the address of the TCP peer and the value of X-Forwarded-For.
  IpAddress client_of(std::string_view peer, std::string_view forwarded_for) const;

  // Counts a request of that client. Refusal 429 when it has to wait; a client that asked for too
  // many sessions that are not there has to wait with further lookups.
  void admit(RateClass rate_class, const IpAddress& client);

  // Counts a request for that session. Refusal 429 when it has to wait.
  void admit(RateClass rate_class, std::string_view session_id);

  // Counts that the client asked for a session that is not there.
  void miss(const IpAddress& client) { limiter_.take(RateClass::kMiss, client); }

  // What counts.
  RateLimiter& limiter() noexcept { return limiter_; }

 private:
  RateLimiter limiter_;
  const std::vector<AddressRange> trusted_;
};

}  // namespace twinchat::server
