// Everything of one database moved to another, of the same or of another kind.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "catch.h"
#include "databases.h"
#include "fixtures.h"
#include "sqlite_file.h"
#include "stores.h"
#include "temp_dir.h"
#include "twinchat/backup.h"
#include "twinchat/transfer.h"
#include "wait.h"
#ifdef TWINCHAT_TEST_POSTGRES
#include "postgres_server.h"
#endif

namespace twinchat::testing {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;
using Contents = std::map<std::string, Strings>;

std::string url_of(const fs::path& file) {
  return "sqlite:///" + file.string();
}

// What is to arrive: log-ins end, and who has what lease is over.
Contents moving(const fs::path& file) {
  Contents found = contents(file);
  for (const char* table : {"twinchat_login", "twinchat_lease", "twinchat_import", "django_session",
                            "django_admin_log"}) {
    found.erase(table);
  }
  std::erase_if(found, [](const auto& table) { return table.second.empty(); });
  return found;
}

// A database with so many sessions, and all kinds of rows.
void make_source(const fs::path& file, int sessions) {
  load_fixture(5, file);
  const Database database = open_sqlite_database(file);
  for (int i = 0; i < sessions; ++i) {
    const std::string id = "s" + std::to_string(i);
    database.store->create_session(id, {"Visitor", {}, std::to_string(i)}, moment(i));
    whole_turn(*database.store, id, "question " + id, "answer");
  }
  database.records->sessions({});
}

TEST_CASE("A database of any version, also Django's alone, arrives whole and can be used") {
  for (const int version : kFixtureVersions) {
    INFO("version " << version);
    const TempDir folder;
    load_fixture(version, folder / "from.db");
    const std::string before = bytes_of(folder / "from.db");
    const auto tables = transfer_database(url_of(folder / "from.db"), url_of(folder / "to.db"),
                                          {.rows_at_once = 2});
    CHECK(bytes_of(folder / "from.db") == before);
    std::int64_t messages = 0;
    for (const TransferredTable& table : tables) {
      CHECK(table.checksum.size() == 32);
      if (table.name == "chat_message") messages = table.rows;
    }
    CHECK(messages == (version == 0 ? 3 : 12));
    const Contents there = moving(folder / "from.db");
    const Contents here = moving(folder / "to.db");
    for (const auto& [table, rows] : there) {
      INFO(table);
      REQUIRE(here.contains(table));
      // Django's models in the tests have columns of their own, which stay behind.
      if (version > 0 || !table.starts_with("chat_")) CHECK(here.at(table) == rows);
    }
    for (const char* sql :
         {"SELECT quote(id) || quote(session_id) || quote(user_name) || quote(user_email) || "
          "quote(user_phone) || quote(created_at) || quote(updated_at) FROM chat_chatsession "
          "ORDER BY id",
          "SELECT quote(id) || quote(content) || quote(is_bot) || quote(created_at) || "
          "quote(session_id) FROM chat_message ORDER BY id"}) {
      CHECK(SqliteFile(folder / "to.db").rows(sql) == SqliteFile(folder / "from.db").rows(sql));
    }
    const Database database = open_sqlite_database(folder / "to.db");
    REQUIRE(eventually([&] { return database.records->sessions({}).complete; }));
    CHECK(database.records->sessions({.search = "mangos"}).rows.size() == (version == 0 ? 1 : 2));
    if (version == 0) CHECK(database.accounts->find_user("boss")->permissions.size() == 2);
    CHECK(verify_sqlite(folder / "to.db").problems == Strings{});
  }
}

TEST_CASE("A transfer that was stopped is told, and goes on where it was") {
  const TempDir folder;
  make_source(folder / "from.db", 60);
  const std::string from = url_of(folder / "from.db");
  const std::string to = url_of(folder / "to.db");
  int stops = 0;
  for (bool done = false; !done;) {
    std::stop_source source;
    int steps = 0;
    TransferOptions options;
    options.resume = stops > 0;
    options.rows_at_once = 10;
    options.stop = source.get_token();
    options.on_progress = [&](const TransferredTable&) {
      if (++steps == 4) source.request_stop();
    };
    const auto code = code_of([&] { transfer_database(from, to, options); });
    done = !code;
    if (done) break;
    CHECK(code == ErrorCode::kCancelled);
    ++stops;
    REQUIRE(stops < 100);
    CHECK(code_of([&] { transfer_database(from, to); }) == ErrorCode::kFailedPrecondition);
  }
  CHECK(stops > 5);
  CHECK(moving(folder / "to.db") == moving(folder / "from.db"));
  // A database with data is no target, whoever filled it.
  CHECK(code_of([&] { transfer_database(from, to); }) == ErrorCode::kFailedPrecondition);
  CHECK(code_of([&] { transfer_database(from, to, {.resume = true}); }) ==
        ErrorCode::kFailedPrecondition);
  CHECK(code_of([&] { transfer_database(url_of(folder / "none.db"), url_of(folder / "x.db")); }) ==
        ErrorCode::kNotFound);
  CHECK(code_of([&] { transfer_database("memory:", to); }) == ErrorCode::kInvalidArgument);
}

TEST_CASE("A row that is changed on the way is noticed at the end") {
  const TempDir folder;
  make_source(folder / "from.db", 20);
  TransferOptions options;
  options.rows_at_once = 10;
  options.on_progress = [&](const TransferredTable& table) {
    if (table.name != "twinchat_audit") return;
    SqliteFile(folder / "to.db").exec("UPDATE chat_message SET content = 'x' WHERE id = 7");
  };
  CHECK(code_of([&] {
          transfer_database(url_of(folder / "from.db"), url_of(folder / "to.db"), options);
        }) == ErrorCode::kDataLoss);
}

#ifdef TWINCHAT_TEST_POSTGRES
TEST_CASE("From SQLite to PostgreSQL and back everything is as it was, and new ids go on") {
  const TempDir folder;
  make_source(folder / "from.db", 250);
  const PostgresDatabase postgres;
  int steps = 0;
  std::stop_source source;
  TransferOptions options;
  options.stop = source.get_token();
  options.rows_at_once = 100;
  options.on_progress = [&](const TransferredTable&) {
    if (++steps == 8) source.request_stop();
  };
  CHECK(code_of([&] { transfer_database(url_of(folder / "from.db"), postgres.url(), options); }) ==
        ErrorCode::kCancelled);
  const auto there =
      transfer_database(url_of(folder / "from.db"), postgres.url(), {.resume = true});
  const auto back = transfer_database(postgres.url(), url_of(folder / "back.db"));
  REQUIRE(there.size() == back.size());
  for (std::size_t i = 0; i < there.size(); ++i) {
    INFO(there[i].name);
    CHECK(there[i].rows == back[i].rows);
    CHECK(there[i].checksum == back[i].checksum);
  }
  CHECK(moving(folder / "back.db") == moving(folder / "from.db"));
  CHECK(verify_sqlite(folder / "back.db").problems == Strings{});
  const Database database = open_database(postgres.url());
  const std::int64_t newest = database.store->find_session("s249")->id;
  CHECK(database.store->create_session("one more", {}, moment()).id == newest + 1);
  CHECK(whole_turn(*database.store, "one more", "q", "a").answer->text == "a");
  CHECK(database.accounts->find_user("boss"));
  CHECK(database.store->consents("first").size() == 1);
  CHECK(database.records->totals().sessions == 254);
}

TEST_CASE("Django's own database moves to PostgreSQL with its users and their permissions") {
  const TempDir folder;
  load_fixture(0, folder / "db.sqlite3");
  const PostgresDatabase postgres;
  transfer_database(url_of(folder / "db.sqlite3"), postgres.url());
  const Database database = open_database(postgres.url());
  CHECK(database.accounts->find_user("boss")->permissions ==
        Strings{"chat.view_chatsession", "chat.view_message"});
  CHECK(database.store->messages("first", {}).size() == 3);
}
#endif

}  // namespace
}  // namespace twinchat::testing
