#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "store/sqlite_connection.h"
#include "store/stored_rows.h"
#include "twinchat/session.h"

namespace twinchat::sqlite {

// The rows of the chat tables as the library's values. All within the caller's transaction.
//
// Thread safety: as the Connection's.

std::optional<Session> find_session(Connection& connection, const std::string& session_id);
Session insert_session(Connection& connection, const std::string& session_id,
                       const UserDetails& user, Timestamp now);
// Brings the details and the time of the last change to the row.
void update_session(Connection& connection, Session& session, const UserDetailsUpdate& update,
                    Timestamp now);
void touch_session(Connection& connection, std::int64_t id, Timestamp now);

Message insert_message(Connection& connection, std::int64_t session, const std::string& text,
                       bool is_bot, Timestamp now);

// What read_turn() reads, up to WHERE: t is the turn, q its question, s the session, a the answer.
#define TWINCHAT_TURN_QUERY                                                                     \
  "SELECT t.id, s.session_id, t.status, t.finish_reason, t.block_reason, t.model, "             \
  "t.model_version, t.response_id, t.prompt_tokens, t.cached_tokens, t.output_tokens, "         \
  "t.thought_tokens, t.total_tokens, t.latency_ms, t.attempts, t.error_code, q.id, q.content, " \
  "q.is_bot, q.created_at, a.id, a.content, a.is_bot, a.created_at, s.id, "                     \
  "t.feedback, t.feedback_at FROM chat_message AS q "                                           \
  "JOIN twinchat_turn AS t ON t.user_message_id = q.id JOIN chat_chatsession AS s ON s.id = "   \
  "q.session_id LEFT JOIN chat_message AS a ON a.id = t.answer_message_id "

// The session's row goes to `session` where that is wanted. kNotFound.
Turn load_turn(Connection& connection, std::int64_t id, std::int64_t* session = nullptr);

}  // namespace twinchat::sqlite
