#include "store/postgres_records.h"

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_map>
#include <utility>

#include "store/cursor.h"
#include "store/postgres_lists.h"
#include "store/postgres_rows.h"
#include "store/postgres_search.h"
#include "store/postgres_statement.h"
#include "store/records_rules.h"
#include "store/search_text.h"
#include "store/turn_rules.h"
#include "uuid.h"

namespace twinchat::postgres {
namespace {

constexpr std::int64_t kMostRows = std::numeric_limits<std::int64_t>::max();
// What one page of a search looks at, at most.
constexpr std::size_t kMessagesLookedAt = 5'000;
constexpr std::size_t kSessionsLookedAt = 20'000;
constexpr std::size_t kSessionsRead = 200;
constexpr std::int64_t kManyFound = 2'000;
constexpr std::int64_t kCounted = 10'000;
constexpr std::chrono::milliseconds kLongestSearch{250};
// Rows that are fetched at once while looking.
constexpr std::size_t kSessionsAtOnce = 200;
constexpr std::size_t kMatchedAtOnce = 50;
constexpr std::size_t kMessagesAtOnce = 500;
constexpr std::size_t kMostNamed = 100;
// From so few rows on, a filter is a better way in than the order that is wanted.
constexpr std::int64_t kFew = 5'000;
// How often a page is read again whose rows turned out to be listed wrongly.
constexpr int kTries = 3;

// --- Sessions

// What is shown of sessions: as it is now, and beside it what the lists say. Messages are counted
// where that is quickly done. The LIMITs keep PostgreSQL from joining with all rows.
constexpr char kRows[] =
    "SELECT s.id, s.session_id, s.user_name, s.user_email, s.user_phone, s.created_at, "
    "s.updated_at, c.n, m.id, m.content, m.is_bot, m.created_at, t.id IS NOT NULL, t.updated_at, "
    "t.message_count, t.is_lead, t.last_message FROM chat_chatsession AS s LEFT JOIN LATERAL "
    "(SELECT id, updated_at, message_count, is_lead, last_message FROM twinchat_session WHERE id = "
    "s.id LIMIT 1) AS t ON true LEFT JOIN LATERAL (SELECT id, content, is_bot, created_at FROM "
    "chat_message WHERE session_id = s.id ORDER BY id DESC LIMIT 1) AS m ON true CROSS JOIN "
    "LATERAL (SELECT count(*) AS n FROM (SELECT 1 FROM chat_message WHERE session_id = s.id LIMIT "
    "1000) AS x) AS c WHERE s.id = ANY($1)";
constexpr std::int64_t kNotCountedFurther = 1'000;
// What sessions are ordered and searched by.
constexpr char kKeys[] =
    "SELECT s.id, s.session_id, s.user_name, s.user_email, s.user_phone, s.created_at, "
    "s.updated_at, coalesce(t.updated_at, s.updated_at), coalesce(t.message_count, 0) FROM "
    "chat_chatsession AS s LEFT JOIN LATERAL (SELECT updated_at, message_count FROM "
    "twinchat_session WHERE id = s.id LIMIT 1) AS t ON true WHERE s.id = ANY($1)";
constexpr char kRowId[] = "SELECT id FROM chat_chatsession WHERE session_id = $1";
// The OFFSET keeps it from looking for words by their index, which these are too common for.
constexpr char kHoldWords[] =
    "SELECT u.n, m.content FROM unnest($1, $2) WITH ORDINALITY AS u(session, pattern, n) CROSS "
    "JOIN LATERAL (SELECT x.content FROM (SELECT content FROM chat_message WHERE session_id = "
    "u.session OFFSET 0) AS x WHERE x.content ILIKE u.pattern LIMIT 1) AS m";
constexpr char kTextsOfSession[] = "SELECT content FROM chat_message WHERE session_id = $1";
constexpr char kLockForDeletion[] =
    "SELECT id, session_id, user_name, user_email, user_phone, created_at, updated_at FROM "
    "chat_chatsession WHERE session_id = ANY($1) ORDER BY id FOR UPDATE";
// Turns go with their questions; what else is of a session goes with it.
constexpr char kDeleteMessagesOf[] =
    "DELETE FROM chat_message WHERE session_id = ANY($1) RETURNING id";
constexpr char kDeleteSessions[] = "DELETE FROM chat_chatsession WHERE id = ANY($1)";
// The lists' own rows may be wrong: who erases looks again.
#define IDLE_SESSIONS                                                                         \
  "SELECT s.session_id FROM twinchat_session AS t JOIN chat_chatsession AS s ON s.id = t.id " \
  "WHERE t.updated_at < $1 AND s.updated_at < $1 AND "
constexpr char kIdleLeads[] = IDLE_SESSIONS "t.is_lead ORDER BY t.updated_at, t.id LIMIT $2";
constexpr char kIdleOthers[] = IDLE_SESSIONS "NOT t.is_lead ORDER BY t.updated_at, t.id LIMIT $2";
constexpr char kTakeLease[] =
    "INSERT INTO twinchat_lease (name, owner, expires_at) VALUES ($1, $2, $3) ON CONFLICT (name) "
    "DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at WHERE "
    "twinchat_lease.owner = excluded.owner OR twinchat_lease.expires_at <= $4";
constexpr char kSessionsByEmail[] =
    "SELECT session_id FROM chat_chatsession WHERE lower(coalesce(user_email, '') COLLATE \"C\") = "
    "$1 ORDER BY id";
constexpr char kSessionsByPhone[] =
    "SELECT session_id FROM chat_chatsession WHERE regexp_replace(coalesce(user_phone, ''), "
    "'[^0-9]', '', 'g') = $1 AND user_phone <> '' ORDER BY id";

// --- Messages

#define MESSAGE_COLUMNS "m.id, m.content, m.is_bot, m.created_at, m.session_id"
constexpr char kMessageById[] =
    "SELECT " MESSAGE_COLUMNS
    ", s.session_id FROM chat_message AS m JOIN chat_chatsession AS s ON s.id = m.session_id WHERE "
    "m.id = $1";
constexpr char kPublicIds[] = "SELECT id, session_id FROM chat_chatsession WHERE id = ANY($1)";
constexpr char kConversation[] =
    "SELECT m.id, m.content, m.is_bot, m.created_at FROM chat_message AS m WHERE m.session_id = "
    "(SELECT id FROM chat_chatsession WHERE session_id = $1) AND m.id < $2 ORDER BY m.id DESC "
    "LIMIT $3";
constexpr char kTurnsOfQuestions[] =
    TWINCHAT_PG_TURN_QUERY "WHERE q.id = ANY($1) AND t.user_message_id = ANY($1)";
constexpr char kLockSessionsOf[] =
    "SELECT id FROM chat_chatsession WHERE id IN (SELECT session_id FROM chat_message WHERE id = "
    "ANY($1)) ORDER BY id FOR NO KEY UPDATE";
constexpr char kInsertMessage[] =
    "INSERT INTO chat_message (content, is_bot, created_at, session_id) VALUES ($1, $2, $3, $4) "
    "RETURNING id";
constexpr char kTouchSession[] = "UPDATE chat_chatsession SET updated_at = $2 WHERE id = $1";
constexpr char kUpdateMessage[] = "UPDATE chat_message SET content = $1, is_bot = $2 WHERE id = $3";
constexpr char kDeleteMessages[] =
    "DELETE FROM chat_message WHERE id = ANY($1) RETURNING id, session_id";
constexpr char kForgetContents[] =
    "UPDATE twinchat_turn SET contents = '' WHERE (answer_message_id = ANY($1) OR user_message_id "
    "= ANY($1)) AND contents <> ''";
// Materialized, so that the index is what it goes by and not the order.
constexpr char kFindMessages[] =
    "WITH f AS MATERIALIZED (SELECT id, content, is_bot, created_at, session_id FROM chat_message "
    "WHERE content ILIKE ";
constexpr char kNamedSessions[] =
    "WITH f AS MATERIALIZED (SELECT id, session_id FROM chat_chatsession WHERE session_id ILIKE "
    "$1) SELECT id, session_id FROM f LIMIT $2";

// --- Turns and figures

constexpr char kStatistics[] = "SELECT figures FROM twinchat_statistics WHERE day = $1";
constexpr char kPutStatistics[] =
    "INSERT INTO twinchat_statistics (day, figures) VALUES ($1, $2) ON CONFLICT (day) DO UPDATE "
    "SET figures = excluded.figures";
constexpr char kDaySessions[] =
    "SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT 1 FROM chat_message AS m WHERE "
    "m.session_id = s.id)), count(*) FILTER (WHERE coalesce(s.user_email, '') <> '' OR "
    "coalesce(s.user_phone, '') <> '') FROM chat_chatsession AS s WHERE s.created_at >= $1 AND "
    "s.created_at < $2";
constexpr char kDayMessages[] =
    "SELECT count(*), count(*) FILTER (WHERE NOT is_bot) FROM chat_message WHERE id >= $1 AND id < "
    "$2";
constexpr char kDayTurns[] =
    "SELECT status, count(*), sum(prompt_tokens)::bigint, sum(cached_tokens)::bigint, "
    "sum(output_tokens)::bigint, sum(thought_tokens)::bigint, sum(total_tokens)::bigint, "
    "latency_ms FROM twinchat_turn WHERE id >= $1 AND id < $2 GROUP BY status, latency_ms";
constexpr char kDayFeedback[] =
    "SELECT count(*) FILTER (WHERE feedback > 0), count(*) FILTER (WHERE feedback < 0) FROM "
    "twinchat_turn WHERE feedback <> 0 AND feedback_at >= $1 AND feedback_at < $2";
constexpr char kFeedback[] =
    "SELECT answer_message_id, feedback FROM twinchat_turn WHERE feedback <> 0 AND "
    "answer_message_id = ANY($1)";
constexpr char kStandingConsents[] =
    "SELECT " TWINCHAT_CONSENT_COLUMNS
    ", session_id FROM twinchat_consent WHERE withdrawn_at IS NULL AND session_id = ANY($1) ORDER "
    "BY session_id, id";
constexpr char kProbeMessages[] =
    "SELECT u.p, m.id, m.created_at FROM unnest($1) AS u(p) LEFT JOIN LATERAL (SELECT id, "
    "created_at FROM chat_message WHERE id >= u.p ORDER BY id LIMIT 1) AS m ON true ORDER BY u.p";
constexpr char kProbeTurns[] =
    "SELECT u.p, m.id, m.created_at FROM unnest($1) AS u(p) LEFT JOIN LATERAL (SELECT id, "
    "created_at FROM twinchat_turn WHERE id >= u.p ORDER BY id LIMIT 1) AS m ON true ORDER BY u.p";
constexpr char kNewestMessage[] = "SELECT coalesce(max(id), 0) FROM chat_message";
constexpr char kNewestTurn[] = "SELECT coalesce(max(id), 0) FROM twinchat_turn";

std::string number_text(Timestamp time) {
  return padded(time.time_since_epoch().count());
}

// A session with what it is ordered and searched by.
struct FoundSession {
  Session session;
  SortKeys keys;

  std::vector<std::string> values(const std::vector<SessionSort>& sort) const {
    std::vector<std::string> values;
    for (const SessionSort& by : sort) values.push_back(keys.by(by.by));
    return values;
  }
  std::string searched() const {
    return searched_text(session.session_id, session.user.name.value_or(""),
                         session.user.email.value_or(""), session.user.phone.value_or(""));
  }
};

SortKeys keys_of(const Session& session, Timestamp updated, std::int64_t messages) {
  return {number_text(updated), number_text(session.created_at),
          ascii_folded(session.user.name.value_or("")),
          ascii_folded(session.user.email.value_or("")), padded(messages)};
}

std::int64_t count(Connection& connection, const Statement& sql) {
  Query query(connection, sql.text());
  sql.bind(query);
  return query.step() ? query.integer(0) : 0;
}

std::int64_t integer(Connection& connection, const char* sql) {
  Query query(connection, sql);
  return query.step() ? query.integer(0) : 0;
}

// Which of the two tables an order or filter is of.
bool is_of_lists(SessionOrder order) {
  return order == SessionOrder::kUpdated || order == SessionOrder::kMessages;
}

std::string column_of(SessionOrder order) {
  switch (order) {
    case SessionOrder::kUpdated:
      return "t.updated_at";
    case SessionOrder::kCreated:
      return "s.created_at";
    case SessionOrder::kName:
      return "lower(coalesce(s.user_name, '') COLLATE \"C\")";
    case SessionOrder::kEmail:
      return "lower(coalesce(s.user_email, '') COLLATE \"C\")";
    case SessionOrder::kMessages:
      return "t.message_count";
  }
  return "t.updated_at";
}

Statement::Value sql_value(SessionOrder order, const std::string& value) {
  if (order == SessionOrder::kMessages) return cursor_number(value);
  if (order == SessionOrder::kUpdated || order == SessionOrder::kCreated) {
    return Timestamp(std::chrono::microseconds(cursor_number(value)));
  }
  return value;
}

bool has_filters(const SessionQuery& query) {
  return query.leads_only || query.created.bounded() || query.updated.bounded();
}

bool passes(const Session& session, const SessionQuery& query) {
  return (!query.leads_only || is_lead(session.user)) &&
         query.created.contains(session.created_at) && query.updated.contains(session.updated_at);
}

void add_range(Statement& sql, const char* column, const TimeRange& range) {
  if (range.from) sql.add(std::string(" AND ") + column + " >= ").value(*range.from);
  if (range.before) sql.add(std::string(" AND ") + column + " < ").value(*range.before);
}

void add_filters(Statement& sql, const SessionQuery& query) {
  sql.add(query.leads_only ? " WHERE t.is_lead" : " WHERE true");
  add_range(sql, "s.created_at", query.created);
  add_range(sql, "t.updated_at", query.updated);
}

// A value of a column that sessions are ordered by, as cursors spell it.
std::string read_value(const Query& query, int column, SessionOrder order) {
  if (order == SessionOrder::kMessages) return padded(query.integer(column));
  if (order == SessionOrder::kUpdated || order == SessionOrder::kCreated) {
    return number_text(query.time(column));
  }
  return query.text(column);
}

// Only sessions with these values of what they are ordered by.
struct Condition {
  SessionOrder order;
  const char* comparison;
  std::string value;
};
using Conditions = std::vector<Condition>;

// An order, and within it by the id.
struct Order {
  std::vector<SessionSort> sort;
  bool id_descending = false;
};

Order order_of(const std::vector<SessionSort>& sort) {
  return {sort, sort.front().descending};
}

// What filters, conditions and an order need.
struct Tables {
  Tables(const SessionQuery& query, const Order& order, const Conditions& conditions = {}) {
    const auto need = [&](SessionOrder by) { (is_of_lists(by) ? lists : sessions) = true; };
    for (const SessionSort& by : order.sort) need(by.by);
    for (const Condition& condition : conditions) need(condition.order);
    lists = lists || query.leads_only || query.updated.bounded();
    sessions = sessions || query.created.bounded() || !lists;
    id = order.sort.empty() ? sessions ? "s.id" : "t.id"
                            : (is_of_lists(order.sort.front().by) ? "t.id" : "s.id");
    from = !lists      ? "chat_chatsession AS s"
           : !sessions ? "twinchat_session AS t"
                       : "chat_chatsession AS s JOIN twinchat_session AS t ON t.id = s.id";
  }

  bool lists = false;
  bool sessions = false;
  std::string id;
  std::string from;
};

void add_conditions(Statement& sql, const Conditions& conditions) {
  for (const Condition& condition : conditions) {
    sql.add(" AND " + column_of(condition.order) + condition.comparison);
    sql.value(sql_value(condition.order, condition.value));
  }
}

// Only what stands behind the cursor in that order.
void add_cursor(Statement& sql, const Order& order, const std::string& id_column,
                const std::vector<std::string>& values) {
  const std::vector<SessionSort>& sort = order.sort;
  const auto beyond = [](bool descending) { return descending ? " < " : " > "; };
  const Statement::Value id = cursor_number(values.back());
  if (sort.size() == 1 && sort[0].descending == order.id_descending) {
    const std::string column = column_of(sort[0].by);
    sql.add(" AND (" + column + ", " + id_column + ")" + beyond(sort[0].descending) + "(");
    sql.value(sql_value(sort[0].by, values[0])).add(", ").value(id).add(")");
    return;
  }
  if (!sort.empty()) {
    sql.add(" AND " + column_of(sort[0].by) + (sort[0].descending ? " <= " : " >= "));
    sql.value(sql_value(sort[0].by, values[0]));
  }
  sql.add(" AND (");
  for (std::size_t i = 0; i < sort.size(); ++i) {
    const std::string column = column_of(sort[i].by);
    sql.add(column + beyond(sort[i].descending)).value(sql_value(sort[i].by, values[i]));
    sql.add(" OR (" + column + " = ").value(sql_value(sort[i].by, values[i])).add(" AND ");
  }
  sql.add(id_column + beyond(order.id_descending)).value(id);
  sql.add(std::string(sort.size() + 1, ')'));
}

void add_order(Statement& sql, const Order& order, const std::string& id_column) {
  sql.add(" ORDER BY ");
  for (const SessionSort& by : order.sort) {
    sql.add(column_of(by.by) + (by.descending ? " DESC, " : ", "));
  }
  sql.add(id_column + (order.id_descending ? " DESC" : ""));
}

// What those with a filter are counted and gone through by.
SessionSort sort_of_filter(const SessionQuery& filter) {
  return {filter.created.bounded() && !filter.leads_only ? SessionOrder::kCreated
                                                         : SessionOrder::kUpdated};
}

std::int64_t count_filtered(Connection& connection, const SessionQuery& query, std::int64_t most) {
  const SessionSort by = sort_of_filter(query);
  Statement sql("SELECT count(*) FROM (SELECT 1 FROM " + Tables(query, {{by}}).from);
  add_filters(sql, query);
  // The order makes it go by the index.
  sql.add(" ORDER BY " + column_of(by.by) + " LIMIT ").value(most).add(") AS x");
  return count(connection, sql);
}

// A filter that leaves few rows, of those that do not go with the order anyway.
std::optional<SessionQuery> narrowest(Connection& connection, const SessionQuery& query,
                                      SessionOrder order) {
  const auto few = [&](const SessionQuery& filter) {
    return count_filtered(connection, filter, kFew + 1) <= kFew;
  };
  SessionQuery filter;
  if (query.created.bounded() && order != SessionOrder::kCreated) {
    filter.created = query.created;
    if (few(filter)) return filter;
  }
  filter = {};
  if (query.updated.bounded() && order != SessionOrder::kUpdated) {
    filter.updated = query.updated;
    if (few(filter)) return filter;
  }
  filter = {};
  if (query.leads_only && order != SessionOrder::kUpdated) {
    filter.leads_only = true;
    if (few(filter)) return filter;
  }
  return std::nullopt;
}

// The ids of sessions behind the cursor, in order; without a cursor, from the beginning. By one
// statement; `filter` is narrowest()'s.
std::vector<std::int64_t> next_ids(Connection& connection, const SessionQuery& query,
                                   const Conditions& conditions, const Order& order,
                                   const std::vector<std::string>& after, std::size_t limit,
                                   const std::optional<SessionQuery>& filter = {}) {
  Statement sql("");
  const Tables tables(query, order, conditions);
  std::string from = tables.from;
  if (filter) {
    const SessionSort by = sort_of_filter(*filter);
    const Tables of_filter(*filter, {{by}});
    sql.add("WITH f AS MATERIALIZED (SELECT " + of_filter.id + " FROM " + of_filter.from);
    add_filters(sql, *filter);
    sql.add(" ORDER BY " + column_of(by.by) + " LIMIT ").value(kFew).add(") ");
    from += " JOIN f ON f.id = " + tables.id;
  }
  sql.add("SELECT " + tables.id + " FROM " + from);
  add_filters(sql, query);
  add_conditions(sql, conditions);
  if (!after.empty()) add_cursor(sql, order, tables.id, after);
  add_order(sql, order, tables.id);
  sql.add(" LIMIT ").value(sql_limit(limit));
  std::vector<std::int64_t> ids;
  Query rows(connection, sql.text());
  sql.bind(rows);
  while (rows.step()) ids.push_back(rows.integer(0));
  return ids;
}

// More sessions than this with the same value are not to be sorted by the next one.
constexpr std::int64_t kLargeGroup = 1'000;

// Of those that the last condition says.
bool is_large_group(Connection& connection, const SessionQuery& query,
                    const Conditions& conditions) {
  const Tables tables(query, {{{conditions.back().order}}}, conditions);
  Statement sql("SELECT count(*) FROM (SELECT 1 FROM " + tables.from);
  add_filters(sql, query);
  add_conditions(sql, conditions);
  // The order makes it go by the index.
  sql.add(" ORDER BY " + tables.id + " LIMIT ").value(kLargeGroup + 1).add(") AS x");
  return count(connection, sql) > kLargeGroup;
}

// The first value that a large group has, and that is to be met within `limit` sessions.
std::optional<std::string> next_large_group(Connection& connection, const SessionQuery& query,
                                            const Conditions& conditions, const SessionSort& by,
                                            std::size_t limit) {
  const std::string direction = by.descending ? " DESC" : "";
  const std::string column = column_of(by.by);
  Statement sql("SELECT v FROM (SELECT " + column + " AS v FROM " +
                Tables(query, {{by}}, conditions).from);
  add_filters(sql, query);
  add_conditions(sql, conditions);
  // Those of the cursor's own group that stand before it are among them.
  sql.add(" ORDER BY " + column + direction + " LIMIT ");
  sql.value(sql_limit(limit) + 2 * kLargeGroup + 1).add(") AS w GROUP BY v HAVING count(*) > ");
  sql.value(kLargeGroup).add(" ORDER BY v" + direction + " LIMIT 1");
  Query rows(connection, sql.text());
  sql.bind(rows);
  if (!rows.step()) return std::nullopt;
  return read_value(rows, 0, by.by);
}

// The same by an order of several columns, of which no index knows. PostgreSQL goes by an index of
// the first and sorts those that are equal in it by the others, which is well as long as they are
// few. The sessions of a large group are asked for by themselves, so that it can go by an index of
// the next column, or by the first if that is better: its statistics know large groups.
std::vector<std::int64_t> grouped_ids(Connection& connection, const SessionQuery& query,
                                      Conditions conditions, const Order& order,
                                      std::vector<std::string> after, std::size_t limit) {
  const bool has_index = order.sort.empty() || (order.sort.size() == 1 &&
                                                order.sort[0].descending == order.id_descending);
  if (has_index) return next_ids(connection, query, conditions, order, after, limit);
  const SessionSort& by = order.sort.front();
  const char* const beyond = by.descending ? " < " : " > ";
  const Order rest{{order.sort.begin() + 1, order.sort.end()}, order.id_descending};
  std::vector<std::int64_t> ids;
  const auto take = [&](const std::vector<std::int64_t>& more) {
    ids.insert(ids.end(), more.begin(), more.end());
  };
  // Those with this value, and from then on those beyond it.
  const auto take_group = [&](const std::string& value, std::vector<std::string> behind) {
    conditions.push_back({by.by, " = ", value});
    take(grouped_ids(connection, query, conditions, rest, std::move(behind), limit - ids.size()));
    conditions.back().comparison = beyond;
    after.clear();
  };
  if (!after.empty()) {
    const std::string value = after.front();
    conditions.push_back({by.by, " = ", value});
    const bool large = is_large_group(connection, query, conditions);
    conditions.pop_back();
    if (large) take_group(value, {after.begin() + 1, after.end()});
  }
  while (ids.size() < limit) {
    if (!after.empty()) {
      conditions.push_back({by.by, by.descending ? " <= " : " >= ", after.front()});
    }
    const auto large = next_large_group(connection, query, conditions, by, limit - ids.size());
    if (!after.empty()) conditions.pop_back();
    if (large) conditions.push_back({by.by, by.descending ? " > " : " < ", *large});
    take(next_ids(connection, query, conditions, order, after, limit - ids.size()));
    if (!large) break;
    conditions.pop_back();
    if (ids.size() < limit) take_group(*large, {});
  }
  return ids;
}

// The ids of the sessions behind the cursor, in order; without a cursor, from the beginning.
std::vector<std::int64_t> ordered_ids(Connection& connection, const SessionQuery& query,
                                      const std::vector<SessionSort>& sort,
                                      const std::vector<std::string>& after, std::size_t limit) {
  const Order order = order_of(sort);
  if (const auto filter = narrowest(connection, query, sort.front().by)) {
    return next_ids(connection, query, {}, order, after, limit, filter);
  }
  return grouped_ids(connection, query, {}, order, after, limit);
}

// The sessions of these ids, in their order.
std::vector<FoundSession> load_found(Connection& connection, const std::vector<std::int64_t>& ids) {
  std::unordered_map<std::int64_t, FoundSession> by_id;
  Query query(connection, kKeys);
  query.bind(ids);
  while (query.step()) {
    FoundSession found{read_session(query, 0), {}};
    found.keys = keys_of(found.session, query.time(7), query.integer(8));
    by_id.emplace(found.session.id, std::move(found));
  }
  std::vector<FoundSession> rows;
  for (const std::int64_t id : ids) {
    if (auto row = by_id.extract(id)) rows.push_back(std::move(row.mapped()));
  }
  return rows;
}

// Rows as they are shown, in the order of the ids. Those about which the lists are wrong go to
// `wrong`.
std::vector<SessionRow> load_rows(Connection& connection, const std::vector<std::int64_t>& ids,
                                  std::vector<std::int64_t>& wrong) {
  std::unordered_map<std::int64_t, SessionRow> by_id;
  Query query(connection, kRows);
  query.bind(ids);
  while (query.step()) {
    SessionRow row{read_session(query, 0)};
    row.message_count = query.integer(7);
    const bool all_counted = row.message_count < kNotCountedFurther;
    if (!all_counted) row.message_count = std::max(row.message_count, query.integer(14));
    if (!query.is_null(8)) row.last_message = read_message(query, 8);
    const std::int64_t last = row.last_message ? row.last_message->id : 0;
    if (!query.boolean(12) || query.time(13) != row.session.updated_at ||
        query.integer(14) != row.message_count || query.boolean(15) != is_lead(row.session.user) ||
        query.integer(16) != last) {
      wrong.push_back(row.session.id);
    }
    by_id.emplace(row.session.id, std::move(row));
  }
  std::vector<SessionRow> rows;
  for (const std::int64_t id : ids) {
    if (auto row = by_id.extract(id)) rows.push_back(std::move(row.mapped()));
  }
  return rows;
}

std::string cursor_behind(const FoundSession& last, const std::vector<SessionSort>& sort) {
  std::vector<std::string> values = last.values(sort);
  values.push_back(std::to_string(last.session.id));
  return pack_cursor(values);
}

bool stands_behind(const FoundSession& found, const std::vector<std::string>& after,
                   const std::vector<SessionSort>& sort) {
  return after.empty() || stands_before(after, cursor_number(after.back()), found.values(sort),
                                        found.session.id, sort);
}

// Whether sessions hold the words, those that are everywhere looked for in their texts.
class SessionMatcher {
 public:
  SessionMatcher(Connection& connection, const std::vector<Whereabouts>& words, bool in_messages)
      : connection_(connection), words_(words), in_messages_(in_messages) {}

  // For sessions [from, before) of `rows`, one after the other.
  std::vector<bool> operator()(const std::vector<FoundSession>& rows, std::size_t from,
                               std::size_t before) {
    std::vector<bool> matches;
    std::vector<std::int64_t> sessions;
    std::vector<std::string> patterns;
    std::vector<Open> open;
    for (std::size_t i = from; i < before; ++i) {
      bool match = true;
      const std::string searched = rows[i].searched();
      const std::size_t open_before = open.size();
      for (const Whereabouts& word : words_) {
        if (word.sessions) {
          match = match && word.sessions->contains(rows[i].session.id);
        } else if (searched.find(word.word.word) == std::string::npos) {
          match = match && in_messages_ && !word.word.pattern.empty();
          open.push_back({i - from, rows[i].session.id, &word.word.word});
          sessions.push_back(rows[i].session.id);
          patterns.push_back(word.word.pattern);
        }
      }
      if (!match) {
        open.resize(open_before);
        sessions.resize(open_before);
        patterns.resize(open_before);
      } else if (open.size() > open_before) {
        ++read_;
      }
      matches.push_back(match);
    }
    if (open.empty()) return matches;
    std::vector<bool> held(open.size());
    std::vector<std::size_t> doubtful;
    {
      Query query(connection_, kHoldWords);
      query.bind(sessions).bind(patterns);
      while (query.step()) {
        const auto i = static_cast<std::size_t>(query.integer(0)) - 1;
        held[i] = folded(query.text(1)).find(*open[i].word) != std::string::npos;
        if (!held[i]) doubtful.push_back(i);
      }
    }
    for (const std::size_t i : doubtful) held[i] = texts_hold(open[i]);
    for (std::size_t i = 0; i < open.size(); ++i) {
      if (!held[i]) matches[open[i].place] = false;
    }
    return matches;
  }

  // How many sessions' messages were read.
  std::size_t read() const { return read_; }

 private:
  // A word that is yet to be found in a session's texts.
  struct Open {
    std::size_t place;
    std::int64_t session;
    const std::string* word;
  };

  bool texts_hold(const Open& open) {
    Query query(connection_, kTextsOfSession);
    query.bind(open.session);
    while (query.step()) {
      if (folded(query.text(0)).find(*open.word) != std::string::npos) return true;
    }
    return false;
  }

  Connection& connection_;
  const std::vector<Whereabouts>& words_;
  const bool in_messages_;
  std::size_t read_ = 0;
};

// --- Messages

struct FoundMessage {
  Message message;
  std::int64_t session = 0;
};

FoundMessage read_found_message(const Query& query) {
  return {read_message(query, 0), query.integer(4)};
}

// The least id whose created_at is not before `time`, taking rows to lie in the order of their ids
// in time. `probe` gives for ids the next row's id and time, `newest` the greatest id.
std::int64_t first_id_since(Connection& connection, const char* probe, const char* newest,
                            Timestamp time) {
  constexpr std::int64_t kProbes = 32;
  std::int64_t low = 0;
  std::int64_t high = integer(connection, newest) + 1;
  while (low < high) {
    std::vector<std::int64_t> places;
    const std::int64_t step = std::max<std::int64_t>((high - low) / kProbes, 1);
    for (std::int64_t at = low; at < high; at += step) places.push_back(at);
    Query query(connection, probe);
    query.bind(places);
    while (query.step()) {
      if (!query.is_null(1) && query.time(2) < time) {
        low = std::max(low, query.integer(1) + 1);
      } else {
        high = std::min(high, query.integer(0));
        break;
      }
    }
  }
  return low;
}

// Ids in a half-open range.
struct IdRange {
  std::int64_t from = 0;
  std::int64_t before = kMostRows;
};

IdRange ids_of(Connection& connection, const char* probe, const char* newest,
               const TimeRange& range) {
  IdRange ids;
  if (range.from) ids.from = first_id_since(connection, probe, newest, *range.from);
  if (range.before) ids.before = first_id_since(connection, probe, newest, *range.before);
  return ids;
}

IdRange message_ids_of(Connection& connection, const TimeRange& range) {
  return ids_of(connection, kProbeMessages, kNewestMessage, range);
}

// What to lock before a change of messages: their sessions.
auto lock_of(const std::vector<std::int64_t>& messages) {
  return [&messages](Connection& connection) {
    Query(connection, kLockSessionsOf).bind(messages).step();
  };
}

std::optional<MessageRow> find_message(Connection& connection, std::int64_t id) {
  Query query(connection, kMessageById);
  query.bind(id);
  if (!query.step()) return std::nullopt;
  return MessageRow{read_message(query, 0), query.text(5)};
}

std::int64_t count_messages_of(Connection& connection, const RowQuery& query, std::int64_t most) {
  const IdRange ids = message_ids_of(connection, query.created);
  Statement sql("SELECT count(*) FROM (SELECT 1 FROM chat_message WHERE id >= ");
  sql.value(ids.from).add(" AND id < ").value(ids.before);
  if (query.is_bot) sql.add(" AND is_bot = ").value(*query.is_bot);
  if (!query.session_id.empty()) {
    sql.add(" AND session_id = (SELECT id FROM chat_chatsession WHERE session_id = ");
    sql.value(query.session_id).add(")");
  }
  sql.add(" ORDER BY id LIMIT ").value(most).add(") AS x");
  return count(connection, sql);
}

// Sessions whose id holds the word; at most a hundred.
std::vector<std::int64_t> sessions_named(Connection& connection, const SearchWord& word) {
  std::vector<std::int64_t> sessions;
  if (word.pattern.empty()) return sessions;
  Query query(connection, kNamedSessions);
  query.bind(word.pattern).bind(sql_limit(kMostNamed));
  while (query.step()) {
    if (folded(query.text(1)).find(word.word) != std::string::npos) {
      sessions.push_back(query.integer(0));
    }
  }
  return sessions;
}

// Which messages to look at, and what has to be in them.
struct MessageSearch {
  IdRange ids;
  std::vector<SearchWord> words;
  std::vector<std::vector<std::int64_t>> sessions;  // one of each of these lists
  bool newest_first = true;
};

void add_place(Statement& sql, const MessageSearch& search, const std::string& table) {
  sql.add(table + ".id >= ").value(search.ids.from);
  sql.add(" AND " + table + ".id < ").value(search.ids.before);
  for (const std::vector<std::int64_t>& some : search.sessions) {
    sql.add(" AND " + table + ".session_id = ");
    if (some.size() == 1) {
      sql.value(some.front());
    } else {
      sql.add("ANY(").value(some).add(")");
    }
  }
  sql.add(" ORDER BY " + table + ".id" + (search.newest_first ? " DESC" : "") + " LIMIT ");
}

// The next messages in order, whatever is in them.
std::vector<FoundMessage> next_messages(Connection& connection, const MessageSearch& search,
                                        std::size_t limit) {
  Statement sql("SELECT " MESSAGE_COLUMNS " FROM chat_message AS m WHERE ");
  add_place(sql, search, "m");
  sql.value(sql_limit(limit));
  std::vector<FoundMessage> found;
  Query rows(connection, sql.text());
  sql.bind(rows);
  while (rows.step()) found.push_back(read_found_message(rows));
  return found;
}

// Whether the index of messages is a good way to find those that hold the words.
bool has_keys(const std::vector<SearchWord>& words) {
  return std::any_of(words.begin(), words.end(),
                     [](const SearchWord& word) { return !word.key.empty(); });
}

// Those that hold the words, and perhaps others, by the index.
std::vector<FoundMessage> indexed_messages(Connection& connection, const MessageSearch& search) {
  Statement sql(kFindMessages);
  const char* separator = "";
  for (const SearchWord& word : search.words) {
    if (word.key.empty()) continue;
    sql.add(separator).value(word.key);
    separator = " AND content ILIKE ";
  }
  sql.add(") SELECT " MESSAGE_COLUMNS " FROM f AS m WHERE ");
  for (const SearchWord& word : search.words) {
    sql.add("m.content ILIKE ").value(word.pattern).add(" AND ");
  }
  add_place(sql, search, "m");
  sql.value(kManyFound + 1);
  std::vector<FoundMessage> found;
  Query rows(connection, sql.text());
  sql.bind(rows);
  while (rows.step()) found.push_back(read_found_message(rows));
  return found;
}

std::vector<std::string> texts_of(const std::vector<SearchWord>& words) {
  std::vector<std::string> texts;
  for (const SearchWord& word : words) texts.push_back(word.word);
  return texts;
}

// --- Turns and figures

DayStatistics figures_of(Connection& connection, std::chrono::sys_days day) {
  DayStatistics found;
  found.day = day;
  const TimeRange range{day, day + std::chrono::days(1)};
  {
    Query query(connection, kDaySessions);
    query.bind(*range.from).bind(*range.before).step();
    found.sessions = query.integer(0);
    found.asked = query.integer(1);
    found.leads = query.integer(2);
  }
  {
    const IdRange ids = message_ids_of(connection, range);
    Query query(connection, kDayMessages);
    query.bind(ids.from).bind(ids.before).step();
    found.messages = query.integer(0);
    found.visitor_messages = query.integer(1);
  }
  {
    Query query(connection, kDayFeedback);
    query.bind(*range.from).bind(*range.before).step();
    found.liked = query.integer(0);
    found.disliked = query.integer(1);
  }
  const IdRange ids = ids_of(connection, kProbeTurns, kNewestTurn, range);
  Latencies latencies;
  Query query(connection, kDayTurns);
  query.bind(ids.from).bind(ids.before);
  while (query.step()) {
    add_turns(
        found, stored_status(query.text(0)), query.integer(1),
        {query.integer(2), query.integer(3), query.integer(4), query.integer(5), query.integer(6)},
        std::chrono::milliseconds(query.integer(7)), latencies);
  }
  found.latency = percentiles(latencies);
  return found;
}

class PostgresRecords final : public Records {
 public:
  explicit PostgresRecords(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}

  Totals totals() override {
    keeper_.catch_up();
    return transactions_.read([](Connection& connection) { return count_rows(connection); });
  }

  Page<SessionRow> sessions(const SessionQuery& query) override {
    const std::vector<SessionSort> sort = sort_of(query);
    std::vector<std::string> after;
    if (!query.cursor.empty()) after = unpack_cursor(query.cursor, sort.size() + 1);
    const bool complete = keeper_.catch_up();
    std::vector<Whereabouts> words;
    if (!query.search.empty()) {
      const auto where = query.search_messages ? Search::In::kBoth : Search::In::kFields;
      words = search_.look_for(search_.words(query.search, where), query.search_messages);
    }
    for (int tries = 1;; ++tries) {
      std::vector<std::int64_t> wrong;
      Page<SessionRow> page = transactions_.snapshot([&](Connection& connection) {
        wrong.clear();
        return words.empty() ? listed(connection, query, sort, after, wrong)
                             : searched(connection, query, sort, after, words, wrong);
      });
      page.complete = complete;
      if (wrong.empty() || tries == kTries || !put_right(wrong)) return page;
    }
  }

  std::int64_t count_sessions(const SessionQuery& query, std::int64_t most) override {
    keeper_.catch_up();
    return transactions_.read(
        [&](Connection& connection) { return count_filtered(connection, query, most); });
  }

  std::optional<SessionRow> session(std::string_view session_id) override {
    const std::string key(session_id);
    if (!is_storable(key)) return std::nullopt;
    return transactions_.snapshot([&](Connection& connection) -> std::optional<SessionRow> {
      Query query(connection, kRowId);
      query.bind(key);
      if (!query.step()) return std::nullopt;
      std::vector<std::int64_t> wrong;
      std::vector<SessionRow> rows = load_rows(connection, {query.integer(0)}, wrong);
      return rows.empty() ? std::nullopt : std::optional(std::move(rows.front()));
    });
  }

  SessionRow add_session(const UserDetails& user, Timestamp now, const AuditEntry& audit) override {
    AuditEntry entry = audit;
    entry.object_id = random_uuid();
    return write_audited(
        transactions_, [](Connection&) {},
        [&](Connection& connection) {
          auto session = insert_session(connection, entry.object_id, user, now);
          // By the transaction before this one, of which nobody could say whether it happened.
          if (!session) session = find_session(connection, entry.object_id);
          if (!session) throw no_such_session();
          return std::pair(SessionRow{*session}, entry);
        });
  }

  SessionRow edit_session(std::string_view session_id, const UserDetailsUpdate& update,
                          const std::optional<UserDetails>& expected, Timestamp now,
                          const AuditEntry& audit) override {
    const std::string key(session_id);
    const auto lock = [&](Connection& connection) { lock_session(connection, key); };
    write_audited(transactions_, lock, [&](Connection& connection) {
      std::optional<Session> session = find_session(connection, key);
      if (!session) throw no_such_session();
      if (expected && session->user != *expected) throw changed_meanwhile();
      update_session(connection, *session, update, now);
      return std::pair(true, audit);
    });
    const auto row = this->session(session_id);
    if (!row) throw no_such_session();
    return *row;
  }

  Erased delete_sessions(const std::vector<std::string>& session_ids,
                         const AuditEntry& audit) override {
    std::vector<std::string> keys;
    std::copy_if(session_ids.begin(), session_ids.end(), std::back_inserter(keys), is_storable);
    return removing([&] {
      std::vector<std::int64_t> sessions;
      const auto lock = [&](Connection& connection) {
        sessions.clear();
        for (const Session& session : lock_for_deletion(connection, keys)) {
          sessions.push_back(session.id);
        }
      };
      return write_audited(transactions_, lock, [&](Connection& connection) {
        return std::pair(remove(connection, sessions), audit);
      });
    });
  }

  std::vector<Utterance> conversation(std::string_view session_id, std::int64_t before_id,
                                      std::size_t limit) override {
    const std::string key(session_id);
    if (!is_storable(key)) return {};
    return transactions_.snapshot([&](Connection& connection) {
      std::vector<Utterance> found;
      std::vector<std::int64_t> questions;
      Query query(connection, kConversation);
      query.bind(key).bind(before_id == 0 ? kMostRows : before_id).bind(sql_limit(limit));
      while (query.step()) {
        found.push_back({read_message(query, 0)});
        if (!found.back().message.is_bot) questions.push_back(found.back().message.id);
      }
      std::reverse(found.begin(), found.end());
      std::unordered_map<std::int64_t, Turn> turns;
      Query of_questions(connection, kTurnsOfQuestions);
      of_questions.bind(questions);
      while (of_questions.step()) {
        Turn turn = read_turn(of_questions);
        turns.emplace(turn.user_message.id, std::move(turn));
      }
      for (Utterance& one : found) {
        if (auto turn = turns.extract(one.message.id)) one.turn = std::move(turn.mapped());
      }
      return found;
    });
  }

  std::unordered_map<std::int64_t, Consent> standing_consents(
      const std::vector<std::int64_t>& sessions) override {
    return transactions_.read([&](Connection& connection) {
      std::unordered_map<std::int64_t, Consent> found;
      Query query(connection, kStandingConsents);
      query.bind(sessions);
      while (query.step()) found.insert_or_assign(query.integer(6), read_consent(query));
      return found;
    });
  }

  Page<MessageRow> messages(const RowQuery& query) override {
    const std::int64_t cursor = unpack_id(query.cursor, 0);
    std::vector<SearchWord> words = search_.words(query.search, Search::In::kMessages);
    for (const bool try_index : {true, false}) {
      try {
        return transactions_.snapshot([&](Connection& connection) {
          return read_messages(connection, query, cursor, words, try_index);
        });
      } catch (const SqlError& error) {
        // The index took too long.
        if (!error.timed_out() || !try_index) throw;
      }
    }
    return {};
  }

  std::int64_t count_messages(const RowQuery& query, std::int64_t most) override {
    return transactions_.read(
        [&](Connection& connection) { return count_messages_of(connection, query, most); });
  }

  std::optional<MessageRow> message(std::int64_t id) override {
    return transactions_.read([&](Connection& connection) { return find_message(connection, id); });
  }

  MessageRow add_message(std::string_view session_id, const std::string& text, bool is_bot,
                         Timestamp now, const AuditEntry& audit) override {
    const std::string key(session_id);
    const std::string stored = storable(text);
    const auto lock = [&](Connection& connection) { lock_session(connection, key); };
    return write_audited(transactions_, lock, [&](Connection& connection) {
      const std::optional<Session> session = find_session(connection, key);
      if (!session) throw no_such_session();
      Query query(connection, kInsertMessage);
      query.bind(stored).bind(is_bot).bind(now).bind(session->id).step();
      MessageRow added{{query.integer(0), stored, is_bot, now}, key};
      Query(connection, kTouchSession).bind(session->id).bind(now).run();
      count_session(connection, session->id);
      AuditEntry entry = audit;
      if (entry.object_id.empty()) entry.object_id = std::to_string(added.message.id);
      return std::pair(added, entry);
    });
  }

  MessageRow edit_message(std::int64_t id, const std::string& text, bool is_bot,
                          const std::optional<Message>& expected,
                          const AuditEntry& audit) override {
    const std::vector<std::int64_t> ids{id};
    return write_audited(transactions_, lock_of(ids), [&](Connection& connection) {
      std::optional<MessageRow> found = find_message(connection, id);
      if (!found) throw no_such_message();
      if (expected && *expected != found->message) throw changed_meanwhile();
      found->message.text = storable(text);
      found->message.is_bot = is_bot;
      Query(connection, kUpdateMessage).bind(found->message.text).bind(is_bot).bind(id).run();
      // What the model had said word for word must not be sent in place of the new text.
      Query(connection, kForgetContents).bind(ids).run();
      return std::pair(*found, audit);
    });
  }

  std::int64_t delete_messages(const std::vector<std::int64_t>& ids,
                               const AuditEntry& audit) override {
    return write_audited(transactions_, lock_of(ids), [&](Connection& connection) {
      Query(connection, kForgetContents).bind(ids).run();
      std::vector<std::int64_t> deleted;
      std::vector<std::int64_t> sessions;
      Query query(connection, kDeleteMessages);
      query.bind(ids);
      while (query.step()) {
        deleted.push_back(query.integer(0));
        sessions.push_back(query.integer(1));
      }
      std::sort(sessions.begin(), sessions.end());
      sessions.erase(std::unique(sessions.begin(), sessions.end()), sessions.end());
      for (const std::int64_t session : sessions) count_session(connection, session);
      uncount(connection, {}, deleted, 0);
      return std::pair(static_cast<std::int64_t>(deleted.size()), audit);
    });
  }

  Page<TurnRow> turns(const TurnQuery& query) override {
    std::vector<std::string> statuses;
    for (const TurnStatus status : statuses_of(query)) statuses.push_back(to_string(status));
    const std::int64_t cursor = unpack_id(query.cursor, kMostRows);
    return transactions_.snapshot(
        [&](Connection& connection) { return read_turns(connection, query, cursor, statuses); });
  }

  std::vector<DayStatistics> statistics(std::chrono::sys_days first,
                                        std::chrono::sys_days last) override {
    check_days(first, last);
    const auto settled = unsettled_day();
    std::vector<DayStatistics> days;
    for (std::chrono::sys_days day = first; day <= last; day += std::chrono::days(1)) {
      bool known = false;
      days.push_back(transactions_.snapshot([&](Connection& connection) {
        Query query(connection, kStatistics);
        query.bind(day);
        if (query.step()) {
          if (auto figures = figures_from(day, query.text(0))) {
            known = true;
            return *std::move(figures);
          }
        }
        return figures_of(connection, day);
      }));
      if (!known && day < settled) keep_figures(days.back());
    }
    return days;
  }

  std::unordered_map<std::int64_t, Feedback> feedback(
      const std::vector<std::int64_t>& answer_ids) override {
    return transactions_.read([&](Connection& connection) {
      std::unordered_map<std::int64_t, Feedback> found;
      Query query(connection, kFeedback);
      query.bind(answer_ids);
      while (query.step()) found.emplace(query.integer(0), feedback_from(query.integer(1)));
      return found;
    });
  }

  std::vector<std::string> sessions_of(const PersonName& person) override {
    check_person(person);
    return transactions_.read([&](Connection& connection) {
      std::vector<std::string> found;
      if (!person.session_id.empty()) {
        if (find_session(connection, person.session_id)) found.push_back(person.session_id);
        return found;
      }
      const std::string key =
          person.email.empty() ? digits_of(person.phone) : ascii_folded(person.email);
      if (key.empty() || !is_storable(key)) return found;
      Query query(connection, person.email.empty() ? kSessionsByPhone : kSessionsByEmail);
      query.bind(key);
      while (query.step()) found.push_back(query.text(0));
      return found;
    });
  }

  Erased erase(const std::vector<std::string>& session_ids, const AuditEntry& audit) override {
    const Erased erased = delete_sessions(session_ids, audit);
    if (erased.sessions > 0) keeper_.vacuum_soon();
    return erased;
  }

  Erased erase_expired(const ExpiredQuery& which, const AuditEntry& audit) override {
    keeper_.catch_up();
    const std::vector<std::string> keys = transactions_.read([&](Connection& connection) {
      std::vector<std::string> found;
      Query query(connection, which.leads ? kIdleLeads : kIdleOthers);
      query.bind(which.before).bind(sql_limit(which.limit));
      while (query.step()) found.push_back(query.text(0));
      return found;
    });
    if (keys.empty()) return {};
    std::optional<std::pair<Erased, AuditEntry>> former;
    const Erased erased = removing([&] {
      return transactions_.write([&](Connection& connection, bool in_doubt) {
        std::vector<std::int64_t> sessions;
        for (const Session& session : lock_for_deletion(connection, keys)) {
          if (has_expired(session, which)) sessions.push_back(session.id);
        }
        if (in_doubt && former && has_audit(connection, former->second)) return former->first;
        if (sessions.empty()) return Erased{};
        const Erased counted = remove(connection, sessions);
        former.emplace(counted, with_counts(audit, counted));
        insert_audit(connection, former->second);
        return counted;
      });
    });
    if (erased.sessions > 0) keeper_.vacuum_soon();
    return erased;
  }

  bool take_lease(const std::string& name, const std::string& owner, Timestamp now,
                  Timestamp until) override {
    return transactions_.write([&](Connection& connection) {
      Query query(connection, kTakeLease);
      return query.bind(name).bind(owner).bind(until).bind(now).run() > 0;
    });
  }

 private:
  // False when that is not possible now.
  bool put_right(const std::vector<std::int64_t>& sessions) {
    try {
      recount(transactions_, sessions);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  static Page<SessionRow> listed(Connection& connection, const SessionQuery& query,
                                 const std::vector<SessionSort>& sort,
                                 const std::vector<std::string>& after,
                                 std::vector<std::int64_t>& wrong) {
    Page<SessionRow> page;
    std::vector<std::int64_t> ids = ordered_ids(connection, query, sort, after, query.limit + 1);
    const bool more = ids.size() > query.limit;
    if (more) ids.pop_back();
    page.rows = load_rows(connection, ids, wrong);
    if (more && !ids.empty()) {
      page.next = cursor_behind(load_found(connection, {ids.back()}).at(0), sort);
    }
    if (!after.empty()) return page;
    if (!has_filters(query)) {
      page.count = count_rows(connection).sessions;
    } else if (!more) {
      page.count = static_cast<std::int64_t>(page.rows.size());
    } else {
      page.count = count_filtered(connection, query, kCounted);
      page.count_exact = *page.count < kCounted;
    }
    return page;
  }

  static Page<SessionRow> searched(Connection& connection, const SessionQuery& query,
                                   const std::vector<SessionSort>& sort,
                                   const std::vector<std::string>& after,
                                   const std::vector<Whereabouts>& words,
                                   std::vector<std::int64_t>& wrong) {
    const auto rarest = std::min_element(words.begin(), words.end(),
                                         [](const Whereabouts& a, const Whereabouts& b) {
                                           return (a.sessions ? a.sessions->size() : SIZE_MAX) <
                                                  (b.sessions ? b.sessions->size() : SIZE_MAX);
                                         });
    SessionMatcher matches(connection, words, query.search_messages);
    return rarest->sessions
               ? picked(connection, query, sort, after, matches, *rarest->sessions, wrong)
               : walked(connection, query, sort, after, matches, wrong);
  }

  // A word is rare: those sessions are the ones to look at.
  static Page<SessionRow> picked(Connection& connection, const SessionQuery& query,
                                 const std::vector<SessionSort>& sort,
                                 const std::vector<std::string>& after, SessionMatcher& matches,
                                 const std::unordered_set<std::int64_t>& candidates,
                                 std::vector<std::int64_t>& wrong) {
    std::vector<FoundSession> rows = load_found(connection, {candidates.begin(), candidates.end()});
    std::erase_if(rows, [&](const FoundSession& found) {
      return !passes(found.session, query) || !stands_behind(found, after, sort);
    });
    std::sort(rows.begin(), rows.end(), [&](const FoundSession& a, const FoundSession& b) {
      return stands_before(a.values(sort), a.session.id, b.values(sort), b.session.id, sort);
    });
    Page<SessionRow> page;
    std::vector<std::int64_t> ids;
    std::int64_t matching = 0;
    for (std::size_t from = 0; from < rows.size(); from += kMatchedAtOnce) {
      if (matches.read() >= kSessionsRead) {
        if (page.next.empty()) page.next = cursor_behind(rows[from - 1], sort);
        page.count_exact = false;
        break;
      }
      const std::size_t before = std::min(rows.size(), from + kMatchedAtOnce);
      const std::vector<bool> match = matches(rows, from, before);
      for (std::size_t i = from; i < before; ++i) {
        if (!match[i - from]) continue;
        ++matching;
        // So there is a row before this one, unless no rows are wanted.
        if (ids.size() == query.limit && page.next.empty() && i > 0) {
          page.next = cursor_behind(rows[i - 1], sort);
        }
        if (ids.size() < query.limit) ids.push_back(rows[i].session.id);
      }
    }
    if (after.empty()) page.count = matching;
    page.rows = load_rows(connection, ids, wrong);
    return page;
  }

  // Every word is everywhere: sessions are looked at in the order that is wanted.
  static Page<SessionRow> walked(Connection& connection, const SessionQuery& query,
                                 const std::vector<SessionSort>& sort,
                                 const std::vector<std::string>& after, SessionMatcher& matches,
                                 std::vector<std::int64_t>& wrong) {
    Page<SessionRow> page;
    std::vector<std::int64_t> ids;
    std::vector<std::string> behind = after;
    bool all = false;
    for (std::size_t looked_at = 0; page.next.empty() && !all;) {
      const std::vector<FoundSession> rows =
          load_found(connection, ordered_ids(connection, query, sort, behind, kSessionsAtOnce));
      all = rows.size() < kSessionsAtOnce;
      for (std::size_t from = 0; from < rows.size() && page.next.empty(); from += kMatchedAtOnce) {
        const std::size_t before = std::min(rows.size(), from + kMatchedAtOnce);
        const std::vector<bool> match = matches(rows, from, before);
        for (std::size_t i = from; i < before && page.next.empty(); ++i) {
          const bool is_last = all && i + 1 == rows.size();
          if (match[i - from]) ids.push_back(rows[i].session.id);
          if (ids.size() >= query.limit && !is_last) page.next = cursor_behind(rows[i], sort);
        }
        looked_at += before - from;
        const bool is_last = all && before == rows.size();
        if (page.next.empty() && !is_last &&
            (looked_at >= kSessionsLookedAt || matches.read() >= kSessionsRead)) {
          page.next = cursor_behind(rows[before - 1], sort);
        }
      }
      if (!rows.empty()) behind = unpack_cursor(cursor_behind(rows.back(), sort), sort.size() + 1);
    }
    if (after.empty() && page.next.empty()) page.count = static_cast<std::int64_t>(ids.size());
    page.rows = load_rows(connection, ids, wrong);
    return page;
  }

  Page<MessageRow> read_messages(Connection& connection, const RowQuery& query, std::int64_t cursor,
                                 const std::vector<SearchWord>& words, bool try_index) {
    MessageSearch search;
    search.newest_first = query.newest_first;
    search.ids = message_ids_of(connection, query.created);
    if (!query.cursor.empty()) {
      if (query.newest_first) {
        search.ids.before = std::min(search.ids.before, cursor);
      } else {
        search.ids.from = std::max(search.ids.from, cursor == kMostRows ? cursor : cursor + 1);
      }
    }
    for (const SearchWord& word : words) {
      std::vector<std::int64_t> named;
      if (looks_like_session_id(word.word)) named = sessions_named(connection, word);
      if (named.empty()) {
        if (word.pattern.empty()) return nothing(query);
        search.words.push_back(word);
      } else {
        search.sessions.push_back(std::move(named));
      }
    }
    if (!query.session_id.empty()) {
      const auto session = find_session(connection, query.session_id);
      if (!session) return nothing(query);
      search.sessions.push_back({session->id});
    }

    const std::vector<std::string> texts = texts_of(search.words);
    const auto passes = [&](const FoundMessage& found) {
      return (!query.is_bot || found.message.is_bot == *query.is_bot) &&
             (texts.empty() || holds_all(folded(found.message.text), texts));
    };
    Page<MessageRow> page;
    std::vector<FoundMessage> shown;
    std::int64_t matching = 0;
    std::int64_t last = 0;
    const auto take = [&](FoundMessage& found) {
      const bool match = passes(found);
      if (match && ++matching > sql_limit(query.limit) && page.next.empty()) {
        page.next = pack_cursor(last);
      }
      last = found.message.id;
      if (match && page.next.empty()) shown.push_back(std::move(found));
    };
    bool all = false;
    if (try_index && search.sessions.empty() && has_keys(search.words)) {
      connection.allow(kLongestSearch);
      std::vector<FoundMessage> found = indexed_messages(connection, search);
      all = static_cast<std::int64_t>(found.size()) <= kManyFound;
      if (!all) found.pop_back();
      for (FoundMessage& one : found) take(one);
      if (!all && page.next.empty()) page.next = pack_cursor(last);
    } else {
      const bool plain = search.words.empty() && search.sessions.empty();
      std::size_t batch = std::max(kMessagesAtOnce, std::min(query.limit, kMessagesLookedAt) + 1);
      for (std::size_t looked_at = 0; !all;) {
        batch = std::min(batch, kMessagesLookedAt - looked_at);
        std::vector<FoundMessage> found = next_messages(connection, search, batch);
        all = found.size() < batch;
        looked_at += found.size();
        for (FoundMessage& one : found) take(one);
        if (all || looked_at == kMessagesLookedAt || (plain && !page.next.empty())) break;
        (search.newest_first ? search.ids.before : search.ids.from) =
            search.newest_first ? last : last + 1;
        batch *= 2;
      }
      if (!all && page.next.empty()) page.next = pack_cursor(last);
    }
    page.rows = with_public_ids(connection, std::move(shown));
    if (query.cursor.empty()) count_page(connection, query, search, matching, all, page);
    return page;
  }

  static Page<MessageRow> nothing(const RowQuery& query) {
    Page<MessageRow> page;
    if (query.cursor.empty()) page.count = 0;
    return page;
  }

  static void count_page(Connection& connection, const RowQuery& query, const MessageSearch& search,
                         std::int64_t matching, bool all, Page<MessageRow>& page) {
    page.count = matching;
    if (all) return;
    page.count_exact = false;
    if (!search.words.empty() || !search.sessions.empty()) return;
    if (!query.is_bot && !query.created.bounded()) {
      page.count = count_rows(connection).messages;
      page.count_exact = true;
    } else {
      page.count = count_messages_of(connection, query, kCounted);
      page.count_exact = *page.count < kCounted;
    }
  }

  static std::vector<MessageRow> with_public_ids(Connection& connection,
                                                 std::vector<FoundMessage> found) {
    std::vector<std::int64_t> sessions;
    for (const FoundMessage& one : found) sessions.push_back(one.session);
    std::unordered_map<std::int64_t, std::string> names;
    Query query(connection, kPublicIds);
    query.bind(sessions);
    while (query.step()) names.emplace(query.integer(0), query.text(1));
    std::vector<MessageRow> rows;
    for (FoundMessage& one : found) {
      rows.push_back({std::move(one.message), names[one.session]});
    }
    return rows;
  }

  static Page<TurnRow> read_turns(Connection& connection, const TurnQuery& query,
                                  std::int64_t cursor, const std::vector<std::string>& statuses) {
    const IdRange ids = ids_of(connection, kProbeTurns, kNewestTurn, query.created);
    const auto where = [&](Statement& sql, std::int64_t before) -> Statement& {
      sql.add(" FROM twinchat_turn WHERE ");
      if (query.feedback == Feedback::kNone) {
        sql.add("status NOT IN ('pending', 'complete')");
      } else {
        sql.add("feedback <> 0 AND feedback = ").value(stored(query.feedback));
      }
      const char* separator = " AND status IN (";
      for (const std::string& status : statuses) {
        sql.add(std::exchange(separator, ", ")).value(status);
      }
      sql.add(statuses.empty() ? " AND id >= " : ") AND id >= ");
      return sql.value(ids.from).add(" AND id < ").value(before);
    };
    Statement sql("SELECT id");
    where(sql, std::min(ids.before, cursor)).add(" ORDER BY id DESC LIMIT ");
    sql.value(sql_limit(query.limit + 1));
    Page<TurnRow> page;
    Query rows(connection, sql.text());
    sql.bind(rows);
    while (rows.step()) {
      if (page.rows.size() == query.limit) {
        page.next = pack_cursor(page.rows.back().turn.id);
        break;
      }
      TurnRow row{load_turn(connection, rows.integer(0)), {}};
      if (const auto session = find_session(connection, row.turn.session_id)) {
        row.user = session->user;
      }
      page.rows.push_back(std::move(row));
    }
    if (!query.cursor.empty()) return page;
    Statement counting("SELECT count(*) FROM (SELECT 1");
    where(counting, ids.before).add(" LIMIT ").value(kCounted).add(") AS x");
    page.count = count(connection, counting);
    page.count_exact = *page.count < kCounted;
    return page;
  }

  // Locks the sessions that are there.
  static std::vector<Session> lock_for_deletion(Connection& connection,
                                                const std::vector<std::string>& keys) {
    std::vector<Session> sessions;
    Query query(connection, kLockForDeletion);
    query.bind(keys);
    while (query.step()) sessions.push_back(read_session(query, 0));
    return sessions;
  }

  static Erased remove(Connection& connection, const std::vector<std::int64_t>& sessions) {
    const std::int64_t leads = counted_leads(connection, sessions);
    std::vector<std::int64_t> messages;
    Query query(connection, kDeleteMessagesOf);
    query.bind(sessions);
    while (query.step()) messages.push_back(query.integer(0));
    Query(connection, kDeleteSessions).bind(sessions).run();
    uncount(connection, sessions, messages, leads);
    return {static_cast<std::int64_t>(sessions.size()), static_cast<std::int64_t>(messages.size())};
  }

  // Again when another program has just added a message to one of the sessions.
  template <class F>
  static Erased removing(F&& work) {
    for (int tries = 1;; ++tries) {
      try {
        return work();
      } catch (const SqlError& error) {
        if (error.sqlstate() != "23503" || tries == kTries) throw;
      }
    }
  }

  void keep_figures(const DayStatistics& figures) {
    try {
      const std::string text = figures_text(figures);
      transactions_.write([&](Connection& connection) {
        return Query(connection, kPutStatistics).bind(figures.day).bind(text).run();
      });
    } catch (const Error&) {
      // They are made again the next time.
    }
  }

  const std::shared_ptr<Pool> pool_;
  Transactions transactions_{*pool_};
  Search search_{transactions_};
  ListKeeper keeper_{transactions_};
};

}  // namespace

std::shared_ptr<Records> make_records(std::shared_ptr<Pool> pool) {
  return std::make_shared<PostgresRecords>(std::move(pool));
}

std::vector<std::string> record_statements() {
  return {kRows,
          kKeys,
          kRowId,
          kHoldWords,
          kTextsOfSession,
          kLockForDeletion,
          kIdleLeads,
          kIdleOthers,
          kTakeLease,
          kDeleteMessagesOf,
          kDeleteSessions,
          kSessionsByEmail,
          kSessionsByPhone,
          kMessageById,
          kPublicIds,
          kConversation,
          kTurnsOfQuestions,
          kLockSessionsOf,
          kInsertMessage,
          kTouchSession,
          kUpdateMessage,
          kDeleteMessages,
          kForgetContents,
          kNamedSessions,
          kStatistics,
          kPutStatistics,
          kDaySessions,
          kDayMessages,
          kDayTurns,
          kDayFeedback,
          kFeedback,
          kStandingConsents,
          kProbeMessages,
          kProbeTurns,
          kNewestMessage,
          kNewestTurn};
}

}  // namespace twinchat::postgres
