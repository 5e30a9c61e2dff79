#include "store/postgres_lists.h"

#include <algorithm>
#include <array>
#include <utility>

#include "store/postgres_rows.h"
#include "twinchat/error.h"

namespace twinchat::postgres {
namespace {

constexpr char kState[] =
    "SELECT i.last_session, i.last_message, coalesce((SELECT max(id) FROM chat_chatsession), 0), "
    "coalesce((SELECT max(id) FROM chat_message), 0) FROM twinchat_index AS i";
constexpr char kCount[] =
    "SELECT i.sessions + (SELECT count(*) FROM chat_chatsession AS s WHERE s.id > "
    "i.last_session), i.messages + (SELECT count(*) FROM chat_message AS m WHERE m.id > "
    "i.last_message), i.leads + (SELECT count(*) FILTER (WHERE is_lead) - count(*) FILTER (WHERE "
    "NOT is_lead) FROM twinchat_session WHERE lead_differs) FROM twinchat_index AS i";
constexpr char kCountedLeads[] =
    "SELECT id FROM twinchat_session WHERE id = ANY($1) AND lead_counted ORDER BY id FOR UPDATE";
constexpr char kUncount[] =
    "UPDATE twinchat_index SET sessions = sessions - (SELECT count(*) FROM unnest($1) AS u(id) "
    "WHERE u.id <= last_session), messages = messages - (SELECT count(*) FROM unnest($2) AS u(id) "
    "WHERE u.id <= last_message), leads = leads - $3";

// Sessions without a row of the lists, and those with new messages and a wrong count. Here and
// below, OFFSET and LIMIT keep PostgreSQL from joining with all rows.
constexpr char kUnlisted[] =
    "SELECT s.id FROM chat_chatsession AS s WHERE s.id > $1 AND s.id <= $2 AND NOT EXISTS (SELECT "
    "1 FROM twinchat_session AS t WHERE t.id = s.id OFFSET 0) ORDER BY s.id LIMIT $3";
constexpr char kMiscounted[] =
    "SELECT k.session_id FROM (SELECT DISTINCT session_id FROM chat_message WHERE id > $1 AND id "
    "<= $2) AS k LEFT JOIN LATERAL (SELECT message_count FROM twinchat_session WHERE id = "
    "k.session_id LIMIT 1) AS t ON true WHERE t.message_count IS DISTINCT FROM (SELECT count(*) "
    "FROM chat_message AS m WHERE m.session_id = k.session_id)";
// What differs among the sessions that follow $1, $2 of them; the last row says where they end.
constexpr char kCompare[] =
    "WITH s AS MATERIALIZED (SELECT id, updated_at, coalesce(user_email, '') <> '' OR "
    "coalesce(user_phone, '') <> '' AS is_lead FROM chat_chatsession WHERE id > $1 ORDER BY id "
    "LIMIT $2) SELECT s.id, true FROM s LEFT JOIN LATERAL (SELECT * FROM twinchat_session WHERE id "
    "= s.id LIMIT 1) AS t ON true CROSS JOIN LATERAL (SELECT count(*) AS messages, max(m.id) AS "
    "newest FROM chat_message AS m WHERE m.session_id = s.id) AS m WHERE t.id IS NULL OR "
    "t.updated_at <> s.updated_at OR t.is_lead <> s.is_lead OR t.message_count <> m.messages OR "
    "t.last_message IS DISTINCT FROM m.newest UNION ALL SELECT coalesce(max(s.id), 0), false FROM "
    "s";

// In the order of ids, as everybody who locks more than one; what is locked is being put right by
// its transaction, or will be found again.
constexpr char kLock[] =
    "SELECT id FROM chat_chatsession WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED";
constexpr char kRecount[] =
    "INSERT INTO twinchat_session (id, updated_at, is_lead, message_count, last_message) SELECT "
    "s.id, s.updated_at, coalesce(s.user_email, '') <> '' OR coalesce(s.user_phone, '') <> '', "
    "(SELECT count(*) FROM chat_message AS m WHERE m.session_id = s.id), (SELECT max(m.id) FROM "
    "chat_message AS m WHERE m.session_id = s.id) FROM chat_chatsession AS s WHERE s.id = ANY($1) "
    "ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, is_lead = excluded.is_lead, "
    "message_count = excluded.message_count, last_message = excluded.last_message";

// Moving the counts on. Who holds the row keeps deletions from happening in between.
constexpr char kLockCounts[] = "SELECT last_session, last_message FROM twinchat_index FOR UPDATE";
constexpr char kSettle[] =
    "UPDATE twinchat_index SET last_session = $1, last_message = $2, sessions = sessions + (SELECT "
    "count(*) FROM chat_chatsession AS s WHERE s.id > last_session AND s.id <= $1), messages = "
    "messages + (SELECT count(*) FROM chat_message AS m WHERE m.id > last_message AND m.id <= $2)";
constexpr char kManyLeads[] = "SELECT 1 FROM twinchat_session WHERE lead_differs OFFSET $1 LIMIT 1";
constexpr char kSettleLeads[] =
    "WITH f AS (SELECT id FROM twinchat_session WHERE lead_differs ORDER BY id LIMIT $1 FOR UPDATE "
    "SKIP LOCKED), u AS (UPDATE twinchat_session AS t SET lead_counted = is_lead FROM f WHERE t.id "
    "= f.id RETURNING t.is_lead) UPDATE twinchat_index SET leads = leads + (SELECT count(*) FILTER "
    "(WHERE is_lead) - count(*) FILTER (WHERE NOT is_lead) FROM u)";
constexpr char kCountAll[] =
    "UPDATE twinchat_index SET sessions = (SELECT count(*) FROM chat_chatsession AS s WHERE s.id "
    "<= last_session), messages = (SELECT count(*) FROM chat_message AS m WHERE m.id <= "
    "last_message), leads = (SELECT count(*) FROM twinchat_session WHERE lead_counted)";

// A database whose ids do not go further is compared as a whole before every reading.
constexpr std::int64_t kFewSessions = 1'000;
constexpr std::int64_t kFewMessages = 20'000;
// Before a reading, and of the thread at once.
constexpr std::int64_t kSessionsAtOnce = 1'000;
constexpr std::int64_t kMessagesAtOnce = 5'000;
// So many ids are not counted ahead.
constexpr std::int64_t kUncountedSessions = 2'000;
constexpr std::int64_t kUncountedMessages = 20'000;
constexpr std::int64_t kMessagesCountedAtOnce = 2'000'000;
// No transaction that adds rows takes longer, as far as we look after it.
constexpr std::chrono::seconds kAgain{30};
constexpr std::chrono::seconds kIdle{1};
constexpr std::chrono::seconds kAfterError{5};
// All sessions are compared in about so many steps, one a second.
constexpr std::int64_t kSteps = 600;
constexpr std::int64_t kMostCompared = 5'000;

constexpr std::chrono::minutes kLongestVacuum{1};

constexpr std::array kVacuum{"VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON) chat_message",
                             "VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON) chat_chatsession",
                             "VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON) twinchat_turn",
                             "VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON) twinchat_session",
                             "VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON) twinchat_consent"};

}  // namespace

Totals count_rows(Connection& connection) {
  Query query(connection, kCount);
  if (!query.step()) return {};
  return {query.integer(0), query.integer(1), query.integer(2)};
}

std::int64_t counted_leads(Connection& connection, const std::vector<std::int64_t>& sessions) {
  std::int64_t found = 0;
  Query query(connection, kCountedLeads);
  query.bind(sessions);
  while (query.step()) ++found;
  return found;
}

void uncount(Connection& connection, const std::vector<std::int64_t>& sessions,
             const std::vector<std::int64_t>& messages, std::int64_t leads) {
  if (sessions.empty() && messages.empty()) return;
  Query(connection, kUncount).bind(sessions).bind(messages).bind(leads).run();
}

void recount(Transactions& transactions, const std::vector<std::int64_t>& sessions) {
  if (sessions.empty()) return;
  transactions.write([&](Connection& connection) {
    std::vector<std::int64_t> locked;
    Query query(connection, kLock);
    query.bind(sessions);
    while (query.step()) locked.push_back(query.integer(0));
    if (!locked.empty()) Query(connection, kRecount).bind(locked).run();
    return true;
  });
}

ListKeeper::ListKeeper(Transactions& transactions)
    : transactions_(transactions), thread_([this](std::stop_token stop) { run(stop); }) {}

ListKeeper::~ListKeeper() {
  thread_.request_stop();
  thread_.join();
}

ListKeeper::State ListKeeper::state() {
  return transactions_.read([](Connection& connection) {
    Query query(connection, kState);
    if (!query.step()) return State{};
    return State{query.integer(0), query.integer(1), query.integer(2), query.integer(3)};
  });
}

bool ListKeeper::catch_up() {
  try {
    const State now = state();
    const bool all = look(now);
    if (now.newest_session <= kFewSessions && now.newest_message <= kFewMessages) {
      std::int64_t last = 0;
      compare(0, kFewSessions, last);
    }
    return all;
  } catch (const Error&) {
    // What cannot be read at all will be said by the reading that comes now.
    return true;
  }
}

// Puts right what is wrong about rows in a range of ids; those of sessions up to `sessions` of
// them. Returns the last session that was looked at.
std::int64_t ListKeeper::look_at(IdRange sessions, IdRange messages, std::int64_t most) {
  std::vector<std::int64_t> wrong;
  transactions_.read([&](Connection& connection) {
    wrong.clear();
    if (sessions.after < sessions.last) {
      Query query(connection, kUnlisted);
      query.bind(sessions.after).bind(sessions.last).bind(most);
      while (query.step()) wrong.push_back(query.integer(0));
      if (wrong.size() == static_cast<std::size_t>(most)) sessions.last = wrong.back();
    }
    if (messages.after < messages.last) {
      Query query(connection, kMiscounted);
      query.bind(messages.after).bind(messages.last);
      while (query.step()) wrong.push_back(query.integer(0));
    }
    return true;
  });
  recount(transactions_, wrong);
  return sessions.last;
}

// The rows behind those that were looked at.
bool ListKeeper::look(const State& now) {
  IdRange sessions{0, now.newest_session};
  IdRange messages{0, now.newest_message};
  {
    const std::lock_guard lock(mutex_);
    if (!started_) {
      started_ = true;
      seen_session_ = old_session_ = now.last_session;
      // Sessions that are not listed yet are counted when they are.
      seen_message_ = now.last_message != 0
                          ? now.last_message
                          : std::max<std::int64_t>(now.newest_message - kUncountedMessages, 0);
      old_message_ = seen_message_;
    }
    sessions.after = seen_session_;
    messages.after = seen_message_;
  }
  messages.last = std::min(messages.last, messages.after + kMessagesAtOnce);
  sessions.last = look_at(sessions, messages, kSessionsAtOnce);
  const std::lock_guard lock(mutex_);
  seen_session_ = std::max(seen_session_, sessions.last);
  seen_message_ = std::max(seen_message_, messages.last);
  return seen_session_ >= now.newest_session && seen_message_ >= now.newest_message;
}

// For what was added by transactions that took their time.
void ListKeeper::look_again() {
  IdRange sessions;
  IdRange messages;
  {
    const std::lock_guard lock(mutex_);
    if (Clock::now() - looked_again_ < kAgain) return;
    looked_again_ = Clock::now();
    sessions = {std::exchange(old_session_, seen_session_), seen_session_};
    messages = {std::exchange(old_message_, seen_message_), seen_message_};
  }
  while (sessions.after < sessions.last || messages.after < messages.last) {
    const IdRange some{messages.after, std::min(messages.last, messages.after + kMessagesAtOnce)};
    sessions.after = look_at(sessions, some, kSessionsAtOnce);
    messages.after = some.last;
  }
}

// Compares the sessions behind `from`; `last` becomes the last of them, 0 when there are none.
bool ListKeeper::compare(std::int64_t from, std::int64_t most, std::int64_t& last) {
  const std::vector<std::int64_t> wrong = transactions_.read([&](Connection& connection) {
    std::vector<std::int64_t> found;
    Query query(connection, kCompare);
    query.bind(from).bind(most);
    while (query.step()) {
      if (query.boolean(1)) {
        found.push_back(query.integer(0));
      } else {
        last = query.integer(0);
      }
    }
    return found;
  });
  recount(transactions_, wrong);
  return !wrong.empty();
}

void ListKeeper::compare_next(const State& now) {
  std::int64_t last = 0;
  compare(compared_, std::clamp(now.newest_session / kSteps, kSessionsAtOnce / 2, kMostCompared),
          last);
  compared_ = last;
  if (last == 0) count_all(now);
}

// Counts the rows that have been there for a while, so that nobody has to do it again.
void ListKeeper::settle(const State& now) {
  std::int64_t session = 0;
  std::int64_t message = 0;
  {
    const std::lock_guard lock(mutex_);
    session = std::min(old_session_, seen_session_);
    message = std::min(old_message_, seen_message_);
  }
  session = std::max(session, now.last_session);
  message = std::clamp(message, now.last_message, now.last_message + kMessagesCountedAtOnce);
  if (session - now.last_session < kUncountedSessions &&
      message - now.last_message < kUncountedMessages) {
    return;
  }
  transactions_.write([&](Connection& connection) {
    Query query(connection, kLockCounts);
    if (!query.step()) return false;
    // Another server may have been faster.
    if (query.integer(0) > session || query.integer(1) > message) return false;
    Query(connection, kSettle).bind(session).bind(message).run();
    return true;
  });
}

void ListKeeper::settle_leads() {
  const bool many = transactions_.read([](Connection& connection) {
    return Query(connection, kManyLeads).bind(kUncountedSessions).step();
  });
  if (!many) return;
  transactions_.write([](Connection& connection) {
    return Query(connection, kSettleLeads).bind(kMostCompared).run();
  });
}

// What others deleted: once in a while, and less often where it takes long.
void ListKeeper::count_all(const State& now) {
  if (now.last_message == 0 && now.last_session == 0) return;
  const auto began = Clock::now();
  if (began < counted_) return;
  transactions_.write([](Connection& connection) {
    connection.allow(std::chrono::minutes(5));
    Query(connection, kLockCounts).step();
    Query(connection, kCountAll).run();
    return true;
  });
  counted_ = Clock::now() + (Clock::now() - began) * 500;
}

void ListKeeper::vacuum_soon() {
  wants_vacuum_ = true;
  wake_.notify_all();
}

void ListKeeper::vacuum() {
  if (Clock::now() < next_vacuum_) return;
  const auto began = Clock::now();
  wants_vacuum_ = false;
  // A connection of its own: these statements take their time, and belong to no transaction that
  // could be told so.
  Limits limits;
  limits.statement = kLongestVacuum;
  Connection connection(transactions_.pool().target(), limits,
                        transactions_.pool().takes_no_options());
  for (const char* sql : kVacuum) connection.exec(sql);
  next_vacuum_ = Clock::now() + (Clock::now() - began) * 20;
}

void ListKeeper::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    Clock::duration pause = kIdle;
    try {
      if (wants_vacuum_) vacuum();
      const State now = state();
      look_again();
      if (!look(now)) pause = Clock::duration(0);
      settle(now);
      settle_leads();
      compare_next(now);
    } catch (const Error&) {
      pause = kAfterError;
    }
    std::unique_lock lock(wake_mutex_);
    wake_.wait_for(lock, stop, pause,
                   [&] { return wants_vacuum_ && Clock::now() >= next_vacuum_; });
  }
}

std::vector<std::string> list_statements() {
  return {kState, kCount,   kUncount,    kUnlisted, kMiscounted, kCompare,
          kLock,  kRecount, kLockCounts, kSettle,   kCountAll};
}

}  // namespace twinchat::postgres
