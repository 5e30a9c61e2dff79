#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twinchat::server {

// An IP address. An IPv4 address and the same address mapped into IPv6 are equal.
//
// Thread safety: a plain value.
struct IpAddress {
  // Network order; IPv4 as ::ffff:a.b.c.d.
  std::array<std::uint8_t, 16> bytes = {};

  // "192.0.2.1", "2001:db8::1"; nullopt for anything else, zones ("fe80::1%eth0") and brackets
  // included.
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_v4() const;
  // What one client of the network has to itself: an IPv4 address, the /64 of an IPv6 address (the
  // rest is the client's to choose, and privacy extensions do).
  IpAddress network() const;
  bool operator==(const IpAddress&) const = default;
};

// As IpAddress::parse() takes it.
std::string to_text(const IpAddress& address);

// The addresses that begin with the same bits.
//
// Thread safety: a plain value.
struct AddressRange {
  IpAddress first = {};
  // Of the 128 of an IpAddress, so an IPv4 /24 has 120.
  int bits = 128;

  // "10.0.0.0/8", "2001:db8::/32", or an address, which is a range of one; nullopt for anything
  // else.
  static std::optional<AddressRange> parse(std::string_view text);

  bool contains(const IpAddress& address) const;
};

// Who asks: the TCP peer, or, when that is one of `trusted`, whom it names in X-Forwarded-For. The
// field is read from its end, where the nearest proxy wrote, and only as far as proxies that are
// trusted vouch for it: the client is the first address that is not one of theirs. Text that is no
// address ends the walk at the last address that was.
IpAddress client_address(const IpAddress& peer, std::string_view forwarded_for,
                         const std::vector<AddressRange>& trusted);

}  // namespace twinchat::server
