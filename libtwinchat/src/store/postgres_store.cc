#include "twinchat/postgres_store.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/postgres_pool.h"
#include "store/postgres_rate_buckets.h"
#include "store/postgres_records.h"
#include "store/postgres_rows.h"
#include "store/postgres_schema.h"
#include "store/postgres_store_sql.h"
#include "store/postgres_transactions.h"
#include "store/process_owner.h"
#include "store/turn_rules.h"
#include "twinchat/database.h"
#include "twinchat/error.h"
#include "twinchat/records.h"

namespace twinchat {
namespace {

using postgres::Clock;
using postgres::Connection;
using postgres::Kept;
using postgres::Query;
using postgres::storable;

// Looking for turns that processes left behind.
constexpr std::chrono::seconds kBetweenSweeps{60};
// Rows that the tokens of a day are spread over.
constexpr int kDayShards = 32;

#define MESSAGES                                                                                 \
  "SELECT id, content, is_bot, created_at FROM chat_message WHERE session_id = (SELECT id FROM " \
  "chat_chatsession WHERE session_id = $1) AND id > $2 AND id < $3 ORDER BY id "
constexpr char kMessages[] = MESSAGES "LIMIT $4";
constexpr char kNewestMessages[] = MESSAGES "DESC LIMIT $4";
constexpr char kNewestTurns[] = TWINCHAT_PG_TURN_QUERY
    "WHERE q.session_id = (SELECT id FROM chat_chatsession WHERE session_id = $1) "
    "ORDER BY q.id DESC LIMIT $2";
// From the messages of the session, which lie together, to their turns.
constexpr char kAnsweredTurns[] = TWINCHAT_PG_TURN_QUERY
    "WHERE a.session_id = (SELECT id FROM chat_chatsession WHERE session_id = $1) AND a.id BETWEEN "
    "$2 AND $3 ORDER BY a.id";
constexpr char kSetFeedback[] =
    "UPDATE twinchat_turn SET feedback = $3, feedback_at = $4 WHERE answer_message_id = $1 AND "
    "session_id = $2 RETURNING id";
constexpr char kTurnByKey[] =
    "SELECT id, status, fingerprint, expires_at, owner FROM twinchat_turn WHERE session_id = $1 "
    "AND idempotency_key = $2";
constexpr char kTurnOfOurs[] =
    "SELECT status FROM twinchat_turn WHERE id = $1 AND session_id = $2 AND owner = $3 AND "
    "expires_at = $4";
// The session's details and times, the message, the session's row in the lists, and the turn: $1
// the session, $5 the time.
constexpr char kBegin[] =
    "WITH s AS (UPDATE chat_chatsession SET user_name = $2, user_email = $3, user_phone = $4, "
    "updated_at = $5 WHERE id = $1), m AS (INSERT INTO chat_message (content, is_bot, created_at, "
    "session_id) VALUES ($6, false, $5, $1) RETURNING id), l AS (UPDATE twinchat_session AS x SET "
    "updated_at = $5, is_lead = $7, message_count = x.message_count + 1, last_message = m.id FROM "
    "m WHERE x.id = $1 RETURNING x.id) INSERT INTO twinchat_turn (session_id, user_message_id, "
    "status, idempotency_key, fingerprint, contents, finish_reason, block_reason, model, "
    "model_version, response_id, prompt_tokens, cached_tokens, output_tokens, thought_tokens, "
    "total_tokens, latency_ms, attempts, error_code, owner, created_at, expires_at) SELECT $1, "
    "m.id, 'pending', $8, $9, '', '', '', '', '', '', 0, 0, 0, 0, 0, 0, 0, '', $10, $5, $11 FROM m "
    "RETURNING id, user_message_id, (SELECT count(*) FROM l)";
constexpr char kResume[] =
    "UPDATE twinchat_turn SET status = 'pending', answer_message_id = NULL, contents = '', "
    "finish_reason = '', block_reason = '', model = '', model_version = '', response_id = '', "
    "prompt_tokens = 0, cached_tokens = 0, output_tokens = 0, thought_tokens = 0, total_tokens = "
    "0, latency_ms = 0, attempts = 0, error_code = '', owner = $3, expires_at = $4, finished_at = "
    "NULL, feedback = 0, feedback_at = NULL WHERE id = $1 AND session_id = $2";
constexpr char kLockTurn[] = TWINCHAT_PG_TURN_QUERY "WHERE t.id = $1 FOR NO KEY UPDATE OF s";
// The answer if $5, the session's times, its row in the lists, the day's tokens, and the turn, if
// it is still to be ended: $1 the turn, $2 the session, $3 the time.
constexpr char kFinish[] =
    "WITH m AS (INSERT INTO chat_message (content, is_bot, created_at, session_id) SELECT $4, "
    "true, $3, $2 WHERE $5 RETURNING id), s AS (UPDATE chat_chatsession SET updated_at = $3 WHERE "
    "id = $2), l AS (UPDATE twinchat_session AS x SET updated_at = $3, message_count = "
    "x.message_count + (SELECT count(*) FROM m), last_message = coalesce((SELECT id FROM m), "
    "x.last_message) WHERE x.id = $2 RETURNING x.id), d AS (INSERT INTO twinchat_day (day, shard, "
    "tokens) SELECT $6, $7, $8 WHERE $8 <> 0 ON CONFLICT (day, shard) DO UPDATE SET tokens = "
    "twinchat_day.tokens + excluded.tokens) UPDATE twinchat_turn SET status = $9, "
    "answer_message_id = (SELECT id FROM m), contents = $10, finish_reason = $11, block_reason = "
    "$12, model = $13, model_version = $14, response_id = $15, prompt_tokens = $16, cached_tokens "
    "= $17, output_tokens = $18, thought_tokens = $19, total_tokens = $20, latency_ms = $21, "
    "attempts = $22, error_code = $23, finished_at = $3 WHERE id = $1 AND session_id = $2 AND "
    "status IN ('pending', 'interrupted') RETURNING answer_message_id, (SELECT count(*) FROM l)";
constexpr char kTokensOfDay[] =
    "SELECT coalesce(sum(tokens), 0)::bigint FROM twinchat_day WHERE day = $1";
constexpr char kInterrupt[] =
    "UPDATE twinchat_turn SET status = 'interrupted', finished_at = $2 WHERE id = ANY($1) AND "
    "status = 'pending'";
constexpr char kPendingTurns[] =
    "SELECT id, owner, expires_at <= $1 FROM twinchat_turn WHERE status = 'pending'";
constexpr char kExpiredTurns[] =
    "SELECT id FROM twinchat_turn WHERE status = 'pending' AND expires_at <= $1";
constexpr char kTryWriting[] =
    "INSERT INTO twinchat_schema (part, version) VALUES ('check', 0) ON CONFLICT (part) DO NOTHING";
constexpr char kTriedWriting[] = "DELETE FROM twinchat_schema WHERE part = 'check'";

constexpr char kConsents[] = "SELECT " TWINCHAT_CONSENT_COLUMNS
                             " FROM twinchat_consent WHERE session_id = (SELECT id FROM "
                             "chat_chatsession WHERE session_id = $1) ORDER BY id";
constexpr char kInsertConsent[] =
    "INSERT INTO twinchat_consent (session_id, version, language, text, given_at) VALUES ($1, $2, "
    "$3, $4, $5) RETURNING id";
constexpr char kHasConsent[] = "SELECT 1 FROM twinchat_consent WHERE session_id = $1 AND id = $2";
constexpr char kWithdrawConsents[] =
    "UPDATE twinchat_consent SET withdrawn_at = $2 WHERE session_id = $1 AND withdrawn_at IS NULL";

// The session's messages from the newest on, visitors' with their turns: $1 the session, $2 the
// turn before which to begin, $3 the message before which to go on. What only other programs'
// messages need is only looked up for those.
constexpr char kWalk[] =
    "SELECT m.id, m.is_bot, t.id, t.status, t.answer_message_id, CASE WHEN NOT m.is_bot AND t.id "
    "IS NULL THEN EXISTS (SELECT 1 FROM twinchat_turn AS b WHERE b.answer_message_id = (SELECT "
    "min(n.id) FROM chat_message AS n WHERE n.session_id = m.session_id AND n.id > m.id)) END, "
    "m.content, t.contents, t.prompt_tokens, t.cached_tokens, t.output_tokens, t.thought_tokens, "
    "t.total_tokens FROM chat_message AS m LEFT JOIN twinchat_turn AS t ON NOT m.is_bot AND "
    "t.user_message_id = m.id AND t.session_id = m.session_id WHERE m.session_id = (SELECT id FROM "
    "chat_chatsession WHERE session_id = $1) AND m.id < $3 AND m.id < coalesce((SELECT "
    "user_message_id FROM twinchat_turn WHERE id = $2 AND session_id = (SELECT id FROM "
    "chat_chatsession WHERE session_id = $1)), 9223372036854775807) ORDER BY m.id DESC LIMIT $4";
constexpr char kMessageText[] = "SELECT content FROM chat_message WHERE id = $1";

std::vector<Consent> read_consents(Connection& connection, const std::string& session_id) {
  Query query(connection, kConsents);
  query.bind(session_id);
  std::vector<Consent> consents;
  while (query.step()) {
    consents.push_back(read_consent(query));
  }
  return consents;
}

std::chrono::sys_days day_of(Timestamp time) {
  return std::chrono::floor<std::chrono::days>(time);
}

int some_shard() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_int_distribution<int>(0, kDayShards - 1)(random);
}

Timestamp wall_clock() {
  return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

postgres::PoolOptions pool_options(const PostgresStoreOptions& options) {
  postgres::PoolOptions pool;
  pool.max_connections = std::max<std::size_t>(options.max_connections, 1);
  pool.limits.connect = options.connect_timeout;
  pool.limits.statement = options.statement_timeout;
  pool.limits.lock = options.lock_timeout;
  pool.checkout = options.pool_timeout;
  pool.max_lifetime = options.max_lifetime;
  pool.on_warning = options.on_warning;
  return pool;
}

// Other servers write to the same database at any time: nothing that they can change is remembered
// here between two calls.
class PostgresStore final : public Store {
 public:
  PostgresStore(std::string_view url, const PostgresStoreOptions& options)
      : options_(options), owner_(this_process()), pool_(url, pool_options(options)) {
    const bool complete = transactions_.snapshot(
        [](Connection& connection) { return postgres::inspect(connection).complete(); });
    if (!complete && !options_.create) {
      throw Error(ErrorCode::kFailedPrecondition,
                  "The database lacks tables: it has to be migrated first.");
    }
    if (!complete) postgres::migrate(transactions_);
    if (options_.create) {
      postgres::make_indexes(transactions_, options_.build_indexes, options_.on_warning);
    }
    interrupt_abandoned_turns();
  }

  template <class F>
  auto writing(F&& work) {
    try {
      auto result = transactions_.write(std::forward<F>(work));
      refuses_ = false;
      return result;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kUnavailable) refuses_ = true;
      throw;
    }
  }

  Session create_session(std::string_view session_id, const UserDetails& user,
                         Timestamp now) override {
    const std::string key(session_id);
    std::int64_t written = 0;
    return writing([&](Connection& connection, bool in_doubt) {
      if (auto session = postgres::insert_session(connection, key, user, now)) {
        written = session->id;
        return *std::move(session);
      }
      if (in_doubt) {
        auto session = postgres::find_session(connection, key);
        if (session && session->id == written) return *std::move(session);
      }
      throw Error(ErrorCode::kAlreadyExists, "A session with this id exists already.");
    });
  }

  std::optional<Session> find_session(std::string_view session_id) override {
    const std::string key(session_id);
    return transactions_.read(
        [&](Connection& connection) { return postgres::find_session(connection, key); });
  }

  Session update_user(std::string_view session_id, const UserDetailsUpdate& update,
                      Timestamp now) override {
    const std::string key(session_id);
    return writing([&](Connection& connection) {
      std::optional<Session> session = postgres::lock_session(connection, key);
      if (!session) throw no_such_session();
      postgres::update_session(connection, *session, update, now);
      return *std::move(session);
    });
  }

  std::vector<Message> messages(std::string_view session_id, const MessageQuery& which) override {
    const std::string key(session_id);
    if (!postgres::is_storable(key)) return {};
    return transactions_.read([&](Connection& connection) {
      Query query(connection, Kept{which.newest ? kNewestMessages : kMessages});
      query.bind(key).bind(which.after_id);
      query.bind(which.before_id == 0 ? std::numeric_limits<std::int64_t>::max() : which.before_id);
      query.bind(which.limit == 0 ? std::numeric_limits<std::int64_t>::max()
                                  : sql_limit(which.limit));
      std::vector<Message> messages;
      while (query.step()) messages.push_back(read_message(query, 0));
      if (which.newest) std::reverse(messages.begin(), messages.end());
      return messages;
    });
  }

  std::vector<Turn> turns(std::string_view session_id, std::size_t limit) override {
    const std::string key(session_id);
    if (!postgres::is_storable(key)) return {};
    return transactions_.read([&](Connection& connection) {
      Query query(connection, Kept{kNewestTurns});
      query.bind(key).bind(sql_limit(limit));
      std::vector<Turn> turns;
      while (query.step()) turns.push_back(read_turn(query));
      std::reverse(turns.begin(), turns.end());
      return turns;
    });
  }

  BegunTurn begin_turn(const NewTurn& turn) override {
    interrupt_unfinished(turn.now);
    std::int64_t written = 0;
    try {
      BegunTurn begun = writing([&](Connection& connection, bool in_doubt) {
        return begin(connection, turn, in_doubt, written);
      });
      sweep();
      return begun;
    } catch (const Error& error) {
      // It may have begun: nobody will answer it, and its key must not stay taken.
      if (error.details().reason == postgres::kCommitUnknown && written != 0) note(written);
      throw;
    }
  }

  Turn finish_turn(const FinishedTurn& turn) override {
    if (turn.status == TurnStatus::kPending) {
      throw Error(ErrorCode::kInvalidArgument, "A turn cannot be finished as pending.");
    }
    std::int64_t answer = 0;
    try {
      return writing([&](Connection& connection, bool in_doubt) {
        return finish(connection, turn, in_doubt, answer);
      });
    } catch (const Error& error) {
      // Nobody will close it any more, and its key must not stay taken.
      if (error.code() != ErrorCode::kNotFound && error.code() != ErrorCode::kFailedPrecondition) {
        note(turn.turn_id);
      }
      throw;
    }
  }

  std::vector<PastTurn> past_turns(std::string_view session_id, std::int64_t before_turn,
                                   std::size_t limit) override {
    const std::string key(session_id);
    if (!postgres::is_storable(key)) return {};
    return transactions_.read(
        [&](Connection& connection) { return walk_back(connection, key, before_turn, limit); });
  }

  std::vector<Turn> answered_turns(std::string_view session_id, std::int64_t first_answer,
                                   std::int64_t last_answer) override {
    const std::string key(session_id);
    if (!postgres::is_storable(key)) return {};
    return transactions_.read([&](Connection& connection) {
      Query query(connection, Kept{kAnsweredTurns});
      query.bind(key).bind(first_answer).bind(last_answer);
      std::vector<Turn> turns;
      while (query.step()) turns.push_back(read_turn(query));
      return turns;
    });
  }

  Turn set_feedback(std::string_view session_id, std::int64_t answer_id, Feedback feedback,
                    Timestamp now) override {
    const std::string key(session_id);
    return writing([&](Connection& connection) {
      const std::optional<Session> session = postgres::lock_session(connection, key);
      if (!session) throw no_such_answer();
      Query query(connection, kSetFeedback);
      query.bind(answer_id).bind(session->id).bind(stored(feedback));
      feedback == Feedback::kNone ? query.bind_null() : query.bind(now);
      if (!query.step()) throw no_such_answer();
      return postgres::load_turn(connection, query.integer(0));
    });
  }

  Consent record_consent(const NewConsent& consent) override {
    std::int64_t written = 0;
    return writing([&](Connection& connection, bool in_doubt) {
      const std::optional<Session> session = postgres::lock_session(connection, consent.session_id);
      if (!session) throw no_such_session();
      if (!in_doubt || !Query(connection, kHasConsent).bind(session->id).bind(written).step()) {
        Query query(connection, kInsertConsent);
        query.bind(session->id).bind(consent.version).bind(consent.language).bind(consent.text);
        query.bind(consent.now).step();
        written = query.integer(0);
      }
      return Consent{written, storable(consent.version), storable(consent.language),
                     storable(consent.text), consent.now};
    });
  }

  std::vector<Consent> consents(std::string_view session_id) override {
    const std::string key(session_id);
    if (!postgres::is_storable(key)) return {};
    return transactions_.read(
        [&](Connection& connection) { return read_consents(connection, key); });
  }

  std::vector<Consent> withdraw_consents(std::string_view session_id, Timestamp now) override {
    const std::string key(session_id);
    return writing([&](Connection& connection) {
      const std::optional<Session> session = postgres::lock_session(connection, key);
      if (!session) throw no_such_session();
      Query(connection, kWithdrawConsents).bind(session->id).bind(now).run();
      return read_consents(connection, key);
    });
  }

  void check() override {
    find_session({});
    if (!refuses_) return;
    writing([](Connection& connection) {
      connection.exec(kTryWriting);
      connection.exec(kTriedWriting);
      return true;
    });
  }

  PostgresPoolStatistics statistics() const {
    const postgres::PoolStatistics pool = pool_.statistics();
    return {pool.open,     pool.in_use,  pool.waiting,        options_.max_connections,
            pool.opened,   pool.failed,  pool.lost,           pool.checkouts,
            pool.timeouts, pool.retries, pool.unknown_commits};
  }

  postgres::Pool& pool() noexcept { return pool_; }

 private:
  BegunTurn begin(Connection& connection, const NewTurn& turn, bool in_doubt,
                  std::int64_t& written) const {
    std::optional<Session> session = postgres::lock_session(connection, turn.session_id);
    if (!session && !turn.create_session) throw no_such_session();
    if (!session) {
      session = postgres::insert_session(connection, turn.session_id, {}, turn.now);
      // Another server was faster.
      if (!session) session = postgres::lock_session(connection, turn.session_id);
      if (!session) throw no_such_session();
    }

    BegunTurn begun;
    if (in_doubt && written != 0) {
      Query query(connection, kTurnOfOurs);
      query.bind(written).bind(session->id).bind(owner_).bind(turn.expires_at);
      if (query.step() && stored_status(query.text(0)) == TurnStatus::kPending) {
        begun.turn = postgres::load_turn(connection, written);
        begun.kind = begun.turn.user_message.created_at == turn.now ? BegunTurn::Kind::kNew
                                                                    : BegunTurn::Kind::kResumed;
        return begun;
      }
    }
    std::int64_t id = 0;
    if (!turn.idempotency_key.empty()) {
      Query query(connection, Kept{kTurnByKey});
      query.bind(session->id).bind_bytes(turn.idempotency_key);
      if (query.step()) {
        id = query.integer(0);
        const TurnStatus status = stored_status(query.text(1));
        if (query.text(2) != turn.fingerprint) throw key_used_otherwise();
        if (status == TurnStatus::kPending && query.time(3) > turn.now &&
            !has_surely_ended(query.text(4), ProcessesOf::kManyMachines)) {
          throw key_in_use();
        }
        begun.kind = is_replayed(status) ? BegunTurn::Kind::kReplayed : BegunTurn::Kind::kResumed;
      }
    }
    if (begun.kind == BegunTurn::Kind::kReplayed) {
      begun.turn = postgres::load_turn(connection, id);
      begun.turn.replayed = true;
      return begun;
    }

    if (turn.max_tokens_per_day > 0 &&
        tokens_of_day(connection, turn.now) >= turn.max_tokens_per_day) {
      throw daily_tokens_used_up(turn.now);
    }
    if (begun.kind == BegunTurn::Kind::kResumed) {
      postgres::update_session(connection, *session, turn.details, turn.now);
      Query(connection, kResume)
          .bind(id)
          .bind(session->id)
          .bind(owner_)
          .bind(turn.expires_at)
          .run();
      begun.turn = postgres::load_turn(connection, id);
      written = id;
      return begun;
    }
    turn.details.apply_to(session->user);
    begun.turn.session_id = turn.session_id;
    begun.turn.user_message = {0, storable(turn.text), false, turn.now};
    Query query(connection, Kept{kBegin});
    query.bind(session->id).bind(session->user.name).bind(session->user.email);
    query.bind(session->user.phone).bind(turn.now).bind(turn.text).bind(is_lead(session->user));
    if (turn.idempotency_key.empty()) {
      query.bind_null();
    } else {
      query.bind_bytes(turn.idempotency_key);
    }
    query.bind_bytes(turn.fingerprint).bind(owner_).bind(turn.expires_at);
    query.step();
    begun.turn.id = query.integer(0);
    begun.turn.user_message.id = query.integer(1);
    written = begun.turn.id;
    if (query.integer(2) == 0) postgres::count_session(connection, session->id);
    return begun;
  }

  static Turn finish(Connection& connection, const FinishedTurn& finished, bool in_doubt,
                     std::int64_t& answer) {
    Turn turn;
    std::int64_t session = 0;
    // A statement that had to wait has read the turn as it was before.
    if (in_doubt) Query(connection, Kept{kLockTurn}).bind(finished.turn_id).step();
    {
      Query query(connection, Kept{kLockTurn});
      query.bind(finished.turn_id);
      if (!query.step()) throw no_such_turn();
      turn = read_turn(query);
      session = query.integer(24);
    }
    // What a commit of which we did not hear left behind.
    if (in_doubt && turn.status == finished.status &&
        (turn.answer ? turn.answer->id : 0) == answer) {
      return turn;
    }
    if (turn.status != TurnStatus::kPending && turn.status != TurnStatus::kInterrupted) {
      throw Error(ErrorCode::kFailedPrecondition, "The turn has ended already.");
    }
    apply(finished, turn);
    const std::string status = to_string(turn.status);
    const std::int64_t tokens = counted_tokens(turn.usage);
    Query query(connection, Kept{kFinish});
    query.bind(turn.id).bind(session).bind(finished.now);
    query.bind(finished.answer).bind(finished.answer.has_value());
    query.bind(day_of(finished.now)).bind(some_shard()).bind(tokens).bind(status);
    query.bind_bytes(finished.contents).bind(turn.finish_reason_raw).bind(turn.block_reason);
    query.bind(turn.model).bind(turn.model_version).bind(turn.response_id);
    query.bind(turn.usage.prompt_tokens).bind(turn.usage.cached_tokens);
    query.bind(turn.usage.output_tokens).bind(turn.usage.thought_tokens);
    query.bind(turn.usage.total_tokens).bind(turn.latency.count()).bind(turn.attempts);
    query.bind(turn.error_code);
    if (!query.step()) {
      throw Error(ErrorCode::kFailedPrecondition, "The turn has ended already.");
    }
    answer = query.integer(0);
    turn.answer.reset();
    if (finished.answer) turn.answer = {answer, storable(*finished.answer), true, finished.now};
    if (query.integer(1) == 0) postgres::count_session(connection, session);
    return turn;
  }

  static std::int64_t tokens_of_day(Connection& connection, Timestamp now) {
    Query query(connection, Kept{kTokensOfDay});
    query.bind(day_of(now));
    return query.step() ? query.integer(0) : 0;
  }

  static std::vector<PastTurn> walk_back(Connection& connection, const std::string& session_id,
                                         std::int64_t before_turn, std::size_t limit) {
    PastTurnReader reader(limit);
    const auto text_of = [&](std::int64_t message) -> std::optional<std::string> {
      Query query(connection, kMessageText);
      query.bind(message);
      if (!query.step()) return std::nullopt;
      return query.text(0);
    };
    std::size_t left = PastTurnReader::walk_length(limit);
    // Mostly one reading is enough: all of its rows are sent, wanted or not.
    std::size_t rows = std::min(left, 2 * std::min<std::size_t>(limit, 500) + 8);
    std::int64_t before = std::numeric_limits<std::int64_t>::max();
    while (!reader.done() && left > 0) {
      Query query(connection, Kept{kWalk});
      query.bind(session_id).bind(before_turn).bind(before).bind(sql_limit(rows));
      std::size_t seen = 0;
      while (!reader.done() && query.step()) {
        ++seen;
        before = query.integer(0);
        reader.take(query, text_of);
      }
      if (seen < rows) break;
      left -= rows;
      rows = std::min<std::size_t>(left, 512);
    }
    return reader.turns();
  }

  // --- Turns that nobody will end

  void note(std::int64_t turn) {
    const std::lock_guard lock(unfinished_mutex_);
    unfinished_.push_back(turn);
  }

  void interrupt(const std::vector<std::int64_t>& turns, Timestamp now) {
    if (turns.empty()) return;
    transactions_.write([&](Connection& connection) {
      return Query(connection, kInterrupt).bind(turns).bind(now).run();
    });
  }

  // Taken by one thread, and given back when nothing was written.
  void interrupt_unfinished(Timestamp now) {
    std::vector<std::int64_t> turns;
    {
      const std::lock_guard lock(unfinished_mutex_);
      turns.swap(unfinished_);
    }
    try {
      interrupt(turns, now);
    } catch (...) {
      const std::lock_guard lock(unfinished_mutex_);
      unfinished_.insert(unfinished_.end(), turns.begin(), turns.end());
      throw;
    }
  }

  // Those of processes that are seen to have ended, and those that have expired.
  void interrupt_abandoned_turns() {
    const Timestamp now = wall_clock();
    const auto abandoned = transactions_.read([&](Connection& connection) {
      std::vector<std::int64_t> turns;
      Query query(connection, kPendingTurns);
      query.bind(now);
      while (query.step()) {
        if (query.boolean(2) || has_surely_ended(query.text(1), ProcessesOf::kManyMachines)) {
          turns.push_back(query.integer(0));
        }
      }
      return turns;
    });
    interrupt(abandoned, now);
  }

  // Once in a while, behind a message: another server may have died and not come back.
  void sweep() noexcept {
    const std::int64_t now = Clock::now().time_since_epoch().count();
    std::int64_t next = next_sweep_;
    if (now < next ||
        !next_sweep_.compare_exchange_strong(next, now + Clock::duration(kBetweenSweeps).count())) {
      return;
    }
    try {
      const Timestamp time = wall_clock();
      interrupt(transactions_.read([&](Connection& connection) {
        std::vector<std::int64_t> turns;
        Query query(connection, kExpiredTurns);
        query.bind(time);
        while (query.step()) turns.push_back(query.integer(0));
        return turns;
      }),
                time);
    } catch (const Error&) {
      // The next one will.
    }
  }

  const PostgresStoreOptions options_;
  const std::string owner_;
  postgres::Pool pool_;
  postgres::Transactions transactions_{pool_};
  std::atomic<bool> refuses_{false};  // the last write was refused
  std::atomic<std::int64_t> next_sweep_{(Clock::now() + kBetweenSweeps).time_since_epoch().count()};
  std::mutex unfinished_mutex_;
  std::vector<std::int64_t> unfinished_;  // guarded by it
};

std::shared_ptr<PostgresStore> open_url(std::string_view url, const PostgresStoreOptions& options) {
  return std::make_shared<PostgresStore>(url, options);
}

}  // namespace

std::shared_ptr<Store> open_postgres_store(std::string_view url,
                                           const PostgresStoreOptions& options) {
  return open_url(url, options);
}

Database open_postgres_database(std::string_view url, const PostgresStoreOptions& options) {
  const std::shared_ptr<PostgresStore> store = open_url(url, options);
  Database database;
  database.store = store;
  const std::shared_ptr<postgres::Pool> pool{store, &store->pool()};
  database.records = postgres::make_records(pool);
  database.accounts = postgres::make_accounts(pool);
  database.rate_buckets = postgres::make_rate_buckets(pool);
  return database;
}

PostgresPoolStatistics postgres_pool_statistics(const Store& store) {
  const auto* const ours = dynamic_cast<const PostgresStore*>(&store);
  return ours == nullptr ? PostgresPoolStatistics{} : ours->statistics();
}

namespace postgres {

std::vector<std::string> store_statements() {
  return {kMessages,         kNewestMessages, kNewestTurns, kAnsweredTurns, kSetFeedback,
          kTurnByKey,        kTurnOfOurs,     kBegin,       kResume,        kLockTurn,
          kFinish,           kTokensOfDay,    kInterrupt,   kPendingTurns,  kExpiredTurns,
          kTryWriting,       kTriedWriting,   kConsents,    kInsertConsent, kHasConsent,
          kWithdrawConsents, kWalk,           kMessageText};
}

}  // namespace postgres
}  // namespace twinchat
