// How PostgreSQL goes about the statements of lists, searches and histories on a database of some
// size: as its auto_explain saw them when they were run, with the plans and rows that they really
// had.

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "catch.h"
#include "databases.h"
#include "postgres_server.h"
#include "process.h"
#include "stores.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

using Json = nlohmann::json;

constexpr int kSessions = 20'000;
constexpr int kMessages = 200'000;

// A server that says of every statement how it was done, and a database on it that was filled by
// the benchmarks' tool.
class ExplainingServer {
 public:
  ExplainingServer() {
    client_.exec("CREATE DATABASE big OWNER " + std::string(kPostgresRole));
    { open_database(server_.url("big")); }
    Process fill({"python3", TWINCHAT_FILL_POSTGRES, server_.url("big"), std::to_string(kSessions),
                  std::to_string(kMessages)});
    const auto status = fill.wait_exit(std::chrono::seconds(250));
    INFO(fill.errors());
    REQUIRE(status == 0);
    PostgresClient(server_.admin_url())
        .exec(
            "ALTER DATABASE big SET session_preload_libraries = auto_explain; ALTER DATABASE big "
            "SET auto_explain.log_min_duration = 0; ALTER DATABASE big SET "
            "auto_explain.log_analyze = on; ALTER DATABASE big SET auto_explain.log_timing = "
            "off; ALTER DATABASE big SET auto_explain.log_format = json; ALTER DATABASE big SET "
            "auto_explain.log_buffers = on");
  }

  std::string url() const { return server_.url("big"); }

  // The plans of what is asked meanwhile.
  std::vector<Json> plans_of(const std::function<void()>& ask) {
    mark();
    const std::size_t from = server_.log().size();
    ask();
    mark();
    const std::string log = server_.log().substr(from);
    std::vector<Json> plans;
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("  plan:") == line.npos) continue;
      std::string text;
      while (lines.peek() == '\t' && std::getline(lines, line)) text += line + "\n";
      plans.push_back(Json::parse(text));
    }
    return plans;
  }

 private:
  // What was logged before it is there when it is.
  void mark() {
    const std::string mark = "mark_" + std::to_string(++marks_);
    try {
      client_.exec("SELECT " + mark);
    } catch (const std::runtime_error&) {
      // There is no such column, which is in the log now.
    }
    REQUIRE(eventually([&] { return server_.log().find(mark) != std::string::npos; }));
  }

  PostgresServer server_{
      {.settings = {"log_line_prefix = ''", "shared_buffers = 256MB", "autovacuum = off"}}};
  PostgresClient client_{server_.admin_url()};
  int marks_ = 0;
};

std::int64_t number(const Json& node, const char* key) {
  return node.contains(key) ? node[key].get<std::int64_t>() : 0;
}

// How many rows the node and those below it gave and threw away, for each time it was run.
std::int64_t rows_of(const Json& node) {
  return (number(node, "Actual Rows") + number(node, "Rows Removed by Filter") +
          number(node, "Rows Removed by Index Recheck") +
          number(node, "Rows Removed by Join Filter")) *
         number(node, "Actual Loops");
}

// What is wrong with a plan.
void judge(const Json& node, std::int64_t most, std::vector<std::string>& faults) {
  static const std::set<std::string> kLarge{"chat_message", "chat_chatsession", "twinchat_turn",
                                            "twinchat_session"};
  const auto type = node["Node Type"].get<std::string>();
  const std::string relation = node.value("Relation Name", "");
  if (type == "Seq Scan" && kLarge.contains(relation)) faults.push_back("Seq Scan on " + relation);
  if (rows_of(node) > most) {
    faults.push_back(type + " " + relation + ": " + std::to_string(rows_of(node)) + " rows");
  }
  for (const Json& below : node.value("Plans", Json::array())) {
    if (type.find("Sort") != type.npos && rows_of(below) > 5'000) {
      faults.push_back("Sort of " + std::to_string(rows_of(below)) + " rows");
    }
    judge(below, most, faults);
  }
}

std::int64_t blocks_of(const std::vector<Json>& plans) {
  std::int64_t blocks = 0;
  for (const Json& plan : plans) {
    blocks +=
        number(plan["Plan"], "Shared Hit Blocks") + number(plan["Plan"], "Shared Read Blocks");
  }
  return blocks;
}

// The cursor of a page far behind.
template <class Query, class List>
std::string far_cursor(Query query, const List& list, int pages) {
  query.limit = 1'000;
  for (int i = 0; i < pages; ++i) query.cursor = list(query).next;
  return query.cursor;
}

TEST_CASE("Lists, searches and histories go by indexes on a large PostgreSQL database",
          "[postgres]") {
  ExplainingServer server;
  const Database database = open_database(server.url());
  Records& records = *database.records;
  Store& store = *database.store;
  REQUIRE(records.totals() == Totals{kSessions, kMessages, kSessions});
  REQUIRE(eventually([&] { return records.sessions({.limit = 1}).complete; }));
  const std::string id = records.sessions({.limit = 1}).rows.at(0).session.session_id;
  const Timestamp recently =
      records.sessions({.limit = 1}).rows.at(0).session.updated_at - std::chrono::minutes(10);
  // A few that are otherwise.
  store.create_session("silent", {}, recently);
  FinishedTurn failed;
  failed.turn_id = store.begin_turn(new_turn("silent", "q")).turn.id;
  failed.status = TurnStatus::kFailed;
  store.finish_turn(failed);
  const Turn disliked = whole_turn(store, "silent", "q", "a");
  store.set_feedback("silent", disliked.answer->id, Feedback::kDown, recently);

  std::vector<std::pair<std::string, std::function<void()>>> asked;
  const auto ask_sessions = [&](const std::string& what, SessionQuery query) {
    asked.emplace_back(what, [&records, query] { records.sessions(query); });
  };
  const auto ask_messages = [&](const std::string& what, RowQuery query) {
    asked.emplace_back(what, [&records, query] { records.messages(query); });
  };
  using enum SessionOrder;
  for (const SessionOrder order : {kUpdated, kCreated, kName, kEmail, kMessages}) {
    for (const bool descending : {false, true}) {
      const std::string what = "order " + std::to_string(static_cast<int>(order));
      SessionQuery query{.sort = {{order, descending}}};
      ask_sessions(what, query);
      query.cursor = far_cursor(
          query, [&](const auto& q) { return records.sessions(q); }, 3);
      ask_sessions(what + ", a later page", query);
      query.leads_only = true;
      ask_sessions(what + ", leads", query);
      query.cursor.clear();
      query.created.from = recently;
      ask_sessions(what + ", leads of a time", query);
      ask_sessions(what + ", changed at a time",
                   {.updated = {recently, {}}, .sort = {{order, descending}}});
    }
  }
  ask_sessions("name, then creation", {.sort = {{kName, false}, {kCreated, true}}});
  // Nearly all have as many messages as all others.
  for (const SessionSort second : {SessionSort{kCreated, true}, SessionSort{kCreated, false},
                                   SessionSort{kName, false}, SessionSort{kUpdated, true}}) {
    const std::string what = "messages, then " + std::to_string(static_cast<int>(second.by));
    SessionQuery query{.sort = {{kMessages, true}, second}};
    ask_sessions(what, query);
    query.cursor = far_cursor(
        query, [&](const auto& q) { return records.sessions(q); }, 3);
    ask_sessions(what + ", a later page", query);
    query.leads_only = true;
    ask_sessions(what + ", leads", query);
  }
  for (const char* search :
       {"\"visitor 777\"", "visitor777@mail.example", "+15550000777", "8000-000000000309",
        "\"question 777 of many\"", "diabetes", "reverse medicine diabetes", "diabetes visitor777@",
        "ca", "qz", "xylophone", "\"diabetes reverse\""}) {
    ask_sessions(std::string("search ") + search, {.search = search});
    ask_messages(std::string("search in messages ") + search, {.search = search});
  }
  ask_messages("messages", {});
  ask_messages("messages, oldest first", {.newest_first = false});
  ask_messages("messages of visitors", {.is_bot = false, .created = {recently, {}}});
  ask_messages("messages of a session", {.session_id = id});
  asked.emplace_back("totals", [&] { records.totals(); });
  asked.emplace_back("count of sessions", [&] {
    records.count_sessions({.created = {recently, {}}}, 10'000);
  });
  asked.emplace_back("count of leads",
                     [&] { records.count_sessions({.leads_only = true}, 10'000); });
  asked.emplace_back("count of messages",
                     [&] { records.count_messages({.is_bot = true}, 10'000); });
  asked.emplace_back("session", [&] { records.session(id); });
  asked.emplace_back("conversation", [&] { records.conversation(id, 0, 200); });
  asked.emplace_back("turns that went wrong", [&] { records.turns({}); });
  asked.emplace_back("answers with a thumb down",
                     [&] { records.turns({.feedback = Feedback::kDown}); });
  asked.emplace_back("what is thought of many answers", [&] {
    std::vector<std::int64_t> answers;
    for (const MessageRow& row : records.messages({.limit = 500}).rows) {
      answers.push_back(row.message.id);
    }
    records.feedback(answers);
  });
  asked.emplace_back("a person by e-mail",
                     [&] { records.sessions_of({.email = "visitor777@mail.example"}); });
  asked.emplace_back("a person by phone", [&] { records.sessions_of({.phone = "15550000777"}); });
  asked.emplace_back("history", [&] { store.messages(id, {}); });
  asked.emplace_back("past turns", [&] { store.past_turns(id, 0, 20); });
  asked.emplace_back("turns", [&] { store.turns(id, 20); });
  asked.emplace_back("a turn", [&] { whole_turn(store, id, "q", "a"); });
  asked.emplace_back("deletion", [&] {
    SessionQuery oldest{.sort = {{kCreated, false}}, .limit = 1};
    records.delete_sessions(ids(records.sessions(oldest)), by_op("delete"));
  });

  for (const auto& [what, ask] : asked) {
    const std::vector<Json> plans = server.plans_of(ask);
    CAPTURE(what);
    CHECK_FALSE(plans.empty());
    for (const Json& plan : plans) {
      std::vector<std::string> faults;
      judge(plan["Plan"], 30'000, faults);
      if (faults.empty()) continue;
      UNSCOPED_INFO(plan.dump(1));
      for (const std::string& fault : faults) FAIL_CHECK(fault);
    }
  }

  // A page far behind reads as much as the first one.
  const auto blocks = [&](const auto& query, const auto& list) {
    // The thread that keeps the lists reads, too, now and then.
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (int i = 0; i < 3; ++i) {
      least = std::min(least, blocks_of(server.plans_of([&] { list(query); })));
    }
    return least;
  };
  const auto compare = [&](auto query, const auto& list) {
    query.limit = 20;
    const std::int64_t first = blocks(query, list);
    query.cursor = far_cursor(query, list, 18);
    CHECK(blocks(query, list) <= first + first / 2 + 50);
  };
  for (const SessionOrder order : {kUpdated, kCreated, kName, kEmail, kMessages}) {
    CAPTURE(static_cast<int>(order));
    compare(SessionQuery{.sort = {{order, true}}},
            [&](const SessionQuery& query) { return records.sessions(query); });
  }
  compare(RowQuery{}, [&](const RowQuery& query) { return records.messages(query); });

  // Orders of several columns with large groups and small ones give every session once, in the
  // order that PostgreSQL makes of all.
  PostgresClient other(server.url());
  other.exec(
      "INSERT INTO chat_message (content, is_bot, created_at, session_id) SELECT 'one more', "
      "false, "
      "now(), id FROM chat_chatsession WHERE id % 3 = 0; UPDATE chat_chatsession SET user_name = "
      "NULL WHERE id % 2 = 0; UPDATE chat_chatsession SET user_name = 'Same' WHERE id % 500 = 1");
  while (!records.sessions({.limit = 1}).complete) {
  }
  const std::string name = "lower(coalesce(s.user_name, '') COLLATE \"C\")";
  const std::vector<std::pair<std::vector<SessionSort>, std::string>> orders{
      {{{kMessages, true}, {kCreated, true}}, "t.message_count DESC, s.created_at DESC, s.id DESC"},
      {{{kMessages, true}, {kName, false}}, "t.message_count DESC, " + name + ", s.id DESC"},
      {{{kMessages, false}, {kName, true}, {kCreated, true}},
       "t.message_count, " + name + " DESC, s.created_at DESC, s.id"},
      {{{kName, false}, {kMessages, true}}, name + ", t.message_count DESC, s.id"},
      {{{kName, true}, {kCreated, false}}, name + " DESC, s.created_at, s.id DESC"}};
  for (const auto& [sort, sql] : orders) {
    CAPTURE(sql);
    SessionQuery query{.sort = sort, .limit = 1'777};
    CHECK(all_ids(records, query) ==
          other.rows("SELECT s.session_id FROM chat_chatsession AS s JOIN twinchat_session AS t ON "
                     "t.id = s.id ORDER BY " +
                     sql));
  }
}

}  // namespace
}  // namespace twinchat::testing
