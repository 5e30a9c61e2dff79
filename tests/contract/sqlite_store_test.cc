// What the SQLite store promises beyond the contract: see sqlite_store.h.

#include "twinchat/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "chance.h"
#include "process.h"
#include "sqlite_file.h"
#include "stores.h"
#include "temp_dir.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

// A lock that is held on purpose must not stop the test for the default ten seconds.
const SqliteStoreOptions kImpatient{.busy_timeout = 50ms};

std::uintmax_t wal_size(const std::filesystem::path& file) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(file.string() + "-wal", missing);
  return missing ? 0 : size;
}

Strings texts_in(Store& store, const std::string& session) {
  Strings texts;
  for (const Message& message : store.messages(session, {})) texts.push_back(message.text);
  return texts;
}

// --- Sharing commits

TEST_CASE("Threads that write at the same time share a commit") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const auto store = open_sqlite_store(file);
  store->create_session("one", {}, moment());
  constexpr int kThreads = 32;
  std::atomic<int> calling{0};
  std::vector<std::jthread> threads;
  SqliteFile other(file);
  other.exec("BEGIN IMMEDIATE");  // nobody can write until everybody wants to
  const int before = commits_in_wal(file);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      ++calling;
      store->begin_turn(new_turn("one", std::to_string(i)));
    });
  }
  REQUIRE(eventually([&] { return calling == kThreads; }));
  std::this_thread::sleep_for(50ms);  // the last of them are on their way into the call
  other.exec("ROLLBACK");
  threads.clear();
  CHECK(store->messages("one", {}).size() == kThreads);
  const int commits = commits_in_wal(file) - before;
  CHECK(commits >= 1);
  CHECK(commits <= kThreads / 4);
}

TEST_CASE("A write that the database refuses is undone alone among those that share its commit") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const auto store = open_sqlite_store(file);
  store->create_session("one", {}, moment());
  SqliteFile other(file);
  other.exec(
      "CREATE TRIGGER no_poison BEFORE INSERT ON chat_message WHEN NEW.content = 'poison' "
      "BEGIN SELECT RAISE(ABORT, 'no'); END");
  other.exec("BEGIN IMMEDIATE");
  std::atomic<int> calling{0};
  std::atomic<int> refused{0};
  std::vector<std::jthread> threads;
  constexpr int kThreads = 16;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      ++calling;
      NewTurn turn = new_turn("session " + std::to_string(i), i % 2 == 0 ? "poison" : "good");
      turn.create_session = true;  // written before the message is refused
      const auto code = code_of([&] { store->begin_turn(turn); });
      if (code == ErrorCode::kFailedPrecondition) ++refused;
    });
  }
  REQUIRE(eventually([&] { return calling == kThreads; }));
  std::this_thread::sleep_for(50ms);
  other.exec("ROLLBACK");
  threads.clear();
  CHECK(refused == kThreads / 2);
  CHECK(other.value("SELECT count(*) FROM chat_chatsession") == std::to_string(1 + kThreads / 2));
  CHECK(other.value("SELECT count(*) FROM chat_message") == std::to_string(kThreads / 2));
  CHECK(other.value("SELECT count(*) FROM twinchat_turn") == std::to_string(kThreads / 2));
  CHECK(damage(file).empty());
}

// --- Locks and other programs

TEST_CASE("Reading does not wait for a write transaction, and sees what was committed") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const auto store = open_sqlite_store(file, kImpatient);
  store->create_session("one", {}, moment());
  whole_turn(*store, "one", "q", "a");
  SqliteFile other(file);
  other.exec("BEGIN IMMEDIATE; UPDATE chat_message SET content = 'changed'");
  CHECK(store->find_session("one"));
  CHECK(texts_in(*store, "one") == Strings{"q", "a"});
  CHECK(store->turns("one", 10).size() == 1);
  CHECK(store->past_turns("one", 0, 10).size() == 1);
  CHECK(code_of([&] { store->begin_turn(new_turn("one", "q")); }) == ErrorCode::kUnavailable);
  other.exec("COMMIT");
  CHECK(texts_in(*store, "one") == Strings{"changed", "changed"});
  CHECK_NOTHROW(store->begin_turn(new_turn("one", "q")));
}

TEST_CASE("Two stores on one file see each other's writes, and a key counts in both") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const std::vector<std::shared_ptr<Store>> stores{open_sqlite_store(file),
                                                   open_sqlite_store(file)};
  stores[0]->create_session("one", {}, moment());
  std::atomic<int> begun{0};
  std::atomic<int> other_error{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&, i] {
        Store& store = *stores[static_cast<std::size_t>(i % 2)];
        for (int n = 0; n < 10; ++n) {
          NewTurn turn = new_turn("one", std::to_string(n));
          turn.idempotency_key = "key " + std::to_string(n);
          const auto code = code_of([&] {
            if (store.begin_turn(turn).kind == BegunTurn::Kind::kNew) ++begun;
          });
          if (code && code != ErrorCode::kAborted) ++other_error;
        }
      });
    }
  }
  CHECK(begun == 10);
  CHECK(other_error == 0);
  CHECK(stores[0]->messages("one", {}).size() == 10);
  CHECK(stores[0]->messages("one", {}) == stores[1]->messages("one", {}));
}

TEST_CASE("Two processes that make the same file at the same moment end up with one database") {
  TempDir folder;
  const auto file = folder / "chat.db";
  for (int round = 0; round < 3; ++round) {
    const std::string name = "round " + std::to_string(round);
    std::filesystem::remove(file);
    Process first(
        {TWINCHAT_STORE_WRITER, "write", "sqlite:///" + file.string(), "2", name + " first"});
    Process second(
        {TWINCHAT_STORE_WRITER, "write", "sqlite:///" + file.string(), "2", name + " second"});
    CHECK(first.wait_for_line("done"));
    CHECK(second.wait_for_line("done"));
    first.kill();
    second.kill();
    CHECK(first.wait_exit());
    CHECK(second.wait_exit());
    CHECK(damage(file).empty());
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(file.string() + suffix);
  }
}

TEST_CASE("The log of writes stays bounded, and shrinks again after a reader held it open") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const auto store = open_sqlite_store(file, {.durable = false});
  store->create_session("one", {}, moment());
  const std::string text(20'000, 'x');
  constexpr std::uintmax_t kBound = 16 << 20;
  const auto write_megabytes = [&](int count) {
    for (int i = 0; i < count * 50; ++i) store->begin_turn(new_turn("one", text));
  };
  write_megabytes(24);
  CHECK(wal_size(file) < kBound);
  {
    SqliteFile reader(file);
    reader.exec("BEGIN");
    CHECK(reader.value("SELECT count(*) FROM chat_message") == std::to_string(24 * 50));
    write_megabytes(24);
    CHECK(wal_size(file) > kBound);
    CHECK(reader.value("SELECT count(*) FROM chat_message") == std::to_string(24 * 50));
  }
  write_megabytes(8);
  CHECK(wal_size(file) < kBound);
}

// --- Crashes

TEST_CASE("A killed process loses nothing that was acknowledged") {
  TempDir folder;
  const auto file = folder / "chat.db";
  std::set<std::string> begun;
  std::set<std::string> done;
  for (int round = 0; round < 6; ++round) {
    const std::string name = "round" + std::to_string(round);
    Process writer({TWINCHAT_STORE_WRITER, "write", "sqlite:///" + file.string(), "8", name});
    // A different moment each time.
    REQUIRE(writer.wait_for_line("done re: " + name + "/" + std::to_string(round) + "/" +
                                 std::to_string(5 + 7 * round)));
    writer.kill();
    REQUIRE(writer.wait_exit());
    std::istringstream lines(writer.output());
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("begun ")) begun.insert(line.substr(6));
      if (line.starts_with("done ")) done.insert(line.substr(5));
    }

    const auto store = open_sqlite_store(file);
    std::map<std::string, int> stored;
    for (int i = 0; i <= round; ++i) {
      for (const Message& message : store->messages("round" + std::to_string(i), {})) {
        ++stored[message.text];
      }
    }
    int lost = 0;
    int doubled = 0;
    for (const std::string& text : begun) lost += stored.count(text) == 0;
    for (const std::string& text : done) lost += stored.count(text) == 0;
    for (const auto& [text, count] : stored) doubled += count > 1;
    CHECK(lost == 0);
    CHECK(doubled == 0);
    // No half turn: whatever has its answer is closed, all else was marked.
    for (const Turn& turn : store->turns(name, 1'000'000)) {
      const bool whole = turn.status == TurnStatus::kComplete && turn.answer.has_value();
      const bool cut = turn.status == TurnStatus::kInterrupted && !turn.answer.has_value();
      if (!whole && !cut) FAIL_CHECK("turn " << turn.id << " is " << to_string(turn.status));
    }
    CHECK(damage(file).empty());
  }
  CHECK(done.size() > 100);
}

TEST_CASE("A turn whose process has died is marked interrupted, one whose process lives is not") {
  TempDir folder;
  const auto file = folder / "chat.db";
  Process writer({TWINCHAT_STORE_WRITER, "pending", "sqlite:///" + file.string()});
  REQUIRE(writer.wait_for_line("pending"));
  NewTurn again = new_turn("pending", "hello");
  again.idempotency_key = "key";
  {
    const auto store = open_sqlite_store(file);
    CHECK(store->turns("pending", 1).at(0).status == TurnStatus::kPending);
    CHECK(code_of([&] { store->begin_turn(again); }) == ErrorCode::kAborted);
  }
  writer.kill();
  REQUIRE(writer.wait_exit());
  const auto store = open_sqlite_store(file);
  CHECK(store->turns("pending", 1).at(0).status == TurnStatus::kInterrupted);
  CHECK(store->begin_turn(again).kind == BegunTurn::Kind::kResumed);
  CHECK(store->messages("pending", {}).size() == 1);
}

TEST_CASE("The key of a process that died can be used again without opening the file anew") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const auto store = open_sqlite_store(file);
  Process writer({TWINCHAT_STORE_WRITER, "pending", "sqlite:///" + file.string()});
  REQUIRE(writer.wait_for_line("pending"));
  writer.kill();
  REQUIRE(writer.wait_exit());
  NewTurn again = new_turn("pending", "hello");
  again.idempotency_key = "key";
  CHECK(store->begin_turn(again).kind == BegunTurn::Kind::kResumed);
}

TEST_CASE("A process that has ended is dead, also while its parent has not asked how") {
  TempDir folder;
  const auto file = folder / "chat.db";
  Process writer({TWINCHAT_STORE_WRITER, "pending", "sqlite:///" + file.string()});
  REQUIRE(writer.wait_for_line("pending"));
  writer.kill();
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(writer.pid()), &ended, WEXITED | WNOWAIT) == 0);
  CHECK(open_sqlite_store(file)->turns("pending", 1).at(0).status == TurnStatus::kInterrupted);
}

TEST_CASE("A pending turn that has expired is marked interrupted, whoever began it") {
  TempDir folder;
  const auto file = folder / "chat.db";
  {
    const auto store = open_sqlite_store(file);
    store->create_session("one", {}, moment());
    NewTurn turn = new_turn("one", "expired");
    turn.expires_at = moment();  // long ago
    store->begin_turn(turn);
    store->begin_turn(new_turn("one", "waiting"));
  }
  const auto store = open_sqlite_store(file);
  const std::vector<Turn> turns = store->turns("one", 10);
  REQUIRE(turns.size() == 2);
  CHECK(turns[0].status == TurnStatus::kInterrupted);
  CHECK(turns[1].status == TurnStatus::kPending);
}

TEST_CASE("A turn of an earlier boot is interrupted, one of another container waits to expire") {
  TempDir folder;
  const auto file = folder / "chat.db";
  {
    const auto store = open_sqlite_store(file);
    store->create_session("one", {}, moment());
    store->begin_turn(new_turn("one", "earlier boot"));
    store->begin_turn(new_turn("one", "container"));
    SqliteFile other(file);
    other.exec("UPDATE twinchat_turn SET owner = 'x' || owner WHERE id = 1");
    other.exec("UPDATE twinchat_turn SET owner = replace(owner, 'pid:[', 'pid:[9') WHERE id = 2");
  }
  const auto store = open_sqlite_store(file);
  const std::vector<Turn> turns = store->turns("one", 10);
  REQUIRE(turns.size() == 2);
  CHECK(turns[0].status == TurnStatus::kInterrupted);
  CHECK(turns[1].status == TurnStatus::kPending);
}

// --- A disk that fails, and files that move

// The largest size a file may grow to in this process, put back at the end.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(std::uintmax_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);  // the write fails with EFBIG instead
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
};

TEST_CASE("A refusal of what is to be written says nothing about the database") {
  TempDir folder;
  const auto store = open_sqlite_store(folder / "chat.db");
  CHECK(code_of([&] { store->begin_turn(new_turn("nobody", "q")); }) == ErrorCode::kNotFound);
  SqliteFile other(folder / "chat.db");
  const std::string state = other.value("PRAGMA data_version");
  CHECK_NOTHROW(store->check());
  CHECK(other.value("PRAGMA data_version") == state);  // there was nothing to try
}

// Takes away what versions after the first one added.
void make_first_version(const std::filesystem::path& file) {
  SqliteFile database(file);
  for (const char* kind : {"trigger", "table"}) {
    // What belongs to a virtual table goes with it.
    for (const std::string& name : database.rows(
             "SELECT name FROM sqlite_master WHERE type = '" + std::string(kind) +
             "' AND name LIKE 'twinchat\\_%' ESCAPE '\\' AND name NOT IN ('twinchat_schema', "
             "'twinchat_turn') AND name NOT LIKE '%\\_search\\_%' ESCAPE '\\'")) {
      database.exec("DROP " + std::string(kind) + " " + name);
    }
  }
  database.exec(
      "DROP INDEX twinchat_turn_unfinished; DROP INDEX twinchat_turn_feedback; DROP INDEX "
      "twinchat_turn_feedback_at; ALTER TABLE twinchat_turn DROP COLUMN feedback; ALTER TABLE "
      "twinchat_turn DROP COLUMN feedback_at; UPDATE twinchat_schema SET version = 1");
}

TEST_CASE("A file of the first version gets what later ones have, and keeps its turns") {
  TempDir folder;
  const auto file = folder / "chat.db";
  {
    const auto store = open_sqlite_store(file);
    store->create_session("one", {}, moment());
    whole_turn(*store, "one", "q", "a");
  }
  make_first_version(file);
  CHECK(code_of([&] { open_sqlite_store(file, {.create = false}); }) ==
        ErrorCode::kFailedPrecondition);
  const auto store = open_sqlite_store(file);
  CHECK(store->turns("one", 10).size() == 1);
  FinishedTurn finished;
  finished.turn_id = store->begin_turn(new_turn("one", "q")).turn.id;
  finished.usage.output_tokens = 7;
  finished.now = moment();
  store->finish_turn(finished);
  CHECK(SqliteFile(file).value("SELECT day || ' ' || tokens FROM twinchat_day") == "2025-12-26 7");
  const Turn earlier = store->turns("one", 10).front();
  CHECK(earlier.feedback == Feedback::kNone);
  CHECK(store->set_feedback("one", earlier.answer->id, Feedback::kUp, moment()).feedback ==
        Feedback::kUp);
  CHECK(store->record_consent({.session_id = "one", .version = "1", .text = "t"}).id > 0);
}

TEST_CASE("A full disk fails the writes, keeps the reads, and is forgotten once there is room") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const auto store = open_sqlite_store(file);
  store->create_session("one", {}, moment());
  whole_turn(*store, "one", "q", "a");
  const std::string text(10'000, 'x');
  {
    FileSizeLimit full(wal_size(file));
    for (int i = 0; i < 3; ++i) {
      CHECK(code_of([&] { store->begin_turn(new_turn("one", text)); }) == ErrorCode::kUnavailable);
      CHECK(texts_in(*store, "one") == Strings{"q", "a"});
    }
  }
  CHECK_NOTHROW(store->begin_turn(new_turn("one", text)));
  CHECK(texts_in(*store, "one") == Strings{"q", "a", text});
  CHECK(damage(file).empty());
}

TEST_CASE("When a shared commit fails all who shared it are told, and nothing was written") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const auto store = open_sqlite_store(file);
  store->create_session("one", {}, moment());
  std::atomic<int> calling{0};
  std::atomic<int> failed{0};
  SqliteFile other(file);
  other.exec("BEGIN IMMEDIATE");
  {
    FileSizeLimit full(wal_size(file));
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&] {
        ++calling;
        const auto code = code_of([&] { store->begin_turn(new_turn("one", "x")); });
        if (code == ErrorCode::kUnavailable) ++failed;
      });
    }
    REQUIRE(eventually([&] { return calling == 16; }));
    std::this_thread::sleep_for(50ms);
    other.exec("ROLLBACK");
  }
  CHECK(failed == 16);
  CHECK(store->messages("one", {}).empty());
  whole_turn(*store, "one", "q", "a");
  CHECK(store->messages("one", {}).size() == 2);
}

TEST_CASE("A file that is taken away fails the calls until it is back") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const auto store = open_sqlite_store(file, kImpatient);
  store->create_session("one", {}, moment());
  whole_turn(*store, "one", "q", "a");
  const auto away = folder / "away";
  std::filesystem::create_directory(away);
  const auto move_all = [](const std::filesystem::path& from, const std::filesystem::path& to) {
    for (const char* name : {"chat.db", "chat.db-wal", "chat.db-shm"}) {
      if (std::filesystem::exists(from / name)) std::filesystem::rename(from / name, to / name);
    }
  };
  move_all(folder.path(), away);
  CHECK(code_of([&] { store->find_session("one"); }) == ErrorCode::kUnavailable);
  CHECK(code_of([&] { store->begin_turn(new_turn("one", "q")); }) == ErrorCode::kUnavailable);
  CHECK_FALSE(std::filesystem::exists(file));
  move_all(away, folder.path());
  CHECK(texts_in(*store, "one") == Strings{"q", "a"});
  whole_turn(*store, "one", "q2", "a2");
  CHECK(texts_in(*store, "one") == Strings{"q", "a", "q2", "a2"});
  CHECK(damage(file).empty());
}

// --- Opening

TEST_CASE("A file that is no good is refused and left exactly as it was") {
  struct Case {
    std::string what;
    ErrorCode code;
    std::function<void(const std::filesystem::path&)> make;
  };
  const auto sql = [](const std::string& statements) {
    return [=](const std::filesystem::path& file) { SqliteFile(file).exec(statements); };
  };
  const std::string django = kDjangoTables;
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = django;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  const auto current = [](const std::string& statements) {
    return [=](const std::filesystem::path& file) {
      open_sqlite_store(file);
      SqliteFile(file).exec("PRAGMA journal_mode=DELETE; " + statements);
    };
  };
  const Case test = GENERATE_COPY(values<Case>({
      {"text", ErrorCode::kDataLoss,
       [](const auto& file) { write_bytes(file, std::string(5'000, 'x')); }},
      {"a short text", ErrorCode::kDataLoss, [](const auto& file) { write_bytes(file, "hello"); }},
      {"a good header and rubbish behind it", ErrorCode::kDataLoss,
       [django](const auto& file) {
         SqliteFile(file).exec(django);
         const std::string bytes = bytes_of(file);
         write_bytes(file, bytes.substr(0, 100) + std::string(bytes.size() - 100, '\x5a'));
       }},
      {"a file that was cut", ErrorCode::kDataLoss,
       [django](const auto& file) {
         SqliteFile(file).exec(django);
         std::filesystem::resize_file(file, 4'096 + 100);
       }},
      {"a damaged page in the middle", ErrorCode::kDataLoss,
       [](const auto& file) {
         {
           const auto store = open_sqlite_store(file);
           store->create_session("one", {}, moment());
           for (int i = 0; i < 50; ++i) whole_turn(*store, "one", std::string(3'000, 'q'), "a");
         }
         std::string bytes = bytes_of(file);
         write_bytes(file, bytes.replace(bytes.size() / 2 / 4'096 * 4'096, 2'000, 2'000, '\x5a'));
       }},
      {"another program's database", ErrorCode::kFailedPrecondition,
       sql("CREATE TABLE bookmarks (id integer primary key, url text)")},
      {"another program's database in WAL mode", ErrorCode::kFailedPrecondition,
       sql("PRAGMA journal_mode=WAL; CREATE TABLE bookmarks (id integer primary key, url text)")},
      {"a chat_message of another kind", ErrorCode::kFailedPrecondition,
       sql("CREATE TABLE chat_message (id integer primary key, body text)")},
      {"no column user_phone", ErrorCode::kFailedPrecondition,
       sql(changed(R"("user_phone" varchar(20) NULL,)", ""))},
      {"a name that must be given", ErrorCode::kFailedPrecondition,
       sql(changed(R"("user_name" varchar(255) NULL)", R"("user_name" varchar(255) NOT NULL)"))},
      {"session ids that are not unique", ErrorCode::kFailedPrecondition,
       sql(changed("NOT NULL UNIQUE", "NOT NULL"))},
      {"an id that is no integer key", ErrorCode::kFailedPrecondition,
       sql(changed(R"("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT)",
                   R"("id" char(32) NOT NULL PRIMARY KEY)"))},
      {"a further column that must be given", ErrorCode::kFailedPrecondition,
       sql(changed(R"("is_bot" bool NOT NULL,)",
                   R"("is_bot" bool NOT NULL, "language" varchar(5) NOT NULL,)"))},
      {"a view in place of a table", ErrorCode::kFailedPrecondition,
       sql("CREATE VIEW chat_message AS SELECT 1 AS id")},
      {"texts in UTF-16", ErrorCode::kFailedPrecondition,
       sql("PRAGMA encoding='UTF-16le'; " + django)},
      {"a newer schema", ErrorCode::kFailedPrecondition,
       current("UPDATE twinchat_schema SET version = version + 1")},
      {"a turn table without its version", ErrorCode::kFailedPrecondition,
       current("DELETE FROM twinchat_schema")},
      {"a turn table that lacks a column", ErrorCode::kFailedPrecondition,
       current("ALTER TABLE twinchat_turn DROP COLUMN contents")},
  }));
  INFO(test.what);
  TempDir folder;
  const auto file = folder / "chat.db";
  test.make(file);
  const std::string before = bytes_of(file);
  REQUIRE_FALSE(before.empty());
  for (bool create : {true, false}) {
    try {
      open_sqlite_store(file, {.create = create});
      FAIL_CHECK("it was opened");
    } catch (const Error& error) {
      CHECK(error.code() == test.code);
      CHECK(error.details().diagnostic.find(file.string()) != std::string::npos);
    }
    CHECK(bytes_of(file) == before);
  }
}

TEST_CASE("A file whose last writer died in the middle of a transaction is recovered and opened") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const auto copy = folder / "copy.db";
  SqliteFile(file).exec(kDjangoTables);
  {
    // What a kill leaves behind: a rollback journal, and pages that were already written over.
    SqliteFile writer(file);
    writer.exec(
        "PRAGMA cache_size=5; BEGIN; INSERT INTO chat_chatsession VALUES (1, 'lost', NULL, NULL, "
        "NULL, '2025-01-01 00:00:00', '2025-01-01 00:00:00')");
    for (int i = 0; i < 50; ++i) {
      writer.exec(
          "INSERT INTO chat_message (content, is_bot, created_at, session_id) VALUES "
          "(hex(zeroblob(2000)), 0, '2025-01-01 00:00:00', 1)");
    }
    std::filesystem::copy_file(file, copy);
    std::filesystem::copy_file(file.string() + "-journal", copy.string() + "-journal");
    writer.exec("ROLLBACK");
  }
  const auto store = open_sqlite_store(copy);
  CHECK_FALSE(store->find_session("lost"));
  store->create_session("one", {}, moment());
  CHECK(damage(copy).empty());
}

TEST_CASE(
    "Without leave to create, a missing file is not found and a bare one has to be migrated") {
  TempDir folder;
  const auto file = folder / "chat.db";
  CHECK(code_of([&] { open_sqlite_store(file, {.create = false}); }) == ErrorCode::kNotFound);
  CHECK_FALSE(std::filesystem::exists(file));
  SqliteFile(file).exec(kDjangoTables);
  const std::string before = bytes_of(file);
  CHECK(code_of([&] { open_sqlite_store(file, {.create = false}); }) ==
        ErrorCode::kFailedPrecondition);
  CHECK(bytes_of(file) == before);
  open_sqlite_store(file);
  CHECK_NOTHROW(open_sqlite_store(file, {.create = false}));
}

TEST_CASE("A file that cannot be made or is a folder is unavailable") {
  TempDir folder;
  CHECK(code_of([&] { open_sqlite_store(folder / "no" / "chat.db"); }) == ErrorCode::kUnavailable);
  CHECK(code_of([&] { open_sqlite_store(folder.path()); }) == ErrorCode::kUnavailable);
  CHECK(code_of([&] { open_sqlite_store(""); }) == ErrorCode::kInvalidArgument);
}

TEST_CASE("An empty file becomes a database") {
  TempDir folder;
  const auto file = folder / "chat.db";
  write_bytes(file, "");
  open_sqlite_store(file)->create_session("one", {}, moment());
  CHECK(open_sqlite_store(file)->find_session("one"));
}

TEST_CASE("A file name that means something to SQLite is an ordinary file name") {
  TempDir folder;
  for (const char* name : {":memory:", "file:x?mode=memory", "a'b.db", "100%.db"}) {
    open_sqlite_store(folder / name)->create_session("one", {}, moment());
    CHECK(std::filesystem::exists(folder / name));
    CHECK(open_sqlite_store(folder / name)->find_session("one"));
  }
}

TEST_CASE("A store that is closed leaves one whole file, in WAL mode") {
  TempDir folder;
  const auto file = folder / "chat.db";
  {
    const auto store = open_sqlite_store(file);
    store->create_session("one", {}, moment());
    whole_turn(*store, "one", "q", "a");
  }
  CHECK_FALSE(std::filesystem::exists(file.string() + "-wal"));
  SqliteFile other(file);
  CHECK(other.value("PRAGMA journal_mode") == "wal");
  CHECK(other.value("SELECT count(*) FROM chat_message") == "2");
  CHECK(damage(file).empty());
}

TEST_CASE("The operator is warned of an SQLite that can damage its files") {
  TempDir folder;
  const auto file = folder / "chat.db";
  Strings warnings;
  open_sqlite_store(file,
                    {.on_warning = [&](const std::string& text) { warnings.push_back(text); }});
  const int version = SQLite::getLibVersionNumber();
  const bool mended = version >= 3'051'003 || (version / 1000 == 3'050 && version >= 3'050'007) ||
                      (version / 1000 == 3'044 && version >= 3'044'006);
  CHECK(warnings.size() == (mended ? 0 : 1));
  for (const std::string& warning : warnings) {
    CHECK(warning.find(SQLite::getLibVersion()) != std::string::npos);
  }
}

// --- What other programs wrote

TEST_CASE("Times are read in every form that programs write") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const std::string text =
      GENERATE("2025-12-26 12:00:00.000001", "2025-12-26T12:00:00.000001",
               "2025-12-26 12:00:00.000001+00:00", "2025-12-26T12:00:00.000001Z",
               "2025-12-26 17:30:00.000001+05:30", "2025-12-26 04:00:00.0000019-0800",
               "2025-12-26 14:00:00.000001+02");
  SqliteFile other(file);
  other.exec(kDjangoTables);
  other.exec("INSERT INTO chat_chatsession VALUES (1, 'one', NULL, NULL, NULL, '" + text + "', '" +
             text + "')");
  CHECK(open_sqlite_store(file)->find_session("one")->created_at == moment(1));
}

TEST_CASE("A time that cannot be read is reported as damage") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const std::string text =
      GENERATE("", "yesterday", "2025-13-01 00:00:00", "2025-02-30 00:00:00", "2025-12-26 25:00:00",
               "2025-12-26 12:00:00 and more", "1766750400", "2025-12-26 12:00:00+", "2025-12-26");
  SqliteFile other(file);
  other.exec(kDjangoTables);
  other.exec("INSERT INTO chat_chatsession VALUES (1, 'one', NULL, NULL, NULL, '" + text + "', '" +
             text + "')");
  const auto store = open_sqlite_store(file);
  CHECK(code_of([&] { store->find_session("one"); }) == ErrorCode::kDataLoss);
}

TEST_CASE("Times are written as Django writes them: without a fraction that is zero") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const auto store = open_sqlite_store(file);
  store->create_session("one", {}, moment(0));
  store->create_session("two", {}, moment(10));
  CHECK(SqliteFile(file).rows("SELECT created_at FROM chat_chatsession ORDER BY id") ==
        Strings{"2025-12-26 12:00:00", "2025-12-26 12:00:00.000010"});
}

// Messages as the Django backend writes them: u for the visitor, b for the bot.
void write_messages(const std::filesystem::path& file, const std::string& who) {
  SqliteFile other(file);
  for (std::size_t i = 0; i < who.size(); ++i) {
    other.exec("INSERT INTO chat_message (content, is_bot, created_at, session_id) SELECT '" +
               std::string(1, who[i]) + "' || (SELECT count(*) FROM chat_message), " +
               (who[i] == 'b' ? "1" : "0") +
               ", '2025-01-01 00:00:00', id FROM chat_chatsession WHERE session_id = 'one'");
  }
}

TEST_CASE("A question that another program stored with its answer counts as a past turn") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const auto store = open_sqlite_store(file);
  store->create_session("one", {}, moment());
  const auto [written, expected] = GENERATE(table<std::string, Strings>({
      {"ub", {"u0 b1"}},
      {"ubub", {"u0 b1", "u2 b3"}},
      {"bub", {"u1 b2"}},
      {"uub", {"u1 b2"}},
      {"ubb", {"u0 b1"}},
      {"ubu", {"u0 b1"}},
      {"u", {}},
      {"b", {}},
  }));
  write_messages(file, written);
  Strings found;
  for (const PastTurn& turn : store->past_turns("one", 0, 10)) {
    CHECK(turn.turn_id == 0);
    CHECK(turn.contents.empty());
    CHECK(turn.usage == Usage{});
    found.push_back(turn.user_text + " " + turn.answer_text);
  }
  CHECK(found == expected);
  CHECK(store->turns("one", 10).empty());
}

TEST_CASE("Another program's pairs and our turns are one history, newest first to be kept") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const auto store = open_sqlite_store(file);
  store->create_session("one", {}, moment());
  write_messages(file, "ubub");
  whole_turn(*store, "one", "ours", "answer");
  whole_turn(*store, "one", "lost", "", TurnStatus::kFailed);
  write_messages(file, "bub");  // the first b follows a question of ours and answers nothing
  const std::int64_t now = store->begin_turn(new_turn("one", "now")).turn.id;
  const auto found = [&](std::int64_t before, std::size_t limit) {
    Strings texts;
    for (const PastTurn& turn : store->past_turns("one", before, limit)) {
      texts.push_back(turn.user_text);
    }
    return texts;
  };
  CHECK(found(now, 10) == Strings{"u0", "u2", "ours", "u8"});
  CHECK(found(now, 3) == Strings{"u2", "ours", "u8"});
  CHECK(found(0, 1) == Strings{"u8"});
}

TEST_CASE("What a store remembers of a session is what one that remembers nothing reads") {
  const std::uint32_t seed = chance_seed();
  INFO("TWINCHAT_SEED=" << seed);
  std::mt19937 random(seed);
  TempDir folder;
  const auto file = folder / "chat.db";
  const SqliteStoreOptions fast{.durable = false};
  const auto store = open_sqlite_store(file, fast);
  const auto other_store = open_sqlite_store(file, fast);
  const auto compare = [&](const std::string& session, std::int64_t turn, std::size_t limit) {
    const auto remembered = store->past_turns(session, turn, limit);
    const auto read = open_sqlite_store(file, fast)->past_turns(session, turn, limit);
    REQUIRE(remembered.size() == read.size());
    for (std::size_t i = 0; i < read.size(); ++i) {
      REQUIRE(remembered[i].turn_id == read[i].turn_id);
      REQUIRE(remembered[i].user_text == read[i].user_text);
      REQUIRE(remembered[i].answer_text == read[i].answer_text);
      REQUIRE(remembered[i].contents == read[i].contents);
      REQUIRE(remembered[i].usage == read[i].usage);
    }
    return read.size();
  };
  store->create_session("one", {}, moment());
  std::size_t compared = 0;
  for (int n = 0; n < 300; ++n) {
    const std::string session = random() % 3 == 0 ? "one" : "two";
    const std::string text = std::to_string(n);
    switch (random() % 12) {
      case 0:
        whole_turn(*other_store, "one", text, "other " + text);
        continue;
      case 1: {
        SqliteFile outside(file);
        outside.exec(
            "PRAGMA foreign_keys=ON; DELETE FROM chat_message WHERE id = (SELECT id FROM "
            "chat_message ORDER BY random() LIMIT 1)");
        continue;
      }
      case 2:
        store->begin_turn([&] {
          NewTurn left = new_turn(session, "left " + text);
          left.create_session = true;
          return left;
        }());
        continue;
      default:
        break;
    }
    NewTurn turn = new_turn(session, text);
    turn.create_session = true;
    turn.idempotency_key = std::to_string(random() % 60);  // now and then resumed or replayed
    turn.fingerprint = "same";
    BegunTurn begun;
    if (code_of([&] { begun = store->begin_turn(turn); })) continue;  // being answered
    if (begun.kind == BegunTurn::Kind::kReplayed) continue;
    compared += compare(session, begun.turn.id, random() % 5 == 0 ? 3 : 8);
    FinishedTurn finished;
    finished.turn_id = begun.turn.id;
    finished.status = static_cast<TurnStatus>(1 + random() % 6);
    if (random() % 8 != 0) finished.answer = "answer " + text;
    finished.contents = "contents " + text;
    finished.usage.total_tokens = n;
    finished.now = moment(n);
    store->finish_turn(finished);
  }
  CHECK(compared > 100);
}

TEST_CASE("Files of other versions of Django open and work") {
  // Written down by hand from what each version's schema editor makes; 3.2 is the one that the
  // Django tests run for real.
  const auto [what, tables] = GENERATE(table<std::string, std::string>({
      {"before 3.2, or with AutoField: integer keys",
       R"(CREATE TABLE "chat_chatsession" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
            "session_id" varchar(255) NOT NULL UNIQUE, "user_name" varchar(255) NULL,
            "user_email" varchar(254) NULL, "user_phone" varchar(20) NULL,
            "created_at" datetime NOT NULL, "updated_at" datetime NOT NULL);
          CREATE TABLE "chat_message" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
            "content" text NOT NULL, "is_bot" bool NOT NULL, "created_at" datetime NOT NULL,
            "session_id" integer NOT NULL REFERENCES "chat_chatsession" ("id")
            DEFERRABLE INITIALLY DEFERRED);
          CREATE INDEX "chat_message_session_id_9abc6edf" ON "chat_message" ("session_id"))"},
      {"1.x: no deferred reference, the unique index by name",
       R"(CREATE TABLE "chat_chatsession" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
            "session_id" varchar(255) NOT NULL, "user_name" varchar(255), "user_email" varchar(254),
            "user_phone" varchar(20), "created_at" datetime NOT NULL, "updated_at" datetime NOT NULL);
          CREATE UNIQUE INDEX "chat_chatsession_session_id_uniq" ON "chat_chatsession"
            ("session_id");
          CREATE TABLE "chat_message" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
            "content" text NOT NULL, "is_bot" bool NOT NULL, "created_at" datetime NOT NULL,
            "session_id" integer NOT NULL REFERENCES "chat_chatsession" ("id"));
          CREATE INDEX "chat_message_7fc8ef54" ON "chat_message" ("session_id"))"},
      {"columns in another order, as after AddField or with the foreign key moved by 4.x and later",
       R"(CREATE TABLE "chat_message" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
            "session_id" bigint NOT NULL REFERENCES "chat_chatsession" ("id")
            DEFERRABLE INITIALLY DEFERRED, "created_at" datetime NOT NULL, "is_bot" bool NOT NULL,
            "content" text NOT NULL);
          CREATE TABLE "chat_chatsession" ("updated_at" datetime NOT NULL,
            "created_at" datetime NOT NULL, "user_phone" varchar(20) NULL,
            "user_email" varchar(254) NULL, "user_name" varchar(255) NULL,
            "session_id" varchar(255) NOT NULL UNIQUE,
            "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT);
          CREATE INDEX "chat_message_session_id_9abc6edf" ON "chat_message" ("session_id"))"},
      {"further columns that may be left out: NULL, or with the db_default of 5.0 and later",
       R"(CREATE TABLE "chat_chatsession" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
            "session_id" varchar(255) NOT NULL UNIQUE, "user_name" varchar(255) NULL,
            "user_email" varchar(254) NULL, "user_phone" varchar(20) NULL,
            "created_at" datetime NOT NULL, "updated_at" datetime NOT NULL,
            "note" text NULL, "flagged" bool DEFAULT 0 NOT NULL);
          CREATE TABLE "chat_message" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
            "content" text NOT NULL, "is_bot" bool NOT NULL, "created_at" datetime NOT NULL,
            "session_id" bigint NOT NULL REFERENCES "chat_chatsession" ("id")
            DEFERRABLE INITIALLY DEFERRED, "meta" text NULL CHECK ((JSON_VALID("meta") OR
            "meta" IS NULL)));
          CREATE INDEX "chat_message_session_id_9abc6edf" ON "chat_message" ("session_id"))"},
  }));
  INFO(what);
  TempDir folder;
  const auto file = folder / "chat.db";
  SqliteFile other(file);
  other.exec(tables);
  other.exec(
      "INSERT INTO chat_chatsession (session_id, created_at, updated_at) VALUES ('one', "
      "'2025-01-01 "
      "00:00:00', '2025-01-01 00:00:00.5'); INSERT INTO chat_message (content, is_bot, created_at, "
      "session_id) VALUES ('q', 0, '2025-01-01 00:00:00', 1), ('a', 1, '2025-01-01 00:00:01', 1)");
  const Strings before = other.rows("SELECT sql FROM sqlite_master WHERE name LIKE 'chat%'");
  const auto store = open_sqlite_store(file);
  CHECK(texts_in(*store, "one") == Strings{"q", "a"});
  whole_turn(*store, "one", "q2", "a2");
  store->update_user("one", {.name = "Jane"}, moment());
  store->create_session("two", {}, moment());
  CHECK(texts_in(*store, "one") == Strings{"q", "a", "q2", "a2"});
  CHECK(store->past_turns("one", 0, 10).size() == 2);
  CHECK(other.rows("SELECT sql FROM sqlite_master WHERE name LIKE 'chat%'") == before);
  CHECK(damage(file).empty());
}

TEST_CASE("What another program deletes takes its turns along") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const auto store = open_sqlite_store(file);
  store->create_session("one", {}, moment());
  const Turn first = whole_turn(*store, "one", "q1", "a1");
  const Turn second = whole_turn(*store, "one", "q2", "a2");
  const std::int64_t pending = store->begin_turn(new_turn("one", "q3")).turn.id;
  SqliteFile other(file);
  other.exec("PRAGMA foreign_keys=ON");

  other.exec("DELETE FROM chat_message WHERE id = " + std::to_string(first.answer->id));
  CHECK(store->turns("one", 10).size() == 3);
  CHECK_FALSE(store->turns("one", 10).at(0).answer);
  CHECK(store->past_turns("one", 0, 10).size() == 1);

  other.exec("DELETE FROM chat_message WHERE id = " + std::to_string(second.user_message.id));
  CHECK(store->turns("one", 10).size() == 2);
  CHECK(texts_in(*store, "one") == Strings{"q1", "a2", "q3"});
  CHECK(store->past_turns("one", 0, 10).empty());

  other.exec("DELETE FROM chat_message; DELETE FROM chat_chatsession");
  CHECK(other.value("SELECT count(*) FROM twinchat_turn") == "0");
  FinishedTurn finished;
  finished.turn_id = pending;
  finished.status = TurnStatus::kComplete;
  CHECK(code_of([&] { store->finish_turn(finished); }) == ErrorCode::kNotFound);
  // Ids are never used again, so that a late finish cannot hit a later turn.
  store->create_session("one", {}, moment());
  CHECK(store->begin_turn(new_turn("one", "q")).turn.id > pending);
  CHECK(damage(file).empty());
}

TEST_CASE("Who holds the lock beside the file is waited for, and who removes it changes nothing") {
  const TempDir folder;
  const auto file = folder / "chat.db";
  const auto store = open_sqlite_store(file, kImpatient);
  const auto take = [&] {
    const int fd = ::open((file.string() + "-lock").c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE(::flock(fd, LOCK_EX | LOCK_NB) == 0);  // nobody holds it between two writings
    return fd;
  };
  int held = take();
  CHECK(code_of([&] { store->create_session("a", {}, moment()); }) == ErrorCode::kUnavailable);
  CHECK(code_of([&] { open_sqlite_store(file, kImpatient); }) == ErrorCode::kUnavailable);
  CHECK_FALSE(store->find_session("a"));  // readers wait for nobody
  ::close(held);
  store->create_session("a", {}, moment());

  std::filesystem::remove(file.string() + "-lock");
  store->create_session("b", {}, moment());
  held = take();  // it is there again, and counts
  CHECK(code_of([&] { store->create_session("c", {}, moment()); }) == ErrorCode::kUnavailable);
  ::close(held);
  store->create_session("c", {}, moment());
}

}  // namespace
}  // namespace twinchat::testing
