#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "limits/client_address.h"
#include "limits/keyed_hash.h"

namespace twinchat::server {

// Slows down who guesses passwords. After three failures of a name from an address (IPv6: a /64)
// each further one doubles the wait, up to a quarter of an hour; after twenty failures of an
// address with whatever names likewise. All together may fail sixty times a minute; who has logged
// in from an address before is not held up by that. Nobody is locked out for what strangers
// elsewhere do.
//
// Remembers the ten thousand that failed last, as keyed hashes.
//
// Thread safety: every function may be called from any thread.
class LoginThrottle {
 public:
  using Clock = std::chrono::steady_clock;

  // How long to wait before trying, if it is to wait. What is tried counts as failed until
  // succeeded() is called: many attempts at once are not better than one after the other.
  std::optional<std::chrono::seconds> attempt(std::string_view username, const IpAddress& address,
                                              Clock::time_point now = Clock::now());
  void succeeded(std::string_view username, const IpAddress& address);

 private:
  struct Entry {
    std::uint64_t key = 0;
    int failures = 0;
    Clock::time_point next = {};
    bool known = false;  // has logged in
  };
  using Entries = std::list<Entry>;

  Entry& entry(std::uint64_t key);

  const KeyedHash hash_;
  std::mutex mutex_;
  // All guarded by mutex_.
  Entries entries_;  // the one used last in front
  std::unordered_map<std::uint64_t, Entries::iterator> by_key_;
  double tokens_ = 60;  // of what all together may fail
  std::optional<Clock::time_point> refilled_;
};

}  // namespace twinchat::server
