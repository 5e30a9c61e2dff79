#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/turn_rules.h"
#include "twinchat/accounts.h"
#include "twinchat/content.h"
#include "twinchat/error.h"
#include "twinchat/session.h"
#include "twinchat/store.h"

namespace twinchat {

// What the stores that speak SQL read in the same way. `Query` is the SQLite or the PostgreSQL
// store's, standing at a row.
//
// Thread safety: as the Query's.

// kDataLoss when the text is no status.
TurnStatus stored_status(const std::string& text);

// A number for LIMIT.
std::int64_t sql_limit(std::size_t limit);

// The columns id, session_id, user_name, user_email, user_phone, created_at, updated_at from
// `column` on.
template <class Query>
Session read_session(const Query& query, int column) {
  Session session;
  session.id = query.integer(column);
  session.session_id = query.text(column + 1);
  session.user = {query.optional_text(column + 2), query.optional_text(column + 3),
                  query.optional_text(column + 4)};
  session.created_at = query.time(column + 5);
  session.updated_at = query.time(column + 6);
  return session;
}

// The columns id, content, is_bot, created_at from `column` on.
template <class Query>
Message read_message(const Query& query, int column) {
  return {query.integer(column), query.text(column + 1), query.integer(column + 2) != 0,
          query.time(column + 3)};
}

// A row of TWINCHAT_TURN_QUERY or TWINCHAT_PG_TURN_QUERY.
template <class Query>
Turn read_turn(const Query& query) {
  Turn turn;
  turn.id = query.integer(0);
  turn.session_id = query.text(1);
  turn.status = stored_status(query.text(2));
  turn.finish_reason_raw = query.text(3);
  turn.finish_reason = finish_reason_from(turn.finish_reason_raw);
  turn.block_reason = query.text(4);
  turn.model = query.text(5);
  turn.model_version = query.text(6);
  turn.response_id = query.text(7);
  turn.usage = {query.integer(8), query.integer(9), query.integer(10), query.integer(11),
                query.integer(12)};
  turn.latency = std::chrono::milliseconds(query.integer(13));
  turn.attempts = static_cast<int>(query.integer(14));
  turn.error_code = query.text(15);
  turn.user_message = read_message(query, 16);
  if (!query.is_null(20)) turn.answer = read_message(query, 20);
  turn.feedback = feedback_from(query.integer(25));
  turn.feedback_at = query.optional_time(26);
  return turn;
}

// What read_consent() reads.
#define TWINCHAT_CONSENT_COLUMNS "id, version, language, text, given_at, withdrawn_at"
template <class Query>
Consent read_consent(const Query& query) {
  return {query.integer(0), query.text(1), query.text(2),
          query.text(3),    query.time(4), query.optional_time(5)};
}

// What read_user() reads.
#define TWINCHAT_USER_COLUMNS                                                                 \
  "id, username, password, email, first_name, last_name, is_active, is_staff, is_superuser, " \
  "last_login, date_joined"
template <class Query>
User read_user(const Query& query) {
  User user;
  user.id = query.integer(0);
  user.username = query.text(1);
  user.password = query.text(2);
  user.email = query.text(3);
  user.first_name = query.text(4);
  user.last_name = query.text(5);
  user.is_active = query.integer(6) != 0;
  user.is_staff = query.integer(7) != 0;
  user.is_superuser = query.integer(8) != 0;
  user.last_login = query.optional_time(9);
  user.date_joined = query.time(10);
  return user;
}

// What read_token() reads.
#define TWINCHAT_TOKEN_COLUMNS "id, token_hash, user_id, name, created_at, expires_at, last_used_at"
template <class Query>
ApiToken read_token(const Query& query) {
  ApiToken token;
  token.id = query.integer(0);
  token.token_hash = query.text(1);
  token.user_id = query.integer(2);
  token.name = query.text(3);
  token.created_at = query.time(4);
  token.expires_at = query.optional_time(5);
  token.last_used_at = query.optional_time(6);
  return token;
}

// What read_failures() reads.
#define TWINCHAT_FAILURE_COLUMNS "key, failures, until, known, forget_at"
// Brings the row to that of `failures` which has its key, unless it is to be forgotten by `now`.
template <class Query>
void read_failures(const Query& query, Timestamp now, std::vector<LoginFailures>& failures) {
  const LoginFailures found{query.text(0), query.integer(1), query.time(2), query.integer(3) != 0,
                            query.time(4)};
  if (found.forget_at <= now) return;
  for (LoginFailures& one : failures) {
    if (one.key == found.key) one = found;
  }
}

// Makes the answer to Store::past_turns() out of a session's messages, from the newest on.
//
// Thread safety: none; made for one call.
class PastTurnReader {
 public:
  explicit PastTurnReader(std::size_t limit) : walk_(limit) {}

  // How many messages to look at for so many turns: enough for a long row of failures in between.
  static std::size_t walk_length(std::size_t limit);

  bool done() const noexcept { return walk_.done(); }

  // Takes one row: the message's id and is_bot; the id, status and answer_message_id of its turn;
  // whether its follower answers a turn; the message's content; the turn's contents and its five
  // counts of tokens. `text_of(id)` gives the text of a message that was not among the rows, or
  // nullopt.
  template <class Query, class F>
  void take(const Query& query, F&& text_of) {
    PastTurnWalk::Step step;
    step.message_id = query.integer(0);
    step.is_bot = query.integer(1) != 0;
    if (!query.is_null(2)) {
      step.turn_id = query.integer(2);
      step.status = stored_status(query.text(3));
      step.answer_id = query.integer(4);
    }
    step.follower_answers_a_turn = query.integer(5) != 0;
    const std::size_t found_before = walk_.found().size();
    walk_.take(step);
    if (step.is_bot) answers_.emplace(step.message_id, query.text(6));
    if (walk_.found().size() == found_before) return;
    const PastTurnWalk::Found& found = walk_.found().back();
    PastTurn turn;
    turn.turn_id = found.turn_id;
    turn.user_text = query.text(6);
    if (auto answer = answers_.extract(found.answer_message_id)) {
      turn.answer_text = std::move(answer.mapped());
    } else {
      // It came after the turn before which to begin.
      std::optional<std::string> text = text_of(found.answer_message_id);
      if (!text) return;
      turn.answer_text = *std::move(text);
    }
    turn.contents = query.text(7);
    turn.usage = {query.integer(8), query.integer(9), query.integer(10), query.integer(11),
                  query.integer(12)};
    turns_.push_back(std::move(turn));
  }

  // What was found, oldest first. Nothing is taken afterwards.
  std::vector<PastTurn> turns() {
    std::reverse(turns_.begin(), turns_.end());
    return std::move(turns_);
  }

 private:
  PastTurnWalk walk_;
  std::unordered_map<std::int64_t, std::string> answers_;  // texts of the bot, by id
  std::vector<PastTurn> turns_;                            // newest first
};

}  // namespace twinchat
