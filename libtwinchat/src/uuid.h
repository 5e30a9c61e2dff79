#pragma once

#include <string>

namespace twinchat {

// A random UUID (version 4) from the system's source of randomness, in lower case. kUnavailable
// when that source fails.
std::string random_uuid();

}  // namespace twinchat
