#pragma once

#include <string_view>
#include <vector>

#include "twinchat/gemini.h"

namespace twinchat::gemini {

// What `model` accepts: the longest matching prefix among `own`, else among the built-in table.
ModelCapabilities capabilities_of(std::string_view model,
                                  const std::vector<ModelCapabilities>& own);

}  // namespace twinchat::gemini
