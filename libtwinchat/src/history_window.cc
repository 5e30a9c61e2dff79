#include "history_window.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "gemini/content_json.h"

namespace twinchat {
namespace {

// One turn in so many is a place to begin, by chance of its id.
constexpr std::uint64_t kStep = 4;

bool may_begin_at(const PastTurn& turn) {
  std::uint64_t mixed = static_cast<std::uint64_t>(turn.turn_id);
  if (turn.turn_id == 0) {
    for (const char c : turn.user_text) mixed = mixed * 31 + static_cast<unsigned char>(c);
  }
  // SplitMix64's last steps. One multiplication is not enough: the ids of a session that takes
  // turns with others lie evenly apart, and it would leave them so.
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
  return (mixed ^ (mixed >> 31)) % kStep == 0;
}

std::int64_t tokens_of(const PastTurn& turn) {
  const std::int64_t question = estimated_tokens(turn.user_text);
  if (turn.usage.output_tokens <= 0) return question + estimated_tokens(turn.answer_text);
  // A damaged database may hold any number.
  return question +
         std::min(turn.usage.output_tokens, std::numeric_limits<std::int64_t>::max() - question);
}

}  // namespace

std::int64_t estimated_tokens(std::string_view text) noexcept {
  const auto ascii = std::count_if(text.begin(), text.end(),
                                   [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  const auto rest = static_cast<std::int64_t>(text.size()) - ascii;
  return ascii / 4 + rest / 2 + 1;
}

std::vector<Content> history_window(const std::vector<PastTurn>& turns, std::size_t max_turns,
                                    std::int64_t max_tokens) {
  std::size_t begin = turns.size() - std::min(turns.size(), max_turns);
  std::int64_t left = max_tokens;
  std::size_t first_fitting = turns.size();
  while (first_fitting > begin && tokens_of(turns[first_fitting - 1]) <= left) {
    left -= tokens_of(turns[--first_fitting]);
  }
  begin = first_fitting;
  // All of it fits: no cut, no need for a place to cut. A caller asks the store for one turn more
  // than the window holds, so that this can be told. A place in the newer half is none: what the
  // model would forget is worth more than what it could cache.
  if (begin > 0) {
    const auto oldest = turns.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto half = oldest + (turns.end() - oldest) / 2;
    const auto place = std::find_if(oldest, half, may_begin_at);
    if (place != half) begin = static_cast<std::size_t>(place - turns.begin());
  }
  std::vector<Content> contents;
  for (std::size_t i = begin; i < turns.size(); ++i) {
    const PastTurn& turn = turns[i];
    contents.push_back(text_content(Role::kUser, turn.user_text));
    std::vector<Content> answered = gemini::decode_contents(turn.contents);
    if (answered.empty()) answered.push_back(text_content(Role::kModel, turn.answer_text));
    std::move(answered.begin(), answered.end(), std::back_inserter(contents));
  }
  return contents;
}

}  // namespace twinchat
