#pragma once

#include <string>

#include "twinchat/session.h"

namespace twinchat {

// "20261126T163518Z": a moment, to the second, as it stands in names of files.
std::string name_of(Timestamp time);

}  // namespace twinchat
