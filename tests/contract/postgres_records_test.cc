// What Records and Accounts promise on PostgreSQL beyond the contract: searches that find what they
// find in memory whatever the locale, lists that follow whoever writes, an audit log that is only
// added to, erasure from every table.

#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "chance.h"
#include "databases.h"
#include "postgres_server.h"
#include "stores.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

using Strings = std::vector<std::string>;

std::size_t found(Records& records, const std::string& search) {
  SessionQuery query;
  query.search = search;
  return all_ids(records, query).size();
}

std::size_t found_messages(Records& records, const std::string& search) {
  RowQuery query;
  query.search = search;
  return all_texts(records, query).size();
}

// What the lists stand on, and what they would if they were made anew.
void check_lists(const PostgresDatabase& place) {
  PostgresClient client(place.url());
  CHECK(client.rows("SELECT id, updated_at, is_lead, message_count, last_message FROM "
                    "twinchat_session ORDER BY id") ==
        client.rows("SELECT s.id, s.updated_at, coalesce(s.user_email, '') <> '' OR "
                    "coalesce(s.user_phone, '') <> '', count(m.id), max(m.id) FROM "
                    "chat_chatsession AS s LEFT JOIN chat_message AS m ON m.session_id = s.id "
                    "GROUP BY s.id ORDER BY s.id"));
}

Totals counted(const PostgresDatabase& place) {
  PostgresClient client(place.url());
  const auto number = [&](const char* sql) { return std::stoll(client.value(sql)); };
  return {number("SELECT count(*) FROM chat_chatsession"),
          number("SELECT count(*) FROM chat_message"),
          number("SELECT count(*) FROM chat_chatsession WHERE user_email <> '' OR user_phone <> "
                 "''")};
}

TEST_CASE("What another program writes to PostgreSQL is listed, counted and found at once") {
  const PostgresDatabase place(PostgresDatabase::Kind::kReused);
  const Database database = open_database(place.url());
  const Database server = open_database(place.bouncer_url());
  PostgresClient other(place.url());
  Records& records = *database.records;
  database.store->create_session("one", {"Jane", {}, {}}, moment());
  whole_turn(*database.store, "one", "mangos", "answer");
  CHECK(found(*server.records, "mangos") == 1);
  other.exec(
      "INSERT INTO chat_chatsession (session_id, user_name, created_at, updated_at) VALUES "
      "('two', 'Gerda', '2025-12-27 00:00:00Z', '2025-12-27 00:00:00Z'); INSERT INTO chat_message "
      "(content, is_bot, created_at, session_id) VALUES ('papayas', false, '2025-12-27 "
      "00:00:00Z', 2)");
  CHECK(found(records, "gerda papayas") == 1);
  CHECK(ids(records.sessions({})) == Strings{"two", "one"});
  CHECK(records.totals() == Totals{2, 3, 0});
  other.exec("UPDATE chat_message SET content = 'cherries' WHERE content = 'mangos'");
  CHECK(found(records, "mangos") == 0);
  CHECK(found(records, "cherries jane") == 1);
  other.exec(
      "UPDATE chat_chatsession SET user_name = 'Hanna', user_email = 'h@example.com', updated_at = "
      "'2025-12-25 00:00:00Z' WHERE id = 2");
  CHECK(found(records, "gerda") == 0);
  CHECK(found(records, "hanna") == 1);
  CHECK(ids(records.sessions({})) == Strings{"one", "two"});
  CHECK(records.sessions({.leads_only = true}).rows.size() == 1);
  CHECK(records.totals() == counted(place));
  other.exec("DELETE FROM chat_message WHERE content = 'answer'");
  CHECK(records.sessions({}).rows.at(0).message_count == 1);
  check_lists(place);
  SessionQuery by_messages;
  by_messages.sort = {{SessionOrder::kMessages, true}};
  other.exec(
      "INSERT INTO chat_message (content, is_bot, created_at, session_id) VALUES ('a', true, "
      "now(), 2), ('b', true, now(), 2)");
  CHECK(ids(records.sessions(by_messages)) == Strings{"two", "one"});
  other.exec(
      "DELETE FROM chat_message WHERE session_id = 2; DELETE FROM chat_chatsession WHERE id = 2");
  CHECK(ids(records.sessions(by_messages)) == Strings{"one"});
  CHECK(records.totals() == counted(place));
  CHECK(server.records->totals() == counted(place));
  check_lists(place);
}

TEST_CASE("A row that is committed behind later ones is listed all the same") {
  const PostgresDatabase place(PostgresDatabase::Kind::kReused);
  const Database database = open_database(place.url());
  PostgresClient slow(place.url());
  slow.exec(
      "BEGIN; INSERT INTO chat_chatsession (session_id, created_at, updated_at) VALUES ('slow', "
      "now(), now())");
  database.store->create_session("fast", {}, moment());
  CHECK(ids(database.records->sessions({})) == Strings{"fast"});
  slow.exec("COMMIT");
  CHECK(ids(database.records->sessions({})) == Strings{"slow", "fast"});
  check_lists(place);
}

TEST_CASE("A database that another program filled is listed in the background") {
  const PostgresDatabase place;
  { open_database(place.url()); }
  PostgresClient other(place.url());
  constexpr int kSessions = 2'200;
  other.exec(
      "INSERT INTO chat_chatsession (session_id, user_email, created_at, updated_at) SELECT "
      "'s' || n, 'a@example.com', now(), now() FROM generate_series(1, 2200) AS n");
  other.exec(
      "INSERT INTO chat_message (content, is_bot, created_at, session_id) SELECT 'text ' || "
      "n, false, now(), 1 + n % 2200 FROM generate_series(1, 45000) AS n");
  const Database database = open_database(place.url());
  REQUIRE(eventually([&] { return database.records->sessions({.limit = 1}).complete; }));
  CHECK(database.records->totals() == Totals{kSessions, 45'000, kSessions});
  SessionQuery query;
  query.leads_only = true;
  query.limit = 1'000;
  CHECK(all_ids(*database.records, query).size() == kSessions);
  query = {};
  query.limit = 1'000;
  query.sort = {{SessionOrder::kMessages, false}};
  CHECK(all_ids(*database.records, query).size() == kSessions);
  check_lists(place);
  // Counts that were settled stay right while rows go.
  REQUIRE(eventually([&] {
    return other.value("SELECT last_message > 0 AND leads > 0 FROM twinchat_index") == "t";
  }));
  CHECK(database.records->totals() == counted(place));
  CHECK(database.records->delete_sessions({"s1", "s2", "s2199"}, by_op("delete")).sessions == 3);
  database.store->create_session("new", {{}, {}, "1"}, moment());
  whole_turn(*database.store, "new", "q", "a");
  database.store->update_user("s4", {.email = ""}, moment());
  CHECK(database.records->totals() == counted(place));
  check_lists(place);
  // What others delete and change is in them after a while.
  other.exec(
      "DELETE FROM chat_message WHERE session_id = 100; DELETE FROM chat_chatsession WHERE id = "
      "100; DELETE FROM chat_message WHERE session_id = 200; UPDATE chat_chatsession SET "
      "user_email = NULL WHERE id = 300");
  CHECK(eventually([&] { return database.records->totals() == counted(place); }));
  check_lists(place);
}

// --- Searches

// Pieces of texts that are hard on somebody: wildcards and quotes, letters of several scripts big
// and small, some that only certain locales take for the same, marks that are no letters.
const Strings& pieces() {
  static const Strings all{"a",  "A",  "b",    "Ab",   "abc",  "ABCD", "i",  "I", "ı",  "İ", "%",
                           "_",  "\\", "'",    "\"",   "é",    "É",    "ÿ",  "Ÿ", "ß",  "ẞ", "Σ",
                           "σ",  "ς",  "Ж",    "ж",    "Ѐ",    "ѐ",    "Ā",  "ā", "K",  "K", "क",
                           "धु",  "मे",  "ह",    "्",     "म",    " ",    " ",  " ", "\n", "-", "0",
                           "12", ".",  "diab", "ΟΔΟΣ", "ΟΔΟς", "диаб", "10%"};
  return all;
}

class Chance {
 public:
  explicit Chance(std::uint32_t seed) : random_(seed) {}
  int below(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random_); }
  std::string text(int most) {
    std::string text;
    for (int n = 1 + below(most); n > 0; --n) {
      text += pieces()[static_cast<std::size_t>(below(static_cast<int>(pieces().size())))];
    }
    return text;
  }

 private:
  std::mt19937 random_;
};

void compare_searches(const std::string& url, std::uint32_t seed) {
  const Database memory = make_memory_database();
  const Database postgres = open_database(url);
  Chance chance(seed);
  for (int i = 0; i < 60; ++i) {
    const std::string id = "s-" + std::to_string(i) + "-00abcdef" + std::to_string(i);
    const UserDetails user{chance.text(6), chance.text(4), std::to_string(chance.below(999))};
    Strings said;
    for (int n = chance.below(4); n > 0; --n) said.push_back(chance.text(25));
    for (const Database* database : {&memory, &postgres}) {
      database->store->create_session(id, user, moment(i));
      for (const std::string& text : said) {
        database->store->begin_turn(new_turn(id, text, moment(i)));
      }
    }
  }
  const int searches = rounds("TWINCHAT_SEARCHES", 250);
  for (int i = 0; i < searches; ++i) {
    std::string search = chance.text(1 + chance.below(6));
    if (chance.below(3) == 0) search = "\"" + search + "\"";
    if (chance.below(8) == 0) search += " " + chance.text(3);
    CAPTURE(search);
    SessionQuery sessions;
    sessions.search = search;
    sessions.search_messages = chance.below(2) == 0;
    sessions.limit = static_cast<std::size_t>(1 + chance.below(40));
    if (chance.below(2) == 0) sessions.sort = {{SessionOrder::kName, chance.below(2) == 0}};
    REQUIRE(all_ids(*postgres.records, sessions) == all_ids(*memory.records, sessions));
    RowQuery messages;
    messages.search = search;
    messages.limit = static_cast<std::size_t>(1 + chance.below(40));
    messages.newest_first = chance.below(2) == 0;
    REQUIRE(all_texts(*postgres.records, messages) == all_texts(*memory.records, messages));
  }
}

TEST_CASE("Searches find on PostgreSQL what they find in memory, whatever the locale") {
  const std::uint32_t seed = chance_seed();
  INFO("TWINCHAT_SEED=" << seed);
  SECTION("C.UTF-8") {
    const PostgresDatabase place(PostgresDatabase::Kind::kReused);
    compare_searches(place.url(), seed);
  }
  SECTION("C: no letters but ASCII") {
    const PostgresDatabase place("LC_COLLATE 'C' LC_CTYPE 'C'");
    compare_searches(place.url(), seed);
  }
  SECTION("Turkish: I is not the big i") {
    const PostgresDatabase place("LOCALE_PROVIDER icu ICU_LOCALE 'tr'");
    compare_searches(place.url(), seed);
  }
}

TEST_CASE("What PostgreSQL cannot hold is found nowhere") {
  const PostgresDatabase place(PostgresDatabase::Kind::kReused);
  const Database database = open_database(place.url());
  Records& records = *database.records;
  database.store->create_session("one", {"Jane", {}, {}}, moment());
  whole_turn(*database.store, "one", "mangos", "answer");
  CHECK(found(records, "\xff") == 0);
  CHECK(found(records, "jane \xc3\x28") == 0);
  CHECK(found(records, "\xed\xa0\x80") == 0);
  CHECK(found_messages(records, "mangos \xff") == 0);
  CHECK(found(records, std::string("ja\0ne", 5)) == 1);  // two words, as everywhere
  CHECK_FALSE(records.session(std::string("one\0", 4)));
  CHECK_FALSE(records.session("\xff"));
  CHECK(records.conversation("\xff", 0, 9).empty());
  CHECK(records.messages({.session_id = "\xff"}).rows.empty());
  CHECK(records.sessions_of({.email = "\xff"}).empty());
  CHECK(records.delete_sessions({"\xff", "none"}, by_op("delete")) == Erased{});
  CHECK_FALSE(database.accounts->find_user("\xff"));
  CHECK_FALSE(database.accounts->find_login(std::string("\0", 1), moment()));
}

TEST_CASE("Without pg_trgm searches work, and a warning says that they are slower") {
  const PostgresDatabase place;
  PostgresClient(place.admin_url())
      .exec("ALTER DATABASE " + place.name() +
            " OWNER TO postgres; GRANT ALL ON SCHEMA public TO " + kPostgresRole);
  Strings warnings;
  PostgresStoreOptions options;
  options.on_warning = [&](const std::string& text) { warnings.push_back(text); };
  const Database database = open_postgres_database(place.url(), options);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("pg_trgm") != std::string::npos);
  database.store->create_session("one", {"Jane", {}, {}}, moment());
  whole_turn(*database.store, "one", "mangos", "answer");
  CHECK(found(*database.records, "jane MANGOS") == 1);
  CHECK(found(*database.records, "john") == 0);
  CHECK(found_messages(*database.records, "mangos") == 1);
}

// --- What is not to change, and what is not to stay

TEST_CASE("The role that the server has may not change or remove an entry of the audit log") {
  const PostgresDatabase place(PostgresDatabase::Kind::kReused);
  const Database database = open_database(place.url());
  database.accounts->record(by_op("view"));
  PostgresClient client(place.url());
  CHECK_THROWS(client.exec("DELETE FROM twinchat_audit"));
  CHECK_THROWS(client.exec("UPDATE twinchat_audit SET detail = 'x'"));
  CHECK_THROWS(client.exec("TRUNCATE twinchat_audit"));
  CHECK(database.accounts->audit({}).rows.size() == 1);
}

TEST_CASE("Of an erased person no table of PostgreSQL holds anything") {
  const PostgresDatabase place;
  const Database database = open_database(place.url());
  database.store->create_session("kept", {"Jane", {}, {}}, moment());
  whole_turn(*database.store, "kept", "q", "a");
  database.store->create_session("gone", {"Zaphodia", "zaphodia@example.com", "+1 5554242"},
                                 moment());
  for (int i = 0; i < 20; ++i) {
    NewTurn turn = new_turn("gone", "a zaphodia drink");
    turn.idempotency_key = "zaphodia" + std::to_string(i);
    turn.fingerprint = "zaphodia";
    FinishedTurn finished;
    finished.turn_id = database.store->begin_turn(turn).turn.id;
    finished.status = TurnStatus::kComplete;
    finished.answer = "the zaphodia";
    finished.contents = "[zaphodia]";
    database.store->finish_turn(finished);
  }
  database.store->record_consent({"gone", "1", "en", "I, Zaphodia, agree.", moment()});
  PostgresClient client(place.url());
  // Tables whose rows say the words; bytea is told in hexadecimal digits.
  const auto tables = [&] {
    Strings all;
    for (const std::string& table :
         client.rows("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = "
                     "'public'::regnamespace")) {
      if (client.value("SELECT count(*) FROM " + table +
                       " AS t WHERE t::text ~* 'zaphodia|7a6170686f646961|5554242'") != "0") {
        all.push_back(table);
      }
    }
    return all;
  };
  CHECK(tables().size() == 4);
  CHECK(database.records->erase(database.records->sessions_of({.email = "zaphodia@example.com"}),
                                by_op("erase")) == Erased{1, 40});
  CHECK(tables().empty());
  CHECK(client.value("SELECT count(*) FROM twinchat_session") == "1");
  // Nor do dead rows stay for long.
  CHECK(eventually(
      [&] { return client.value("SELECT pg_relation_size('chat_message') < 16384") == "t"; }));
  CHECK(database.records->totals() == Totals{1, 2, 0});
}

TEST_CASE("Two superusers cannot take each other's rights away at the same moment") {
  const PostgresDatabase place(PostgresDatabase::Kind::kReused);
  const Database one = open_database(place.url());
  const Database two = open_database(place.bouncer_url());
  std::vector<User> bosses;
  for (const char* name : {"a", "b"}) {
    User user;
    user.username = name;
    user.password = "hash";
    user.is_staff = true;
    user.is_superuser = true;
    user.date_joined = moment();
    bosses.push_back(one.accounts->add_user(user, by_op("user")));
    bosses.back().is_superuser = false;
  }
  std::optional<ErrorCode> other;
  std::thread thread(
      [&] { other = code_of([&] { two.accounts->edit_user(bosses[0], by_op("user")); }); });
  const auto mine = code_of([&] { one.accounts->edit_user(bosses[1], by_op("user")); });
  thread.join();
  CHECK(mine.has_value() != other.has_value());
  CHECK(one.accounts->active_superusers() == 1);
}

}  // namespace
}  // namespace twinchat::testing
