#pragma once

#include <cstdint>
#include <string_view>

namespace twinchat::server {

// SipHash-2-4: a short hash that nobody without the key can foresee, so that no text from outside
// can be made to collide with another, and a text cannot be guessed from its hash.
//
// Thread safety: immutable after construction.
class KeyedHash {
 public:
  // A key of this process.
  KeyedHash();
  // A key made from the secret: the same in every process that has it. Empty is as none.
  explicit KeyedHash(std::string_view secret);

  // That key: its first eight bytes, the first one lowest, and the rest likewise.
  KeyedHash(std::uint64_t k0, std::uint64_t k1) : k0_(k0), k1_(k1) {}

  std::uint64_t operator()(std::string_view text) const;

 private:
  std::uint64_t k0_;
  std::uint64_t k1_;
};

}  // namespace twinchat::server
