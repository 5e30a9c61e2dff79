#include "store/sqlite_records.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>

#include "store/cursor.h"
#include "store/records_rules.h"
#include "store/search_text.h"
#include "store/sqlite_index.h"
#include "store/sqlite_rows.h"
#include "store/sqlite_time.h"
#include "store/turn_rules.h"
#include "uuid.h"

namespace twinchat::sqlite {
namespace {

constexpr std::int64_t kMostRows = std::numeric_limits<std::int64_t>::max();
// What one page of a search looks at, at most, and from how many found messages on a word counts as
// one that is everywhere.
constexpr int kMessagesLookedAt = 5'000;
constexpr int kSessionsLookedAt = 20'000;
constexpr int kSessionsRead = 300;
constexpr std::size_t kManyFound = 2'000;
constexpr std::int64_t kCounted = 10'000;
// Where the index of messages is asked how common a trigram is: so many messages, in two places. It
// is rare when fewer than these hold it.
constexpr std::int64_t kSample = 5'000;
constexpr std::int64_t kRare = kSample / 20;
// From so few rows on, a filter is a better way in than the order that is wanted.
constexpr std::int64_t kFew = 5'000;

// --- SQL with its values

using Value = std::variant<std::int64_t, std::string>;

// Text of a statement that is put together for one use.
struct Sql {
  std::string text;
  std::vector<Value> values = {};

  Sql& add(std::string_view more) {
    text += more;
    return *this;
  }
  Sql& add(std::string_view more, Value value) {
    values.push_back(std::move(value));
    return add(more);
  }
};

// Binds the values of `sql`, which must outlive the query.
void bind(Query& query, const Sql& sql) {
  for (const Value& value : sql.values) {
    std::visit([&](const auto& v) { query.bind(v); }, value);
  }
}

std::int64_t count(Connection& connection, const Sql& sql) {
  Query query(connection, sql.text);
  bind(query, sql);
  return query.step() ? query.integer(0) : 0;
}

Sql& add_range(Sql& sql, const char* column, const TimeRange& range) {
  if (range.from) sql.add(std::string(" AND ") + column + " >= ?", time_text(*range.from));
  if (range.before) sql.add(std::string(" AND ") + column + " < ?", time_text(*range.before));
  return sql;
}

// --- Sessions

constexpr char kTotals[] = "SELECT sessions, messages, leads FROM twinchat_index";
#define SESSION_ROW                                                                        \
  "SELECT s.id, s.session_id, s.user_name, s.user_email, s.user_phone, s.created_at, "     \
  "s.updated_at, t.message_count, m.id, m.content, m.is_bot, m.created_at, t.updated_at, " \
  "t.created_at, t.name, t.email, t.searched FROM twinchat_session AS t "
#define SESSION_JOIN                                                                        \
  " CROSS JOIN chat_chatsession AS s ON s.id = t.id LEFT JOIN chat_message AS m ON m.id = " \
  "t.last_message"
constexpr char kRowOfSession[] = SESSION_ROW SESSION_JOIN " WHERE t.id = ?";
constexpr char kSessionRowId[] = "SELECT id FROM chat_chatsession WHERE session_id = ?";
constexpr char kFindSessions[] =
    "SELECT f.rowid, t.searched FROM twinchat_session_search AS f JOIN twinchat_session AS t ON "
    "t.id = f.rowid WHERE f.twinchat_session_search MATCH ?";
constexpr char kFindInMessages[] =
    "SELECT m.session_id, m.content FROM twinchat_message_search AS f CROSS JOIN chat_message AS m "
    "ON m.id = f.rowid WHERE f.twinchat_message_search MATCH ? ORDER BY f.rowid DESC LIMIT ?";
constexpr char kNewestMessage[] = "SELECT coalesce(max(id), 0) FROM chat_message";
constexpr char kCountTrigram[] =
    "SELECT count(*) FROM (SELECT 1 FROM twinchat_message_search WHERE twinchat_message_search "
    "MATCH ? AND rowid >= ? AND rowid < ? LIMIT ?)";
constexpr char kTextsOfSession[] = "SELECT content FROM chat_message WHERE session_id = ?";
// Turns go with their questions.
constexpr char kDeleteMessages[] = "DELETE FROM chat_message WHERE session_id = ?";
constexpr char kDeleteSession[] = "DELETE FROM chat_chatsession WHERE id = ?";
constexpr char kChangedSession[] = "INSERT OR IGNORE INTO twinchat_changed (id) VALUES (?)";
constexpr char kConversation[] =
    "SELECT m.id, m.content, m.is_bot, m.created_at, t.id FROM chat_message AS m LEFT JOIN "
    "twinchat_turn AS t ON t.user_message_id = m.id WHERE m.session_id = (SELECT id FROM "
    "chat_chatsession WHERE session_id = ?) AND m.id < ? ORDER BY m.id DESC LIMIT ?";
constexpr char kSessionsByEmail[] =
    "SELECT s.session_id FROM twinchat_session AS t JOIN chat_chatsession AS s ON s.id = t.id "
    "WHERE "
    "t.email = ? ORDER BY s.id";
constexpr char kSessionsByPhone[] =
    "SELECT s.session_id FROM twinchat_session AS t JOIN chat_chatsession AS s ON s.id = t.id "
    "WHERE "
    "t.phone = ? AND t.phone <> '' ORDER BY s.id";

// A row of the list with what it is ordered and searched by.
struct FoundSession {
  SessionRow row;
  SortKeys keys;
  std::string searched;

  std::vector<std::string> values(const std::vector<SessionSort>& sort) const {
    std::vector<std::string> values;
    for (const SessionSort& by : sort) values.push_back(keys.by(by.by));
    return values;
  }
};

FoundSession read_found(const Query& query) {
  FoundSession found;
  found.row.session = read_session(query, 0);
  found.row.message_count = query.integer(7);
  if (!query.is_null(8)) found.row.last_message = read_message(query, 8);
  found.keys = {query.text(12), query.text(13), query.text(14), query.text(15),
                padded(found.row.message_count)};
  found.searched = query.text(16);
  return found;
}

std::string column_of(SessionOrder order) {
  switch (order) {
    case SessionOrder::kUpdated:
      return "updated_at";
    case SessionOrder::kCreated:
      return "created_at";
    case SessionOrder::kName:
      return "name";
    case SessionOrder::kEmail:
      return "email";
    case SessionOrder::kMessages:
      return "message_count";
  }
  return "updated_at";
}

std::string index_of(SessionOrder order) {
  const std::string column = column_of(order);
  return "twinchat_session_" +
         (order == SessionOrder::kMessages ? "messages" : column.substr(0, column.find('_')));
}

Value sql_value(SessionOrder order, const std::string& value) {
  if (order == SessionOrder::kMessages) return cursor_number(value);
  return value;
}

Sql& add_filters(Sql& sql, const SessionQuery& query) {
  sql.add(query.leads_only ? " WHERE t.is_lead" : " WHERE 1");
  add_range(sql, "t.created_at", query.created);
  return add_range(sql, "t.updated_at", query.updated);
}

bool has_filters(const SessionQuery& query) {
  return query.leads_only || query.created.bounded() || query.updated.bounded();
}

bool passes(const SessionRow& row, const SessionQuery& query) {
  return (!query.leads_only || is_lead(row.session.user)) &&
         query.created.contains(row.session.created_at) &&
         query.updated.contains(row.session.updated_at);
}

// Only what stands behind the cursor, in the order of `sort`.
void add_cursor(Sql& sql, const std::vector<SessionSort>& sort,
                const std::vector<std::string>& values) {
  const auto beyond = [&](std::size_t i) { return sort[i].descending ? " < " : " > "; };
  const std::string first = "t." + column_of(sort[0].by);
  sql.add(" AND " + first + (sort[0].descending ? " <= ?" : " >= ?"),
          sql_value(sort[0].by, values[0]));
  sql.add(" AND (");
  for (std::size_t i = 0; i < sort.size(); ++i) {
    const std::string column = "t." + column_of(sort[i].by);
    sql.add(column + beyond(i) + "?", sql_value(sort[i].by, values[i]));
    sql.add(" OR (" + column + " = ? AND ", sql_value(sort[i].by, values[i]));
  }
  sql.add(std::string("t.id") + beyond(0) + "?", cursor_number(values.back()));
  sql.add(std::string(sort.size() + 1, ')'));
}

void add_order(Sql& sql, const std::vector<SessionSort>& sort) {
  sql.add(" ORDER BY ");
  for (const SessionSort& by : sort) {
    sql.add("t." + column_of(by.by) + (by.descending ? " DESC, " : ", "));
  }
  sql.add(sort.front().descending ? "t.id DESC" : "t.id");
}

std::int64_t count_filtered(Connection& connection, const SessionQuery& query,
                            const std::string& index, std::int64_t most) {
  Sql sql{"SELECT count(*) FROM (SELECT 1 FROM twinchat_session AS t"};
  if (!index.empty()) sql.add(" INDEXED BY " + index);
  add_filters(sql, query).add(" LIMIT ?)", most);
  return count(connection, sql);
}

// The index to read a filtered list by: that of its order, unless a filter leaves few rows.
std::string way_in(Connection& connection, const SessionQuery& query, SessionOrder order) {
  const auto few = [&](const SessionQuery& filter, const std::string& index) {
    return count_filtered(connection, filter, index, kFew + 1) <= kFew;
  };
  if (query.leads_only && order == SessionOrder::kUpdated) return "twinchat_session_lead";
  if (query.created.bounded() && order != SessionOrder::kCreated) {
    SessionQuery filter;
    filter.created = query.created;
    if (few(filter, "twinchat_session_created")) return "twinchat_session_created";
  }
  if (query.updated.bounded() && order != SessionOrder::kUpdated) {
    SessionQuery filter;
    filter.updated = query.updated;
    if (few(filter, "twinchat_session_updated")) return "twinchat_session_updated";
  }
  if (query.leads_only) {
    SessionQuery filter;
    filter.leads_only = true;
    if (few(filter, "twinchat_session_lead")) return "twinchat_session_lead";
  }
  return index_of(order);
}

// The rows behind the cursor, in order; without a cursor, from the beginning.
Sql sessions_sql(Connection& connection, const SessionQuery& query,
                 const std::vector<SessionSort>& sort, const std::vector<std::string>& after) {
  Sql sql{SESSION_ROW " INDEXED BY "};
  sql.add(way_in(connection, query, sort.front().by)).add(SESSION_JOIN);
  add_filters(sql, query);
  if (!after.empty()) add_cursor(sql, sort, after);
  add_order(sql, sort);
  return sql;
}

// As many of them as the query wants, and one more. What is shown is looked up for these alone.
Sql page_sql(Connection& connection, const SessionQuery& query,
             const std::vector<SessionSort>& sort, const std::vector<std::string>& after) {
  Sql sql{SESSION_ROW SESSION_JOIN " WHERE t.id IN (SELECT t.id FROM twinchat_session AS t"};
  sql.add(" INDEXED BY " + way_in(connection, query, sort.front().by));
  add_filters(sql, query);
  if (!after.empty()) add_cursor(sql, sort, after);
  add_order(sql, sort);
  sql.add(" LIMIT ?)", sql_limit(query.limit + 1));
  add_order(sql, sort);
  return sql;
}

void finish_page(Page<SessionRow>& page, const FoundSession& last,
                 const std::vector<SessionSort>& sort) {
  std::vector<std::string> values = last.values(sort);
  values.push_back(std::to_string(last.row.session.id));
  page.next = pack_cursor(values);
}

// The query of the index for messages that may hold all words, when that is a good way to find
// them; empty otherwise. FTS5 follows the trigrams of a query from one common message to the next,
// and nothing stops it on the way: it is asked for rare ones only. Where words have none, they are
// as well looked for in the messages one after the other.
std::string message_match(Connection& connection, const std::vector<std::string>& words) {
  const std::vector<std::string> trigrams = trigrams_of(words);
  std::int64_t newest = 0;
  {
    Query query(connection, kNewestMessage);
    query.step();
    newest = query.integer(0);
  }
  if (newest <= 4 * kSample) return all_of(trigrams);
  std::vector<std::string> rare;
  for (const std::string& trigram : trigrams) {
    bool is_rare = true;
    for (const std::int64_t from : {newest - kSample, newest / 2}) {
      const std::string match = all_of({trigram});
      Query query(connection, kCountTrigram);
      query.bind(match).bind(from).bind(from + kSample).bind(kRare).step();
      is_rare = is_rare && query.integer(0) < kRare;
    }
    if (is_rare) rare.push_back(trigram);
  }
  return all_of(rare);
}

// Where a word of a search was found: the sessions, or nothing when there are too many to name.
struct Whereabouts {
  std::string word;
  std::optional<std::unordered_set<std::int64_t>> sessions = {};
};

Whereabouts look_for(Connection& connection, const std::string& word, bool in_messages) {
  Whereabouts found{word};
  const std::string in_fields = all_of(trigrams_of({word}));
  if (in_fields.empty()) return found;
  std::unordered_set<std::int64_t> sessions;
  {
    Query query(connection, kFindSessions);
    query.bind(in_fields);
    for (std::size_t seen = 0; query.step();) {
      if (++seen > kManyFound) return found;
      if (query.text(1).find(word) != std::string::npos) sessions.insert(query.integer(0));
    }
  }
  if (in_messages) {
    const std::string match = message_match(connection, {word});
    if (match.empty()) return found;
    const std::int64_t limit = sql_limit(kManyFound + 1);
    Query query(connection, kFindInMessages);
    query.bind(match).bind(limit);
    for (std::size_t seen = 0; query.step();) {
      if (++seen > kManyFound) return found;
      if (folded(query.text(1)).find(word) != std::string::npos) sessions.insert(query.integer(0));
    }
  }
  found.sessions = std::move(sessions);
  return found;
}

// Whether a session holds the words, those that are everywhere looked for in its texts.
class SessionMatcher {
 public:
  SessionMatcher(Connection& connection, const std::vector<Whereabouts>& words, bool in_messages)
      : connection_(connection), words_(words), in_messages_(in_messages) {}

  bool operator()(const FoundSession& found) {
    std::vector<const std::string*> open;
    for (const Whereabouts& word : words_) {
      if (word.sessions) {
        if (!word.sessions->contains(found.row.session.id)) return false;
      } else if (found.searched.find(word.word) == std::string::npos) {
        open.push_back(&word.word);
      }
    }
    if (open.empty()) return true;
    if (!in_messages_) return false;
    ++read_;
    Query query(connection_, kTextsOfSession);
    query.bind(found.row.session.id);
    while (!open.empty() && query.step()) {
      const std::string text = folded(query.text(0));
      std::erase_if(open, [&](const std::string* word) { return text.find(*word) != text.npos; });
    }
    return open.empty();
  }

  // How many sessions' messages were read.
  int read() const { return read_; }

 private:
  Connection& connection_;
  const std::vector<Whereabouts>& words_;
  const bool in_messages_;
  int read_ = 0;
};

// --- Retention

// The list's own rows may be behind: who erases looks again.
#define IDLE_SESSIONS                                                                         \
  "SELECT s.session_id FROM twinchat_session AS t JOIN chat_chatsession AS s ON s.id = t.id " \
  "WHERE t.updated_at < ?1 AND s.updated_at < ?1 AND "
constexpr char kIdleLeads[] = IDLE_SESSIONS "t.is_lead ORDER BY t.updated_at, t.id LIMIT ?2";
constexpr char kIdleOthers[] = IDLE_SESSIONS "NOT t.is_lead ORDER BY t.updated_at, t.id LIMIT ?2";
constexpr char kTakeLease[] =
    "INSERT INTO twinchat_lease (name, owner, expires_at) VALUES (?1, ?2, ?3) ON CONFLICT (name) "
    "DO "
    "UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at WHERE owner = "
    "excluded.owner OR expires_at <= ?4";

// --- Messages

#define MESSAGE_ROW                                                                               \
  "SELECT m.id, m.content, m.is_bot, m.created_at, s.session_id, m.session_id FROM chat_message " \
  "AS m JOIN chat_chatsession AS s ON s.id = m.session_id "
constexpr char kRowOfMessage[] = MESSAGE_ROW "WHERE m.id = ?";
constexpr char kUpdateMessage[] = "UPDATE chat_message SET content = ?, is_bot = ? WHERE id = ?";
constexpr char kDeleteMessage[] = "DELETE FROM chat_message WHERE id = ?";
constexpr char kForgetContents[] =
    "UPDATE twinchat_turn SET contents = '' WHERE answer_message_id = ?1 OR user_message_id = ?1";

MessageRow read_message_row(const Query& query) {
  return {read_message(query, 0), query.text(4)};
}

// The least id in `table` whose created_at is not before `time`, taking rows to lie in the order of
// their ids in time.
std::int64_t first_id_since(Connection& connection, const std::string& table, Timestamp time) {
  const std::string wanted = time_text(time);
  std::int64_t low = 0;
  std::int64_t high = connection.integer("SELECT coalesce(max(id), 0) FROM " + table) + 1;
  Query query(connection,
              "SELECT id, created_at FROM " + table + " WHERE id >= ? ORDER BY id LIMIT 1");
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    query.restart().bind(middle);
    if (!query.step()) {
      high = middle;
    } else if (query.text(1) < wanted) {
      low = query.integer(0) + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// Ids in a half-open range.
struct IdRange {
  std::int64_t from = 0;
  std::int64_t before = kMostRows;
};

IdRange ids_of(Connection& connection, const std::string& table, const TimeRange& range) {
  IdRange ids;
  if (range.from) ids.from = first_id_since(connection, table, *range.from);
  if (range.before) ids.before = first_id_since(connection, table, *range.before);
  return ids;
}

// Sessions whose id holds the word; at most a hundred.
std::vector<std::int64_t> sessions_named(Connection& connection, const std::string& word) {
  std::vector<std::int64_t> sessions;
  const std::string match = all_of(trigrams_of({word}));
  Query query(connection, kFindSessions);
  query.bind(match);
  while (sessions.size() < 100 && query.step()) {
    const std::string searched = query.text(1);
    if (searched.substr(0, searched.find('\n')).find(word) != std::string::npos) {
      sessions.push_back(query.integer(0));
    }
  }
  return sessions;
}

// --- Turns and figures

constexpr char kStatistics[] = "SELECT figures FROM twinchat_statistics WHERE day = ?";
constexpr char kPutStatistics[] =
    "INSERT OR REPLACE INTO twinchat_statistics (day, figures) VALUES (?, ?)";
constexpr char kDaySessions[] =
    "SELECT count(*), coalesce(sum(message_count > 0), 0), coalesce(sum(is_lead), 0) FROM "
    "twinchat_session WHERE created_at >= ? AND created_at < ?";
constexpr char kDayMessages[] =
    "SELECT count(*), coalesce(sum(NOT is_bot), 0) FROM chat_message WHERE id >= ? AND id < ?";
constexpr char kDayTurns[] =
    "SELECT status, prompt_tokens, cached_tokens, output_tokens, thought_tokens, total_tokens, "
    "latency_ms FROM twinchat_turn WHERE id >= ? AND id < ?";
constexpr char kDayFeedback[] =
    "SELECT coalesce(sum(feedback > 0), 0), coalesce(sum(feedback < 0), 0) FROM twinchat_turn "
    "INDEXED BY twinchat_turn_feedback_at WHERE feedback <> 0 AND feedback_at >= ? AND feedback_at "
    "< ?";

std::string in_list(const std::vector<std::int64_t>& ids) {
  std::string list;
  for (const std::int64_t id : ids) list += (list.empty() ? "" : ",") + std::to_string(id);
  return " IN (" + list + ")";
}

DayStatistics figures_of(Connection& connection, std::chrono::sys_days day) {
  DayStatistics found;
  found.day = day;
  const TimeRange range{day, day + std::chrono::days(1)};
  const std::string from = time_text(*range.from);
  const std::string before = time_text(*range.before);
  {
    Query query(connection, kDaySessions);
    query.bind(from).bind(before).step();
    found.sessions = query.integer(0);
    found.asked = query.integer(1);
    found.leads = query.integer(2);
  }
  {
    const IdRange ids = ids_of(connection, "chat_message", range);
    Query query(connection, kDayMessages);
    query.bind(ids.from).bind(ids.before).step();
    found.messages = query.integer(0);
    found.visitor_messages = query.integer(1);
  }
  {
    Query query(connection, kDayFeedback);
    query.bind(from).bind(before).step();
    found.liked = query.integer(0);
    found.disliked = query.integer(1);
  }
  const IdRange ids = ids_of(connection, "twinchat_turn", range);
  Latencies latencies;
  Query query(connection, kDayTurns);
  query.bind(ids.from).bind(ids.before);
  while (query.step()) {
    add_turns(
        found, stored_status(query.text(0)), 1,
        {query.integer(1), query.integer(2), query.integer(3), query.integer(4), query.integer(5)},
        std::chrono::milliseconds(query.integer(6)), latencies);
  }
  found.latency = percentiles(latencies);
  return found;
}

class SqliteRecords final : public Records {
 public:
  explicit SqliteRecords(OpenFile file)
      : file_(std::move(file)), index_(file_.writer, file_.readers) {}

  Totals totals() override {
    index_.catch_up();
    return file_.readers.run([](Connection& connection) { return read_totals(connection); });
  }

  Page<SessionRow> sessions(const SessionQuery& query) override {
    index_.catch_up();
    const std::vector<SessionSort> sort = sort_of(query);
    std::vector<std::string> after;
    if (!query.cursor.empty()) after = unpack_cursor(query.cursor, sort.size() + 1);
    const std::vector<std::string> words = search_words(query.search);
    return file_.readers.run([&](Connection& connection) {
      Page<SessionRow> page = words.empty() ? listed(connection, query, sort, after)
                                            : searched(connection, query, sort, after, words);
      page.complete = !is_index_behind(connection);
      return page;
    });
  }

  std::int64_t count_sessions(const SessionQuery& query, std::int64_t most) override {
    index_.catch_up();
    return file_.readers.run([&](Connection& connection) {
      const auto order = query.updated.bounded() ? SessionOrder::kUpdated : SessionOrder::kCreated;
      return count_filtered(connection, query, way_in(connection, query, order), most);
    });
  }

  std::optional<SessionRow> session(std::string_view session_id) override {
    index_.catch_up();
    const std::string key(session_id);
    return file_.readers.run([&](Connection& connection) -> std::optional<SessionRow> {
      if (auto row = row_of(connection, key)) return row;
      // The index is behind.
      const auto found = find_session(connection, key);
      if (!found) return std::nullopt;
      return SessionRow{*found};
    });
  }

  SessionRow add_session(const UserDetails& user, Timestamp now, const AuditEntry& audit) override {
    AuditEntry entry = audit;
    entry.object_id = random_uuid();
    return file_.writer.run([&](Connection& connection) {
      SessionRow row{insert_session(connection, entry.object_id, user, now)};
      insert_audit(connection, entry);
      return row;
    });
  }

  SessionRow edit_session(std::string_view session_id, const UserDetailsUpdate& update,
                          const std::optional<UserDetails>& expected, Timestamp now,
                          const AuditEntry& audit) override {
    const std::string key(session_id);
    file_.writer.run([&](Connection& connection) {
      std::optional<Session> session = find_session(connection, key);
      if (!session) throw no_such_session();
      if (expected && session->user != *expected) throw changed_meanwhile();
      update_session(connection, *session, update, now);
      Query(connection, kChangedSession).bind(session->id).run();
      insert_audit(connection, audit);
      return true;
    });
    const auto row = this->session(session_id);
    if (!row) throw no_such_session();
    return *row;
  }

  Erased delete_sessions(const std::vector<std::string>& session_ids,
                         const AuditEntry& audit) override {
    return remove(session_ids, audit, false);
  }

  std::vector<Utterance> conversation(std::string_view session_id, std::int64_t before_id,
                                      std::size_t limit) override {
    const std::string key(session_id);
    return file_.readers.run([&](Connection& connection) {
      std::vector<Utterance> found;
      Query query(connection, kConversation);
      query.bind(key).bind(before_id == 0 ? kMostRows : before_id).bind(sql_limit(limit));
      while (query.step()) {
        Utterance& one = found.emplace_back(Utterance{read_message(query, 0)});
        if (!query.is_null(4)) one.turn = load_turn(connection, query.integer(4));
      }
      std::reverse(found.begin(), found.end());
      return found;
    });
  }

  std::unordered_map<std::int64_t, Consent> standing_consents(
      const std::vector<std::int64_t>& sessions) override {
    return file_.readers.run([&](Connection& connection) {
      std::unordered_map<std::int64_t, Consent> found;
      Query query(connection, "SELECT " TWINCHAT_CONSENT_COLUMNS
                              ", session_id FROM twinchat_consent WHERE withdrawn_at IS NULL AND "
                              "session_id" +
                                  in_list(sessions) + " ORDER BY session_id, id");
      while (query.step()) found.insert_or_assign(query.integer(6), read_consent(query));
      return found;
    });
  }

  Page<MessageRow> messages(const RowQuery& query) override {
    index_.catch_up();
    return file_.readers.run([&](Connection& connection) {
      Page<MessageRow> page = read_messages(connection, query);
      page.complete = !is_index_behind(connection);
      return page;
    });
  }

  std::int64_t count_messages(const RowQuery& query, std::int64_t most) override {
    return file_.readers.run(
        [&](Connection& connection) { return count_messages(connection, query, most); });
  }

  std::optional<MessageRow> message(std::int64_t id) override {
    return file_.readers.run([&](Connection& connection) { return find_message(connection, id); });
  }

  MessageRow add_message(std::string_view session_id, const std::string& text, bool is_bot,
                         Timestamp now, const AuditEntry& audit) override {
    const std::string key(session_id);
    MessageRow row = file_.writer.run([&](Connection& connection) {
      const std::optional<Session> session = find_session(connection, key);
      if (!session) throw no_such_session();
      MessageRow added{insert_message(connection, session->id, text, is_bot, now), key};
      touch_session(connection, session->id, now);
      AuditEntry entry = audit;
      if (entry.object_id.empty()) entry.object_id = std::to_string(added.message.id);
      insert_audit(connection, entry);
      return added;
    });
    file_.history.forget(key);
    return row;
  }

  MessageRow edit_message(std::int64_t id, const std::string& text, bool is_bot,
                          const std::optional<Message>& expected,
                          const AuditEntry& audit) override {
    MessageRow row = file_.writer.run([&](Connection& connection) {
      std::optional<MessageRow> found = find_message(connection, id);
      if (!found) throw no_such_message();
      if (expected && *expected != found->message) throw changed_meanwhile();
      found->message.text = text;
      found->message.is_bot = is_bot;
      Query(connection, kUpdateMessage).bind(text).bind(is_bot ? 1 : 0).bind(id).run();
      // What the model had said word for word must not be sent in place of the new text.
      Query(connection, kForgetContents).bind(id).run();
      insert_audit(connection, audit);
      return *found;
    });
    file_.history.forget(row.session_id);
    return row;
  }

  std::int64_t delete_messages(const std::vector<std::int64_t>& ids,
                               const AuditEntry& audit) override {
    std::set<std::string> sessions;
    const std::int64_t deleted = file_.writer.run([&](Connection& connection) {
      std::int64_t found = 0;
      for (const std::int64_t id : ids) {
        const std::optional<MessageRow> row = find_message(connection, id);
        if (!row) continue;
        sessions.insert(row->session_id);
        Query(connection, kForgetContents).bind(id).run();
        Query(connection, kDeleteMessage).bind(id).run();
        ++found;
      }
      insert_audit(connection, audit);
      return found;
    });
    for (const std::string& session : sessions) file_.history.forget(session);
    return deleted;
  }

  Page<TurnRow> turns(const TurnQuery& query) override {
    const std::vector<TurnStatus> statuses = statuses_of(query);
    return file_.readers.run(
        [&](Connection& connection) { return read_turns(connection, query, statuses); });
  }

  std::vector<DayStatistics> statistics(std::chrono::sys_days first,
                                        std::chrono::sys_days last) override {
    check_days(first, last);
    index_.catch_up();
    const auto settled = unsettled_day();
    std::vector<DayStatistics> days;
    for (std::chrono::sys_days day = first; day <= last; day += std::chrono::days(1)) {
      const std::string name = time_text(day).substr(0, 10);
      bool keep = false;
      days.push_back(file_.readers.run([&](Connection& connection) {
        Query query(connection, kStatistics);
        query.bind(name);
        if (query.step()) {
          if (auto known = figures_from(day, query.text(0))) return *std::move(known);
        }
        keep = day < settled && !is_index_behind(connection);
        return figures_of(connection, day);
      }));
      if (keep) keep_figures(name, days.back());
    }
    return days;
  }

  std::unordered_map<std::int64_t, Feedback> feedback(
      const std::vector<std::int64_t>& answer_ids) override {
    return file_.readers.run([&](Connection& connection) {
      std::unordered_map<std::int64_t, Feedback> found;
      Query query(connection,
                  "SELECT answer_message_id, feedback FROM twinchat_turn WHERE feedback <> 0 AND "
                  "answer_message_id" +
                      in_list(answer_ids));
      while (query.step()) found.emplace(query.integer(0), feedback_from(query.integer(1)));
      return found;
    });
  }

  std::vector<std::string> sessions_of(const PersonName& person) override {
    check_person(person);
    index_.catch_up();
    return file_.readers.run([&](Connection& connection) {
      std::vector<std::string> found;
      if (!person.session_id.empty()) {
        if (find_session(connection, person.session_id)) found.push_back(person.session_id);
        return found;
      }
      const std::string key =
          person.email.empty() ? digits_of(person.phone) : ascii_folded(person.email);
      Query query(connection, person.email.empty() ? kSessionsByPhone : kSessionsByEmail);
      query.bind(key);
      while (query.step()) found.push_back(query.text(0));
      return found;
    });
  }

  Erased erase(const std::vector<std::string>& session_ids, const AuditEntry& audit) override {
    return remove(session_ids, audit, true);
  }

  Erased erase_expired(const ExpiredQuery& which, const AuditEntry& audit) override {
    index_.catch_up();
    const std::string before = time_text(which.before);
    const std::vector<std::string> ids = file_.readers.run([&](Connection& connection) {
      std::vector<std::string> found;
      Query query(connection, which.leads ? kIdleLeads : kIdleOthers);
      query.bind(before).bind(sql_limit(which.limit));
      while (query.step()) found.push_back(query.text(0));
      return found;
    });
    if (ids.empty()) return {};
    const Erased erased = file_.writer.run([&](Connection& connection) {
      Erased counted;
      for (const std::string& key : ids) {
        const std::optional<Session> session = find_session(connection, key);
        if (session && has_expired(*session, which)) remove(connection, *session, counted);
      }
      if (counted.sessions == 0) return counted;
      insert_audit(connection, with_counts(audit, counted));
      file_.writer.empty_log_after_commit();
      return counted;
    });
    for (const std::string& key : ids) file_.history.forget(key);
    return erased;
  }

  bool take_lease(const std::string& name, const std::string& owner, Timestamp now,
                  Timestamp until) override {
    const std::string at = time_text(now);
    const std::string end = time_text(until);
    return file_.writer.run([&](Connection& connection) {
      return Query(connection, kTakeLease).bind(name).bind(owner).bind(end).bind(at).run() > 0;
    });
  }

 private:
  static Totals read_totals(Connection& connection) {
    Query query(connection, kTotals);
    query.step();
    return {query.integer(0), query.integer(1), query.integer(2)};
  }

  static std::optional<SessionRow> row_of(Connection& connection, const std::string& session_id) {
    std::int64_t id = 0;
    {
      Query query(connection, kSessionRowId);
      query.bind(session_id);
      if (!query.step()) return std::nullopt;
      id = query.integer(0);
    }
    Query query(connection, kRowOfSession);
    query.bind(id);
    if (!query.step()) return std::nullopt;
    return read_found(query).row;
  }

  static std::optional<MessageRow> find_message(Connection& connection, std::int64_t id) {
    Query query(connection, kRowOfMessage);
    query.bind(id);
    if (!query.step()) return std::nullopt;
    return read_message_row(query);
  }

  static Page<SessionRow> listed(Connection& connection, const SessionQuery& query,
                                 const std::vector<SessionSort>& sort,
                                 const std::vector<std::string>& after) {
    Page<SessionRow> page;
    const Sql sql = page_sql(connection, query, sort, after);
    Query rows(connection, sql.text);
    bind(rows, sql);
    std::optional<FoundSession> last;
    while (rows.step()) {
      if (page.rows.size() == query.limit) {
        finish_page(page, *last, sort);
        break;
      }
      last = read_found(rows);
      page.rows.push_back(last->row);
    }
    if (!after.empty()) return page;
    if (!has_filters(query)) {
      page.count = read_totals(connection).sessions;
    } else if (page.next.empty()) {
      page.count = static_cast<std::int64_t>(page.rows.size());
    } else {
      page.count =
          count_filtered(connection, query, way_in(connection, query, sort.front().by), kCounted);
      page.count_exact = *page.count < kCounted;
    }
    return page;
  }

  static Page<SessionRow> searched(Connection& connection, const SessionQuery& query,
                                   const std::vector<SessionSort>& sort,
                                   const std::vector<std::string>& after,
                                   const std::vector<std::string>& words) {
    std::vector<Whereabouts> found;
    for (const std::string& word : words) {
      found.push_back(look_for(connection, word, query.search_messages));
    }
    const auto rarest = std::min_element(found.begin(), found.end(),
                                         [](const Whereabouts& a, const Whereabouts& b) {
                                           return (a.sessions ? a.sessions->size() : SIZE_MAX) <
                                                  (b.sessions ? b.sessions->size() : SIZE_MAX);
                                         });
    return rarest->sessions ? picked(connection, query, sort, after, found, *rarest->sessions)
                            : walked(connection, query, sort, after, found);
  }

  // A word is rare: those sessions are the ones to look at.
  static Page<SessionRow> picked(Connection& connection, const SessionQuery& query,
                                 const std::vector<SessionSort>& sort,
                                 const std::vector<std::string>& after,
                                 const std::vector<Whereabouts>& words,
                                 const std::unordered_set<std::int64_t>& candidates) {
    std::vector<FoundSession> rows;
    for (const std::int64_t id : candidates) {
      Query one(connection, kRowOfSession);
      one.bind(id);
      if (!one.step()) continue;
      FoundSession found = read_found(one);
      if (!passes(found.row, query)) continue;
      if (!after.empty() && !stands_before(after, cursor_number(after.back()), found.values(sort),
                                           found.row.session.id, sort)) {
        continue;
      }
      rows.push_back(std::move(found));
    }
    std::sort(rows.begin(), rows.end(), [&](const FoundSession& a, const FoundSession& b) {
      return stands_before(a.values(sort), a.row.session.id, b.values(sort), b.row.session.id,
                           sort);
    });
    SessionMatcher matches(connection, words, query.search_messages);
    Page<SessionRow> page;
    const FoundSession* last = nullptr;
    std::int64_t matching = 0;
    for (const FoundSession& found : rows) {
      if (matches.read() >= kSessionsRead) {
        if (page.next.empty()) finish_page(page, *last, sort);
        page.count_exact = false;
        break;
      }
      const bool match = matches(found);
      if (match && page.rows.size() == query.limit && page.next.empty()) {
        finish_page(page, *last, sort);
      }
      if (match) ++matching;
      if (page.next.empty()) {
        if (match) page.rows.push_back(found.row);
        last = &found;
      }
    }
    if (after.empty()) page.count = matching;
    return page;
  }

  // Every word is everywhere: sessions are looked at in the order that is wanted.
  static Page<SessionRow> walked(Connection& connection, const SessionQuery& query,
                                 const std::vector<SessionSort>& sort,
                                 const std::vector<std::string>& after,
                                 const std::vector<Whereabouts>& words) {
    const Sql sql = sessions_sql(connection, query, sort, after);
    Query rows(connection, sql.text);
    bind(rows, sql);
    SessionMatcher matches(connection, words, query.search_messages);
    Page<SessionRow> page;
    std::optional<FoundSession> last;
    int looked_at = 0;
    while (rows.step()) {
      if (page.rows.size() == query.limit || ++looked_at > kSessionsLookedAt ||
          matches.read() >= kSessionsRead) {
        finish_page(page, *last, sort);
        return page;
      }
      last = read_found(rows);
      if (matches(*last)) page.rows.push_back(last->row);
    }
    if (after.empty()) page.count = static_cast<std::int64_t>(page.rows.size());
    return page;
  }

  static Page<MessageRow> read_messages(Connection& connection, const RowQuery& query) {
    Page<MessageRow> page;
    IdRange ids = ids_of(connection, "chat_message", query.created);
    if (!query.cursor.empty()) {
      const std::int64_t cursor = unpack_id(query.cursor, 0);
      if (query.newest_first) {
        ids.before = std::min(ids.before, cursor);
      } else {
        ids.from = std::max(ids.from, cursor + 1);
      }
    }
    std::vector<std::string> words;
    std::vector<std::vector<std::int64_t>> sessions;
    for (std::string& word : search_words(query.search)) {
      std::vector<std::int64_t> named;
      if (looks_like_session_id(word)) named = sessions_named(connection, word);
      if (named.empty()) {
        words.push_back(std::move(word));
      } else {
        sessions.push_back(std::move(named));
      }
    }
    if (!query.session_id.empty()) {
      const auto session = find_session(connection, query.session_id);
      sessions.push_back({session ? session->id : -1});
    }

    const std::string match = sessions.empty() ? message_match(connection, words) : "";
    Sql sql{"SELECT m.id, m.content, m.is_bot, m.created_at, s.session_id FROM "};
    // With a plus SQLite leaves the order of ids and goes by the session.
    const std::string id = !match.empty() ? "f.rowid" : sessions.empty() ? "m.id" : "+m.id";
    if (match.empty()) {
      sql.add(sessions.empty() ? "chat_message AS m NOT INDEXED" : "chat_message AS m");
    } else {
      sql.add("twinchat_message_search AS f CROSS JOIN chat_message AS m ON m.id = f.rowid");
    }
    sql.add(" CROSS JOIN chat_chatsession AS s ON s.id = m.session_id WHERE ");
    sql.add(id + " >= ? AND ", ids.from).add(id + " < ?", ids.before);
    if (!match.empty()) sql.add(" AND f.twinchat_message_search MATCH ?", match);
    for (const std::vector<std::int64_t>& named : sessions) {
      sql.add(" AND m.session_id" + in_list(named));
    }
    sql.add(" ORDER BY " + id + (query.newest_first ? " DESC" : ""));
    Query rows(connection, sql.text);
    bind(rows, sql);
    int looked_at = 0;
    std::int64_t matching = 0;
    std::int64_t last = 0;
    bool all = true;
    while (rows.step()) {
      if (++looked_at > kMessagesLookedAt ||
          (matching > sql_limit(query.limit) && words.empty() && sessions.empty())) {
        if (page.next.empty()) page.next = pack_cursor(last);
        all = false;
        break;
      }
      const bool is_bot = rows.integer(2) != 0;
      const bool found = (!query.is_bot || is_bot == *query.is_bot) &&
                         (words.empty() || holds_all(folded(rows.text(1)), words));
      if (found && ++matching > sql_limit(query.limit) && page.next.empty()) {
        page.next = pack_cursor(last);
      }
      if (!page.next.empty()) continue;
      if (found) page.rows.push_back(read_message_row(rows));
      last = rows.integer(0);
    }
    if (!query.cursor.empty()) return page;
    if (all) {
      page.count = matching;
    } else if (words.empty() && sessions.empty()) {
      if (!query.is_bot && !query.created.bounded()) {
        page.count = read_totals(connection).messages;
      } else {
        page.count = count_messages(connection, query, kCounted);
        page.count_exact = *page.count < kCounted;
      }
    } else {
      page.count = matching;
      page.count_exact = false;
    }
    return page;
  }

  static std::int64_t count_messages(Connection& connection, const RowQuery& query,
                                     std::int64_t most) {
    const IdRange ids = ids_of(connection, "chat_message", query.created);
    Sql sql{"SELECT count(*) FROM (SELECT 1 FROM chat_message WHERE id >= ?", {ids.from}};
    sql.add(" AND id < ?", ids.before);
    if (query.is_bot) sql.add(" AND is_bot = ?", *query.is_bot ? 1 : 0);
    if (!query.session_id.empty()) {
      sql.add(" AND session_id = (SELECT id FROM chat_chatsession WHERE session_id = ?)",
              query.session_id);
    }
    sql.add(" LIMIT ?)", most);
    return count(connection, sql);
  }

  static Page<TurnRow> read_turns(Connection& connection, const TurnQuery& query,
                                  const std::vector<TurnStatus>& statuses) {
    const IdRange ids = ids_of(connection, "twinchat_turn", query.created);
    const std::int64_t before = std::min(ids.before, unpack_id(query.cursor, kMostRows));
    Sql where{" FROM twinchat_turn INDEXED BY "};
    if (query.feedback == Feedback::kNone) {
      where.add("twinchat_turn_unfinished WHERE status NOT IN ('pending', 'complete')");
    } else {
      where.add("twinchat_turn_feedback WHERE feedback <> 0 AND feedback = ?",
                stored(query.feedback));
    }
    const char* separator = " AND status IN (?";
    for (const TurnStatus status : statuses) {
      where.add(std::exchange(separator, ", ?"), to_string(status));
    }
    where.add(statuses.empty() ? " AND id >= ?" : ") AND id >= ?", ids.from);
    Sql sql{"SELECT id" + where.text, where.values};
    sql.add(" AND id < ?", before).add(" ORDER BY id DESC LIMIT ?", sql_limit(query.limit + 1));
    Page<TurnRow> page;
    Query rows(connection, sql.text);
    bind(rows, sql);
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
    Sql counting{"SELECT count(*) FROM (SELECT 1" + where.text, where.values};
    counting.add(" AND id < ?", ids.before).add(" LIMIT ?)", kCounted);
    page.count = count(connection, counting);
    page.count_exact = *page.count < kCounted;
    return page;
  }

  // With `thoroughly`, the log of writes is emptied behind it.
  Erased remove(const std::vector<std::string>& session_ids, const AuditEntry& audit,
                bool thoroughly) {
    const Erased erased = file_.writer.run([&](Connection& connection) {
      Erased counted;
      for (const std::string& key : session_ids) {
        if (const auto session = find_session(connection, key))
          remove(connection, *session, counted);
      }
      insert_audit(connection, audit);
      if (thoroughly) file_.writer.empty_log_after_commit();
      return counted;
    });
    for (const std::string& key : session_ids) file_.history.forget(key);
    return erased;
  }

  static void remove(Connection& connection, const Session& session, Erased& counted) {
    counted.messages += Query(connection, kDeleteMessages).bind(session.id).run();
    Query(connection, kDeleteSession).bind(session.id).run();
    ++counted.sessions;
  }

  void keep_figures(const std::string& day, const DayStatistics& figures) {
    try {
      const std::string text = figures_text(figures);
      file_.writer.run([&](Connection& connection) {
        Query(connection, kPutStatistics).bind(day).bind(text).run();
        return true;
      });
    } catch (const Error&) {
      // They are made again the next time.
    }
  }

  const OpenFile file_;
  IndexKeeper index_;
};

}  // namespace

std::shared_ptr<Records> make_records(OpenFile file) {
  return std::make_shared<SqliteRecords>(std::move(file));
}

}  // namespace twinchat::sqlite
