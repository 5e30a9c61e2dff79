#pragma once

#include <cstdint>

namespace twinchat::testing {

// How often a test that depends on chance plays its game: the environment variable of that name
// when it is set, otherwise `usual`. `make soak` sets them. Throws std::invalid_argument when the
// variable is no positive number.
int rounds(const char* variable, int usual);

// The seed of this run's chances: TWINCHAT_SEED when it is set, otherwise another one each time. A
// test says it (INFO, or on standard error), so that a run can be repeated as far as threads allow.
std::uint32_t chance_seed();

}  // namespace twinchat::testing
