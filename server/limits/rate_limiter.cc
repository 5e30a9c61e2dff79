#include "limits/rate_limiter.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "text.h"

namespace twinchat::server {
namespace {

constexpr std::array<std::string_view, std::size_t(RateClass::kCount)> kClassNames = {
    "create", "message", "lookup", "miss"};
constexpr std::array<std::string_view, std::size_t(RateScope::kCount)> kScopeNames = {
    "address", "session", "all"};
constexpr std::uint32_t kMaxCount = 1'000'000;

template <std::size_t kSize>
std::optional<std::size_t> index_of(const std::array<std::string_view, kSize>& names,
                                    std::string_view name) {
  const auto it = std::find(names.begin(), names.end(), name);
  if (it == names.end()) return std::nullopt;
  return static_cast<std::size_t>(it - names.begin());
}

bool makes_sense(RateClass rate_class, RateScope scope) {
  if (rate_class == RateClass::kMiss) return scope == RateScope::kAddress;
  return rate_class != RateClass::kCreate || scope != RateScope::kSession;
}

std::optional<RateLimit> parse_rate(std::string_view text) {
  if (text == "off") return RateLimit{};
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  RateLimit limit;
  const auto [end, error] = std::from_chars(text.data(), text.data() + slash, limit.count);
  if (error != std::errc{} || end != text.data() + slash) return std::nullopt;
  if (limit.count < 1 || limit.count > kMaxCount) return std::nullopt;
  const std::string_view unit = text.substr(slash + 1);
  if (unit == "s") {
    limit.window = std::chrono::seconds(1);
  } else if (unit == "min") {
    limit.window = std::chrono::minutes(1);
  } else if (unit == "h") {
    limit.window = std::chrono::hours(1);
  } else {
    return std::nullopt;
  }
  return limit;
}

RateLimiter::Clock::duration interval(const RateLimit& limit) {
  return std::chrono::duration_cast<RateLimiter::Clock::duration>(limit.window) / limit.count;
}

std::chrono::seconds whole_seconds(RateLimiter::Clock::duration time) {
  return std::max(std::chrono::seconds(1), std::chrono::ceil<std::chrono::seconds>(time));
}

}  // namespace

std::string name_of(RateClass rate_class, RateScope scope) {
  return std::string(kClassNames[std::size_t(rate_class)]) + '-' +
         std::string(kScopeNames[std::size_t(scope)]);
}

std::optional<RateLimits> RateLimits::parse(std::string_view text, const RateLimits& base) {
  const std::string lower = ascii_lower(trim(text));
  if (lower == "off") return RateLimits();
  RateLimits limits = base;
  std::set<std::string> seen;
  for (const std::string& part : split_list(lower, ',')) {
    const std::size_t equals = part.find('=');
    const std::size_t dot = part.find('.');
    if (equals == std::string::npos || dot > equals) return std::nullopt;
    const std::string name(trim(std::string_view(part).substr(0, equals)));
    const auto class_index = index_of(kClassNames, name.substr(0, dot));
    const auto scope_index = index_of(kScopeNames, name.substr(dot + 1));
    const auto rate = parse_rate(trim(std::string_view(part).substr(equals + 1)));
    if (!class_index || !scope_index || !rate || !seen.insert(name).second) return std::nullopt;
    const auto rate_class = static_cast<RateClass>(*class_index);
    const auto scope = static_cast<RateScope>(*scope_index);
    if (!makes_sense(rate_class, scope)) return std::nullopt;
    limits.at(rate_class, scope) = *rate;
  }
  return seen.empty() ? std::nullopt : std::optional(limits);
}

RateLimiter::RateLimiter(const RateLimits& limits, KeyedHash hash, std::size_t capacity)
    : limits_(limits), capacity_(capacity), hash_(hash) {}

RateLimiter::Buckets& RateLimiter::Table::at(std::uint64_t key, std::size_t capacity) {
  if (const auto it = index.find(key); it != index.end()) {
    entries.splice(entries.begin(), entries, it->second);
  } else if (entries.size() >= capacity) {
    index.erase(entries.back().key);
    entries.splice(entries.begin(), entries, std::prev(entries.end()));
    entries.front() = {key, {}};
    index.emplace(key, entries.begin());
  } else {
    entries.push_front({key, {}});
    index.emplace(key, entries.begin());
  }
  return entries.front().buckets;
}

RateLimiter::Buckets* RateLimiter::Table::find(std::uint64_t key) {
  const auto it = index.find(key);
  return it == index.end() ? nullptr : &it->second->buckets;
}

std::optional<RateExcess> RateLimiter::excess(RateClass rate_class, RateScope scope,
                                              const Bucket& bucket, Clock::time_point now) const {
  const RateLimit& limit = limits_.at(rate_class, scope);
  if (limit.count == 0) return std::nullopt;
  // One more may be taken while that leaves the bucket no further than a window from full.
  const Clock::time_point next = std::max(bucket.full_at, now) + interval(limit);
  const Clock::duration wait = next - now - limit.window;
  if (wait <= Clock::duration::zero()) return std::nullopt;
  return RateExcess{rate_class, scope, limit, whole_seconds(wait),
                    whole_seconds(bucket.full_at - now)};
}

void RateLimiter::count(RateClass rate_class, RateScope scope, std::uint64_t key, Bucket& bucket,
                        Clock::time_point now) {
  const RateLimit& limit = limits_.at(rate_class, scope);
  if (limit.count == 0) return;
  bucket.full_at = std::max(bucket.full_at, now) + interval(limit);
  if (!shared_) return;
  bucket.taken += interval(limit);
  const bool worth_telling = scope == RateScope::kAll || (bucket.full_at - now) * kServersUnheard >
                                                             Clock::duration(limit.window);
  if (worth_telling) enqueue(rate_class, scope, key, bucket);
}

void RateLimiter::enqueue(RateClass rate_class, RateScope scope, std::uint64_t key,
                          Bucket& bucket) {
  if (bucket.queued || untold_.size() > 2 * capacity_) return;
  bucket.queued = true;
  untold_.push_back({rate_class, scope, key});
}

RateLimiter::Bucket* RateLimiter::find(const RateUse& use) {
  Buckets* const buckets = use.scope == RateScope::kAll       ? &all_
                           : use.scope == RateScope::kAddress ? addresses_.find(use.key)
                                                              : sessions_.find(use.key);
  return buckets == nullptr ? nullptr : &(*buckets)[std::size_t(use.rate_class)];
}

void RateLimiter::share() {
  std::lock_guard lock(mutex_);
  shared_ = true;
}

std::vector<RateUse> RateLimiter::taken(std::size_t most, Clock::time_point now) {
  std::vector<RateUse> uses;
  std::lock_guard lock(mutex_);
  while (!untold_.empty() && uses.size() < most) {
    RateUse use = untold_.back();
    untold_.pop_back();
    Bucket* const bucket = find(use);
    if (bucket == nullptr) continue;
    bucket->queued = false;
    // What has come back into the bucket since is nobody's concern any more.
    use.taken = std::min(std::exchange(bucket->taken, {}), bucket->full_at - now);
    if (use.taken > Clock::duration::zero()) uses.push_back(use);
  }
  return uses;
}

void RateLimiter::heard(const RateUse& use, Clock::duration until_full, Clock::time_point now) {
  std::lock_guard lock(mutex_);
  Bucket* const bucket = find(use);
  if (bucket == nullptr) return;
  // What was taken here meanwhile comes on top.
  bucket->full_at = std::max(bucket->full_at, now + until_full + bucket->taken);
}

void RateLimiter::not_told(const RateUse& use) {
  std::lock_guard lock(mutex_);
  Bucket* const bucket = find(use);
  if (bucket == nullptr) return;
  bucket->taken += use.taken;
  enqueue(use.rate_class, use.scope, use.key, *bucket);
}

std::uint64_t RateLimiter::key_of(const IpAddress& address) const {
  const IpAddress network = address.network();
  return hash_({reinterpret_cast<const char*>(network.bytes.data()), network.bytes.size()});
}

std::optional<RateExcess> RateLimiter::take(RateClass rate_class, const IpAddress& address,
                                            Clock::time_point now) {
  const bool by_address = limited(rate_class, RateScope::kAddress);
  if (!by_address && !limited(rate_class, RateScope::kAll)) return std::nullopt;
  const std::size_t index = std::size_t(rate_class);
  const std::uint64_t key = key_of(address);
  std::lock_guard lock(mutex_);
  Bucket& all = all_[index];
  if (by_address) {
    Bucket& own = addresses_.at(key, capacity_)[index];
    if (auto over = excess(rate_class, RateScope::kAddress, own, now)) return over;
    if (auto over = excess(rate_class, RateScope::kAll, all, now)) return over;
    count(rate_class, RateScope::kAddress, key, own, now);
  } else if (auto over = excess(rate_class, RateScope::kAll, all, now)) {
    return over;
  }
  count(rate_class, RateScope::kAll, 0, all, now);
  return std::nullopt;
}

std::optional<RateExcess> RateLimiter::take(RateClass rate_class, std::string_view session_id,
                                            Clock::time_point now) {
  if (!limited(rate_class, RateScope::kSession)) return std::nullopt;
  const std::uint64_t key = hash_(session_id);
  std::lock_guard lock(mutex_);
  Bucket& own = sessions_.at(key, capacity_)[std::size_t(rate_class)];
  if (auto over = excess(rate_class, RateScope::kSession, own, now)) return over;
  count(rate_class, RateScope::kSession, key, own, now);
  return std::nullopt;
}

std::optional<RateExcess> RateLimiter::look(RateClass rate_class, const IpAddress& address,
                                            Clock::time_point now) {
  if (!limited(rate_class, RateScope::kAddress)) return std::nullopt;
  const std::uint64_t key = key_of(address);
  std::lock_guard lock(mutex_);
  const Buckets* const buckets = addresses_.find(key);
  if (buckets == nullptr) return std::nullopt;
  return excess(rate_class, RateScope::kAddress, (*buckets)[std::size_t(rate_class)], now);
}

std::size_t RateLimiter::remembered() const {
  std::lock_guard lock(mutex_);
  return addresses_.entries.size() + sessions_.entries.size();
}

}  // namespace twinchat::server
