// The commands backup, verify and restore beside a running server, and the server's own backups.

#include <csignal>
#include <filesystem>
#include <thread>

#include "../contract/sqlite_file.h"
#include "catch.h"
#include "chat_server.h"
#include "ended.h"
#include "twinchat/backup.h"
#include "wait.h"
#ifdef TWINCHAT_TEST_POSTGRES
#include "postgres_server.h"
#endif

namespace twinchat::testing {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> backups_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const BackupFolder::Entry& entry : BackupFolder(folder).entries()) {
    files.push_back(entry.file);
  }
  return files;
}

// What is in a folder beside backups.
std::size_t others_in(const fs::path& folder) {
  const auto all = static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  return all - backups_in(folder).size();
}

TEST_CASE("The command backup copies what the server has acknowledged while it answers on") {
  ChatServer server;
  const std::string session = server.new_session();
  REQUIRE(server.ask(session, "mangos").status == 200);
  std::atomic<bool> stop{false};
  std::atomic<int> refused{0};
  std::atomic<int> answered{0};
  std::vector<std::jthread> visitors;
  for (int i = 0; i < 4; ++i) {
    visitors.emplace_back([&] {
      const std::string own = server.new_session();
      while (!stop) {
        if (server.ask(own, "more").status == 200) {
          ++answered;
        } else {
          ++refused;
        }
      }
    });
  }
  const fs::path folder = server.folder() / "backups";
  const auto environment = database_of(server);
  for (int i = 0; i < 3; ++i) {
    const int before = answered;
    const Ended ended =
        run({"backup", folder.string() + "/", "--keep", "2"}, environment, server.folder());
    INFO(ended.errors);
    CHECK(ended.status == 0);
    CHECK(ended.output.find("verified") != std::string::npos);
    CHECK(eventually([&] { return answered > before; }));
  }
  stop = true;
  visitors.clear();
  CHECK(refused == 0);
  const std::vector<fs::path> made = backups_in(folder);
  REQUIRE(made.size() == 2);
  CHECK(others_in(folder) == 0);
  CHECK(SqliteFile(made[0]).value("SELECT count(*) FROM chat_message WHERE content = 'mangos'") ==
        "1");
  const Ended verified = run({"verify", made[0].string()}, environment, server.folder());
  CHECK(verified.status == 0);
  CHECK(verified.output.find("in order") != std::string::npos);
  // The running server's own database can be looked at, too.
  CHECK(run({"verify", "chat.db"}, environment, server.folder()).status == 0);
}

TEST_CASE(
    "A backup that is killed leaves no half file under its name, and the next one tidies up") {
  const TempDir folder;
  const Environment environment = {{"DEBUG", "1"}, {"DATABASE_URL", "sqlite:///chat.db"}};
  REQUIRE(run({"migrate"}, environment, folder.path()).status == 0);
  SqliteFile(folder / "chat.db")
      .exec(
          "INSERT INTO chat_chatsession (session_id, created_at, updated_at) VALUES ('one', "
          "'2025-12-26 12:00:00', '2025-12-26 12:00:00'); WITH RECURSIVE n(i) AS (SELECT 1 UNION "
          "ALL SELECT i + 1 FROM n WHERE i < 30000) INSERT INTO chat_message (content, is_bot, "
          "created_at, session_id) SELECT hex(randomblob(480)), 1, '2025-12-26 12:00:00', 1 FROM "
          "n");
  const fs::path backups = folder / "backups";
  fs::create_directory(backups);
  int in_the_middle = 0;
  for (int round = 0; round < 20 && in_the_middle < 3; ++round) {
    const auto process = start_program({"backup", backups.string()}, environment, folder.path());
    const bool begun = eventually([&] {
      std::error_code none;
      for (const auto& entry : fs::directory_iterator(backups)) {
        if (entry.path().extension() == ".partial" && entry.file_size(none) > 0) return true;
      }
      return !process->running();
    });
    CHECK(begun);
    process->kill();
    process->wait_exit();
    if (others_in(backups) > 0) ++in_the_middle;
    for (const fs::path& file : backups_in(backups)) CHECK(verify_sqlite(file).ok());
  }
  CHECK(in_the_middle > 0);
  CHECK(others_in(backups) > 0);
  CHECK(run({"backup", backups.string()}, environment, folder.path()).status == 0);
  CHECK(others_in(backups) == 0);
}

TEST_CASE(
    "A server on a restored database shows what the backup held; a running one is left alone") {
  ChatServer server;
  const auto environment = database_of(server);
  const std::string session = server.new_session();
  REQUIRE(server.ask(session, "before the backup").status == 200);
  REQUIRE(run({"backup", "copy.db"}, environment, server.folder()).status == 0);
  REQUIRE(server.ask(session, "after the backup").status == 200);
  const Ended refused = run({"restore", "copy.db"}, environment, server.folder());
  CHECK(refused.status == 1);
  CHECK(refused.errors.find("in use") != std::string::npos);
  REQUIRE(server.ask(session, "still here").status == 200);
  CHECK(server.said(session).size() == 6);

  CHECK(server.stop(SIGKILL) == 128 + SIGKILL);
  const Ended restored = run({"restore", "copy.db"}, environment, server.folder());
  CHECK(restored.status == 0);
  CHECK(restored.output.find("chat.db.replaced-") != std::string::npos);
  server.restart(SIGKILL);
  const std::vector<std::string> said = server.said(session);
  REQUIRE(said.size() == 2);
  CHECK(said[0] == "u:before the backup");
}

TEST_CASE("A backup that is damaged fails verify and restore, and the database stays") {
  const TempDir folder;
  const Environment environment = {{"DEBUG", "1"}, {"DATABASE_URL", "sqlite:///chat.db"}};
  REQUIRE(run({"migrate"}, environment, folder.path()).status == 0);
  REQUIRE(run({"backup", "copy.db"}, environment, folder.path()).status == 0);
  std::string bytes = bytes_of(folder / "copy.db");
  std::fill(bytes.begin() + 8192, bytes.end() - 8192, '\x5a');
  write_bytes(folder / "copy.db", bytes);
  const std::string before = bytes_of(folder / "chat.db");
  CHECK(run({"verify", "copy.db"}, environment, folder.path()).status == 1);
  CHECK(run({"restore", "copy.db"}, environment, folder.path()).status == 1);
  CHECK(bytes_of(folder / "chat.db") == before);
  CHECK(run({"verify", "none.db"}, environment, folder.path()).status == 1);
  CHECK(run({"backup", "chat.db"}, environment, folder.path()).status == 1);
  CHECK(run({"backup", "new.db", "--keep", "3"}, environment, folder.path()).status == 2);
  CHECK(run({"backup", "new.db"}, {{"DEBUG", "1"}, {"DATABASE_URL", "memory:"}}, folder.path())
            .status == 1);
}

TEST_CASE("The server makes backups by itself, keeps the newest, and tells when it made the last") {
  ChatServer server({.env = {{"BACKUP_DIR", "backups"},
                             {"BACKUP_INTERVAL", "1"},
                             {"BACKUP_KEEP", "2"},
                             {"CHAT_RATE_LIMITS", "off"}}});
  const fs::path folder = server.folder() / "backups";
  REQUIRE(eventually([&] { return !backups_in(folder).empty(); }));
  const fs::path first = backups_in(folder).front();
  CHECK(server.metric("twinchat_backup_newest_timestamp_seconds") > 1.7e9);
  CHECK(server.metric("twinchat_backup_failures_total") == 0);
  REQUIRE(eventually([&] { return !fs::exists(first); }));
  CHECK(backups_in(folder).size() <= 3);
  CHECK(server.log().find("verified") != std::string::npos);
  CHECK(server.stop(SIGTERM) == 0);
  for (const fs::path& file : backups_in(folder)) CHECK(verify_sqlite(file).ok());
  CHECK(others_in(folder) == 0);
}

TEST_CASE("A folder that takes no backups is told in the log and counted, and chats go on") {
  const TempDir folder;
  write_bytes(folder / "file", "in the way");
  ChatServer server({.env = {{"BACKUP_DIR", (folder / "file").string()}}});
  CHECK(eventually([&] { return server.metric("twinchat_backup_failures_total") > 0; }));
  CHECK(server.metric("twinchat_backup_newest_timestamp_seconds") == 0);
  CHECK(server.log().find("no backup: ") != std::string::npos);
  CHECK(server.ask(server.new_session(), "hello").status == 200);
}

TEST_CASE("Without PostgreSQL's tools a backup of it says what is missing, and no password") {
  const TempDir folder;
  const Environment environment = {{"DEBUG", "1"},
                                   {"PATH", folder.path().string()},
                                   {"DATABASE_URL", "postgresql://chat:sesame@127.0.0.1:1/chat"}};
  write_bytes(folder / "some.dump", "PGDMP and so on");
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"backup", "new.dump"},
                                                    {"restore", "some.dump"},
                                                    {"verify", "some.dump"}}) {
    const Ended ended = run(arguments, environment, folder.path());
    CHECK(ended.status == 1);
    CHECK(ended.errors.find("on the PATH") != std::string::npos);
    CHECK(ended.errors.find("sesame") == std::string::npos);
  }
  CHECK_FALSE(fs::exists(folder / "new.dump"));
  CHECK_FALSE(fs::exists(folder / "new.dump.partial"));
}

TEST_CASE("An import that is killed is resumed, and what arrives is the same") {
  const TempDir folder;
  const Environment environment = {{"DEBUG", "1"}, {"DATABASE_URL", "sqlite:///to.db"}};
  REQUIRE(run({"migrate"}, {{"DEBUG", "1"}, {"DATABASE_URL", "sqlite:///from.db"}}, folder.path())
              .status == 0);
  SqliteFile(folder / "from.db")
      .exec(
          "INSERT INTO chat_chatsession (session_id, created_at, updated_at) VALUES ('one', "
          "'2025-12-26 12:00:00', '2025-12-26 12:00:00'); WITH RECURSIVE n(i) AS (SELECT 1 UNION "
          "ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO chat_message (content, is_bot, "
          "created_at, session_id) SELECT 'sesame ' || i, 1, '2025-12-26 12:00:00', 1 FROM n");
  const std::vector<std::string> import = {"import", "--from", "sqlite:///from.db"};
  {
    const auto process = start_program(import, environment, folder.path());
    REQUIRE(process->wait_for_line("chat_message, 1000 rows"));
    process->kill();
    process->wait_exit();
  }
  const std::string moved = SqliteFile(folder / "to.db").value("SELECT count(*) FROM chat_message");
  CHECK(moved != "0");
  CHECK(moved != "20000");
  const Ended refused = run(import, environment, folder.path());
  CHECK(refused.status == 1);
  CHECK(refused.errors.find("resume") != std::string::npos);
  std::vector<std::string> again = import;
  again.push_back("--resume");
  const Ended done = run(again, environment, folder.path());
  INFO(done.errors);
  CHECK(done.status == 0);
  CHECK(done.output.find("chat_message 20000 rows, checksum ") != std::string::npos);
  CHECK((done.output + done.errors).find("sesame") == std::string::npos);
  const std::string all = "SELECT group_concat(id || content) FROM chat_message";
  CHECK(SqliteFile(folder / "to.db").value(all) == SqliteFile(folder / "from.db").value(all));
  CHECK(verify_sqlite(folder / "to.db").ok());
}

#ifdef TWINCHAT_TEST_POSTGRES
TEST_CASE("PostgreSQL is backed up, looked through and restored by its own tools") {
  const TempDir folder;
  const PostgresDatabase postgres;
  const char* path = std::getenv("PATH");
  const Environment environment = {
      {"DEBUG", "1"}, {"DATABASE_URL", postgres.url()}, {"PATH", path == nullptr ? "" : path}};
  REQUIRE(run({"migrate"}, environment, folder.path()).status == 0);
  PostgresClient(postgres.url())
      .exec(
          "INSERT INTO chat_chatsession (session_id, created_at, updated_at) VALUES ('one', "
          "now(), now())");
  const Ended made = run({"backup", "backups/", "--keep", "3"}, environment, folder.path());
  INFO(made.errors);
  REQUIRE(made.status == 0);
  const std::vector<fs::path> files = backups_in(folder / "backups");
  REQUIRE(files.size() == 1);
  CHECK(files[0].extension() == ".dump");
  CHECK(fs::status(files[0]).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(run({"verify", files[0].string()}, environment, folder.path()).status == 0);
  const std::vector<std::string> restore = {"restore", files[0].string()};
  {
    PostgresClient other(postgres.url());
    other.exec("UPDATE chat_chatsession SET session_id = 'later'");
    const Ended refused = run(restore, environment, folder.path());
    CHECK(refused.status == 1);
    CHECK(refused.errors.find("in use") != std::string::npos);
  }
  Ended restored;
  // The server may take a moment to see that we are gone.
  CHECK(eventually(
      [&] {
        restored = run(restore, environment, folder.path());
        return restored.status == 0;
      },
      std::chrono::seconds(10)));
  INFO(restored.errors);
  CHECK(backups_in(folder / "backups").size() >= 2);  // what was replaced is kept
  CHECK(PostgresClient(postgres.url()).value("SELECT session_id FROM chat_chatsession") == "one");
  std::string bytes = bytes_of(files[0]);
  write_bytes(files[0], bytes.substr(0, bytes.size() / 2));
  CHECK(run({"verify", files[0].string()}, environment, folder.path()).status == 1);
  for (const Ended& ended : {made, restored}) {
    CHECK((ended.output + ended.errors).find(kPostgresPassword) == std::string::npos);
  }
}
#endif

}  // namespace
}  // namespace twinchat::testing
