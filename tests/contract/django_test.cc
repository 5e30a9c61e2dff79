// The same database under this library and under a Django project, in turn. Run for real with the
// Django that CMake found.

#include <filesystem>
#include <string>
#include <vector>

#include "catch.h"
#include "process.h"
#include "sqlite_file.h"
#include "stores.h"
#include "temp_dir.h"
#include "twinchat/store.h"
#ifdef TWINCHAT_DJANGO_POSTGRES
#include "postgres_server.h"
#endif

namespace twinchat::testing {
namespace {

using Strings = std::vector<std::string>;

enum class Kind { kSqlite, kPostgres };

std::vector<Kind> kinds() {
#ifdef TWINCHAT_DJANGO_POSTGRES
  return {Kind::kSqlite, Kind::kPostgres};
#else
  return {Kind::kSqlite};
#endif
}

// A database for both.
class Place {
 public:
  explicit Place(Kind kind) : postgres_(kind == Kind::kPostgres) {
#ifdef TWINCHAT_DJANGO_POSTGRES
    if (postgres_) database_.emplace();
#endif
  }

  // Runs a management command over it and returns what it printed.
  std::string django(Strings arguments) const {
    Strings argv{TWINCHAT_DJANGO_PYTHON, "-B", "-m", "django"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    Process process(argv, {.env = {{"CHAT_DB", postgres_ ? url() : file_.string()},
                                   {"PYTHONPATH", TWINCHAT_DJANGO_PROJECT},
                                   {"PYTHONIOENCODING", "utf-8"},
                                   {"DJANGO_SETTINGS_MODULE", "settings"}}});
    const std::optional<int> status = process.wait_exit();
    INFO(process.output() << process.errors());
    REQUIRE(status == 0);
    return process.output();
  }

  std::string url() const {
#ifdef TWINCHAT_DJANGO_POSTGRES
    if (postgres_) return database_->url();
#endif
    return "sqlite:///" + file_.string();
  }
  std::shared_ptr<Store> open() const {
    return open_store(url());
  }

  std::string value(const std::string& sql) const {
    return rows(sql).at(0);
  }

  // Everything about the chat tables that Django made or would make.
  Strings chat_schema() const {
    if (!postgres_) {
      return rows(
          "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_master WHERE "
          "tbl_name LIKE 'chat\\_%' ESCAPE '\\' AND name NOT LIKE 'twinchat\\_%' ESCAPE '\\' ORDER "
          "BY "
          "name");
    }
    return rows(
        "SELECT c.relname || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || "
        "a.attnotnull || coalesce(pg_get_expr(d.adbin, d.adrelid), '') || a.attnum FROM pg_class "
        "AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 LEFT JOIN pg_attrdef "
        "AS d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE c.relname LIKE 'chat\\_%' AND "
        "c.relkind = 'r' UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM "
        "pg_constraint WHERE conrelid IN ('chat_chatsession'::regclass, 'chat_message'::regclass) "
        "UNION ALL SELECT indexname || ' ' || indexdef FROM pg_indexes WHERE tablename LIKE "
        "'chat\\_%' AND indexname NOT LIKE 'twinchat\\_%' UNION ALL SELECT sequencename || ' ' || "
        "data_type || increment_by || cache_size FROM pg_sequences WHERE sequencename LIKE "
        "'chat\\_%' ORDER BY 1");
  }

  bool has_column(const std::string& table, const std::string& column) const {
    return value(postgres_ ? "SELECT count(*) FROM information_schema.columns WHERE table_name = "
                             "'" +
                                 table + "' AND column_name = '" + column + "'"
                           : "SELECT count(*) FROM pragma_table_info('" + table +
                                 "') WHERE name = '" + column + "'") == "1";
  }

  // PostgreSQL lets nothing in that its constraints do not allow.
  Strings damage() const {
    return postgres_ ? Strings{} : testing::damage(file_);
  }

 private:
  Strings rows(const std::string& sql) const {
#ifdef TWINCHAT_DJANGO_POSTGRES
    if (postgres_) return PostgresClient(database_->admin_url()).rows(sql);
#endif
    return SqliteFile(file_).rows(sql);
  }

  const bool postgres_;
  TempDir folder_;
  const std::filesystem::path file_ = folder_ / "chat.db";
#ifdef TWINCHAT_DJANGO_POSTGRES
  std::optional<PostgresDatabase> database_;
#endif
};

Strings texts_in(Store& store, const std::string& session) {
  Strings texts;
  for (const Message& message : store.messages(session, {})) texts.push_back(message.text);
  return texts;
}

TEST_CASE("The chat tables are those that Django's migrations create, to the letter") {
  const Kind kind = GENERATE(from_range(kinds()));
  const Place theirs(kind);
  const Place ours(kind);
  theirs.django({"migrate", "chat", "0001"});
  ours.open();
  const Strings expected = theirs.chat_schema();
  CHECK(expected.size() >= 4);
  CHECK(ours.chat_schema() == expected);
}

TEST_CASE("A database that Django made is taken over, and Django goes on using it") {
  const Place place(GENERATE(from_range(kinds())));
  place.django({"migrate", "chat", "0001"});
  place.django({"orm", "create", "one", "q1", "a1", "q2", "a2"});
  place.django({"orm", "create", "two", "q", "a"});
  const Strings schema = place.chat_schema();

  auto store = place.open();
  CHECK(place.chat_schema() == schema);
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
  const std::string dump = place.django({"orm", "dump", "one"});
  CHECK(dump.find("'one' 'Jan\xc3\xa9' 'jane@example.com' ''\n") == 0);
  CHECK(dump.find("2025-12-26T12:00:00+00:00\n") != std::string::npos);
  CHECK(dump.find("'q3' False 2025-12-26T12:00:00+00:00\n'a3' True "
                  "2025-12-26T12:00:00.000001+00:00\n") != std::string::npos);
  place.django({"orm", "add", "one", "q4", "a4"});
  CHECK(texts_in(*store, "one") == Strings{"q1", "a1", "q2", "a2", "q3", "a3", "q4", "a4"});
  CHECK(store->past_turns("one", 0, 10).size() == 4);

  // Django knows nothing of the turns that go with the session.
  place.django({"orm", "delete", "two"});
  CHECK_FALSE(store->find_session("two"));
  CHECK(store->turns("two", 10).empty());
  CHECK(place.value("SELECT count(*) FROM twinchat_turn") == "1");
  whole_turn(*store, "one", "q5", "a5");
  CHECK(place.damage().empty());

  store.reset();
  place.django({"migrate"});
  CHECK(place.open()->messages("one", {}).size() == 10);
}

TEST_CASE("A database that the store made is taken over by Django") {
  const Place place(GENERATE(from_range(kinds())));
  {
    const auto store = place.open();
    store->create_session("one", {"Jane", {}, {}}, moment());
    whole_turn(*store, "one", "q1", "a1");
  }
  place.django({"migrate", "chat", "0001", "--fake-initial"});
  place.django({"orm", "add", "one", "q2", "a2"});
  place.django({"orm", "create", "two", "q"});
  const std::string dump = place.django({"orm", "dump", "one"});
  CHECK(dump.find("'one' 'Jane' None None\n") == 0);
  CHECK(dump.find("'q1' False") < dump.find("'a1' True"));
  CHECK(dump.find("'a1' True") < dump.find("'q2' False"));
  const auto store = place.open();
  CHECK(texts_in(*store, "one") == Strings{"q1", "a1", "q2", "a2"});
  CHECK(store->turns("one", 10).size() == 1);
  CHECK(store->past_turns("one", 0, 10).size() == 2);
  CHECK(place.damage().empty());
}

TEST_CASE("Turns survive a migration of Django's that changes the tables") {
  const Place place(GENERATE(from_range(kinds())));
  place.django({"migrate", "chat", "0001"});
  Turn before;
  {
    const auto store = place.open();
    store->create_session("one", {"Jane", {}, {}}, moment());
    before = whole_turn(*store, "one", "q1", "a1");
  }
  place.django({"migrate", "chat", "0002"});
  CHECK(place.has_column("chat_message", "language"));
  const auto store = place.open();
  CHECK(store->turns("one", 10) == std::vector<Turn>{before});
  whole_turn(*store, "one", "q2", "a2");
  CHECK(store->past_turns("one", 0, 10).size() == 2);
  place.django({"orm", "delete", "one"});
  CHECK(place.value("SELECT count(*) FROM twinchat_turn") == "0");
  CHECK(place.damage().empty());
}

}  // namespace
}  // namespace twinchat::testing
