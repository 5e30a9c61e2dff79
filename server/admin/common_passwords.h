#pragma once

#include <string_view>

namespace twinchat::server {

// Whether the password (in small letters) is one that guessers try first: one of some four hundred
// words and runs of keys, also twice in a row, with up to four digits or signs before or behind it,
// and with digits and signs in the place of letters ("p4ssw0rd!"). The list is our own.
//
// Thread safety: a pure function.
bool is_common_password(std::string_view password);

}  // namespace twinchat::server
