#include "store/postgres_rows.h"

#include "twinchat/records.h"

namespace twinchat::postgres {
namespace {

#define SESSION_COLUMNS "id, session_id, user_name, user_email, user_phone, created_at, updated_at"

constexpr char kFindSession[] =
    "SELECT " SESSION_COLUMNS " FROM chat_chatsession WHERE session_id = $1";
constexpr char kLockSession[] =
    "SELECT " SESSION_COLUMNS " FROM chat_chatsession WHERE session_id = $1 FOR NO KEY UPDATE";
constexpr char kInsertSession[] =
    "WITH s AS (INSERT INTO chat_chatsession (session_id, user_name, user_email, user_phone, "
    "created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (session_id) DO NOTHING "
    "RETURNING id) INSERT INTO twinchat_session (id, updated_at, is_lead, message_count) SELECT "
    "s.id, $5, $6, 0 FROM s RETURNING id";
constexpr char kUpdateSession[] =
    "WITH s AS (UPDATE chat_chatsession SET user_name = $2, user_email = $3, user_phone = $4, "
    "updated_at = $5 WHERE id = $1) UPDATE twinchat_session SET updated_at = $5, is_lead = $6 "
    "WHERE id = $1";
constexpr char kCountSession[] =
    "INSERT INTO twinchat_session (id, updated_at, is_lead, message_count, last_message) SELECT "
    "s.id, s.updated_at, coalesce(s.user_email, '') <> '' OR coalesce(s.user_phone, '') <> '', "
    "(SELECT count(*) FROM chat_message AS m WHERE m.session_id = s.id), (SELECT max(m.id) FROM "
    "chat_message AS m WHERE m.session_id = s.id) FROM chat_chatsession AS s WHERE s.id = $1 ON "
    "CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, is_lead = excluded.is_lead, "
    "message_count = excluded.message_count, last_message = excluded.last_message";
constexpr char kTurn[] = TWINCHAT_PG_TURN_QUERY "WHERE t.id = $1";

std::optional<Session> session_by(Connection& connection, const char* sql,
                                  const std::string& session_id) {
  if (!is_storable(session_id)) return std::nullopt;
  Query query(connection, Kept{sql});
  query.bind(session_id);
  if (!query.step()) return std::nullopt;
  return read_session(query, 0);
}

std::optional<std::string> storable(const std::optional<std::string>& text) {
  return text ? std::optional(postgres::storable(*text)) : std::nullopt;
}

// As they will be read.
UserDetails storable(const UserDetails& user) {
  return {storable(user.name), storable(user.email), storable(user.phone)};
}

}  // namespace

std::optional<Session> find_session(Connection& connection, const std::string& session_id) {
  return session_by(connection, kFindSession, session_id);
}

std::optional<Session> lock_session(Connection& connection, const std::string& session_id) {
  return session_by(connection, kLockSession, session_id);
}

std::optional<Session> insert_session(Connection& connection, const std::string& session_id,
                                      const UserDetails& user, Timestamp now) {
  if (!is_storable(session_id)) {
    throw Error(ErrorCode::kInvalidArgument, "The session id holds what cannot be stored.");
  }
  Session session;
  session.session_id = session_id;
  session.user = storable(user);
  session.created_at = now;
  session.updated_at = now;
  Query query(connection, Kept{kInsertSession});
  query.bind(session_id).bind(session.user.name).bind(session.user.email);
  query.bind(session.user.phone).bind(now).bind(is_lead(session.user));
  if (!query.step()) return std::nullopt;
  session.id = query.integer(0);
  return session;
}

void update_session(Connection& connection, Session& session, const UserDetailsUpdate& update,
                    Timestamp now) {
  update.apply_to(session.user);
  session.user = storable(session.user);
  session.updated_at = now;
  Query query(connection, Kept{kUpdateSession});
  query.bind(session.id).bind(session.user.name).bind(session.user.email);
  query.bind(session.user.phone).bind(now).bind(is_lead(session.user));
  if (query.run() == 0) count_session(connection, session.id);
}

void count_session(Connection& connection, std::int64_t session) {
  Query(connection, Kept{kCountSession}).bind(session).run();
}

Turn load_turn(Connection& connection, std::int64_t id) {
  Query query(connection, Kept{kTurn});
  query.bind(id);
  if (!query.step()) throw no_such_turn();
  return read_turn(query);
}

std::vector<std::string> row_statements() {
  return {kFindSession, kLockSession, kInsertSession, kUpdateSession, kCountSession, kTurn};
}

}  // namespace twinchat::postgres
