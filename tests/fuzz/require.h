#pragma once

#include <cstdlib>

// What must hold for every input; libFuzzer keeps an input for which it does not.
inline void require(bool holds) {
  if (!holds) std::abort();
}
