#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "limits/client_address.h"
#include "limits/keyed_hash.h"

namespace twinchat::server {

// What is asked for.
enum class RateClass {
  kCreate,   // a new session
  kMessage,  // an answer of the model
  kLookup,   // reading a session, changing its details
  kMiss,     // asking for a session that is not there
  kCount,
};

// Whose requests are counted together.
enum class RateScope {
  kAddress,  // of one client address (IPv6: of one /64)
  kSession,
  kAll,
  kCount,
};

// "message-address": as refusals name the limit.
std::string name_of(RateClass rate_class, RateScope scope);

// So many at once, and from then on as many in every `window`, evenly spread.
struct RateLimit {
  std::uint32_t count = 0;  // 0: no limit
  std::chrono::seconds window{60};

  bool operator==(const RateLimit&) const = default;
};

// A limit for each class and scope.
//
// Thread safety: a plain value.
struct RateLimits {
  // No limit anywhere.
  RateLimits() = default;

  // "create.address=120/min, message.all=off": classes create, message, lookup and miss; scopes
  // address, session and all; rates as count/s, count/min, count/h, or off. What is not named is as
  // in `base`. "off" alone is no limit anywhere. nullopt for anything else, also for a limit named
  // twice and for the pairs that make no sense (a new session has no session yet; misses are
  // counted by address).
  static std::optional<RateLimits> parse(std::string_view text, const RateLimits& base);

  RateLimit& at(RateClass c, RateScope s) { return table[std::size_t(c)][std::size_t(s)]; }
  const RateLimit& at(RateClass c, RateScope s) const {
    return table[std::size_t(c)][std::size_t(s)];
  }

  std::array<std::array<RateLimit, std::size_t(RateScope::kCount)>, std::size_t(RateClass::kCount)>
      table = {};
};

// The limits that hold without a setting, as RateLimits::parse() takes them.
//
// A class at school, an office or a mobile operator's gateway is one address to us, so a limit by
// address has to let through what a few hundred people do there at once: all open the page (create,
// lookup) and each asks every ten seconds or so. What one visitor may do is bound by session: a
// person does not ask more than once in three seconds for long. The limits in all bound what a
// great many addresses can cost together. Misses are rare for honest clients: ids come from us.
inline constexpr std::string_view kDefaultRateLimits =
    "create.address=120/min, create.all=3000/min, "
    "message.address=600/min, message.session=20/min, message.all=6000/min, "
    "lookup.address=1200/min, lookup.session=120/min, lookup.all=60000/min, "
    "miss.address=20/min";

// Says that a request has to wait, and what for.
struct RateExcess {
  RateClass rate_class = RateClass::kCreate;
  RateScope scope = RateScope::kAddress;
  RateLimit limit = {};
  // Until the next request is let through; at least a second, rounded up.
  std::chrono::seconds retry_after{1};
  // Until all of them would be.
  std::chrono::seconds full_after{1};
};

// What was taken out of one bucket.
struct RateUse {
  RateClass rate_class = RateClass::kCreate;
  RateScope scope = RateScope::kAll;
  std::uint64_t key = 0;  // of the address or session; 0 for all
  // By so much later is the bucket full.
  std::chrono::steady_clock::duration taken{0};
};

// Counts requests against limits. Memory is bounded: the addresses and sessions that were not seen
// for longest are forgotten when there are too many, which can only let a request through that
// should have waited; the limits in all hold whatever happens.
//
// Thread safety: every function may be called from any number of threads at once; one takes well
// under a microsecond.
class RateLimiter {
 public:
  using Clock = std::chrono::steady_clock;

  // Of a bucket that has less than this part of its limit taken, other servers need not hear: so
  // many servers together then cannot have let through more than the limit.
  static constexpr int kServersUnheard = 8;

  // Remembers `capacity` addresses and as many sessions, at about 200 bytes each. Servers that
  // share their counts have the same `hash`.
  explicit RateLimiter(const RateLimits& limits, KeyedHash hash = KeyedHash(),
                       std::size_t capacity = 32'768);

  // Counts a request of that address, and of all; nullopt when it may go on. A request that has to
  // wait is not counted anywhere.
  std::optional<RateExcess> take(RateClass rate_class, const IpAddress& address,
                                 Clock::time_point now = Clock::now());

  // Counts a request for that session.
  std::optional<RateExcess> take(RateClass rate_class, std::string_view session_id,
                                 Clock::time_point now = Clock::now());

  // Whether take() for that address would let a request through, without counting it.
  std::optional<RateExcess> look(RateClass rate_class, const IpAddress& address,
                                 Clock::time_point now = Clock::now());

  // From here on it is noted what was taken, for taken().
  void share();

  // What other servers should hear of: what was taken since the last call out of buckets that are
  // not nearly full, and out of those of all; at most `most` of them.
  std::vector<RateUse> taken(std::size_t most, Clock::time_point now = Clock::now());

  // What the servers together know of a bucket: how long it is until it is full, with everything
  // that taken() has given out.
  void heard(const RateUse& use, Clock::duration until_full, Clock::time_point now = Clock::now());

  // Notes once more what taken() gave out and nobody could be told.
  void not_told(const RateUse& use);

  // Addresses and sessions remembered now.
  std::size_t remembered() const;

 private:
  // A bucket that fills evenly is told by one time: when it will be full again.
  struct Bucket {
    Clock::time_point full_at = {};
    Clock::duration taken = {};  // that no other server has heard of; only when shared_
    bool queued = false;         // stands in untold_
  };
  using Buckets = std::array<Bucket, std::size_t(RateClass::kCount)>;

  // Buckets by who they belong to, the one used last in front.
  struct Table {
    struct Entry {
      std::uint64_t key;
      Buckets buckets;
    };
    std::list<Entry> entries = {};
    // The keys come out of a keyed hash; hashing them again adds nothing.
    std::unordered_map<std::uint64_t, std::list<Entry>::iterator> index = {};

    Buckets& at(std::uint64_t key, std::size_t capacity);
    // Null when it was forgotten.
    Buckets* find(std::uint64_t key);
  };

  std::optional<RateExcess> excess(RateClass rate_class, RateScope scope, const Bucket& bucket,
                                   Clock::time_point now) const;
  void count(RateClass rate_class, RateScope scope, std::uint64_t key, Bucket& bucket,
             Clock::time_point now);
  void enqueue(RateClass rate_class, RateScope scope, std::uint64_t key, Bucket& bucket);
  Bucket* find(const RateUse& use);
  bool limited(RateClass rate_class, RateScope scope) const {
    return limits_.at(rate_class, scope).count != 0;
  }
  std::uint64_t key_of(const IpAddress& address) const;

  const RateLimits limits_;
  const std::size_t capacity_;
  const KeyedHash hash_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  Table addresses_;
  Table sessions_;
  Buckets all_ = {};
  bool shared_ = false;
  std::vector<RateUse> untold_ = {};  // whose `taken` is in the bucket
};

}  // namespace twinchat::server
