#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "twinchat/error.h"
#include "twinchat/session.h"
#include "twinchat/store.h"

namespace twinchat {

// What every store decides the same way.

// The status that to_string() spells so; nullopt for any other text.
std::optional<TurnStatus> turn_status_from(std::string_view text) noexcept;

// Whether a second request under the same idempotency key gets what is stored.
bool is_replayed(TurnStatus status) noexcept;

// Whether later requests to the model carry the turn, given that it has an answer.
bool is_history(TurnStatus status) noexcept;

// How a table holds what the visitor thinks of an answer: 0, 1 for up, -1 for down.
std::int64_t stored(Feedback feedback) noexcept;
// Any other number was written by nobody that we know, and says nothing.
Feedback feedback_from(std::int64_t stored) noexcept;

// Brings to the turn how it went; its answer is left to the caller.
void apply(const FinishedTurn& finished, Turn& turn);

// What a turn counts for towards NewTurn::max_tokens_per_day.
std::int64_t counted_tokens(const Usage& usage) noexcept;

// The refusals of what is about a session or a turn that is not there.
Error no_such_session();
Error no_such_turn();

// The refusals of a turn whose idempotency key stands for another message, or for one that is under
// way.
Error key_used_otherwise();
Error key_in_use();

// The refusal of feedback on what answers nothing.
Error no_such_answer();

// The refusal of a turn when the day of `now` has used up its tokens.
Error daily_tokens_used_up(Timestamp now);

// Picks the answered turns out of a session's messages.
//
// A message that begins a turn counts by what became of the turn. A message without one, directly
// followed by a bot message that answers no turn, is a pair that another program wrote.
//
// Thread safety: none; made for one call.
class PastTurnWalk {
 public:
  struct Step {
    std::int64_t message_id = 0;
    bool is_bot = false;
    std::int64_t turn_id = 0;                  // the turn that the message begins; 0 for none
    TurnStatus status = TurnStatus::kPending;  // of that turn
    std::int64_t answer_id = 0;                // its answer; 0 for none
    // For a visitor's message that begins no turn: whether the bot message that follows it in the
    // session answers one.
    bool follower_answers_a_turn = false;
  };
  struct Found {
    std::int64_t turn_id = 0;  // 0 for a pair
    std::int64_t user_message_id = 0;
    std::int64_t answer_message_id = 0;
  };

  explicit PastTurnWalk(std::size_t limit) : limit_(limit) {}

  // Takes the messages from the newest to the oldest, until done().
  void take(const Step& step);
  bool done() const noexcept { return found_.size() >= limit_; }
  // Newest first.
  const std::vector<Found>& found() const noexcept { return found_; }

 private:
  std::size_t limit_;
  std::vector<Found> found_;
  std::int64_t following_bot_ = 0;  // the message after the one to come, when it may be its answer
};

}  // namespace twinchat
