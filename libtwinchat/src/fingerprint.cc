#include "fingerprint.h"

#include <array>
#include <cstdint>

namespace twinchat {
namespace {

// FNV-1a over 128 bits.
class Hash {
 public:
  void add(std::string_view bytes) {
    for (const char byte : bytes) {
      state_ ^= static_cast<unsigned char>(byte);
      state_ *= kPrime;
    }
  }
  // A value with its length, so that neighbours cannot run together.
  void add_field(std::string_view value) {
    add(std::to_string(value.size()));
    add(":");
    add(value);
  }
  std::string text() const {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string digits;
    for (int shift = 124; shift >= 0; shift -= 4) {
      digits += kHex[static_cast<unsigned>(state_ >> shift) & 0xFu];
    }
    return digits;
  }

 private:
  __extension__ using Word = unsigned __int128;
  static constexpr Word kPrime = (Word{1} << 88) + 0x13B;
  Word state_ = (Word{0x6c62272e07bb0142u} << 64) + 0x62b821756295c58du;
};

}  // namespace

std::string fingerprint(std::string_view text, const UserDetailsUpdate& details) {
  Hash hash;
  hash.add_field(text);
  for (const FieldUpdate* field : {&details.name, &details.email, &details.phone}) {
    hash.add(!field->given() ? "-" : !field->value() ? "0" : "=");
    if (field->given() && field->value()) hash.add_field(*field->value());
  }
  return hash.text();
}

}  // namespace twinchat
