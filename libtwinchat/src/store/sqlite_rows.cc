#include "store/sqlite_rows.h"

#include "store/sqlite_time.h"

namespace twinchat::sqlite {

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

// --- Turns

constexpr char kTurn[] = TWINCHAT_TURN_QUERY "WHERE t.id = ?";

Turn load_turn(Connection& connection, std::int64_t id, std::int64_t* session) {
  Query query(connection, kTurn);
  query.bind(id);
  if (!query.step()) throw no_such_turn();
  if (session != nullptr) *session = query.integer(24);
  return read_turn(query);
}

}  // namespace twinchat::sqlite
