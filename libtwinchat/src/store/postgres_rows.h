#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/postgres_connection.h"
#include "store/stored_rows.h"
#include "twinchat/session.h"

namespace twinchat::postgres {

// The rows of the chat tables as the library's values. All within the caller's transaction.
//
// Whoever changes a session or its messages holds the lock of its row in chat_chatsession, taken
// before anything else: it serialises servers, and no two of them wait for each other.
//
// Thread safety: as the Connection's.

std::optional<Session> find_session(Connection& connection, const std::string& session_id);
// Locks its row until the end of the transaction: waits for another transaction that holds it.
std::optional<Session> lock_session(Connection& connection, const std::string& session_id);
// nullopt when the id is taken, also by a transaction that has to be waited for. kInvalidArgument
// for an id that PostgreSQL cannot hold.
std::optional<Session> insert_session(Connection& connection, const std::string& session_id,
                                      const UserDetails& user, Timestamp now);
// Brings the details and the time of the last change to the row, which is locked.
void update_session(Connection& connection, Session& session, const UserDetailsUpdate& update,
                    Timestamp now);

// A session that another program made has no row in twinchat_session. Makes it, counted anew; also
// one that is there is counted anew. The session's row is locked.
void count_session(Connection& connection, std::int64_t session);

// What read_turn() reads, up to WHERE: t is the turn, q its question, s the session, a the answer.
#define TWINCHAT_PG_TURN_QUERY                                                                  \
  "SELECT t.id, s.session_id, t.status, t.finish_reason, t.block_reason, t.model, "             \
  "t.model_version, t.response_id, t.prompt_tokens, t.cached_tokens, t.output_tokens, "         \
  "t.thought_tokens, t.total_tokens, t.latency_ms, t.attempts, t.error_code, q.id, q.content, " \
  "q.is_bot, q.created_at, a.id, a.content, a.is_bot, a.created_at, s.id, t.feedback, "         \
  "t.feedback_at FROM chat_message AS q "                                                       \
  "JOIN twinchat_turn AS t ON t.user_message_id = q.id AND t.session_id = q.session_id JOIN "   \
  "chat_chatsession AS s ON s.id = q.session_id LEFT JOIN chat_message AS a ON a.id = "         \
  "t.answer_message_id AND a.session_id = q.session_id "

// kNotFound.
Turn load_turn(Connection& connection, std::int64_t id);

// All SQL of this file; see schema_statements().
std::vector<std::string> row_statements();

}  // namespace twinchat::postgres
