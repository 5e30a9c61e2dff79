#include "store/sqlite_rows.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "store/sqlite_time.h"
#include "store/turn_rules.h"
#include "twinchat/error.h"

namespace twinchat::sqlite {

Error no_such_session() {
  return Error(ErrorCode::kNotFound, "There is no such session.");
}
Error no_such_turn() {
  return Error(ErrorCode::kNotFound, "There is no such turn.");
}

// --- Sessions

constexpr char kFindSession[] =
    "SELECT id, session_id, user_name, user_email, user_phone, created_at, updated_at FROM "
    "chat_chatsession WHERE session_id = ?";
constexpr char kInsertSession[] =
    "INSERT INTO chat_chatsession (session_id, user_name, user_email, user_phone, created_at, "
    "updated_at) VALUES (?, ?, ?, ?, ?, ?)";
constexpr char kUpdateSession[] =
    "UPDATE chat_chatsession SET user_name = ?, user_email = ?, user_phone = ?, updated_at = ? "
    "WHERE id = ?";
constexpr char kTouchSession[] = "UPDATE chat_chatsession SET updated_at = ? WHERE id = ?";

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

std::optional<Session> find_session(Connection& connection, const std::string& session_id) {
  Query query(connection, kFindSession);
  query.bind(session_id);
  if (!query.step()) return std::nullopt;
  return read_session(query, 0);
}

Session insert_session(Connection& connection, const std::string& session_id,
                       const UserDetails& user, Timestamp now) {
  const std::string time = time_text(now);
  Query query(connection, kInsertSession);
  query.bind(session_id).bind(user.name).bind(user.email).bind(user.phone).bind(time).bind(time);
  query.run();
  Session session;
  session.id = connection.database().getLastInsertRowid();
  session.session_id = session_id;
  session.user = user;
  session.created_at = now;
  session.updated_at = now;
  return session;
}

void update_session(Connection& connection, Session& session, const UserDetailsUpdate& update,
                    Timestamp now) {
  update.apply_to(session.user);
  session.updated_at = now;
  const std::string time = time_text(now);
  Query query(connection, kUpdateSession);
  query.bind(session.user.name).bind(session.user.email).bind(session.user.phone).bind(time);
  query.bind(session.id).run();
}

void touch_session(Connection& connection, std::int64_t id, Timestamp now) {
  const std::string time = time_text(now);
  Query query(connection, kTouchSession);
  query.bind(time).bind(id).run();
}

// --- Messages

constexpr char kInsertMessage[] =
    "INSERT INTO chat_message (content, is_bot, created_at, session_id) VALUES (?, ?, ?, ?)";

Message insert_message(Connection& connection, std::int64_t session, const std::string& text,
                       bool is_bot, Timestamp now) {
  const std::string time = time_text(now);
  Query query(connection, kInsertMessage);
  query.bind(text).bind(is_bot ? 1 : 0).bind(time).bind(session).run();
  return {connection.database().getLastInsertRowid(), text, is_bot, now};
}

std::int64_t sql_limit(std::size_t limit) {
  constexpr auto kMost = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(limit, kMost));
}

// --- Turns

constexpr char kTurn[] = TWINCHAT_TURN_QUERY "WHERE t.id = ?";
TurnStatus stored_status(const std::string& text) {
  if (const std::optional<TurnStatus> status = turn_status_from(text)) return *status;
  throw Error(ErrorCode::kDataLoss, "The database holds a turn status that cannot be read.");
}

Message read_message(const Query& query, int column) {
  return {query.integer(column), query.text(column + 1), query.integer(column + 2) != 0,
          query.time(column + 3)};
}

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

Consent read_consent(const Query& query) {
  return {query.integer(0), query.text(1), query.text(2),
          query.text(3),    query.time(4), query.optional_time(5)};
}

Turn load_turn(Connection& connection, std::int64_t id, std::int64_t* session) {
  Query query(connection, kTurn);
  query.bind(id);
  if (!query.step()) throw no_such_turn();
  if (session != nullptr) *session = query.integer(24);
  return read_turn(query);
}

}  // namespace twinchat::sqlite
