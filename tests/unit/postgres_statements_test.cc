// The SQL of the store keeps to what PostgreSQL, poolers in transaction mode and the databases that
// speak PostgreSQL's protocol (Citus, CockroachDB, YugabyteDB) understand alike.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include "catch.h"
#include "store/postgres_lists.h"
#include "store/postgres_rate_buckets.h"
#include "store/postgres_records.h"
#include "store/postgres_rows.h"
#include "store/postgres_schema.h"
#include "store/postgres_search.h"
#include "store/postgres_store_sql.h"

namespace twinchat::postgres {
namespace {

using Strings = std::vector<std::string>;

// What a request runs.
Strings request_statements() {
  Strings all;
  for (const Strings& list :
       {store_statements(), row_statements(), record_statements(), account_statements(),
        list_statements(), search_statements(), rate_bucket_statements()}) {
    all.insert(all.end(), list.begin(), list.end());
  }
  return all;
}

bool matches(const std::string& text, const std::string& pattern) {
  return std::regex_search(text, std::regex(pattern, std::regex::icase));
}

TEST_CASE("What a request runs needs nothing of a connection but the transaction it is in") {
  const Strings statements = request_statements();
  CHECK(statements.size() > 60);
  for (const std::string& sql : statements) {
    CAPTURE(sql);
    CHECK(matches(sql, R"(^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b)"));
    CHECK_FALSE(
        matches(sql, R"(\b(LISTEN|UNLISTEN|NOTIFY|PREPARE|EXECUTE|DECLARE|CURSOR|CALL)\b)"));
    CHECK_FALSE(
        matches(sql, R"(\bpg_(try_)?advisory|\bpg_notify|\bset_config\b|\bcurrval\b|\blastval\b)"));
    CHECK_FALSE(matches(sql, R"(\bTEMP(ORARY)?\b|\bLOCK TABLE\b|;)"));
  }
}

TEST_CASE("The schema holds no logic") {
  const Strings statements = schema_statements();
  CHECK(statements.size() > 50);
  for (const std::string& sql : statements) {
    CAPTURE(sql);
    CHECK_FALSE(
        matches(sql, R"(\b(TRIGGER|FUNCTION|PROCEDURE|RULE|DOMAIN|ENUM|INHERITS|UNLOGGED)\b)"));
    CHECK_FALSE(matches(sql, R"(\bCREATE TYPE\b|\bEXCLUDE\b|\bTEMP(ORARY)?\b|\badvisory)"));
  }
}

TEST_CASE("What is unique is so within a session: the key by which tables can be distributed") {
  // Tables of rows that belong to a session. In twinchat_session its id is the session's.
  const std::regex table(R"re(^CREATE TABLE "(twinchat_[a-z]+)" \()re");
  const std::regex unique(
      R"re(^CREATE UNIQUE INDEX "?[a-z_ A-Z"]*\s+ON\s+"(twinchat_[a-z]+)" \(([^)]*)\))re");
  Strings of_sessions;
  int keys = 0;
  for (const std::string& sql : schema_statements()) {
    CAPTURE(sql);
    std::smatch found;
    if (std::regex_search(sql, found, table) && sql.find("\"session_id\" bigint") != sql.npos) {
      of_sessions.push_back(found[1]);
      std::smatch key;
      REQUIRE(std::regex_search(sql, key, std::regex(R"(PRIMARY KEY \(([^)]*)\))")));
      CHECK(key[1].str().find("session_id") != std::string::npos);
      CHECK_FALSE(matches(sql, R"(\bUNIQUE\b)"));
      ++keys;
    }
    if (std::regex_search(sql, found, unique) &&
        std::find(of_sessions.begin(), of_sessions.end(), found[1].str()) != of_sessions.end()) {
      CHECK(found[2].str().find("session_id") != std::string::npos);
      ++keys;
    }
  }
  CHECK(std::find(of_sessions.begin(), of_sessions.end(), "twinchat_turn") != of_sessions.end());
  CHECK(keys >= 5);
}

// Also of what is put together while the program runs.
TEST_CASE("No text in the store's sources is a statement of the wrong kind") {
  const std::regex literal(R"re("((?:[^"\\\n]|\\.)*)")re");
  int looked_at = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TWINCHAT_STORE_SOURCES)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("postgres_")) continue;
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const bool may_set = name == "postgres_schema.cc" || name == "postgres_connection.cc";
    for (std::sregex_iterator at(text.begin(), text.end(), literal), end; at != end; ++at) {
      const std::string sql = (*at)[1];
      CAPTURE(name, sql);
      ++looked_at;
      CHECK_FALSE(std::regex_search(
          sql,
          std::regex(R"(\b(LISTEN|UNLISTEN|NOTIFY|PREPARE|EXECUTE|DECLARE)\b|\bpg_(try_)?advisory|)"
                     R"(CREATE (TEMP|TEMPORARY|TRIGGER|RULE|FUNCTION|OR REPLACE)\b|LOCK TABLE)")));
      CHECK_FALSE(matches(sql, R"(^SET (SESSION|TRANSACTION|ROLE|\w+ TO)\b)"));
      if (!may_set) CHECK_FALSE(matches(sql, "^SET LOCAL"));
    }
  }
  CHECK(looked_at > 300);
}

}  // namespace
}  // namespace twinchat::postgres
