#include "text.h"

#include <cstdint>

namespace twinchat {

std::optional<std::size_t> count_code_points(std::string_view text) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++count) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t length = 1;
    std::uint32_t value = lead;
    if (lead >= 0x80) {
      if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
        value = lead & 0x1Fu;
      } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        value = lead & 0x0Fu;
      } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        value = lead & 0x07u;
      } else {
        return std::nullopt;
      }
      if (text.size() - i < length) return std::nullopt;
      for (std::size_t k = 1; k < length; ++k) {
        const auto next = static_cast<unsigned char>(text[i + k]);
        if ((next & 0xC0u) != 0x80u) return std::nullopt;
        value = value << 6 | (next & 0x3Fu);
      }
      if (length == 3 && (value < 0x800 || (value >= 0xD800 && value <= 0xDFFF))) {
        return std::nullopt;
      }
      if (length == 4 && (value < 0x10000 || value > 0x10FFFF)) return std::nullopt;
    }
    i += length;
  }
  return count;
}

}  // namespace twinchat
