// Backups of a SQLite file: made while others write, verified, restored; what is damaged, half done
// or in use is told and left alone.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "process.h"
#include "sqlite_file.h"
#include "stores.h"
#include "temp_dir.h"
#include "twinchat/backup.h"
#include "twinchat/database.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

Strings names_in(const fs::path& folder) {
  Strings names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// A database with a conversation, and `filler` bytes of further messages.
void make_database(const fs::path& file, std::size_t filler = 0) {
  {
    const Database database = open_sqlite_database(file);
    database.store->create_session("one", {"Jane", "jane@example.com", {}}, moment());
    whole_turn(*database.store, "one", "mangos", "papayas");
    database.records->sessions({});  // brings the index up to date
  }
  if (filler == 0) return;
  SqliteFile(file).exec(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
      std::to_string(filler / 1000) +
      ") INSERT INTO chat_message (content, is_bot, created_at, session_id) SELECT "
      "hex(randomblob(480)), 1, '2025-12-26 12:00:00', 1 FROM n");
}

// Makes a page in the middle of the file unreadable as what it is.
void damage_page(const fs::path& file, std::size_t page) {
  std::string bytes = bytes_of(file);
  REQUIRE(bytes.size() > (page + 1) * 4096);
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(page * 4096), 4096, '\x5a');
  write_bytes(file, bytes);
}

std::set<std::string> acknowledged(const Process& writer) {
  std::set<std::string> found;
  std::istringstream lines(writer.output());
  for (std::string line; std::getline(lines, line) && !lines.eof();) {
    if (line.starts_with("done ")) found.insert(line.substr(5));
  }
  return found;
}

TEST_CASE("A backup made under full writing load holds all that was acknowledged before it") {
  const TempDir folder;
  const auto file = folder / "chat.db";
  make_database(file, 8'000'000);
  Process writer({TWINCHAT_STORE_WRITER, "write", "sqlite:///" + file.string(), "4", "load"});
  REQUIRE(eventually([&] { return acknowledged(writer).size() > 100; }));
  for (int round = 0; round < 3; ++round) {
    const auto copy = folder / ("copy" + std::to_string(round) + ".db");
    const std::set<std::string> before = acknowledged(writer);
    const SqliteReport report = back_up_sqlite(file, copy);
    // The writers were not held up: they write on, and did so meanwhile.
    const std::set<std::string> after = acknowledged(writer);
    CHECK(after.size() > before.size());
    CHECK(report.problems == Strings{});
    CHECK(report.bytes == fs::file_size(copy));
    CHECK(report.messages > static_cast<std::int64_t>(2 * before.size()));

    SqliteFile opened(copy);
    const Strings answers =
        opened.rows("SELECT content FROM chat_message WHERE content LIKE 're: load/%' ORDER BY id");
    const std::set<std::string> held(answers.begin(), answers.end());
    Strings lost;
    std::set_difference(before.begin(), before.end(), held.begin(), held.end(),
                        std::back_inserter(lost));
    CHECK(lost == Strings{});
    // One moment: of each thread's answers the first ones, without a gap.
    std::map<std::string, std::set<int>> numbers;
    for (const std::string& answer : answers) {
      const std::size_t slash = answer.rfind('/');
      numbers[answer.substr(0, slash)].insert(std::stoi(answer.substr(slash + 1)));
    }
    for (const auto& [thread, found] : numbers) {
      CHECK(static_cast<int>(found.size()) == *found.rbegin() + 1);
    }
    CHECK(opened.value("SELECT count(*) FROM twinchat_turn WHERE status = 'complete' AND "
                       "answer_message_id IS NULL") == "0");
  }
  CHECK(writer.running());
  writer.kill();
  writer.wait_exit();
  CHECK(damage(file) == Strings{});
}

TEST_CASE("A backup is one file, its owner's alone, that needs no log") {
  const TempDir folder;
  make_database(folder / "chat.db");
  const auto open = open_sqlite_store(folder / "chat.db");
  fs::create_directory(folder / "backups");
  const auto copy = folder / "backups" / "copy.db";
  const SqliteReport report = back_up_sqlite(folder / "chat.db", copy);
  CHECK(report.ok());
  CHECK(report.sessions == 1);
  CHECK(report.messages == 2);
  CHECK(report.turns == 1);
  CHECK(names_in(folder / "backups") == Strings{"copy.db"});
  CHECK(fs::status(copy).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(SqliteFile(copy).value("PRAGMA journal_mode") == "delete");
  CHECK(code_of([&] { back_up_sqlite(folder / "chat.db", copy); }) == ErrorCode::kAlreadyExists);
  CHECK(code_of([&] { back_up_sqlite(folder / "none.db", folder / "new.db"); }) ==
        ErrorCode::kNotFound);
  CHECK_FALSE(fs::exists(folder / "none.db"));
  CHECK_FALSE(fs::exists(folder / "new.db.partial"));
}

TEST_CASE("A backup that is stopped leaves nothing behind") {
  const TempDir folder;
  make_database(folder / "chat.db", 4'000'000);
  fs::create_directory(folder / "backups");
  std::stop_source source;
  std::jthread stopper([&] {
    eventually([&] { return fs::exists(folder / "backups" / "copy.db.partial"); });
    source.request_stop();
  });
  CHECK(code_of([&] {
          back_up_sqlite(folder / "chat.db", folder / "backups" / "copy.db",
                         {.pages_at_once = 1, .stop = source.get_token()});
        }) == ErrorCode::kCancelled);
  stopper.join();
  CHECK(names_in(folder / "backups") == Strings{});
  CHECK(code_of([&] { verify_sqlite(folder / "chat.db", source.get_token()); }) ==
        ErrorCode::kCancelled);
}

TEST_CASE("A damaged database is told, and makes no backup") {
  const TempDir folder;
  const auto file = folder / "chat.db";
  make_database(file, 400'000);
  back_up_sqlite(file, folder / "good.db");
  SqliteFile(file).exec("PRAGMA wal_checkpoint(TRUNCATE)");
  damage_page(file, 70);
  const SqliteReport report = verify_sqlite(file);
  CHECK_FALSE(report.ok());
  CHECK(report.damaged);
  CHECK(code_of([&] { back_up_sqlite(file, folder / "bad.db"); }) == ErrorCode::kDataLoss);
  CHECK_FALSE(fs::exists(folder / "bad.db"));
  CHECK_FALSE(fs::exists(folder / "bad.db.partial"));
}

TEST_CASE("A restored database is the backup, and the replaced one is kept with its log") {
  const TempDir folder;
  const auto file = folder / "chat.db";
  make_database(file);
  back_up_sqlite(file, folder / "copy.db");
  {
    // Dies with its writes in the log alone.
    Process writer({TWINCHAT_STORE_WRITER, "write", "sqlite:///" + file.string(), "1", "later"});
    REQUIRE(writer.wait_for_line("done "));
    writer.kill();
    writer.wait_exit();
  }
  REQUIRE(commits_in_wal(file) > 0);
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
  const RestoredSqlite restored = restore_sqlite(folder / "copy.db", file, moment());
  CHECK(restored.report.messages == 2);
  CHECK(restored.replaced.filename() == "chat.db.replaced-20251226T120000Z");
  CHECK_FALSE(fs::exists(file.string() + "-wal"));
  CHECK(fs::status(file).permissions() ==
        (fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read));
  CHECK(damage(file) == Strings{});
  CHECK(SqliteFile(restored.replaced)
            .value("SELECT count(*) > 0 FROM chat_message WHERE content LIKE 're: later%'") == "1");
  const auto store = open_sqlite_store(file);
  const std::vector<Message> messages = store->messages("one", {});
  REQUIRE(messages.size() == 2);
  CHECK(messages[0].text == "mangos");
  CHECK(store->messages("later", {}).empty());
}

TEST_CASE("A database that somebody has open is not replaced") {
  const TempDir folder;
  const auto file = folder / "chat.db";
  make_database(file);
  back_up_sqlite(file, folder / "copy.db");
  const auto refused = [&] {
    return code_of([&] { restore_sqlite(folder / "copy.db", file, moment()); });
  };
  {
    Process writer({TWINCHAT_STORE_WRITER, "pending", "sqlite:///" + file.string()});
    REQUIRE(writer.wait_for_line("pending"));
    CHECK(refused() == ErrorCode::kFailedPrecondition);
    // Neither has the trying let go of its locks.
    CHECK(refused() == ErrorCode::kFailedPrecondition);
    writer.kill();
    writer.wait_exit();
  }
  {
    const auto store = open_sqlite_store(file);
    CHECK(refused() == ErrorCode::kFailedPrecondition);
    CHECK(refused() == ErrorCode::kFailedPrecondition);
    whole_turn(*store, "one", "still", "writing");
  }
  CHECK(names_in(folder.path()) == Strings{"chat.db", "chat.db-lock", "copy.db"});
  CHECK(refused() == std::nullopt);
}

TEST_CASE("What is damaged, newer or no database is not restored, and changes nothing") {
  const TempDir folder;
  const auto file = folder / "chat.db";
  make_database(file, 400'000);
  back_up_sqlite(file, folder / "damaged.db");
  back_up_sqlite(file, folder / "newer.db");
  damage_page(folder / "damaged.db", 70);
  SqliteFile(folder / "newer.db").exec("UPDATE twinchat_schema SET version = 999");
  write_bytes(folder / "notes.db", "This is no database." + std::string(8192, 'x'));
  SqliteFile(folder / "other.db").exec("CREATE TABLE somebody_elses (id integer)");
  const std::string before = bytes_of(file);
  const auto code = [&](const char* name) {
    return code_of([&] { restore_sqlite(folder / name, file, moment()); });
  };
  CHECK(code("damaged.db") == ErrorCode::kDataLoss);
  CHECK(code("newer.db") == ErrorCode::kFailedPrecondition);
  CHECK(code("notes.db") == ErrorCode::kDataLoss);
  CHECK(code("other.db") == ErrorCode::kFailedPrecondition);
  CHECK(code("none.db") == ErrorCode::kNotFound);
  CHECK(code("chat.db") == ErrorCode::kInvalidArgument);
  CHECK(bytes_of(file) == before);
  CHECK_FALSE(fs::exists(folder / "chat.db.partial"));
}

TEST_CASE("A backup takes the place of a database that is damaged or not there") {
  const TempDir folder;
  make_database(folder / "chat.db");
  back_up_sqlite(folder / "chat.db", folder / "copy.db");
  write_bytes(folder / "bad.db", std::string(10'000, 'x'));
  const RestoredSqlite over = restore_sqlite(folder / "copy.db", folder / "bad.db", moment());
  CHECK(bytes_of(over.replaced) == std::string(10'000, 'x'));
  CHECK(open_sqlite_store(folder / "bad.db")->messages("one", {}).size() == 2);
  CHECK(restore_sqlite(folder / "copy.db", folder / "new.db", moment()).replaced.empty());
  CHECK(open_sqlite_store(folder / "new.db")->messages("one", {}).size() == 2);
}

TEST_CASE("Rows that do not fit together are told in numbers, and still make a backup") {
  const TempDir folder;
  const auto file = folder / "chat.db";
  make_database(file);
  const auto problems_after = [&](const std::string& sql) {
    fs::remove(folder / "broken.db");
    back_up_sqlite(file, folder / "broken.db");
    SqliteFile(folder / "broken.db").exec("PRAGMA foreign_keys=OFF; " + sql);
    const SqliteReport report = verify_sqlite(folder / "broken.db");
    CHECK_FALSE(report.damaged);
    fs::remove(folder / "again.db");
    CHECK(back_up_sqlite(folder / "broken.db", folder / "again.db").problems == report.problems);
    return report.problems;
  };
  CHECK(problems_after("SELECT 1") == Strings{});
  CHECK(problems_after("UPDATE twinchat_turn SET session_id = 77") ==
        Strings{"1 turns whose question is not in their session",
                "1 turns whose answer is not in their session", "1 turns of no session"});
  CHECK(problems_after("UPDATE twinchat_turn SET answer_message_id = 77") ==
        Strings{"1 rows of twinchat_turn refer to rows that are not there",
                "1 turns whose answer is not in their session"});
  CHECK(problems_after("UPDATE twinchat_turn SET status = 'mangos'") ==
        Strings{"1 turns with an unknown status"});
  CHECK(problems_after("UPDATE twinchat_index SET last_message = 0") ==
        Strings{"2 messages by which their count is wrong"});
  CHECK(problems_after("INSERT INTO twinchat_message_search (twinchat_message_search, rowid, text) "
                       "VALUES ('delete', 1, 'mangos')") ==
        Strings{"1 messages are missing in the search index"});
  CHECK(problems_after("UPDATE twinchat_session SET message_count = 5") ==
        Strings{"1 sessions with a wrong count of messages"});
  CHECK(problems_after("DELETE FROM twinchat_session") ==
        Strings{"1 sessions are missing in the search index"});
}

TEST_CASE("A file that Django alone made is backed up and verified as it is") {
  const TempDir folder;
  SqliteFile(folder / "db.sqlite3").exec(kDjangoTables);
  SqliteFile(folder / "db.sqlite3")
      .exec(
          "INSERT INTO chat_chatsession (session_id, created_at, updated_at) VALUES ('old', "
          "'2025-12-26 12:00:00', '2025-12-26 12:00:00')");
  const std::string before = bytes_of(folder / "db.sqlite3");
  const SqliteReport report = back_up_sqlite(folder / "db.sqlite3", folder / "copy.db");
  CHECK(report.ok());
  CHECK(report.schema_version == 0);
  CHECK(report.sessions == 1);
  CHECK(bytes_of(folder / "db.sqlite3") == before);
  CHECK(open_sqlite_store(folder / "copy.db")->find_session("old"));
}

TEST_CASE("A folder of backups keeps the newest ones, and other files whatever they are") {
  const TempDir folder;
  const BackupFolder backups(folder / "backups");
  CHECK(backups.entries().empty());
  CHECK_FALSE(backups.newest());
  const fs::path first = backups.new_name(moment(), ".db");
  CHECK(first.filename() == "twinchat-20251226T120000Z.db");
  CHECK(fs::status(folder / "backups").permissions() == fs::perms::owner_all);
  write_bytes(first, "1");
  const fs::path second = backups.new_name(moment(900'000), ".db");
  CHECK(second.filename() == "twinchat-20251226T120000Z-2.db");
  write_bytes(second, "2");
  const fs::path third = backups.new_name(moment(60'000'000), ".dump");
  CHECK(third.filename() == "twinchat-20251226T120100Z.dump");
  write_bytes(third, "3");
  const Strings others = {"twinchat-20251226T120000Z.txt",    "notes.db",
                          "twinchat-20251226T120000Z-1.db",   "twinchat-20251326T120000Z.db",
                          "twinchat-20251226T120000Z.db.bak", "twinchat-2025122xT120000Z.db",
                          "twinchat-20251226T250000Z.db"};
  for (const std::string& name : others) write_bytes(folder / "backups" / name, "x");
  REQUIRE(backups.entries().size() == 3);
  CHECK(backups.entries()[0].file == third);
  CHECK(backups.entries()[1].file == second);
  CHECK(backups.newest() == moment(60'000'000));
  // One of a clock that was ahead does not stand in the way of others.
  CHECK(backups.newest(moment(1'000'000)) == moment());
  CHECK(backups.keep(1, moment(1'000'000)) == std::vector<fs::path>{first});
  write_bytes(first, "1");
  CHECK_FALSE(backups.newest(moment(-1)));
  CHECK(backups.keep(2) == std::vector<fs::path>{first});
  CHECK(backups.keep(0) == std::vector<fs::path>{second});
  CHECK(names_in(folder / "backups").size() == 1 + others.size());
}

TEST_CASE("What a dead process left of a backup is removed, what a living one makes is not") {
  const TempDir folder;
  const auto dead = folder / "twinchat-20251226T120000Z.db.partial";
  const auto alive = folder / "twinchat-20251226T120001Z.db.partial";
  const auto foreign = folder / "film.partial";
  for (const fs::path& path : {dead, fs::path(dead.string() + "-journal"), alive, foreign}) {
    write_bytes(path, "x");
  }
  const int fd = ::open(alive.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(::flock(fd, LOCK_EX) == 0);
  {
    BackupFile file(folder / "copy.db");
    write_bytes(file.partial(), "whole");
    CHECK(names_in(folder.path()) ==
          Strings{"copy.db.partial", "film.partial", "twinchat-20251226T120001Z.db.partial"});
    CHECK(code_of([&] { BackupFile again(folder / "copy.db"); }) == ErrorCode::kAlreadyExists);
    file.complete();
  }
  ::close(fd);
  CHECK(bytes_of(folder / "copy.db") == "whole");
}

}  // namespace
}  // namespace twinchat::testing
