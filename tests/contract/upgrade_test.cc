// Databases as every version of the schema left them open with today's library, with all that was
// in them. fixtures/README.md says how they were made.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "chance.h"
#include "fixtures.h"
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

// The newest version there is.
int newest_version() {
  const TempDir folder;
  open_sqlite_store(folder / "new.db");
  return verify_sqlite(folder / "new.db").schema_version;
}

// What was in every table before is there.
void check_kept(const std::map<std::string, Strings>& before,
                const std::map<std::string, Strings>& after) {
  for (const auto& [table, rows] : before) {
    INFO(table);
    REQUIRE(after.contains(table));
    CHECK(after.at(table) == rows);
  }
}

TEST_CASE("A database of every schema version is brought up to date with all that is in it") {
  const int newest = newest_version();
  // Whoever makes the eighth version makes a fixture of the seventh. Versions 6 and 7 only added
  // a table and indexes to the fifth.
  CHECK(newest == 7);
  for (const int version : kFixtureVersions) {
    INFO("version " << version);
    const TempDir folder;
    const auto file = folder / "chat.db";
    load_fixture(version, file);
    CHECK(damage(file) == Strings{});
    CHECK(verify_sqlite(file).schema_version == version);
    const auto before = contents(file);
    CHECK(before.at("chat_message").size() == (version == 0 ? 3 : 12));
    {
      const Database database = open_sqlite_database(file);
      REQUIRE(eventually([&] { return database.records->sessions({}).complete; }));
      check_kept(before, contents(file));
      CHECK(database.records->sessions({.search = "mangos"}).rows.size() == (version == 0 ? 1 : 2));
      CHECK(database.records->messages({.search = "papayas"}).rows.size() ==
            (version == 0 ? 1 : 4));
      CHECK(database.records->totals().sessions == (version == 0 ? 2 : 3));
      if (version > 0) {
        const std::vector<Turn> turns = database.store->turns("first", 100);
        CHECK(turns.back().status == TurnStatus::kInterrupted);  // it was pending
        // What can be replayed still is.
        NewTurn again = new_turn("first", "anything");
        again.idempotency_key = "key-complete";
        again.fingerprint = "print";
        const BegunTurn begun = database.store->begin_turn(again);
        CHECK(begun.kind == BegunTurn::Kind::kReplayed);
        CHECK(begun.turn.text().starts_with("answer complete"));
      }
      if (version == 0 || version >= 4) {
        REQUIRE(database.accounts->find_user("boss"));
        CHECK(database.accounts->find_user(version == 0 ? "boss" : "helper")->permissions ==
              Strings{"chat.view_chatsession", "chat.view_message"});
      }
      if (version >= 5) {
        CHECK(database.store->consents("first").size() == 1);
        CHECK(SqliteFile(file).value("SELECT count(*) FROM twinchat_turn WHERE feedback <> 0") ==
              "1");
      }
      whole_turn(*database.store, "first", "after the upgrade", "answer");
      CHECK(database.records->sessions({.search = "\"after the upgrade\""}).rows.size() == 1);
    }
    const SqliteReport report = verify_sqlite(file);
    CHECK(report.schema_version == newest);
    CHECK(report.problems == Strings{});
  }
}

TEST_CASE("An upgrade that is killed goes on from where it was, with nothing lost") {
  const std::uint32_t seed = chance_seed();
  INFO("TWINCHAT_SEED=" << seed);
  std::mt19937 random(seed);
  const int newest = newest_version();
  const TempDir folder;
  const auto file = folder / "chat.db";
  // How long the longest upgrade takes here, so that some kills hit it on any machine.
  const auto writer = [&] {
    auto upgrading = std::make_unique<Process>(
        Strings{TWINCHAT_STORE_WRITER, "pending", "sqlite:///" + file.string()});
    REQUIRE(upgrading->wait_for_line("opening"));
    return upgrading;
  };
  load_fixture(kFixtureVersions[0], file);
  std::chrono::steady_clock::duration whole{};
  {
    const auto upgrading = writer();
    const auto opening = std::chrono::steady_clock::now();
    REQUIRE(upgrading->wait_for_line("pending"));
    whole = std::chrono::steady_clock::now() - opening;
  }
  std::uniform_int_distribution<std::int64_t> moment(0, 2 * whole.count());
  std::map<int, int> left_at;
  int upgraded = 0;
  for (int round = 0; round < 16; ++round) {
    const int version = kFixtureVersions[static_cast<std::size_t>(round) % 3];
    load_fixture(version, file);
    const auto before = contents(file);
    {
      const auto upgrading = writer();
      std::this_thread::sleep_for(std::chrono::steady_clock::duration(moment(random)));
      upgrading->kill();
      upgrading->wait_exit();
    }
    const int left = verify_sqlite(file).schema_version;
    CAPTURE(round, version, left);
    CHECK(left >= version);
    ++left_at[left];
    if (left > version) ++upgraded;
    const Database database = open_sqlite_database(file);
    REQUIRE(eventually([&] { return database.records->sessions({}).complete; }));
    auto after = contents(file);
    // What the killed program had begun to write.
    for (const char* table : {"chat_chatsession", "chat_message"}) {
      std::erase_if(after[table], [&](const std::string& row) {
        const Strings& rows = before.at(table);
        return std::find(rows.begin(), rows.end(), row) == rows.end();
      });
    }
    check_kept(before, after);
    CHECK(verify_sqlite(file).problems == Strings{});
    CHECK(verify_sqlite(file).schema_version == newest);
  }
  for (const auto& [version, times] : left_at) {
    UNSCOPED_INFO(times << " times left at version " << version);
  }
  CHECK(upgraded > 0);  // or every kill came too early
}

TEST_CASE("A version that only an unfinished upgrade leaves is brought up to date") {
  const int newest = newest_version();
  const TempDir folder;
  const auto file = folder / "chat.db";
  // No release left version 3 behind, an upgrade that was killed may have: the fourth's tables
  // without those of the accounts.
  load_fixture(4, file);
  SqliteFile(file).exec(
      "DROP TABLE twinchat_login; DROP TABLE twinchat_token; DROP TABLE twinchat_audit; UPDATE "
      "twinchat_schema SET version = 3 WHERE part = 'store'");
  CHECK(verify_sqlite(file).schema_version == 3);
  { const Database database = open_sqlite_database(file); }
  CHECK(verify_sqlite(file).schema_version == newest);
  CHECK(verify_sqlite(file).problems == Strings{});
}

TEST_CASE("A database of a newer version than this one is refused and left as it was") {
  const TempDir folder;
  const auto file = folder / "chat.db";
  load_fixture(5, file);
  SqliteFile(file).exec("UPDATE twinchat_schema SET version = 1000 WHERE part = 'store'");
  const std::string before = bytes_of(file);
  CHECK(code_of([&] { open_sqlite_database(file); }) == ErrorCode::kFailedPrecondition);
  CHECK(code_of([&] { verify_sqlite(file); }) == ErrorCode::kFailedPrecondition);
  CHECK(bytes_of(file) == before);
}

}  // namespace
}  // namespace twinchat::testing
