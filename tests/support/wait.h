#pragma once

#include <chrono>
#include <functional>

namespace twinchat::testing {

// Asks `condition` every few milliseconds until it is true or `limit` has passed, and returns its
// last answer. The limit is a guard against hanging, never a claim about speed.
bool eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds limit = std::chrono::seconds(30));

}  // namespace twinchat::testing
