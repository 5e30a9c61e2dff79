#pragma once

#include <string>
#include <string_view>

#include "twinchat/session.h"

namespace twinchat {

// Tells whether two requests under one idempotency key ask the same: 128 bits as hexadecimal
// digits. Not a secret and no protection against somebody who looks for two texts with one
// fingerprint.
std::string fingerprint(std::string_view text, const UserDetailsUpdate& details);

}  // namespace twinchat
