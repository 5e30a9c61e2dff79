#include "twinchat/sqlite_store.h"

#include <SQLiteCpp/Database.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

#include "store/history_cache.h"
#include "store/process_owner.h"
#include "store/sqlite_connection.h"
#include "store/sqlite_readers.h"
#include "store/sqlite_records.h"
#include "store/sqlite_rows.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_time.h"
#include "store/sqlite_writer.h"
#include "store/turn_rules.h"
#include "twinchat/database.h"
#include "twinchat/error.h"

namespace twinchat {
namespace {

using sqlite::Connection;
using sqlite::insert_message;
using sqlite::insert_session;
using sqlite::load_turn;
using sqlite::Query;
using sqlite::time_text;
using sqlite::touch_session;
using sqlite::update_session;

// Bigger files are not looked through when they are opened: a start must not take seconds.
constexpr std::int64_t kLargestCheckedFile = 32 << 20;
// Pages in the WAL from which a commit also checkpoints, what the WAL file shrinks to when it had
// to grow beyond because a reader held on to an old state, and KiB of pages kept. The sessions that
// are being talked in lie all over a large database: with fewer pages and more checkpoints every
// message reads, and every checkpoint writes, the same few pages of each again.
constexpr char kWriterSettings[] =
    "PRAGMA wal_autocheckpoint=3500; PRAGMA journal_size_limit=14680064; PRAGMA cache_size=-16384";
constexpr char kReaderSettings[] =
    "PRAGMA wal_autocheckpoint=0; PRAGMA query_only=ON; PRAGMA cache_size=-512";

// --- Messages

#define MESSAGES                                                                                 \
  "SELECT id, content, is_bot, created_at FROM chat_message WHERE session_id = (SELECT id FROM " \
  "chat_chatsession WHERE session_id = ?) AND id > ? AND id < ? ORDER BY id "
constexpr char kMessages[] = MESSAGES "LIMIT ?";
constexpr char kNewestMessages[] = MESSAGES "DESC LIMIT ?";

// --- Turns

constexpr char kNewestTurns[] = TWINCHAT_TURN_QUERY
    "WHERE q.session_id = (SELECT id FROM chat_chatsession WHERE session_id = ?) "
    "ORDER BY q.id DESC LIMIT ?";
// From the session's messages to their turns: those of others may lie between the two ids.
constexpr char kAnsweredTurns[] = TWINCHAT_TURN_QUERY
    "WHERE t.id IN (SELECT o.id FROM chat_message AS m CROSS JOIN twinchat_turn AS o ON "
    "o.answer_message_id = m.id WHERE m.session_id = (SELECT id FROM chat_chatsession WHERE "
    "session_id = ?) AND m.id BETWEEN ? AND ?) ORDER BY t.answer_message_id";
constexpr char kTurnByAnswer[] =
    "SELECT id FROM twinchat_turn WHERE answer_message_id = ? AND session_id = (SELECT id FROM "
    "chat_chatsession WHERE session_id = ?)";
constexpr char kSetFeedback[] =
    "UPDATE twinchat_turn SET feedback = ?, feedback_at = ? WHERE id = ?";
constexpr char kTurnByKey[] =
    "SELECT id, status, fingerprint, expires_at, owner FROM twinchat_turn WHERE session_id = ? AND "
    "idempotency_key = ?";
constexpr char kInsertTurn[] =
    "INSERT INTO twinchat_turn (session_id, user_message_id, status, idempotency_key, fingerprint, "
    "contents, finish_reason, block_reason, model, model_version, response_id, prompt_tokens, "
    "cached_tokens, output_tokens, thought_tokens, total_tokens, latency_ms, attempts, error_code, "
    "owner, created_at, expires_at) VALUES (?, ?, 'pending', ?, ?, '', '', '', '', '', '', 0, 0, "
    "0, "
    "0, 0, 0, 0, '', ?, ?, ?)";
constexpr char kResumeTurn[] =
    "UPDATE twinchat_turn SET status = 'pending', answer_message_id = NULL, contents = '', "
    "finish_reason = '', block_reason = '', model = '', model_version = '', response_id = '', "
    "prompt_tokens = 0, cached_tokens = 0, output_tokens = 0, thought_tokens = 0, total_tokens = "
    "0, "
    "latency_ms = 0, attempts = 0, error_code = '', owner = ?, expires_at = ?, finished_at = NULL, "
    "feedback = 0, feedback_at = NULL WHERE id = ?";
constexpr char kFinishTurn[] =
    "UPDATE twinchat_turn SET status = ?, answer_message_id = ?, contents = ?, finish_reason = ?, "
    "block_reason = ?, model = ?, model_version = ?, response_id = ?, prompt_tokens = ?, "
    "cached_tokens = ?, output_tokens = ?, thought_tokens = ?, total_tokens = ?, latency_ms = ?, "
    "attempts = ?, error_code = ?, finished_at = ? WHERE id = ?";
// For what is listed: no message says that updated_at has moved.
constexpr char kChangedSession[] = "INSERT OR IGNORE INTO twinchat_changed (id) VALUES (?)";
constexpr char kPendingTurns[] =
    "SELECT id, owner, expires_at FROM twinchat_turn WHERE status = 'pending'";
constexpr char kInterruptTurn[] =
    "UPDATE twinchat_turn SET status = 'interrupted', finished_at = ? WHERE id = ? AND status = "
    "'pending'";

constexpr char kTokensOfDay[] = "SELECT tokens FROM twinchat_day WHERE day = ?";
constexpr char kAddTokens[] =
    "INSERT INTO twinchat_day (day, tokens) VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET tokens = "
    "tokens + excluded.tokens";
// Together they change nothing and are written all the same; SQLite would leave out an update to
// the same value.
constexpr char kTryWriting[] = "INSERT INTO twinchat_schema (part, version) VALUES ('check', 0)";
constexpr char kTriedWriting[] = "DELETE FROM twinchat_schema WHERE part = 'check'";

// --- Consents

constexpr char kConsents[] = "SELECT " TWINCHAT_CONSENT_COLUMNS
                             " FROM twinchat_consent WHERE session_id = (SELECT id FROM "
                             "chat_chatsession WHERE session_id = ?) ORDER BY id";
constexpr char kInsertConsent[] =
    "INSERT INTO twinchat_consent (session_id, version, language, text, given_at) VALUES (?, ?, ?, "
    "?, ?)";
constexpr char kWithdrawConsents[] =
    "UPDATE twinchat_consent SET withdrawn_at = ? WHERE session_id = ? AND withdrawn_at IS NULL";

std::vector<Consent> read_consents(Connection& connection, const std::string& session_id) {
  Query query(connection, kConsents);
  query.bind(session_id);
  std::vector<Consent> consents;
  while (query.step()) {
    consents.push_back(read_consent(query));
  }
  return consents;
}

// "2026-11-23"
std::string day_of(Timestamp time) {
  return time_text(time).substr(0, 10);
}

std::int64_t tokens_of_day(Connection& connection, Timestamp now) {
  const std::string day = day_of(now);
  Query query(connection, kTokensOfDay);
  query.bind(day);
  return query.step() ? query.integer(0) : 0;
}

void add_tokens(Connection& connection, std::int64_t tokens, Timestamp now) {
  if (tokens == 0) return;
  const std::string day = day_of(now);
  Query(connection, kAddTokens).bind(day).bind(tokens).run();
}

// --- What is sent to the model again

// The session's messages from the newest on, visitors' with their turns: ?1 the session, ?2 the
// turn before which to begin. What only other programs' messages need is only looked up for those.
constexpr char kWalk[] =
    "SELECT m.id, m.is_bot, t.id, t.status, t.answer_message_id, CASE WHEN NOT m.is_bot AND t.id "
    "IS NULL THEN EXISTS (SELECT 1 FROM twinchat_turn AS b WHERE b.answer_message_id = (SELECT "
    "min(n.id) FROM chat_message AS n WHERE n.session_id = m.session_id AND n.id > m.id)) END, "
    "m.content, t.contents, t.prompt_tokens, t.cached_tokens, t.output_tokens, t.thought_tokens, "
    "t.total_tokens FROM chat_message AS m LEFT JOIN twinchat_turn AS t ON t.user_message_id = "
    "CASE WHEN m.is_bot THEN NULL ELSE m.id END WHERE m.session_id = (SELECT id FROM "
    "chat_chatsession WHERE session_id = ?1) AND m.id < coalesce((SELECT user_message_id FROM "
    "twinchat_turn WHERE id = ?2 AND session_id = (SELECT id FROM chat_chatsession WHERE "
    "session_id = ?1)), 9223372036854775807) ORDER BY m.id DESC LIMIT ?3";
constexpr char kDataVersion[] = "PRAGMA data_version";
constexpr char kMessageText[] = "SELECT content FROM chat_message WHERE id = ?";

class SqliteStore final : public Store {
 public:
  SqliteStore(std::filesystem::path file, SqliteStoreOptions options)
      : file_(std::move(file)),
        options_(std::move(options)),
        owner_(this_process()),
        writer_(
            file_, options_.busy_timeout, [this] { return open_writer(); },
            [this](std::unique_ptr<Connection> connection) { close(std::move(connection)); }),
        readers_(
            file_, [this] { look_after_file(); }, [this] { return open_reader(); },
            options_.max_readers) {
    options_.create = false;  // from here on, a missing file is a fault
    writer_.run([](Connection& connection) { return interrupt_abandoned_turns(connection); });
  }

  Session create_session(std::string_view session_id, const UserDetails& user,
                         Timestamp now) override {
    const std::string key(session_id);
    return writer_.run([&](Connection& connection) {
      if (sqlite::find_session(connection, key)) {
        throw Error(ErrorCode::kAlreadyExists, "A session with this id exists already.");
      }
      return insert_session(connection, key, user, now);
    });
  }

  std::optional<Session> find_session(std::string_view session_id) override {
    const std::string key(session_id);
    return readers_.run(
        [&](Connection& connection) { return sqlite::find_session(connection, key); });
  }

  Session update_user(std::string_view session_id, const UserDetailsUpdate& update,
                      Timestamp now) override {
    const std::string key(session_id);
    return writer_.run([&](Connection& connection) {
      std::optional<Session> session = sqlite::find_session(connection, key);
      if (!session) throw no_such_session();
      update_session(connection, *session, update, now);
      Query(connection, kChangedSession).bind(session->id).run();
      return std::move(*session);
    });
  }

  std::vector<Message> messages(std::string_view session_id, const MessageQuery& which) override {
    const std::string key(session_id);
    return readers_.run([&](Connection& connection) {
      Query query(connection, which.newest ? kNewestMessages : kMessages);
      query.bind(key).bind(which.after_id);
      query.bind(which.before_id == 0 ? std::numeric_limits<std::int64_t>::max() : which.before_id);
      query.bind(which.limit == 0 ? -1 : sql_limit(which.limit));
      std::vector<Message> messages;
      while (query.step()) messages.push_back(read_message(query, 0));
      if (which.newest) std::reverse(messages.begin(), messages.end());
      return messages;
    });
  }

  std::vector<Turn> turns(std::string_view session_id, std::size_t limit) override {
    const std::string key(session_id);
    return readers_.run([&](Connection& connection) {
      Query query(connection, kNewestTurns);
      query.bind(key).bind(sql_limit(limit));
      std::vector<Turn> turns;
      while (query.step()) turns.push_back(read_turn(query));
      std::reverse(turns.begin(), turns.end());
      return turns;
    });
  }

  BegunTurn begin_turn(const NewTurn& turn) override {
    // Taken by one thread, and given back when nothing was written: a turn that is resumed later
    // must not be found here.
    std::vector<std::int64_t> unfinished;
    {
      const std::lock_guard lock(unfinished_mutex_);
      unfinished.swap(unfinished_);
    }
    try {
      std::uint64_t state = 0;
      BegunTurn begun = writer_.run([&](Connection& connection) {
        interrupt(connection, unfinished, turn.now);
        state = state_of(connection);
        return begin(connection, turn);
      });
      if (begun.kind == BegunTurn::Kind::kNew) {
        history_.begun(turn.session_id, begun.turn.id, state);
      } else if (begun.kind == BegunTurn::Kind::kResumed) {
        history_.forget(turn.session_id);
      }
      return begun;
    } catch (...) {
      const std::lock_guard lock(unfinished_mutex_);
      unfinished_.insert(unfinished_.end(), unfinished.begin(), unfinished.end());
      throw;
    }
  }

  Turn finish_turn(const FinishedTurn& turn) override {
    if (turn.status == TurnStatus::kPending) {
      throw Error(ErrorCode::kInvalidArgument, "A turn cannot be finished as pending.");
    }
    try {
      Turn finished = writer_.run([&](Connection& connection) { return finish(connection, turn); });
      std::optional<PastTurn> past;
      if (finished.answer && is_history(finished.status)) {
        past = PastTurn{finished.id, finished.user_message.text, finished.answer->text,
                        turn.contents, finished.usage};
      }
      history_.ended(finished.session_id, finished.id, std::move(past));
      return finished;
    } catch (const Error& error) {
      // Nobody will close it any more, and its key must not stay taken.
      if (error.code() != ErrorCode::kNotFound && error.code() != ErrorCode::kFailedPrecondition) {
        const std::lock_guard lock(unfinished_mutex_);
        unfinished_.push_back(turn.turn_id);
      }
      throw;
    }
  }

  std::vector<PastTurn> past_turns(std::string_view session_id, std::int64_t before_turn,
                                   std::size_t limit) override {
    if (auto known = history_.find(session_id, before_turn, limit)) return *std::move(known);
    const std::string key(session_id);
    std::vector<PastTurn> turns = readers_.run(
        [&](Connection& connection) { return walk_back(connection, key, before_turn, limit); });
    history_.fill(session_id, before_turn, limit, turns);
    return turns;
  }

  std::vector<Turn> answered_turns(std::string_view session_id, std::int64_t first_answer,
                                   std::int64_t last_answer) override {
    const std::string key(session_id);
    return readers_.run([&](Connection& connection) {
      Query query(connection, kAnsweredTurns);
      query.bind(key).bind(first_answer).bind(last_answer);
      std::vector<Turn> turns;
      while (query.step()) turns.push_back(read_turn(query));
      return turns;
    });
  }

  Turn set_feedback(std::string_view session_id, std::int64_t answer_id, Feedback feedback,
                    Timestamp now) override {
    const std::string key(session_id);
    const std::string time = time_text(now);
    return writer_.run([&](Connection& connection) {
      Query turn(connection, kTurnByAnswer);
      turn.bind(answer_id).bind(key);
      if (!turn.step()) throw no_such_answer();
      const std::int64_t id = turn.integer(0);
      Query query(connection, kSetFeedback);
      query.bind(stored(feedback));
      feedback == Feedback::kNone ? query.bind_null() : query.bind(time);
      query.bind(id).run();
      return load_turn(connection, id);
    });
  }

  Consent record_consent(const NewConsent& consent) override {
    const std::string time = time_text(consent.now);
    return writer_.run([&](Connection& connection) {
      const std::optional<Session> session = sqlite::find_session(connection, consent.session_id);
      if (!session) throw no_such_session();
      Query query(connection, kInsertConsent);
      query.bind(session->id).bind(consent.version).bind(consent.language).bind(consent.text);
      query.bind(time).run();
      return Consent{connection.database().getLastInsertRowid(), consent.version, consent.language,
                     consent.text, consent.now};
    });
  }

  std::vector<Consent> consents(std::string_view session_id) override {
    const std::string key(session_id);
    return readers_.run([&](Connection& connection) { return read_consents(connection, key); });
  }

  std::vector<Consent> withdraw_consents(std::string_view session_id, Timestamp now) override {
    const std::string key(session_id);
    const std::string time = time_text(now);
    return writer_.run([&](Connection& connection) {
      const std::optional<Session> session = sqlite::find_session(connection, key);
      if (!session) throw no_such_session();
      Query(connection, kWithdrawConsents).bind(time).bind(session->id).run();
      return read_consents(connection, key);
    });
  }

  sqlite::Writer& writer() noexcept { return writer_; }
  sqlite::Readers& readers() noexcept { return readers_; }
  HistoryCache& history() noexcept { return history_; }

  void check() override {
    find_session({});
    if (!writer_.refuses()) return;
    writer_.run([](Connection& connection) {
      Query(connection, kTryWriting).run();
      Query(connection, kTriedWriting).run();
      return true;
    });
  }

 private:
  // Changes with every commit of another program or connection, and with the connection itself;
  // not with commits of our own.
  std::uint64_t state_of(Connection& connection) const {
    Query query(connection, kDataVersion);
    query.step();
    return connections_ << 32 | static_cast<std::uint32_t>(query.integer(0));
  }

  BegunTurn begin(Connection& connection, const NewTurn& turn) const {
    std::optional<Session> session = sqlite::find_session(connection, turn.session_id);
    if (!session && !turn.create_session) throw no_such_session();
    if (!session) session = insert_session(connection, turn.session_id, {}, turn.now);

    BegunTurn begun;
    std::int64_t id = 0;
    if (!turn.idempotency_key.empty()) {
      Query query(connection, kTurnByKey);
      query.bind(session->id).bind(turn.idempotency_key);
      if (query.step()) {
        id = query.integer(0);
        const TurnStatus status = stored_status(query.text(1));
        if (query.text(2) != turn.fingerprint) {
          throw key_used_otherwise();
        }
        if (status == TurnStatus::kPending && query.time(3) > turn.now &&
            !has_surely_ended(query.text(4))) {
          throw key_in_use();
        }
        begun.kind = is_replayed(status) ? BegunTurn::Kind::kReplayed : BegunTurn::Kind::kResumed;
      }
    }
    if (begun.kind == BegunTurn::Kind::kReplayed) {
      begun.turn = load_turn(connection, id);
      begun.turn.replayed = true;
      return begun;
    }

    if (turn.max_tokens_per_day > 0 &&
        tokens_of_day(connection, turn.now) >= turn.max_tokens_per_day) {
      throw daily_tokens_used_up(turn.now);
    }
    update_session(connection, *session, turn.details, turn.now);
    const std::string now = time_text(turn.now);
    const std::string expires_at = time_text(turn.expires_at);
    if (begun.kind == BegunTurn::Kind::kResumed) {
      Query(connection, kResumeTurn).bind(owner_).bind(expires_at).bind(id).run();
      begun.turn = load_turn(connection, id);
      return begun;
    }
    begun.turn.session_id = turn.session_id;
    begun.turn.user_message = insert_message(connection, session->id, turn.text, false, turn.now);
    Query query(connection, kInsertTurn);
    query.bind(session->id).bind(begun.turn.user_message.id);
    if (turn.idempotency_key.empty()) {
      query.bind_null();
    } else {
      query.bind(turn.idempotency_key);
    }
    query.bind(turn.fingerprint).bind(owner_).bind(now).bind(expires_at).run();
    begun.turn.id = connection.database().getLastInsertRowid();
    return begun;
  }

  static Turn finish(Connection& connection, const FinishedTurn& finished) {
    std::int64_t session = 0;
    Turn turn = load_turn(connection, finished.turn_id, &session);
    if (turn.status != TurnStatus::kPending && turn.status != TurnStatus::kInterrupted) {
      throw Error(ErrorCode::kFailedPrecondition, "The turn has ended already.");
    }
    apply(finished, turn);
    if (finished.answer) {
      turn.answer = insert_message(connection, session, *finished.answer, true, finished.now);
    }
    const std::string status = to_string(turn.status);
    const std::string now = time_text(finished.now);
    Query query(connection, kFinishTurn);
    query.bind(status);
    if (turn.answer) {
      query.bind(turn.answer->id);
    } else {
      query.bind_null();
    }
    query.bind(finished.contents).bind(turn.finish_reason_raw).bind(turn.block_reason);
    query.bind(turn.model).bind(turn.model_version).bind(turn.response_id);
    query.bind(turn.usage.prompt_tokens).bind(turn.usage.cached_tokens);
    query.bind(turn.usage.output_tokens).bind(turn.usage.thought_tokens);
    query.bind(turn.usage.total_tokens).bind(turn.latency.count()).bind(turn.attempts);
    query.bind(turn.error_code).bind(now).bind(turn.id).run();
    touch_session(connection, session, finished.now);
    add_tokens(connection, counted_tokens(turn.usage), finished.now);
    return turn;
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
    Query query(connection, kWalk);
    query.bind(session_id).bind(before_turn);
    query.bind(sql_limit(PastTurnReader::walk_length(limit)));
    while (!reader.done() && query.step()) reader.take(query, text_of);
    return reader.turns();
  }

  // Returns how many they were.
  static int interrupt_abandoned_turns(Connection& connection) {
    const Timestamp now =
        std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    std::vector<std::int64_t> abandoned;
    {
      Query query(connection, kPendingTurns);
      while (query.step()) {
        if (query.time(2) <= now || has_surely_ended(query.text(1))) {
          abandoned.push_back(query.integer(0));
        }
      }
    }
    interrupt(connection, abandoned, now);
    return static_cast<int>(abandoned.size());
  }

  static void interrupt(Connection& connection, const std::vector<std::int64_t>& turns,
                        Timestamp now) {
    const std::string time = time_text(now);
    for (std::int64_t id : turns) {
      Query(connection, kInterruptTurn).bind(time).bind(id).run();
    }
  }

  std::unique_ptr<Connection> open_reader() const {
    auto connection =
        std::make_unique<Connection>(file_, Connection::Access::kRead, options_.busy_timeout);
    connection->exec(kReaderSettings);
    return connection;
  }

  // Opens the file, having made sure that it may be written, and makes what is missing in it.
  std::unique_ptr<Connection> open_writer() {
    ++connections_;
    std::error_code ignored;
    const bool exists = std::filesystem::exists(file_, ignored);
    if (!exists && !options_.create) {
      throw Error(ErrorCode::kUnavailable, "The database file is not there.", {.retryable = true});
    }
    if (exists) set_aside_foreign_log();
    const bool complete = exists && inspect_before_writing();
    auto connection = std::make_unique<Connection>(
        file_, exists ? Connection::Access::kWrite : Connection::Access::kCreate,
        options_.busy_timeout);
    switch_to_wal(*connection);
    connection->exec(options_.durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
    connection->exec(kWriterSettings);
    if (!complete) sqlite::migrate(*connection);
    connection->integer("PRAGMA schema_version");  // SQLite opens the log when it reads
    connection->watch_log();
    const std::lock_guard lock(open_file_mutex_);
    open_file_ = connection->database_id();
    return connection;
  }

  // A connection whose file or log is not where it was must be gone, with all others, before
  // another is opened: SQLite keeps one index of the log for all that are open.
  void close(std::unique_ptr<Connection> connection) {
    closed_file_ = connection->database_id();
    closed_log_ = connection->log_id();
    if (!connection->file_moved()) return;
    {
      const std::lock_guard lock(open_file_mutex_);
      open_file_.reset();
    }
    readers_.without([&] {
      // A log that was removed still holds what it held: it is brought into the database, if that
      // is in its place.
      if (!connection->database_moved()) {
        connection->database().tryExec("PRAGMA wal_checkpoint(FULL)");
      }
      connection.reset();
    });
  }

  // Has the writer find out what became of the file when it is not the one that is open.
  void look_after_file() {
    const std::optional<sqlite::FileId> found = sqlite::file_id(file_);
    {
      const std::lock_guard lock(open_file_mutex_);
      if (found && found == open_file_) return;
    }
    writer_.run([](Connection&) { return true; });
  }

  // When somebody puts another database in the place of the one that was open, the log of that one
  // may still lie there. SQLite would take it for the new file's and damage that.
  void set_aside_foreign_log() const {
    if (!closed_log_ || sqlite::file_id(file_) == closed_file_ ||
        sqlite::file_id(sqlite::log_of(file_)) != closed_log_) {
      return;
    }
    std::error_code error;
    std::filesystem::rename(sqlite::log_of(file_), file_.string() + "-wal.of-replaced-file", error);
    if (error) {
      throw Error(ErrorCode::kUnavailable, "The database file was replaced beside its old log.",
                  {.retryable = true});
    }
    std::filesystem::remove(file_.string() + "-shm", error);
  }

  // Whether all tables are there. Throws for a file that is not to be touched, which is why this
  // connection cannot write.
  bool inspect_before_writing() const {
    const auto look = [this](Connection::Access access) {
      Connection connection(file_, access, options_.busy_timeout);
      // One transaction: another process may be making the tables one after the other.
      connection.exec("BEGIN");
      const sqlite::SchemaState state = sqlite::inspect(connection);
      connection.exec("ROLLBACK");
      const std::int64_t size =
          connection.integer("PRAGMA page_count") * connection.integer("PRAGMA page_size");
      if (size <= kLargestCheckedFile) sqlite::check_pages(connection);
      if (!state.complete() && !options_.create) {
        throw Error(ErrorCode::kFailedPrecondition,
                    "The database lacks tables: it has to be migrated first.");
      }
      return state.complete();
    };
    try {
      return look(Connection::Access::kRead);
    } catch (const SQLite::Exception& exception) {
      if (!sqlite::needs_recovery(exception)) throw;
    }
    return look(Connection::Access::kWrite);
  }

  // SQLite does not wait for other connections here, whatever the timeout.
  void switch_to_wal(Connection& connection) const {
    const auto deadline = std::chrono::steady_clock::now() + options_.busy_timeout;
    for (;;) {
      try {
        if (connection.text("PRAGMA journal_mode=WAL") == "wal") return;
        throw Error(ErrorCode::kUnavailable, "The file system does not allow SQLite's WAL mode.");
      } catch (const SQLite::Exception& exception) {
        if (!sqlite::is_busy(exception) || std::chrono::steady_clock::now() >= deadline) throw;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  const std::filesystem::path file_;
  SqliteStoreOptions options_;
  const std::string owner_;
  HistoryCache history_{options_.history_cache_bytes};
  std::uint64_t connections_ = 0;  // that the writer has opened; only whoever writes asks
  std::mutex unfinished_mutex_;
  std::vector<std::int64_t> unfinished_;  // guarded by it: turns whose finish_turn() failed
  std::mutex open_file_mutex_;
  std::optional<sqlite::FileId> open_file_;  // guarded by it: what readers may open
  // What the writer's last connection had open; only whoever writes asks.
  std::optional<sqlite::FileId> closed_file_;
  std::optional<sqlite::FileId> closed_log_;
  // The readers close first: the last connection to close tidies up the WAL, and only the writer
  // may do that.
  sqlite::Writer writer_;
  sqlite::Readers readers_;
};

std::shared_ptr<SqliteStore> open_file(const std::filesystem::path& file,
                                       const SqliteStoreOptions& options) {
  if (file.empty()) throw Error(ErrorCode::kInvalidArgument, "The database file has no name.");
  if (options.on_warning && sqlite::has_wal_reset_fault(SQLite::getLibVersionNumber())) {
    options.on_warning(
        std::string("SQLite ") + SQLite::getLibVersion() +
        " can damage a database in WAL mode when two connections write at the same moment (fixed "
        "in "
        "3.51.3, 3.50.7 and 3.44.6). Programs of this library write one after the other; do not "
        "let another one (sqlite3, Django, Litestream) write to the file while it runs.");
  }
  // An absolute path keeps its meaning when the program changes its directory, and cannot be one of
  // the names that SQLite reads in its own way.
  const std::filesystem::path absolute = std::filesystem::absolute(file);
  std::error_code ignored;
  if (!options.create && !std::filesystem::exists(absolute, ignored)) {
    throw Error(ErrorCode::kNotFound, "The database file does not exist.",
                {.diagnostic = absolute.string()});
  }
  try {
    return sqlite::translated(absolute,
                              [&] { return std::make_shared<SqliteStore>(absolute, options); });
  } catch (const Error& error) {
    ErrorDetails details = error.details();
    details.diagnostic =
        absolute.string() + (details.diagnostic.empty() ? "" : ": " + details.diagnostic);
    throw Error(error.code(), error.what(), std::move(details));
  }
}

}  // namespace

std::shared_ptr<Store> open_sqlite_store(const std::filesystem::path& file,
                                         const SqliteStoreOptions& options) {
  return open_file(file, options);
}

Database open_sqlite_database(const std::filesystem::path& file,
                              const SqliteStoreOptions& options) {
  const std::shared_ptr<SqliteStore> store = open_file(file, options);
  const sqlite::OpenFile open{std::filesystem::absolute(file), store->writer(), store->readers(),
                              store->history(), store};
  return {store, sqlite::make_records(open), sqlite::make_accounts(open)};
}

}  // namespace twinchat
