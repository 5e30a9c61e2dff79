// The same file under this library and under a Django project, in turn. Run for real with the
// Django that CMake found.

#include <filesystem>
#include <string>
#include <vector>

#include "catch.h"
#include "process.h"
#include "sqlite_file.h"
#include "stores.h"
#include "temp_dir.h"
#include "twinchat/sqlite_store.h"

namespace twinchat::testing {
namespace {

using Strings = std::vector<std::string>;

// Runs a management command over the file and returns what it printed.
std::string django(const std::filesystem::path& file, Strings arguments) {
  Strings argv{TWINCHAT_DJANGO_PYTHON, "-B", "-m", "django"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Process process(argv, {.env = {{"CHAT_DB", file.string()},
                                 {"PYTHONPATH", TWINCHAT_DJANGO_PROJECT},
                                 {"PYTHONIOENCODING", "utf-8"},
                                 {"DJANGO_SETTINGS_MODULE", "settings"}}});
  const std::optional<int> status = process.wait_exit();
  INFO(process.output() << process.errors());
  REQUIRE(status == 0);
  return process.output();
}

Strings texts_in(Store& store, const std::string& session) {
  Strings texts;
  for (const Message& message : store.messages(session, {})) texts.push_back(message.text);
  return texts;
}

Strings chat_schema(const std::filesystem::path& file) {
  return SqliteFile(file).rows(
      "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_master WHERE tbl_name "
      "LIKE 'chat\\_%' ESCAPE '\\' AND name NOT LIKE 'twinchat\\_%' ESCAPE '\\' ORDER BY name");
}

TEST_CASE("The chat tables are those that Django's migrations create, to the letter") {
  TempDir folder;
  django(folder / "django.db", {"migrate", "chat", "0001"});
  open_sqlite_store(folder / "ours.db");
  const Strings expected = chat_schema(folder / "django.db");
  CHECK(expected.size() == 4);
  CHECK(chat_schema(folder / "ours.db") == expected);
}

TEST_CASE("A file that Django made is taken over, and Django goes on using it") {
  TempDir folder;
  const auto file = folder / "chat.db";
  django(file, {"migrate", "chat", "0001"});
  django(file, {"orm", "create", "one", "q1", "a1", "q2", "a2"});
  django(file, {"orm", "create", "two", "q", "a"});
  const Strings schema = chat_schema(file);

  auto store = open_sqlite_store(file);
  CHECK(chat_schema(file) == schema);
  const std::optional<Session> session = store->find_session("one");
  REQUIRE(session);
  CHECK(session->user == UserDetails{"Jan\xc3\xa9", std::nullopt, ""});
  CHECK(texts_in(*store, "one") == Strings{"q1", "a1", "q2", "a2"});
  CHECK(store->messages("one", {}).at(1).is_bot);
  CHECK(store->past_turns("one", 0, 10).size() == 2);
  whole_turn(*store, "one", "q3", "a3");
  whole_turn(*store, "two", "q3", "a3");
  store->begin_turn(new_turn("two", "pending"));
  store->update_user("one", {.email = "jane@example.com"}, moment());

  // While the store is open.
  const std::string dump = django(file, {"orm", "dump", "one"});
  CHECK(dump.find("'one' 'Jan\xc3\xa9' 'jane@example.com' ''\n") == 0);
  CHECK(dump.find("2025-12-26T12:00:00+00:00\n") != std::string::npos);
  CHECK(dump.find("'q3' False 2025-12-26T12:00:00+00:00\n'a3' True "
                  "2025-12-26T12:00:00.000001+00:00\n") != std::string::npos);
  django(file, {"orm", "add", "one", "q4", "a4"});
  CHECK(texts_in(*store, "one") == Strings{"q1", "a1", "q2", "a2", "q3", "a3", "q4", "a4"});
  CHECK(store->past_turns("one", 0, 10).size() == 4);

  // Django knows nothing of the turns that go with the session.
  django(file, {"orm", "delete", "two"});
  CHECK_FALSE(store->find_session("two"));
  CHECK(store->turns("two", 10).empty());
  CHECK(SqliteFile(file).value("SELECT count(*) FROM twinchat_turn") == "1");
  whole_turn(*store, "one", "q5", "a5");
  CHECK(damage(file).empty());

  store.reset();
  django(file, {"migrate"});
  CHECK(open_sqlite_store(file)->messages("one", {}).size() == 10);
}

TEST_CASE("A file that the store made is taken over by Django") {
  TempDir folder;
  const auto file = folder / "chat.db";
  {
    const auto store = open_sqlite_store(file);
    store->create_session("one", {"Jane", {}, {}}, moment());
    whole_turn(*store, "one", "q1", "a1");
  }
  django(file, {"migrate", "chat", "0001", "--fake-initial"});
  django(file, {"orm", "add", "one", "q2", "a2"});
  django(file, {"orm", "create", "two", "q"});
  const std::string dump = django(file, {"orm", "dump", "one"});
  CHECK(dump.find("'one' 'Jane' None None\n") == 0);
  CHECK(dump.find("'q1' False") < dump.find("'a1' True"));
  CHECK(dump.find("'a1' True") < dump.find("'q2' False"));
  const auto store = open_sqlite_store(file);
  CHECK(texts_in(*store, "one") == Strings{"q1", "a1", "q2", "a2"});
  CHECK(store->turns("one", 10).size() == 1);
  CHECK(store->past_turns("one", 0, 10).size() == 2);
  CHECK(damage(file).empty());
}

TEST_CASE("Turns survive a migration of Django's that builds the tables anew") {
  TempDir folder;
  const auto file = folder / "chat.db";
  django(file, {"migrate", "chat", "0001"});
  Turn before;
  {
    const auto store = open_sqlite_store(file);
    store->create_session("one", {"Jane", {}, {}}, moment());
    before = whole_turn(*store, "one", "q1", "a1");
  }
  django(file, {"migrate", "chat", "0002"});
  CHECK(SqliteFile(file).value("SELECT count(*) FROM pragma_table_info('chat_message') WHERE name "
                               "= 'language'") == "1");
  const auto store = open_sqlite_store(file);
  CHECK(store->turns("one", 10) == std::vector<Turn>{before});
  whole_turn(*store, "one", "q2", "a2");
  CHECK(store->past_turns("one", 0, 10).size() == 2);
  django(file, {"orm", "delete", "one"});
  CHECK(SqliteFile(file).value("SELECT count(*) FROM twinchat_turn") == "0");
  CHECK(damage(file).empty());
}

}  // namespace
}  // namespace twinchat::testing
