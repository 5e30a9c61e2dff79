#include "limits/client_address.h"

#include "catch.h"

namespace twinchat::server {
namespace {

std::vector<AddressRange> ranges(std::initializer_list<const char*> texts) {
  std::vector<AddressRange> list;
  for (const char* text : texts) list.push_back(AddressRange::parse(text).value());
  return list;
}

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}

TEST_CASE("Only an address is an address") {
  for (const char* text : {"192.0.2.1", "::", "::1", "2001:db8::1", "::ffff:192.0.2.1"}) {
    CAPTURE(text);
    CHECK(IpAddress::parse(text));
  }
  for (const std::string& text :
       {std::string(), std::string("192.0.2"), std::string("192.0.2.256"),
        std::string("192.0.2.1 "), std::string("[::1]"), std::string("fe80::1%lo"),
        std::string("localhost"), std::string("192.0.2.1\0", 10), std::string("1.2.3.4:80"),
        std::string(100, '1')}) {
    CAPTURE(text);
    CHECK_FALSE(IpAddress::parse(text));
  }
}

TEST_CASE("An IPv4 address mapped into IPv6 is that IPv4 address") {
  CHECK(ip("::ffff:192.0.2.1") == ip("192.0.2.1"));
  CHECK(ip("::ffff:192.0.2.1").is_v4());
  CHECK_FALSE(ip("::1").is_v4());
}

TEST_CASE("A client's network is its IPv4 address or the /64 of its IPv6 address") {
  CHECK(ip("192.0.2.1").network() == ip("192.0.2.1"));
  CHECK(ip("192.0.2.1").network() != ip("192.0.2.2").network());
  CHECK(ip("2001:db8:0:1:aaaa::1").network() == ip("2001:db8:0:1::2").network());
  CHECK(ip("2001:db8:0:1::1").network() != ip("2001:db8:0:2::1").network());
}

TEST_CASE("A range holds the addresses that begin with its bits") {
  const auto [range, address, inside] = GENERATE(table<const char*, const char*, bool>({
      {"10.0.0.0/8", "10.255.0.1", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"10.0.0.0/8", "::ffff:10.1.1.1", true},
      {"10.0.0.0/8", "a00::1", false},
      {"192.0.2.128/25", "192.0.2.129", true},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.1", "192.0.2.1", true},
      {"192.0.2.1", "192.0.2.2", false},
      {" 192.0.2.1 ", "192.0.2.1", true},
      {"0.0.0.0/0", "203.0.113.9", true},
      {"0.0.0.0/0", "::1", false},
      {"::/0", "203.0.113.9", true},
      {"::/0", "::1", true},
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"::ffff:10.0.0.0/104", "10.2.3.4", true},
  }));
  CAPTURE(range, address);
  CHECK(AddressRange::parse(range).value().contains(ip(address)) == inside);
}

TEST_CASE("What is no range is refused") {
  for (const char* text : {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "/8",
                           "::/129", "proxy.example", "10.0.0.0/8/8", "*"}) {
    CAPTURE(text);
    CHECK_FALSE(AddressRange::parse(text));
  }
}

TEST_CASE("X-Forwarded-For counts from its end, as far as trusted proxies vouch for it") {
  const auto trusted = ranges({"127.0.0.1", "10.0.0.0/8", "2001:db8:ffff::/48"});
  const auto [peer, field, client] = GENERATE(table<const char*, const char*, const char*>({
      // Nobody else is believed.
      {"203.0.113.5", "", "203.0.113.5"},
      {"203.0.113.5", "198.51.100.1", "203.0.113.5"},
      {"203.0.113.5", "10.0.0.1", "203.0.113.5"},
      {"::1", "198.51.100.1", "::1"},
      // The proxy's own word, whatever the client had put before it.
      {"127.0.0.1", "", "127.0.0.1"},
      {"127.0.0.1", "198.51.100.1", "198.51.100.1"},
      {"::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"},
      {"127.0.0.1", "192.0.2.66, 198.51.100.1", "198.51.100.1"},
      {"127.0.0.1", "192.0.2.66,198.51.100.1,10.1.1.1", "198.51.100.1"},
      {"127.0.0.1", "127.0.0.1, 192.0.2.66, 198.51.100.1 , 10.1.1.1", "198.51.100.1"},
      {"2001:db8:ffff::1", "2001:db8::7", "2001:db8::7"},
      // All of them trusted: the farthest.
      {"127.0.0.1", "10.3.3.3, 10.2.2.2", "10.3.3.3"},
      // The forms of other proxies.
      {"127.0.0.1", "198.51.100.1:4711", "198.51.100.1"},
      {"127.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"},
      {"127.0.0.1", "[2001:db8::7]", "2001:db8::7"},
      // Garbage ends the walk where the last address was.
      {"127.0.0.1", "unknown", "127.0.0.1"},
      {"127.0.0.1", "198.51.100.1, garbage", "127.0.0.1"},
      {"127.0.0.1", "198.51.100.1, garbage, 10.1.1.1", "10.1.1.1"},
      {"127.0.0.1", "198.51.100.1,", "127.0.0.1"},
      {"127.0.0.1", "198.51.100.1, [10.0.0.1]", "127.0.0.1"},
      {"127.0.0.1", "198.51.100.1, 10.0.0.1:port", "127.0.0.1"},
      {"127.0.0.1", "[::1", "127.0.0.1"},
      {"127.0.0.1", ",,,", "127.0.0.1"},
  }));
  CAPTURE(peer, field);
  CHECK(client_address(ip(peer), field, trusted) == ip(client));
}

TEST_CASE("Without trusted proxies X-Forwarded-For is nothing") {
  CHECK(client_address(ip("127.0.0.1"), "198.51.100.1", {}) == ip("127.0.0.1"));
}

}  // namespace
}  // namespace twinchat::server
