#include "limits/rate_limiter.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <thread>
#include <tuple>
#include <vector>

#include "catch.h"
#include "limits/keyed_hash.h"

namespace twinchat::server {
namespace {

using namespace std::chrono_literals;
using Time = RateLimiter::Clock::time_point;

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}

RateLimits limits(std::string_view text) {
  return RateLimits::parse(text, {}).value();
}

const Time kStart = Time(1000h);
const IpAddress kAlice = ip("192.0.2.1");
const IpAddress kBob = ip("192.0.2.2");

TEST_CASE("As many as the limit says come through at once, and then one in each interval") {
  RateLimiter limiter(limits("create.address=3/min"));
  for (int i = 0; i < 3; ++i) CHECK_FALSE(limiter.take(RateClass::kCreate, kAlice, kStart));
  const auto over = limiter.take(RateClass::kCreate, kAlice, kStart);
  REQUIRE(over);
  CHECK(name_of(over->rate_class, over->scope) == "create-address");
  CHECK(over->limit == RateLimit{3, 60s});
  CHECK(over->retry_after == 20s);
  CHECK(over->full_after == 60s);
  CHECK(limiter.take(RateClass::kCreate, kAlice, kStart + 19999ms)->retry_after == 1s);
  CHECK_FALSE(limiter.take(RateClass::kCreate, kAlice, kStart + 20s));
  CHECK(limiter.take(RateClass::kCreate, kAlice, kStart + 20s)->retry_after == 20s);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(limiter.take(RateClass::kCreate, kAlice, kStart + 5min));
  CHECK(limiter.take(RateClass::kCreate, kAlice, kStart + 5min));
}

TEST_CASE("Waiting is not made longer by asking meanwhile") {
  RateLimiter limiter(limits("create.address=1/min"));
  CHECK_FALSE(limiter.take(RateClass::kCreate, kAlice, kStart));
  for (int i = 0; i < 100; ++i) CHECK(limiter.take(RateClass::kCreate, kAlice, kStart + 1s));
  CHECK_FALSE(limiter.take(RateClass::kCreate, kAlice, kStart + 60s));
}

TEST_CASE("A count that does not divide its window is let through in full") {
  for (const int count : {1, 7, 13, 999, 1'000'000}) {
    RateLimiter limiter(limits("create.address=" + std::to_string(count) + "/s"));
    int through = 0;
    while (!limiter.take(RateClass::kCreate, kAlice, kStart)) ++through;
    CHECK(through == count);
  }
}

TEST_CASE("Addresses, sessions and classes are counted each on its own") {
  RateLimiter limiter(limits("message.address=1/min, message.session=1/min, lookup.address=1/min"));
  CHECK_FALSE(limiter.take(RateClass::kMessage, kAlice, kStart));
  CHECK(limiter.take(RateClass::kMessage, kAlice, kStart));
  CHECK_FALSE(limiter.take(RateClass::kMessage, kBob, kStart));
  CHECK_FALSE(limiter.take(RateClass::kLookup, kAlice, kStart));
  CHECK_FALSE(limiter.take(RateClass::kMessage, "one", kStart));
  CHECK(limiter.take(RateClass::kMessage, "one", kStart)->scope == RateScope::kSession);
  CHECK_FALSE(limiter.take(RateClass::kMessage, "two", kStart));
}

TEST_CASE("The addresses of one IPv6 /64 are one client, mapped IPv4 is the IPv4 client") {
  RateLimiter limiter(limits("create.address=1/min"));
  CHECK_FALSE(limiter.take(RateClass::kCreate, ip("2001:db8:0:1::1"), kStart));
  CHECK(limiter.take(RateClass::kCreate, ip("2001:db8:0:1:ffff::9"), kStart));
  CHECK_FALSE(limiter.take(RateClass::kCreate, ip("2001:db8:0:2::1"), kStart));
  CHECK_FALSE(limiter.take(RateClass::kCreate, ip("::ffff:192.0.2.1"), kStart));
  CHECK(limiter.take(RateClass::kCreate, ip("192.0.2.1"), kStart));
  CHECK_FALSE(limiter.take(RateClass::kCreate, ip("192.0.2.2"), kStart));
}

TEST_CASE("A limit in all holds over all addresses, and who has to wait does not use it up") {
  RateLimiter limiter(limits("create.address=1/min, create.all=2/min"));
  CHECK_FALSE(limiter.take(RateClass::kCreate, kAlice, kStart));
  for (int i = 0; i < 10; ++i) {
    CHECK(limiter.take(RateClass::kCreate, kAlice, kStart)->scope == RateScope::kAddress);
  }
  CHECK_FALSE(limiter.take(RateClass::kCreate, kBob, kStart));
  const IpAddress carol = ip("192.0.2.3");
  CHECK(limiter.take(RateClass::kCreate, carol, kStart)->scope == RateScope::kAll);
  // Nor was Carol's own count touched by that.
  CHECK_FALSE(limiter.take(RateClass::kCreate, carol, kStart + 30s));
}

TEST_CASE("A limit in all holds without one by address") {
  RateLimiter limiter(limits("create.all=1/min"));
  CHECK_FALSE(limiter.take(RateClass::kCreate, kAlice, kStart));
  CHECK(limiter.take(RateClass::kCreate, kBob, kStart));
  CHECK(limiter.remembered() == 0);
}

TEST_CASE("Looking counts nothing") {
  RateLimiter limiter(limits("miss.address=1/min"));
  for (int i = 0; i < 3; ++i) CHECK_FALSE(limiter.look(RateClass::kMiss, kAlice, kStart));
  CHECK_FALSE(limiter.take(RateClass::kMiss, kAlice, kStart));
  CHECK(limiter.look(RateClass::kMiss, kAlice, kStart));
  CHECK_FALSE(limiter.look(RateClass::kMiss, kBob, kStart));
  CHECK_FALSE(limiter.look(RateClass::kMiss, kAlice, kStart + 60s));
}

TEST_CASE("Many addresses and sessions are forgotten, the one not seen for longest first") {
  RateLimiter limiter(limits("create.address=1/min, message.session=1/min"), KeyedHash(), 100);
  CHECK_FALSE(limiter.take(RateClass::kCreate, kAlice, kStart));
  for (int i = 0; i < 10'000; ++i) {
    IpAddress address = ip("198.51.100.0");
    address.bytes[14] = static_cast<std::uint8_t>(i / 256);
    address.bytes[15] = static_cast<std::uint8_t>(i % 256);
    CHECK_FALSE(limiter.take(RateClass::kCreate, address, kStart));
    CHECK_FALSE(limiter.take(RateClass::kMessage, std::to_string(i), kStart));
    CHECK(limiter.take(RateClass::kCreate, kAlice, kStart));
  }
  CHECK(limiter.remembered() == 200);
  CHECK(limiter.take(RateClass::kMessage, "9999", kStart));
  CHECK_FALSE(limiter.take(RateClass::kMessage, "1", kStart));
}

TEST_CASE("Without limits nothing is counted or remembered") {
  RateLimiter limiter(limits("off"));
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(limiter.take(RateClass::kMessage, kAlice, kStart));
    CHECK_FALSE(limiter.take(RateClass::kMessage, "one", kStart));
  }
  CHECK(limiter.remembered() == 0);
}

TEST_CASE("Threads together get no more than the limit") {
  RateLimiter limiter(limits("message.address=500/h, message.all=500/h"));
  std::atomic<int> through{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        if (!limiter.take(RateClass::kMessage, kAlice, kStart)) ++through;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(through == 500);
}

TEST_CASE("A text names some limits and leaves the others") {
  const RateLimits base = limits("create.address=1/s, lookup.all=2/h");
  const RateLimits changed =
      RateLimits::parse(" Message.Session = 20/min ,lookup.all=off", base).value();
  CHECK(changed.at(RateClass::kMessage, RateScope::kSession) == RateLimit{20, 60s});
  CHECK(changed.at(RateClass::kCreate, RateScope::kAddress) == RateLimit{1, 1s});
  CHECK(changed.at(RateClass::kLookup, RateScope::kAll).count == 0);
  CHECK(base.at(RateClass::kLookup, RateScope::kAll) == RateLimit{2, 3600s});
  const RateLimits off = RateLimits::parse("OFF", base).value();
  CHECK(off.table == RateLimits().table);
}

TEST_CASE("The default limits let a classroom through and bound one visitor") {
  RateLimiter limiter(limits(kDefaultRateLimits));
  for (int pupil = 0; pupil < 60; ++pupil) {
    const std::string session = "session-" + std::to_string(pupil);
    CHECK_FALSE(limiter.take(RateClass::kCreate, kAlice, kStart));
    CHECK_FALSE(limiter.take(RateClass::kLookup, kAlice, kStart));
    for (int question = 0; question < 6; ++question) {
      CHECK_FALSE(limiter.take(RateClass::kMessage, kAlice, kStart));
      CHECK_FALSE(limiter.take(RateClass::kMessage, session, kStart));
    }
  }
  int through = 0;
  while (!limiter.take(RateClass::kMessage, "one visitor", kStart)) ++through;
  CHECK(through == 20);
}

TEST_CASE("What is no list of limits is refused") {
  for (const char* text : {"",
                           ",",
                           "on",
                           "create",
                           "create=1/s",
                           "create.address",
                           "create.address=",
                           "create.address=1",
                           "create.address=1/d",
                           "create.address=0/s",
                           "create.address=-1/s",
                           "create.address=1000001/s",
                           "create.address=1 /s",
                           "create.address=x/s",
                           "create.nobody=1/s",
                           "delete.address=1/s",
                           "create.session=1/s",
                           "miss.all=1/s",
                           "miss.session=1/s",
                           "off, create.all=1/s",
                           "create.all=1/s, create.all=2/s",
                           "create.all=1/s=2/s"}) {
    CAPTURE(text);
    CHECK_FALSE(RateLimits::parse(text, {}));
  }
}

TEST_CASE("The keyed hash is SipHash-2-4") {
  // The vectors of the authors' reference implementation: key 00 01 .. 0f, input 00 01 ..
  const KeyedHash hash(0x0706050403020100, 0x0f0e0d0c0b0a0908);
  std::string input;
  for (char c = 0; c < 15; ++c) input += c;
  CHECK(hash("") == 0x726fdb47dd0e0e31);
  CHECK(hash(std::string_view(input).substr(0, 8)) == 0x93f5f5799a932462);
  CHECK(hash(input) == 0xa129ca6149be45e5);
}

TEST_CASE("A hash with a secret is the same in every process, without one in none") {
  CHECK(KeyedHash("secret")("text") == KeyedHash("secret")("text"));
  CHECK(KeyedHash("secret")("text") != KeyedHash("other")("text"));
  CHECK(KeyedHash("")("text") != KeyedHash("")("text"));
  CHECK(KeyedHash()("text") != KeyedHash()("text"));
}

// What the database does for several servers.
class SharedCounts {
 public:
  Time::duration add(const RateUse& use, Time now) {
    Time& full_at = full_at_[{int(use.rate_class), int(use.scope), use.key}];
    full_at = std::max(full_at, now) + use.taken;
    return full_at - now;
  }
  // One exchange of a server's.
  void exchange(RateLimiter& limiter, Time now) {
    for (const RateUse& use : limiter.taken(1000, now)) limiter.heard(use, add(use, now), now);
  }

 private:
  std::map<std::tuple<int, int, std::uint64_t>, Time> full_at_;
};

TEST_CASE("Servers that share their counts let through the limit, and what one interval brings") {
  SharedCounts shared;
  const KeyedHash hash("the same for all");
  std::vector<std::unique_ptr<RateLimiter>> servers;
  for (int i = 0; i < 3; ++i) {
    servers.push_back(std::make_unique<RateLimiter>(
        limits("message.session=20/min, message.address=60/min, message.all=100/min"), hash));
    servers.back()->share();
  }
  // One visitor asks ten times a second, now here, now there; an exchange every 200 ms.
  int through = 0;
  int asked = 0;
  constexpr int kSeconds = 180;
  for (Time now = kStart; now < kStart + kSeconds * 1s; now += 100ms, ++asked) {
    RateLimiter& server = *servers[std::size_t(asked) % servers.size()];
    if (!server.take(RateClass::kMessage, "one", now)) ++through;
    if (asked % 2 == 1) {
      for (auto& each : servers) shared.exchange(*each, now);
    }
  }
  // 20 at once, 20 in each minute, and at most the two other servers' share of an interval.
  CHECK(through >= 20 + kSeconds / 3 - 1);
  CHECK(through <= 20 + kSeconds / 3 + 2);
}

TEST_CASE("Of a bucket that is nearly full no other server needs to hear") {
  RateLimiter limiter(limits("message.session=80/min, message.address=80/min, message.all=80/min"));
  limiter.share();
  for (int i = 0; i < 10; ++i) CHECK_FALSE(limiter.take(RateClass::kMessage, "one", kStart));
  CHECK(limiter.taken(10, kStart).empty());
  CHECK_FALSE(limiter.take(RateClass::kMessage, "one", kStart));
  const auto told = limiter.taken(10, kStart);
  REQUIRE(told.size() == 1);
  CHECK(told[0].scope == RateScope::kSession);
  CHECK(told[0].taken == 11 * 60'000ms / 80);
  CHECK(limiter.taken(10, kStart).empty());
  // Those of all are told from the first one on.
  CHECK_FALSE(limiter.take(RateClass::kMessage, kAlice, kStart));
  const auto of_all = limiter.taken(10, kStart);
  REQUIRE(of_all.size() == 1);
  CHECK(of_all[0].scope == RateScope::kAll);
}

TEST_CASE("What nobody could be told is told later, as far as it still counts") {
  RateLimiter limiter(limits("message.session=10/min"));
  limiter.share();
  for (int i = 0; i < 5; ++i) CHECK_FALSE(limiter.take(RateClass::kMessage, "one", kStart));
  const auto first = limiter.taken(10, kStart);
  REQUIRE(first.size() == 1);
  CHECK(first[0].taken == 30s);
  limiter.not_told(first[0]);
  CHECK_FALSE(limiter.take(RateClass::kMessage, "one", kStart + 10s));
  const auto second = limiter.taken(10, kStart + 10s);
  REQUIRE(second.size() == 1);
  CHECK(second[0].taken == 26s);  // 36 s were taken, 10 s have come back
}

TEST_CASE("A bucket that others emptied is empty here, and what was taken here meanwhile counts") {
  RateLimiter limiter(limits("message.session=10/min"));
  limiter.share();
  for (int i = 0; i < 2; ++i) CHECK_FALSE(limiter.take(RateClass::kMessage, "one", kStart));
  const auto told = limiter.taken(10, kStart);
  REQUIRE(told.size() == 1);
  CHECK_FALSE(limiter.take(RateClass::kMessage, "one", kStart));  // while the database is asked
  limiter.heard(told[0], 54s, kStart);
  const auto over = limiter.take(RateClass::kMessage, "one", kStart);
  REQUIRE(over);
  CHECK(over->full_after == 60s);
}

}  // namespace
}  // namespace twinchat::server
