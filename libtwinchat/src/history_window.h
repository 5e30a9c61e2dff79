#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "twinchat/content.h"
#include "twinchat/store.h"

namespace twinchat {

// About how many tokens a text takes.
std::int64_t estimated_tokens(std::string_view text) noexcept;

// The contents to send for the newest of `turns` (oldest first): at most `max_turns` of them and
// about `max_tokens`. Whole turns only, so roles alternate from the user's on. What is too much
// goes in steps: the window begins at one of the turns that are marked, by their id, as a place to
// begin, so that it moves only every few turns and requests in between share their beginning (which
// the model caches). At most half of what fits is given away for that.
std::vector<Content> history_window(const std::vector<PastTurn>& turns, std::size_t max_turns,
                                    std::int64_t max_tokens);

}  // namespace twinchat
