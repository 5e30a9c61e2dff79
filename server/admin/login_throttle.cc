#include "admin/login_throttle.h"

#include <fmt/format.h>

#include <algorithm>

namespace twinchat::server {
namespace {

using std::chrono::seconds;

constexpr int kFreeOfName = 3;
constexpr int kFreeOfAddress = 20;
constexpr seconds kLongestWait{900};
// What all together may fail: so many at once, and one more for each that has passed.
constexpr seconds kAllAtOnce{60};
constexpr seconds kOneOfAll{1};
constexpr std::chrono::hours kRemembered{24};
constexpr std::chrono::days kKnown{90};
// Those of the servers, at most.
constexpr std::chrono::minutes kClocksDiffer{1};

seconds wait_after(std::int64_t failures, int free) {
  if (failures < free) return seconds(0);
  return std::min(kLongestWait, seconds(1LL << std::min<std::int64_t>(failures - free, 20)));
}

// What keys_of() names.
struct Counted {
  explicit Counted(std::vector<LoginFailures>& failures)
      : of_name(failures[0]), of_address(failures[1]), of_all(failures[2]) {}
  LoginFailures& of_name;
  LoginFailures& of_address;
  LoginFailures& of_all;  // `until` it is as if nobody had failed
};

void remember(const Counted& counted, Timestamp now) {
  counted.of_name.forget_at = now + (counted.of_name.known ? kKnown : kRemembered);
  counted.of_address.forget_at = counted.of_all.forget_at = now + kRemembered;
}

// The moment, or now for one that only a clock which has been set back since can have given.
Timestamp at_most(Timestamp until, Timestamp now, seconds longest) {
  if (until > now + longest + kClocksDiffer) return now;
  return std::min<Timestamp>(until, now + longest);
}

}  // namespace

std::vector<std::string> LoginThrottle::keys_of(std::string_view username,
                                                const IpAddress& address) const {
  const IpAddress network = address.network();
  const std::string text(reinterpret_cast<const char*>(network.bytes.data()), network.bytes.size());
  return {fmt::format("name:{:016x}", hash_(text + std::string(username))),
          fmt::format("address:{:016x}", hash_(text)), "all"};
}

std::optional<seconds> LoginThrottle::attempt(std::string_view username, const IpAddress& address,
                                              Timestamp now) {
  std::optional<seconds> wait;
  accounts_.change_failures(keys_of(username, address), now, [&](auto& failures) {
    const Counted counted(failures);
    wait.reset();
    const Timestamp next =
        at_most(std::max(counted.of_address.until, counted.of_name.until), now, kLongestWait);
    const Timestamp used = std::max(at_most(counted.of_all.until, now, kAllAtOnce), now);
    if (next > now) {
      wait = std::chrono::ceil<seconds>(next - now);
    } else if (used + kOneOfAll > now + kAllAtOnce && !counted.of_name.known) {
      wait = kAllAtOnce;
    }
    if (wait) return false;
    counted.of_all.until = at_most(used + kOneOfAll, now, kAllAtOnce);
    counted.of_name.until = now + wait_after(++counted.of_name.count, kFreeOfName);
    counted.of_address.until = now + wait_after(++counted.of_address.count, kFreeOfAddress);
    remember(counted, now);
    return true;
  });
  return wait;
}

void LoginThrottle::succeeded(std::string_view username, const IpAddress& address, Timestamp now) {
  accounts_.change_failures(keys_of(username, address), now, [&](auto& failures) {
    const Counted counted(failures);
    counted.of_all.until = std::max(counted.of_all.until - kOneOfAll, Timestamp());
    counted.of_name.count = 0;
    counted.of_name.until = {};
    counted.of_name.known = true;
    counted.of_address.count = std::max<std::int64_t>(0, counted.of_address.count - 1);
    counted.of_address.until = {};
    remember(counted, now);
    return true;
  });
}

}  // namespace twinchat::server
