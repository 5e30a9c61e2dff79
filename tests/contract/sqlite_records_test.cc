// What Records and Accounts promise on a SQLite file beyond the contract: an index that follows
// whoever writes, an audit log that cannot be changed, erasure down to the bytes.

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "databases.h"
#include "sqlite_file.h"
#include "stores.h"
#include "temp_dir.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

using Strings = std::vector<std::string>;

std::size_t found(Records& records, const std::string& search) {
  SessionQuery query;
  query.search = search;
  return records.sessions(query).rows.size();
}

// Whether the index holds what it would if it were made anew.
void check_index(const std::filesystem::path& file) {
  SqliteFile database(file);
  CHECK(database.value("SELECT sessions || ' ' || messages || ' ' || leads FROM twinchat_index") ==
        database.value("SELECT (SELECT count(*) FROM chat_chatsession) || ' ' || (SELECT count(*) "
                       "FROM chat_message) || ' ' || (SELECT count(*) FROM chat_chatsession WHERE "
                       "user_email <> '' OR user_phone <> '')"));
  CHECK(database.rows("SELECT id || ' ' || message_count || ' ' || coalesce(last_message, 0) FROM "
                      "twinchat_session ORDER BY id") ==
        database.rows("SELECT s.id || ' ' || count(m.id) || ' ' || coalesce(max(m.id), 0) FROM "
                      "chat_chatsession AS s LEFT JOIN chat_message AS m ON m.session_id = s.id "
                      "GROUP BY s.id ORDER BY s.id"));
}

TEST_CASE("What another program writes is listed, counted and found") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const Database database = open_sqlite_database(file);
  database.store->create_session("one", {"Jane", {}, {}}, moment());
  whole_turn(*database.store, "one", "mangos", "answer");
  CHECK(found(*database.records, "mangos") == 1);
  const auto other = [&](const std::string& sql) {
    SqliteFile(file).exec("PRAGMA foreign_keys=ON; PRAGMA recursive_triggers=ON; " + sql);
  };
  other(
      "INSERT INTO chat_chatsession (session_id, user_name, created_at, updated_at) VALUES "
      "('two', 'Gerda', '2025-12-27 00:00:00', '2025-12-27 00:00:00')");
  other(
      "INSERT INTO chat_message (content, is_bot, created_at, session_id) VALUES ('papayas', 0, "
      "'2025-12-27 00:00:00', 2)");
  CHECK(found(*database.records, "gerda papayas") == 1);
  CHECK(database.records->totals() == Totals{2, 3, 0});
  other("UPDATE chat_message SET content = 'cherries' WHERE content = 'mangos'");
  CHECK(found(*database.records, "mangos") == 0);
  CHECK(found(*database.records, "cherries jane") == 1);
  other(
      "UPDATE chat_chatsession SET user_name = 'Hanna', user_email = 'h@example.com' WHERE id = 2");
  CHECK(found(*database.records, "gerda") == 0);
  CHECK(found(*database.records, "hanna") == 1);
  CHECK(database.records->totals().leads == 1);
  check_index(file);
  other("DELETE FROM chat_message WHERE session_id = 1; DELETE FROM chat_chatsession WHERE id = 1");
  CHECK(found(*database.records, "cherries") == 0);
  CHECK(database.records->totals() == Totals{1, 1, 1});
  check_index(file);
  CHECK(damage(file).empty());
}

TEST_CASE("Rows that come back under their ids, as from a dump, are listed, found and deleted") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const Database database = open_sqlite_database(file);
  database.store->create_session("one", {"Jane", {}, {}}, moment());
  whole_turn(*database.store, "one", "mangos", "answer");
  CHECK(found(*database.records, "mangos") == 1);
  SqliteFile other(file);
  other.exec(
      "DELETE FROM twinchat_turn; CREATE TABLE sessions AS SELECT * FROM chat_chatsession;"
      "CREATE TABLE messages AS SELECT * FROM chat_message;"
      "DELETE FROM chat_message; DELETE FROM chat_chatsession");
  CHECK(database.records->totals() == Totals{0, 0, 0});
  other.exec(
      "INSERT INTO chat_chatsession SELECT * FROM sessions;"
      "INSERT INTO chat_message SELECT * FROM messages");
  CHECK(found(*database.records, "mangos jane") == 1);
  CHECK(database.records->totals() == Totals{1, 2, 0});
  check_index(file);
  // Ids that move into the index, within it and out of it; also one that is less than any.
  for (const char* id : {"0", "-7", "1000", "1"}) {
    CAPTURE(id);
    other.exec("UPDATE chat_message SET id = " + std::string(id) + " WHERE content = 'mangos'");
    CHECK(found(*database.records, "mangos jane") == 1);
    check_index(file);
  }
  other.exec("DELETE FROM chat_message; DELETE FROM chat_chatsession");
  CHECK(database.records->totals() == Totals{0, 0, 0});
  CHECK(found(*database.records, "mangos") == 0);
  CHECK(damage(file).empty());
}

TEST_CASE("A file that had no index gets one, and says until then that it is not complete") {
  TempDir folder;
  const auto file = folder / "chat.db";
  constexpr int kSessions = 1'500;
  {
    const auto store = open_sqlite_store(file);
    for (int i = 0; i < kSessions; ++i) {
      store->create_session("s" + std::to_string(i), {"Visitor", {}, {}}, moment(i));
    }
    whole_turn(*store, "s1499", "the last question", "a");
  }
  const Database database = open_sqlite_database(file);
  REQUIRE(eventually([&] { return database.records->sessions({}).complete; }));
  CHECK(database.records->totals() == Totals{kSessions, 2, 0});
  CHECK(found(*database.records, "\"last question\"") == 1);
  check_index(file);
}

TEST_CASE("Triggers that a rebuilt table lost are made again, and the index with them") {
  TempDir folder;
  const auto file = folder / "chat.db";
  {
    const Database database = open_sqlite_database(file);
    database.store->create_session("one", {}, moment());
    whole_turn(*database.store, "one", "mangos", "a");
    CHECK(found(*database.records, "mangos") == 1);
  }
  SqliteFile(file).exec("DROP TRIGGER twinchat_message_changed");
  SqliteFile(file).exec("UPDATE chat_message SET content = 'papayas' WHERE content = 'mangos'");
  const Database database = open_sqlite_database(file);
  CHECK(found(*database.records, "mangos") == 0);
  CHECK(found(*database.records, "papayas") == 1);
  check_index(file);
  // Also while the database is open.
  SqliteFile(file).exec(
      "BEGIN; DROP TRIGGER twinchat_message_changed; UPDATE chat_message SET content = 'cherries' "
      "WHERE content = 'papayas'; COMMIT");
  CHECK(eventually([&] { return found(*database.records, "cherries") == 1; }));
  CHECK(found(*database.records, "papayas") == 0);
}

TEST_CASE("The index of an earlier version, which did not see rows come back, is kept") {
  TempDir folder;
  const auto file = folder / "chat.db";
  {
    const Database database = open_sqlite_database(file);
    database.store->create_session("one", {}, moment());
    whole_turn(*database.store, "one", "mangos", "a");
    CHECK(found(*database.records, "mangos") == 1);
  }
  SqliteFile(file).exec(
      "DROP TRIGGER twinchat_session_returned; DROP TRIGGER twinchat_message_returned");
  open_sqlite_store(file);
  CHECK(SqliteFile(file).value("SELECT last_message FROM twinchat_index") == "2");
  CHECK(SqliteFile(file).value("SELECT count(*) FROM sqlite_master WHERE name LIKE "
                               "'twinchat%returned'") == "2");
}

TEST_CASE("Nothing changes or removes an entry of the audit log") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const Database database = open_sqlite_database(file);
  database.accounts->record(by_op("view"));
  SqliteFile other(file);
  CHECK_THROWS(other.exec("DELETE FROM twinchat_audit"));
  CHECK_THROWS(other.exec("UPDATE twinchat_audit SET user = 'nobody'"));
  CHECK(database.accounts->audit({}).rows.size() == 1);
}

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_CASE("Of an erased person no file of the database holds anything") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const Strings traces{"Zaphodia", "zaphodia",    "Beeblebroxine", "beeblebroxine",
                       "5554242",  "pangalactic", "gargleblaster"};
  const Database database = open_sqlite_database(file);
  database.store->create_session("kept", {"Jane", {}, {}}, moment());
  whole_turn(*database.store, "kept", "q", "a");
  database.store->create_session(
      "gone", {"Zaphodia", "zaphodia@beeblebroxine.example", "+1 5554242"}, moment());
  for (int i = 0; i < 50; ++i) {
    FinishedTurn finished;
    finished.turn_id = database.store->begin_turn(new_turn("gone", "a pangalactic drink")).turn.id;
    finished.status = TurnStatus::kComplete;
    finished.answer = "the gargleblaster";
    finished.contents = "[gargleblaster]";
    finished.now = moment();
    database.store->finish_turn(finished);
  }
  CHECK(found(*database.records, "gargleblaster zaphodia") == 1);
  // In both files, or this proves nothing.
  CHECK((bytes_of(file) + bytes_of(file.string() + "-wal")).find("gargleblaster") !=
        std::string::npos);

  const auto person = database.records->sessions_of({.email = "zaphodia@beeblebroxine.example"});
  CHECK(database.records->erase(person, by_op("erase")) == Erased{1, 100});
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    const std::string bytes = bytes_of(entry.path());
    for (const std::string& trace : traces) {
      INFO(entry.path().filename() << ": " << trace);
      CHECK(bytes.find(trace) == std::string::npos);
    }
  }
  CHECK(found(*database.records, "gargleblaster") == 0);
  CHECK(found(*database.records, "jane") == 1);
  check_index(file);
  CHECK(damage(file).empty());
}

TEST_CASE("A reader that is in the way keeps the log only for as long as it reads") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const Database database =
      open_sqlite_database(file, {.busy_timeout = std::chrono::milliseconds(50)});
  database.store->create_session("gone", {"Zaphodia", {}, {}}, moment());
  {
    SqliteFile reader(file);
    reader.exec("BEGIN");
    CHECK(reader.value("SELECT count(*) FROM chat_chatsession") == "1");
    CHECK(database.records->erase({"gone"}, by_op("erase")) == Erased{1, 0});
    reader.exec("COMMIT");
  }
  database.accounts->record(by_op("view"));  // the next commit
  CHECK((bytes_of(file) + bytes_of(file.string() + "-wal")).find("Zaphodia") == std::string::npos);
}

TEST_CASE("What has expired is gone down to the bytes, and one that comes back meanwhile stays") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const Database database = open_sqlite_database(file);
  const Timestamp later = moment() + std::chrono::hours(100);
  for (const char* id : {"gone", "back"}) {
    database.store->create_session(id, {"Zaphodia", {}, {}}, moment());
    whole_turn(*database.store, id, "gargleblaster?", "answer");
  }
  database.records->sessions({});  // both are listed with their old times
  SqliteFile(file).exec(
      "UPDATE chat_chatsession SET updated_at = '2026-01-26 12:00:00', user_name "
      "= NULL WHERE session_id = 'back'");
  SqliteFile(file).exec("UPDATE chat_message SET content = 'x' WHERE session_id = 2");
  CHECK(database.records->erase_expired({.before = later}, by_op("erase", "session")) ==
        Erased{1, 2});
  CHECK(database.records->session("back"));
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    const std::string bytes = bytes_of(entry.path());
    CHECK(bytes.find("Zaphodia") == std::string::npos);
    CHECK(bytes.find("gargleblaster") == std::string::npos);
  }
  CHECK(found(*database.records, "gargleblaster") == 0);
  check_index(file);
  CHECK(damage(file).empty());
}

TEST_CASE("A lease is one program's until it expires") {
  TempDir folder;
  const Database one = open_sqlite_database(folder / "chat.db");
  const Database other = open_sqlite_database(folder / "chat.db");
  const auto minute = [](int n) { return moment(n * std::int64_t{60'000'000}); };
  CHECK(one.records->take_lease("work", "one", minute(0), minute(5)));
  CHECK_FALSE(other.records->take_lease("work", "other", minute(1), minute(6)));
  CHECK(other.records->take_lease("other work", "other", minute(1), minute(6)));
  CHECK(one.records->take_lease("work", "one", minute(4), minute(9)));
  CHECK_FALSE(other.records->take_lease("work", "other", minute(6), minute(11)));
  CHECK(other.records->take_lease("work", "other", minute(9), minute(14)));
  CHECK_FALSE(one.records->take_lease("work", "one", minute(10), minute(15)));
}

TEST_CASE("Chats and an operator's work go on at the same time") {
  TempDir folder;
  const auto file = folder / "chat.db";
  const Database database = open_sqlite_database(file);
  for (int s = 0; s < 4; ++s) database.store->create_session("s" + std::to_string(s), {}, moment());
  {
    std::vector<std::jthread> threads;
    for (int s = 0; s < 3; ++s) {
      threads.emplace_back([&, s] {
        for (int i = 0; i < 40; ++i) {
          whole_turn(*database.store, "s" + std::to_string(s), "question " + std::to_string(i),
                     "a");
        }
      });
    }
    threads.emplace_back([&] {
      for (int i = 0; i < 40; ++i) {
        database.records->add_message("s3", "note " + std::to_string(i), true, moment(),
                                      by_op("add"));
        database.records->sessions({.search = "question"});
        database.records->messages({.search = "note"});
      }
    });
  }
  CHECK(database.records->totals() == Totals{4, 280, 0});
  CHECK(database.records->messages({.search = "note"}).count == 40);
  check_index(file);
  CHECK(damage(file).empty());
}

}  // namespace
}  // namespace twinchat::testing
