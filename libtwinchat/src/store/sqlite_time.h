#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "twinchat/session.h"

namespace twinchat::sqlite {

// The text that Django stores for a moment: "2025-12-26 12:00:00.000001", UTC, and without the
// fraction when it is zero. Equal moments are equal text, and the order of texts is that of times.
std::string time_text(Timestamp time);

// The moment of such a text, also with a 'T' in the middle, with fewer or more digits in the
// fraction, and with a zone ("Z", "+00:00", "+05:30"). nullopt for anything else.
std::optional<Timestamp> time_from_text(std::string_view text);

}  // namespace twinchat::sqlite
