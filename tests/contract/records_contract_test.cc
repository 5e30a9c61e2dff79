// What Records promises, over every kind of database.

#include <algorithm>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "catch.h"
#include "databases.h"
#include "stores.h"
#include "temp_dir.h"

namespace twinchat::testing {
namespace {

using Strings = std::vector<std::string>;
using std::chrono::hours;
using std::chrono::seconds;

class Fixture {
 public:
  Fixture()
      : kind_(GENERATE(from_range(database_kinds()))), database_(kind_.make(folder_.path())) {}
  Store& store() { return *database_.store; }
  Records* operator->() { return database_.records.get(); }
  Accounts& accounts() { return *database_.accounts; }
  const std::string& name() const { return kind_.name; }

  // A session with a message for each text, a second apart.
  void chat(const std::string& id, const UserDetails& user, Timestamp at, const Strings& texts) {
    store().create_session(id, user, at);
    for (const std::string& text : texts) {
      at += seconds(1);
      FinishedTurn finished;
      finished.turn_id = store().begin_turn(new_turn(id, text, at)).turn.id;
      finished.status = TurnStatus::kComplete;
      finished.answer = "Answer to " + text;
      finished.now = at;
      store().finish_turn(finished);
    }
  }

  // Ends a new turn of the session that way.
  Turn turn(const std::string& id, TurnStatus status, Timestamp at, const std::string& answer = "",
            const Usage& usage = {}, std::chrono::milliseconds latency = {}) {
    FinishedTurn finished;
    finished.turn_id = store().begin_turn(new_turn(id, "Question", at)).turn.id;
    finished.status = status;
    if (!answer.empty()) finished.answer = answer;
    finished.usage = usage;
    finished.latency = latency;
    finished.now = at;
    return store().finish_turn(finished);
  }

  // The ids of all that the query lists, page by page; all of sessions of that name.
  std::vector<std::int64_t> turns(TurnQuery query, const std::string& name) {
    std::vector<std::int64_t> found;
    for (;;) {
      const Page<TurnRow> page = database_.records->turns(query);
      for (const TurnRow& row : page.rows) {
        found.push_back(row.turn.id);
        CHECK(row.user.name == name);
      }
      if (page.next.empty()) return found;
      query.cursor = page.next;
    }
  }

 private:
  TempDir folder_;
  DatabaseKind kind_;
  Database database_;
};

#define WITH_EVERY_DATABASE() \
  Fixture data;               \
  INFO("database: " << data.name())

// --- Lists

TEST_CASE("Totals follow what comes and goes") {
  WITH_EVERY_DATABASE();
  CHECK(data->totals() == Totals{});
  data.chat("one", {"Jane", "jane@example.com", {}}, moment(), {"q1", "q2"});
  data.chat("two", {}, moment(), {"q"});
  CHECK(data->totals() == Totals{2, 6, 1});
  data.store().update_user("two", {.phone = "123"}, moment());
  CHECK(data->totals() == Totals{2, 6, 2});
  data.store().update_user("one", {.email = ""}, moment());
  CHECK(data->totals() == Totals{2, 6, 1});
  data->delete_sessions({"one"}, by_op("delete"));
  CHECK(data->totals() == Totals{1, 2, 1});
  data->delete_sessions({"two"}, by_op("delete"));
  CHECK(data->totals() == Totals{});
}

TEST_CASE("A listed session shows its details, how many messages it has and the last") {
  WITH_EVERY_DATABASE();
  data.chat("one", {"Jane", "jane@example.com", "+1 234"}, moment(), {"q1", "q2"});
  data.store().create_session("two", {}, moment());
  const Page<SessionRow> page = data->sessions({});
  CHECK(page.count == 2);
  CHECK(page.complete);
  CHECK(page.next.empty());
  REQUIRE(ids(page) == Strings{"one", "two"});
  CHECK(page.rows[0].session == data.store().find_session("one"));
  CHECK(page.rows[0].message_count == 4);
  REQUIRE(page.rows[0].last_message);
  CHECK(page.rows[0].last_message->text == "Answer to q2");
  CHECK(page.rows[1].message_count == 0);
  CHECK_FALSE(page.rows[1].last_message);
  CHECK(data->session("one") == page.rows[0]);
  CHECK_FALSE(data->session("three"));
}

TEST_CASE("The session that was last talked in is listed first") {
  WITH_EVERY_DATABASE();
  for (const char* id : {"a", "b", "c"}) data.store().create_session(id, {}, moment());
  data.turn("a", TurnStatus::kComplete, moment(1'000'000), "yes");
  CHECK(ids(data->sessions({})) == Strings{"a", "c", "b"});
  data.store().update_user("b", {}, moment(2'000'000));
  CHECK(ids(data->sessions({})) == Strings{"b", "a", "c"});
}

TEST_CASE("Sessions are ordered by one column and then by others, either way") {
  WITH_EVERY_DATABASE();
  data.chat("1", {"bob", "z@example.com", {}}, moment(3), {"q"});
  data.chat("2", {"Anna", "y@example.com", {}}, moment(2), {"q", "q", "q"});
  data.chat("3", {"anna", "x@example.com", {}}, moment(1), {});
  data.chat("4", {}, moment(4), {"q", "q"});
  const auto sorted = [&](std::vector<SessionSort> sort) {
    SessionQuery query;
    query.sort = std::move(sort);
    const Strings whole = ids(data->sessions(query));
    query.limit = 1;
    CHECK(all_ids(*data.operator->(), query) == whole);
    return whole;
  };
  using enum SessionOrder;
  CHECK(sorted({{kCreated, false}}) == Strings{"3", "2", "1", "4"});
  CHECK(sorted({{kCreated, true}}) == Strings{"4", "1", "2", "3"});
  CHECK(sorted({{kName, false}}) == Strings{"4", "2", "3", "1"});
  CHECK(sorted({{kName, true}}) == Strings{"1", "3", "2", "4"});
  CHECK(sorted({{kName, false}, {kEmail, false}}) == Strings{"4", "3", "2", "1"});
  CHECK(sorted({{kName, false}, {kEmail, true}}) == Strings{"4", "2", "3", "1"});
  CHECK(sorted({{kEmail, true}}) == Strings{"1", "2", "3", "4"});
  CHECK(sorted({{kMessages, true}}) == Strings{"2", "4", "1", "3"});
  CHECK(sorted({{kMessages, false}, {kCreated, false}}) == Strings{"3", "1", "4", "2"});
}

TEST_CASE("Pages follow each other without gaps or repeats while new sessions come") {
  WITH_EVERY_DATABASE();
  for (int i = 0; i < 25; ++i) {
    data.store().create_session("s" + std::to_string(i), {}, moment(i / 2));
  }
  SessionQuery query;
  query.limit = 7;
  Page<SessionRow> page = data->sessions(query);
  CHECK(page.count == 25);
  Strings seen = ids(page);
  while (!page.next.empty()) {
    data.store().create_session("new" + std::to_string(seen.size()), {}, moment(1'000));
    query.cursor = page.next;
    page = data->sessions(query);
    CHECK_FALSE(page.count);
    const Strings more = ids(page);
    seen.insert(seen.end(), more.begin(), more.end());
  }
  CHECK(seen.size() == 25);
  CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == 25);
  query.cursor = "zz";
  CHECK(code_of([&] { data->sessions(query); }) == ErrorCode::kInvalidArgument);
  query.cursor = "31.";
  CHECK(code_of([&] { data->sessions(query); }) == ErrorCode::kInvalidArgument);
}

TEST_CASE("Filters leave the sessions of a time, and leads") {
  WITH_EVERY_DATABASE();
  data.store().create_session("old", {{}, "o@example.com", {}}, moment() - hours(48));
  data.store().create_session("mid", {{}, {}, ""}, moment() - hours(24));
  data.store().create_session("new", {{}, {}, "1"}, moment());
  data.store().update_user("old", {}, moment(5));
  const auto filtered = [&](SessionQuery query) {
    const Page<SessionRow> page = data->sessions(query);
    const auto found = ids(page);
    CHECK(page.count == static_cast<std::int64_t>(found.size()));
    CHECK(data->count_sessions(query, 100) == static_cast<std::int64_t>(found.size()));
    query.sort = {{SessionOrder::kName, false}};
    CHECK(data->sessions(query).rows.size() == found.size());
    return found;
  };
  SessionQuery query;
  query.created.from = moment() - hours(24);
  CHECK(filtered(query) == Strings{"new", "mid"});
  query.created.before = moment();
  CHECK(filtered(query) == Strings{"mid"});
  query = {};
  query.updated.from = moment();
  CHECK(filtered(query) == Strings{"old", "new"});
  query.updated = {{}, moment()};
  CHECK(filtered(query) == Strings{"mid"});
  query = {};
  query.leads_only = true;
  CHECK(filtered(query) == Strings{"old", "new"});
  CHECK(data->count_sessions(query, 1) == 1);
  query.created.from = moment();
  CHECK(filtered(query) == Strings{"new"});
}

// --- Searches

TEST_CASE("A session is found by each of its fields and by what was said in it") {
  WITH_EVERY_DATABASE();
  data.chat("3f0c-one", {"Jané Doe", "jane@example.com", "+1 (555) 77"}, moment(),
            {"Can I eat mangos?", "And \"ripe bananas\"?"});
  data.chat("77aa-two", {"John Doe", {}, {}}, moment(), {"Bananas"});
  const auto found = [&](const std::string& search, bool in_messages = true) {
    SessionQuery query;
    query.search = search;
    query.search_messages = in_messages;
    query.sort = {{SessionOrder::kCreated, false}};
    return all_ids(*data.operator->(), query);
  };
  CHECK(found("3F0C") == Strings{"3f0c-one"});
  CHECK(found("doe") == Strings{"3f0c-one", "77aa-two"});
  CHECK(found("JAN\xC3\x89 doe") == Strings{"3f0c-one"});
  CHECK(found("doe example.com") == Strings{"3f0c-one"});
  CHECK(found("(555)") == Strings{"3f0c-one"});
  CHECK(found("77") == Strings{"3f0c-one", "77aa-two"});
  CHECK(found("BANANA") == Strings{"3f0c-one", "77aa-two"});
  CHECK(found("mangos john").empty());
  CHECK(found("mangos jan\xC3\xA9") == Strings{"3f0c-one"});
  CHECK(found("\"ripe bananas\"") == Strings{"3f0c-one"});
  CHECK(found("\"bananas ripe\"").empty());
  CHECK(found("\"eat mangos\" banana") == Strings{"3f0c-one"});
  CHECK(found("eat i") == Strings{"3f0c-one"});
  CHECK(found("bananas", false).empty());
  CHECK(found("doe", false) == Strings{"3f0c-one", "77aa-two"});
  CHECK(found("nobody").empty());
  CHECK(found("%").empty());
  CHECK(found("' OR 1=1 --").empty());
  CHECK(found("  ") == Strings{"3f0c-one", "77aa-two"});
}

TEST_CASE("A search goes with filters, orders and pages") {
  WITH_EVERY_DATABASE();
  for (int i = 0; i < 30; ++i) {
    const std::string n = std::to_string(i);
    data.chat("s" + n, {"Visitor " + n, i % 2 ? "v@example.com" : "", {}}, moment(i),
              {"common words number " + n});
  }
  SessionQuery query;
  query.search = "COMMON visitor";
  query.leads_only = true;
  query.sort = {{SessionOrder::kCreated, true}};
  query.limit = 4;
  const Page<SessionRow> first = data->sessions(query);
  CHECK(ids(first) == Strings{"s29", "s27", "s25", "s23"});
  CHECK(first.count == 15);
  CHECK(all_ids(*data.operator->(), query).size() == 15);
  query.search = "\"number 17\"";
  CHECK(all_ids(*data.operator->(), query) == Strings{"s17"});
}

TEST_CASE("A search finds what was changed by its new words alone") {
  WITH_EVERY_DATABASE();
  data.chat("one", {"Jane", {}, {}}, moment(), {"mangos"});
  const auto finds = [&](const std::string& search) {
    SessionQuery sessions;
    sessions.search = search;
    RowQuery messages;
    messages.search = search;
    return std::pair(data->sessions(sessions).rows.size(), data->messages(messages).rows.size());
  };
  CHECK(finds("mangos") == std::pair<std::size_t, std::size_t>(1, 2));
  const Message asked = data.store().messages("one", {}).front();
  data->edit_message(asked.id, "papayas", false, asked, by_op("change"));
  data.store().update_user("one", {.name = "Gerda"}, moment());
  CHECK(finds("papayas") == std::pair<std::size_t, std::size_t>(1, 1));
  CHECK(finds("mangos") == std::pair<std::size_t, std::size_t>(1, 1));
  CHECK(finds("jane").first == 0);
  CHECK(finds("gerda").first == 1);
  data->delete_messages({data.store().messages("one", {}).back().id}, by_op("delete"));
  CHECK(finds("mangos") == std::pair<std::size_t, std::size_t>(0, 0));
  data->delete_sessions({"one"}, by_op("delete"));
  CHECK(finds("papayas") == std::pair<std::size_t, std::size_t>(0, 0));
  CHECK(finds("gerda").first == 0);
}

TEST_CASE("Messages are listed newest first, by who said them, when, and in which session") {
  WITH_EVERY_DATABASE();
  data.chat("one", {}, moment(), {"q1", "q2"});
  data.chat("two", {}, moment() + hours(24), {"q3"});
  const Strings newest{"Answer to q3", "q3", "Answer to q2", "q2", "Answer to q1", "q1"};
  RowQuery query;
  const Page<MessageRow> page = data->messages(query);
  CHECK(texts(page) == newest);
  CHECK(page.count == 6);
  CHECK(page.rows.front().session_id == "two");
  CHECK(data->message(page.rows.front().message.id) == page.rows.front());
  CHECK_FALSE(data->message(99));
  query.limit = 2;
  CHECK(data->messages(query).count == 6);
  CHECK(all_texts(*data.operator->(), query) == newest);
  query.newest_first = false;
  CHECK(all_texts(*data.operator->(), query) == Strings(newest.rbegin(), newest.rend()));
  query = {};
  query.is_bot = false;
  CHECK(texts(data->messages(query)) == Strings{"q3", "q2", "q1"});
  CHECK(data->messages(query).count == 3);
  CHECK(data->count_messages(query, 10) == 3);
  CHECK(data->count_messages(query, 2) == 2);
  query.created.before = moment() + hours(1);
  CHECK(texts(data->messages(query)) == Strings{"q2", "q1"});
  query.created = {moment() + hours(24), {}};
  CHECK(texts(data->messages(query)) == Strings{"q3"});
  query = {};
  query.session_id = "one";
  CHECK(data->messages(query).rows.size() == 4);
  CHECK(data->count_messages(query, 10) == 4);
  query.session_id = "three";
  CHECK(data->messages(query).rows.empty());
  query.cursor = "x";
  CHECK(code_of([&] { data->messages(query); }) == ErrorCode::kInvalidArgument);
}

TEST_CASE("Messages are searched by their words and by the id of their session") {
  WITH_EVERY_DATABASE();
  data.chat("0a1b2c3d-0000-4000-8000-000000000001", {}, moment(), {"Mangos and BANANAS", "b"});
  data.chat("0a1b2c3d-0000-4000-8000-000000000002", {}, moment(), {"bananas, deadbeef1"});
  const auto found = [&](const std::string& search) {
    RowQuery query;
    query.search = search;
    query.is_bot = false;
    const Strings whole = all_texts(*data.operator->(), query);
    query.limit = 1;
    CHECK(all_texts(*data.operator->(), query) == whole);
    return whole;
  };
  CHECK(found("bananas") == Strings{"bananas, deadbeef1", "Mangos and BANANAS"});
  CHECK(found("bananas mangos") == Strings{"Mangos and BANANAS"});
  CHECK(found("\"mangos and b\"") == Strings{"Mangos and BANANAS"});
  CHECK(found("b") == Strings{"bananas, deadbeef1", "b", "Mangos and BANANAS"});
  CHECK(found("0a1b2c3d-0000") == Strings{"bananas, deadbeef1", "b", "Mangos and BANANAS"});
  CHECK(found("000000000001") == Strings{"b", "Mangos and BANANAS"});
  CHECK(found("000000000001 mangos") == Strings{"Mangos and BANANAS"});
  CHECK(found("deadbeef1") == Strings{"bananas, deadbeef1"});
  CHECK(found("nothing").empty());
}

// --- Changes

TEST_CASE("Of two operators who change a session the second is told") {
  WITH_EVERY_DATABASE();
  const UserDetails before{"Jane", "jane@example.com", {}};
  data.chat("one", before, moment(), {"q"});
  const SessionRow row = data->edit_session("one", {.name = "Janet", .phone = "1"}, before,
                                            moment(9), by_op("change", "session", "one"));
  CHECK(row.session.user == UserDetails{"Janet", "jane@example.com", "1"});
  CHECK(row.session.updated_at == moment(9));
  CHECK(row.message_count == 2);
  CHECK(code_of([&] {
          data->edit_session("one", {.name = "Lost"}, before, moment(10), by_op("change"));
        }) == ErrorCode::kAborted);
  CHECK(data->session("one") == row);
  // A visitor who goes on chatting is in nobody's way.
  data.turn("one", TurnStatus::kComplete, moment(11), "yes");
  CHECK(data->edit_session("one", {.name = nullptr}, row.session.user, moment(12), by_op("change"))
            .session.user == UserDetails{{}, "jane@example.com", "1"});
  data->edit_session("one", {.name = "Any"}, std::nullopt, moment(13), by_op("change"));
  CHECK(data.store().find_session("one")->user.name == "Any");
  CHECK(code_of([&] { data->edit_session("two", {}, {}, moment(), by_op("change")); }) ==
        ErrorCode::kNotFound);
  // What was not done is not in the log.
  AuditQuery changes;
  changes.action = "change";
  CHECK(data.accounts().audit(changes).rows.size() == 3);
}

TEST_CASE("Of two operators who change a message the second is told") {
  WITH_EVERY_DATABASE();
  data.chat("one", {}, moment(), {"q"});
  const Message before = data.store().messages("one", {}).front();
  const MessageRow row = data->edit_message(before.id, "Question", false, before, by_op("change"));
  CHECK(row.message.text == "Question");
  CHECK(row.message.created_at == before.created_at);
  CHECK(row.session_id == "one");
  CHECK(code_of([&] { data->edit_message(before.id, "Lost", false, before, by_op("change")); }) ==
        ErrorCode::kAborted);
  CHECK(data->message(before.id) == row);
  CHECK(code_of([&] { data->edit_message(99, "x", false, {}, by_op("change")); }) ==
        ErrorCode::kNotFound);
}

TEST_CASE("The model is told what an operator made of a message") {
  WITH_EVERY_DATABASE();
  data.store().create_session("one", {}, moment());
  FinishedTurn finished;
  finished.turn_id = data.store().begin_turn(new_turn("one", "q1")).turn.id;
  finished.status = TurnStatus::kComplete;
  finished.answer = "a1";
  finished.contents = "the model's own words";
  finished.now = moment();
  const Turn turn = data.store().finish_turn(finished);
  // So that what is remembered of the session is remembered.
  data.turn("one", TurnStatus::kComplete, moment(), "a2");
  const auto pending = [&] { return data.store().begin_turn(new_turn("one", "q")).turn.id; };
  std::int64_t last = pending();
  CHECK(data.store().past_turns("one", last, 9).size() == 2);

  data->edit_message(turn.answer->id, "A1, corrected", true, {}, by_op("change"));
  std::vector<PastTurn> past = data.store().past_turns("one", last, 9);
  REQUIRE(past.size() == 2);
  CHECK(past[0].answer_text == "A1, corrected");
  CHECK(past[0].contents.empty());
  CHECK(data.store().turns("one", 9).front().text() == "A1, corrected");

  data->add_message("one", "By hand: question", false, moment(), by_op("add"));
  data->add_message("one", "By hand: answer", true, moment(), by_op("add"));
  last = pending();
  past = data.store().past_turns("one", last, 9);
  REQUIRE(past.size() == 3);
  CHECK(past[2].user_text == "By hand: question");
  CHECK(past[2].answer_text == "By hand: answer");

  data->delete_messages({turn.user_message.id}, by_op("delete"));
  CHECK(data.store().past_turns("one", last, 9).size() == 2);
  CHECK(data->conversation("one", 0, 99).front().message.text == "A1, corrected");
}

TEST_CASE("A message that an operator adds stands at the end of its session") {
  WITH_EVERY_DATABASE();
  data.chat("one", {}, moment(), {"q"});
  const MessageRow row =
      data->add_message("one", "Call us", true, moment() + hours(1), by_op("add", "message"));
  CHECK(row.session_id == "one");
  CHECK(data.store().messages("one", {}).back() == row.message);
  CHECK(data.store().find_session("one")->updated_at == moment() + hours(1));
  CHECK(data->session("one")->message_count == 3);
  CHECK(code_of([&] { data->add_message("two", "x", true, moment(), by_op("add")); }) ==
        ErrorCode::kNotFound);
  CHECK(data.accounts().audit({}).rows.front().object_id == std::to_string(row.message.id));
}

TEST_CASE("A session that an operator adds is listed and can be talked in") {
  WITH_EVERY_DATABASE();
  const SessionRow row = data->add_session({"Jane", {}, {}}, moment(), by_op("add", "session"));
  const std::string id = row.session.session_id;
  CHECK(id.size() == 36);
  CHECK(row.session == data.store().find_session(id));
  CHECK(ids(data->sessions({})) == Strings{id});
  CHECK(data->add_session({}, moment(), by_op("add")).session.session_id != id);
  CHECK(whole_turn(data.store(), id, "q", "a").status == TurnStatus::kComplete);
  AuditQuery added;
  added.object_id = id;
  CHECK(data.accounts().audit(added).rows.size() == 1);
}

TEST_CASE("Deleting sessions takes all that is theirs and nothing else") {
  WITH_EVERY_DATABASE();
  for (const char* id : {"one", "two", "three"}) data.chat(id, {}, moment(), {"q1", "q2"});
  const std::int64_t late = data.store().begin_turn(new_turn("one", "pending")).turn.id;
  for (const char* id : {"one", "three"}) {
    data.store().record_consent({id, "1", "en", "I agree.", moment()});
  }
  CHECK(data->delete_sessions({"one", "two", "nobody"}, by_op("delete")) == Erased{2, 9});
  CHECK(data.store().consents("one").empty());
  CHECK(data.store().consents("three").size() == 1);
  CHECK_FALSE(data.store().find_session("one"));
  CHECK(data.store().messages("one", {}).empty());
  CHECK(data.store().turns("two", 9).empty());
  CHECK(data.store().turns("three", 9).size() == 2);
  CHECK(ids(data->sessions({})) == Strings{"three"});
  CHECK(data->messages({}).rows.size() == 4);
  FinishedTurn finished;
  finished.turn_id = late;
  finished.status = TurnStatus::kComplete;
  CHECK(code_of([&] { data.store().finish_turn(finished); }) == ErrorCode::kNotFound);
  CHECK(data->delete_sessions({"one"}, by_op("delete")) == Erased{});
}

TEST_CASE("With a question goes its turn, an answer leaves its turn behind") {
  WITH_EVERY_DATABASE();
  data.chat("one", {}, moment(), {"q1", "q2"});
  const std::vector<Turn> turns = data.store().turns("one", 9);
  CHECK(data->delete_messages({turns[0].user_message.id, turns[1].answer->id, 99},
                              by_op("delete")) == 2);
  const std::vector<Turn> left = data.store().turns("one", 9);
  REQUIRE(left.size() == 1);
  CHECK(left[0].id == turns[1].id);
  CHECK_FALSE(left[0].answer);
  CHECK(data.store().past_turns("one", 0, 9).empty());
}

// --- Conversations, turns, figures

TEST_CASE("A conversation shows each message, and of each question what became of it") {
  WITH_EVERY_DATABASE();
  data.chat("one", {}, moment(), {"q1", "q2", "q3"});
  data.turn("one", TurnStatus::kFailed, moment() + hours(1));
  const std::vector<Utterance> whole = data->conversation("one", 0, 99);
  REQUIRE(whole.size() == 7);
  CHECK(whole[0].message.text == "q1");
  REQUIRE(whole[0].turn);
  CHECK(whole[0].turn == data.store().turns("one", 9).front());
  CHECK_FALSE(whole[1].turn);
  CHECK(whole[6].turn->status == TurnStatus::kFailed);
  const std::vector<Utterance> newest = data->conversation("one", 0, 2);
  REQUIRE(newest.size() == 2);
  CHECK(newest[1].message == whole[6].message);
  const std::vector<Utterance> earlier = data->conversation("one", newest[0].message.id, 2);
  REQUIRE(earlier.size() == 2);
  CHECK(earlier[1].message == whole[4].message);
  CHECK(data->conversation("two", 0, 9).empty());
}

TEST_CASE("Turns that went wrong are listed newest first, by how they did") {
  WITH_EVERY_DATABASE();
  data.store().create_session("one", {"Jane", {}, {}}, moment());
  const Turn failed = data.turn("one", TurnStatus::kFailed, moment());
  data.turn("one", TurnStatus::kComplete, moment(), "a");
  const Turn blocked = data.turn("one", TurnStatus::kBlocked, moment() + hours(30), "no");
  const Turn empty = data.turn("one", TurnStatus::kEmpty, moment() + hours(31));
  data.store().begin_turn(new_turn("one", "pending", moment() + hours(32)));
  const auto listed = [&](const TurnQuery& query) { return data.turns(query, "Jane"); };
  TurnQuery query;
  CHECK(listed(query) == std::vector{empty.id, blocked.id, failed.id});
  CHECK(data->turns(query).count == 3);
  CHECK(data->turns(query).rows[1].turn == blocked);
  query.limit = 1;
  CHECK(listed(query) == std::vector{empty.id, blocked.id, failed.id});
  query.statuses = {TurnStatus::kFailed, TurnStatus::kEmpty};
  CHECK(listed(query) == std::vector{empty.id, failed.id});
  CHECK(data->turns(query).count == 2);
  query.created.from = moment() + hours(24);
  CHECK(listed(query) == std::vector{empty.id});
  query.statuses = {TurnStatus::kComplete};
  CHECK(code_of([&] { data->turns(query); }) == ErrorCode::kInvalidArgument);
}

TEST_CASE("Turns are listed by what visitors think of their answers, whatever became of them") {
  WITH_EVERY_DATABASE();
  data.store().create_session("one", {"Jane", {}, {}}, moment());
  const auto rated = [&](TurnStatus status, Timestamp at, Feedback feedback) {
    const Turn turn = data.turn("one", status, at, "a");
    return data.store().set_feedback("one", turn.answer->id, feedback, at + hours(1));
  };
  const Turn first = rated(TurnStatus::kComplete, moment(), Feedback::kDown);
  rated(TurnStatus::kComplete, moment(), Feedback::kNone);
  const Turn liked = rated(TurnStatus::kComplete, moment(), Feedback::kUp);
  const Turn cut = rated(TurnStatus::kTruncated, moment() + hours(30), Feedback::kDown);
  const Turn last = rated(TurnStatus::kComplete, moment() + hours(31), Feedback::kDown);
  const auto listed = [&](const TurnQuery& query) { return data.turns(query, "Jane"); };
  TurnQuery query;
  query.feedback = Feedback::kDown;
  CHECK(listed(query) == std::vector{last.id, cut.id, first.id});
  CHECK(data->turns(query).count == 3);
  CHECK(data->turns(query).rows[0].turn == last);
  query.limit = 1;
  CHECK(listed(query) == std::vector{last.id, cut.id, first.id});
  query.statuses = {TurnStatus::kComplete, TurnStatus::kFailed};
  CHECK(listed(query) == std::vector{last.id, first.id});
  query.created.from = moment() + hours(24);
  CHECK(listed(query) == std::vector{last.id});
  CHECK(data->turns(query).count == 1);
  data.store().set_feedback("one", last.answer->id, Feedback::kNone, moment());
  CHECK(listed(query).empty());
  TurnQuery up;
  up.feedback = Feedback::kUp;
  CHECK(listed(up) == std::vector{liked.id});
}

TEST_CASE("What visitors think of many answers, and what they agreed to, is looked up at once") {
  WITH_EVERY_DATABASE();
  std::vector<std::int64_t> answers, sessions;
  for (const char* id : {"one", "two", "three"}) {
    sessions.push_back(data.store().create_session(id, {}, moment()).id);
    const Turn turn = data.turn(id, TurnStatus::kComplete, moment(), "a");
    answers.insert(answers.end(), {turn.user_message.id, turn.answer->id});
  }
  CHECK(data->feedback(answers).empty());
  CHECK(data->standing_consents(sessions).empty());
  data.store().set_feedback("one", answers[1], Feedback::kUp, moment());
  data.store().set_feedback("two", answers[3], Feedback::kDown, moment());
  data.store().set_feedback("three", answers[5], Feedback::kUp, moment());
  using Found = std::unordered_map<std::int64_t, Feedback>;
  CHECK(data->feedback({answers[0], answers[1], answers[3], 12345}) ==
        Found{{answers[1], Feedback::kUp}, {answers[3], Feedback::kDown}});
  CHECK(data->feedback({}).empty());

  const auto agree = [&](const char* id, const char* version, const char* words) {
    return data.store().record_consent({id, version, "en", words, moment()});
  };
  agree("one", "1", "I agree.");
  const Consent newest = agree("one", "2", "I agree to 'all' of it.");
  agree("two", "1", "I agree.");
  data.store().withdraw_consents("two", moment());
  const Consent third = agree("three", "1", "I agree.");
  using Consents = std::unordered_map<std::int64_t, Consent>;
  CHECK(data->standing_consents({sessions[0], sessions[1], 12345}) ==
        Consents{{sessions[0], newest}});
  CHECK(data->standing_consents(sessions) == Consents{{sessions[0], newest}, {sessions[2], third}});
  CHECK(data->standing_consents({}).empty());
}

TEST_CASE("Statistics count thumbs on the day they were given, with the answers of earlier days") {
  WITH_EVERY_DATABASE();
  const auto day = std::chrono::floor<std::chrono::days>(moment());
  data.store().create_session("one", {}, moment());
  std::vector<std::int64_t> answers;
  for (int i = 0; i < 4; ++i) {
    answers.push_back(data.turn("one", TurnStatus::kComplete, moment(i), "a").answer->id);
  }
  const auto think = [&](int answer, Feedback feedback, Timestamp at) {
    data.store().set_feedback("one", answers[static_cast<std::size_t>(answer)], feedback, at);
  };
  think(0, Feedback::kUp, day + hours(23));
  think(1, Feedback::kDown, day + hours(23));
  think(2, Feedback::kDown, day + hours(24));
  think(3, Feedback::kDown, day + hours(23));
  think(3, Feedback::kNone, day + hours(25));
  think(0, Feedback::kDown, day + hours(26));
  think(1, Feedback::kDown, day + hours(22));
  const std::vector<DayStatistics> days = data->statistics(day, day + std::chrono::days(1));
  REQUIRE(days.size() == 2);
  CHECK(days[0].liked == 0);
  CHECK(days[0].disliked == 1);
  CHECK(days[1].liked == 0);
  CHECK(days[1].disliked == 2);
  think(1, Feedback::kUp, day + hours(22));
  think(2, Feedback::kUp, day + hours(72));
  CHECK(data->statistics(day + std::chrono::days(3), day + std::chrono::days(3))[0].liked == 1);
  // Days of the past are remembered, thumbs and all.
  if (data.name() != "memory") {
    CHECK(data->statistics(day, day + std::chrono::days(1)) == days);
  }
}

TEST_CASE("Statistics count each day's sessions, messages, turns and tokens") {
  WITH_EVERY_DATABASE();
  const auto day = std::chrono::floor<std::chrono::days>(moment());
  data.store().create_session("silent", {}, moment());
  data.store().create_session("one", {{}, "j@example.com", {}}, moment());
  for (int i = 1; i <= 100; ++i) {
    data.turn("one", TurnStatus::kComplete, moment(i), "a", {10, 4, 3, 2, 15},
              std::chrono::milliseconds(i));
  }
  data.turn("one", TurnStatus::kFailed, moment(200), "", {}, std::chrono::milliseconds(60'000));
  data.turn("one", TurnStatus::kBlocked, day + hours(24), "no");
  const std::vector<DayStatistics> days =
      data->statistics(day - std::chrono::days(1), day + std::chrono::days(1));
  REQUIRE(days.size() == 3);
  DayStatistics none;
  none.day = day - std::chrono::days(1);
  CHECK(days[0] == none);
  CHECK(days[1].day == day);
  CHECK(days[1].sessions == 2);
  CHECK(days[1].asked == 1);
  CHECK(days[1].leads == 1);
  CHECK(days[1].messages == 201);
  CHECK(days[1].visitor_messages == 101);
  CHECK(days[1].turns == std::vector<std::int64_t>{0, 100, 0, 0, 0, 1, 0, 0});
  CHECK(days[1].usage == Usage{1000, 400, 300, 200, 1500});
  using std::chrono::milliseconds;
  CHECK(days[1].latency ==
        DayStatistics::Latency{milliseconds(50), milliseconds(90), milliseconds(99)});
  CHECK(days[2].turns[static_cast<std::size_t>(TurnStatus::kBlocked)] == 1);
  CHECK_FALSE(days[2].latency);
  // Days of the past are remembered.
  CHECK(data->statistics(day - std::chrono::days(1), day + std::chrono::days(1)) == days);
  CHECK(code_of([&] { data->statistics(day, day - std::chrono::days(1)); }) ==
        ErrorCode::kInvalidArgument);
  CHECK(code_of([&] { data->statistics(day, day + std::chrono::days(366)); }) ==
        ErrorCode::kInvalidArgument);
}

// --- One person

TEST_CASE("A person is found by e-mail, by the digits of the phone number, or by a session") {
  WITH_EVERY_DATABASE();
  data.store().create_session("one", {"Jane", "Jane@Example.com", {}}, moment());
  data.store().create_session("two", {{}, "jane@example.com", "+1 (555) 123"}, moment());
  data.store().create_session("three", {{}, {}, "1555-123"}, moment());
  data.store().create_session("four", {{}, {}, "n/a"}, moment());
  CHECK(data->sessions_of({.email = "JANE@example.com"}) == Strings{"one", "two"});
  CHECK(data->sessions_of({.phone = "1555 123"}) == Strings{"two", "three"});
  CHECK(data->sessions_of({.phone = "none"}).empty());
  CHECK(data->sessions_of({.session_id = "three"}) == Strings{"three"});
  CHECK(data->sessions_of({.session_id = "five"}).empty());
  CHECK(data->sessions_of({.email = "jane@example.co"}).empty());
  CHECK(code_of([&] { data->sessions_of({}); }) == ErrorCode::kInvalidArgument);
  CHECK(code_of([&] { data->sessions_of({.email = "a", .phone = "1"}); }) ==
        ErrorCode::kInvalidArgument);
}

TEST_CASE("Erasing a person leaves the others") {
  WITH_EVERY_DATABASE();
  data.chat("one", {{}, "jane@example.com", {}}, moment(), {"q"});
  data.chat("two", {{}, "john@example.com", {}}, moment(), {"q"});
  CHECK(data->erase(data->sessions_of({.email = "jane@example.com"}), by_op("erase")) ==
        Erased{1, 2});
  CHECK(ids(data->sessions({})) == Strings{"two"});
  CHECK(data->totals() == Totals{1, 2, 1});
}

// --- Retention

TEST_CASE("What has been idle for long is erased, leads and others apart, the longest idle first") {
  WITH_EVERY_DATABASE();
  const auto hour = [](int n) { return moment(n * std::int64_t{3'600'000'000}); };
  data.chat("oldest", {{"Jane"}, {}, {}}, hour(0), {"q"});
  data.chat("old", {{}, {}, ""}, hour(1), {"q", "r"});
  data.chat("lead", {{}, "jane@example.com", {}}, hour(0), {"q"});
  data.chat("young lead", {{}, {}, "+1 555"}, hour(9), {"q"});
  data.chat("young", {}, hour(9), {"q"});
  // Began long ago and came back.
  data.chat("returned", {}, hour(0), {"q"});
  data.store().update_user("returned", {}, hour(9));
  const ExpiredQuery others{.before = hour(5), .leads = false, .limit = 1};
  AuditEntry audit = by_op("erase", "session");
  audit.detail = "rule: ";
  CHECK(data->erase_expired(others, audit) == Erased{1, 2});
  CHECK_FALSE(data->session("oldest"));
  CHECK(data->erase_expired(others, audit) == Erased{1, 4});
  CHECK(data->erase_expired(others, audit) == Erased{});
  CHECK(data->erase_expired({.before = hour(5), .leads = true}, audit) == Erased{1, 2});
  CHECK(data->erase_expired({.before = hour(5), .leads = true}, audit) == Erased{});
  const Strings left = ids(data->sessions({}));
  CHECK(std::set<std::string>(left.begin(), left.end()) ==
        std::set<std::string>{"young lead", "young", "returned"});
  const Page<AuditEntry> log = data.accounts().audit({.action = "erase"});
  REQUIRE(log.rows.size() == 3);
  CHECK(log.rows[0].detail == "rule: 1 sessions, 2 messages");
  CHECK(log.rows[1].detail == "rule: 1 sessions, 4 messages");
}

}  // namespace
}  // namespace twinchat::testing
