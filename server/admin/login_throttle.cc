#include "admin/login_throttle.h"

#include <algorithm>
#include <string>

namespace twinchat::server {
namespace {

constexpr std::size_t kMaxEntries = 10'000;
constexpr int kFreeOfName = 3;
constexpr int kFreeOfAddress = 20;
constexpr std::chrono::seconds kLongestWait{900};
constexpr double kAllPerMinute = 60;

std::chrono::seconds wait_after(int failures, int free) {
  if (failures < free) return std::chrono::seconds(0);
  return std::min(kLongestWait, std::chrono::seconds(1LL << std::min(failures - free, 20)));
}

std::string network_text(const IpAddress& address) {
  const IpAddress network = address.network();
  return {reinterpret_cast<const char*>(network.bytes.data()), network.bytes.size()};
}

}  // namespace

std::optional<std::chrono::seconds> LoginThrottle::attempt(std::string_view username,
                                                           const IpAddress& address,
                                                           Clock::time_point now) {
  const std::string network = network_text(address);
  const std::uint64_t address_key = hash_(network);
  const std::uint64_t name_key = hash_(network + std::string(username));
  std::lock_guard lock(mutex_);
  const double minutes =
      refilled_ ? std::chrono::duration<double, std::ratio<60>>(now - *refilled_).count() : 0;
  refilled_ = now;
  tokens_ = std::min(kAllPerMinute, tokens_ + minutes * kAllPerMinute);

  Entry& of_address = entry(address_key);
  Entry& of_name = entry(name_key);
  const Clock::time_point next = std::max(of_address.next, of_name.next);
  if (next > now) return std::chrono::ceil<std::chrono::seconds>(next - now);
  if (tokens_ < 1 && !of_name.known) return std::chrono::seconds(60);
  tokens_ = std::max(0.0, tokens_ - 1);
  of_name.next = now + wait_after(++of_name.failures, kFreeOfName);
  of_address.next = now + wait_after(++of_address.failures, kFreeOfAddress);
  return std::nullopt;
}

void LoginThrottle::succeeded(std::string_view username, const IpAddress& address) {
  const std::string network = network_text(address);
  const std::uint64_t address_key = hash_(network);
  const std::uint64_t name_key = hash_(network + std::string(username));
  std::lock_guard lock(mutex_);
  tokens_ = std::min(kAllPerMinute, tokens_ + 1);
  Entry& of_name = entry(name_key);
  of_name.failures = 0;
  of_name.next = {};
  of_name.known = true;
  Entry& of_address = entry(address_key);
  of_address.failures = std::max(0, of_address.failures - 1);
  of_address.next = {};
}

LoginThrottle::Entry& LoginThrottle::entry(std::uint64_t key) {
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    return entries_.front();
  }
  // Not the one that was asked for just before.
  if (entries_.size() >= kMaxEntries) {
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
  entries_.push_front({.key = key});
  by_key_.emplace(key, entries_.begin());
  return entries_.front();
}

}  // namespace twinchat::server
