// What every store promises: each sentence of store.h that a caller can rely on. Every test runs
// over every kind of store.

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "catch.h"
#include "stores.h"
#include "temp_dir.h"

namespace twinchat::testing {
namespace {

const std::vector<TurnStatus> kEndings{
    TurnStatus::kComplete, TurnStatus::kTruncated, TurnStatus::kBlocked,    TurnStatus::kEmpty,
    TurnStatus::kFailed,   TurnStatus::kCancelled, TurnStatus::kInterrupted};

// An empty store of the kind that the test is run over.
class Fixture {
 public:
  Fixture() : kind_(GENERATE(from_range(store_kinds()))), store_(kind_.make(folder_.path())) {}
  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }
  const std::string& name() const { return kind_.name; }
  bool any_bytes() const { return kind_.any_bytes; }

 private:
  TempDir folder_;
  StoreKind kind_;
  std::shared_ptr<Store> store_;
};

#define WITH_EVERY_STORE() \
  Fixture store;           \
  INFO("store: " << store.name())

// Runs `body(i)` on `count` threads that start together.
template <class F>
void on_threads(int count, F body) {
  std::atomic<int> waiting{count};
  std::vector<std::jthread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      --waiting;
      while (waiting > 0) std::this_thread::yield();
      body(i);
    });
  }
}

std::vector<std::string> texts(const std::vector<Message>& messages) {
  std::vector<std::string> texts;
  for (const Message& message : messages) texts.push_back(message.text);
  return texts;
}

std::vector<std::string> questions(const std::vector<PastTurn>& turns) {
  std::vector<std::string> texts;
  for (const PastTurn& turn : turns) texts.push_back(turn.user_text);
  return texts;
}

using Strings = std::vector<std::string>;

// --- Sessions

TEST_CASE("A session that was created is found with everything it was given") {
  WITH_EVERY_STORE();
  const UserDetails user{"Jane", "jane@example.com", "+1 234"};
  const Session created = store->create_session("one", user, moment(1));
  CHECK(created.id > 0);
  CHECK(created.session_id == "one");
  CHECK(created.user == user);
  CHECK(created.created_at == moment(1));
  CHECK(created.updated_at == moment(1));
  CHECK(store->find_session("one") == created);
}

TEST_CASE("A detail that was never given stays absent and an empty one stays empty") {
  WITH_EVERY_STORE();
  store->create_session("one", {std::nullopt, "", std::nullopt}, moment());
  const std::optional<Session> found = store->find_session("one");
  REQUIRE(found);
  CHECK(found->user == UserDetails{std::nullopt, "", std::nullopt});
}

TEST_CASE("An unknown session is not found") {
  WITH_EVERY_STORE();
  CHECK(store->find_session("nobody") == std::nullopt);
  CHECK(store->messages("nobody", {}).empty());
  CHECK(store->turns("nobody", 10).empty());
  CHECK(store->past_turns("nobody", 0, 10).empty());
}

TEST_CASE("A session id that is taken cannot be created again") {
  WITH_EVERY_STORE();
  const Session first = store->create_session("one", {"Jane", {}, {}}, moment());
  CHECK(code_of([&] {
          store->create_session("one", {"Eve", {}, {}}, moment(5));
        }) == ErrorCode::kAlreadyExists);
  CHECK(store->find_session("one") == first);
}

TEST_CASE("Session ids are compared byte by byte") {
  WITH_EVERY_STORE();
  std::vector<std::string> ids{"a",        "A",         "a ",           " a",
                               "\xc3\xa9", "e\xcc\x81", "\xef\xbf\xbd", "%",
                               "_",        "'",         "\"",           std::string(255, 'x')};
  for (const auto& odd : {std::string("a\0b", 3), std::string("a\0c", 3), std::string("\xff")}) {
    if (store.any_bytes()) {
      ids.push_back(odd);
      continue;
    }
    CHECK(code_of([&] { store->create_session(odd, {}, moment()); }) ==
          ErrorCode::kInvalidArgument);
    NewTurn turn = new_turn(odd, "q");
    CHECK(code_of([&] { store->begin_turn(turn); }) == ErrorCode::kNotFound);
    turn.create_session = true;
    CHECK(code_of([&] { store->begin_turn(turn); }) == ErrorCode::kInvalidArgument);
    CHECK_FALSE(store->find_session(odd));
    CHECK(store->messages(odd, {}).empty());
    CHECK(store->turns(odd, 10).empty());
    CHECK(store->past_turns(odd, 0, 10).empty());
  }
  std::set<std::int64_t> rows;
  for (const std::string& id : ids) rows.insert(store->create_session(id, {}, moment()).id);
  CHECK(rows.size() == ids.size());
  for (const std::string& id : ids) {
    const std::optional<Session> found = store->find_session(id);
    REQUIRE(found);
    CHECK(found->session_id == id);
  }
}

TEST_CASE("Of many threads that create the same session exactly one succeeds") {
  WITH_EVERY_STORE();
  std::atomic<int> created{0};
  std::atomic<int> refused{0};
  on_threads(16, [&](int) {
    const auto code = code_of([&] { store->create_session("one", {}, moment()); });
    if (!code) ++created;
    if (code == ErrorCode::kAlreadyExists) ++refused;
  });
  CHECK(created == 1);
  CHECK(refused == 15);
}

TEST_CASE("An update sets what it gives, clears what it gives as null, and keeps the rest") {
  WITH_EVERY_STORE();
  const Session before = store->create_session("one", {"Jane", "jane@example.com", "1"}, moment());
  const Session after =
      store->update_user("one", {.name = "J\xc3\xbcrgen", .phone = nullptr}, moment(7));
  CHECK(after.user == UserDetails{"J\xc3\xbcrgen", "jane@example.com", std::nullopt});
  CHECK(after.id == before.id);
  CHECK(after.created_at == moment());
  CHECK(after.updated_at == moment(7));
  CHECK(store->find_session("one") == after);
}

TEST_CASE("An empty update moves updated_at and nothing else") {
  WITH_EVERY_STORE();
  Session expected = store->create_session("one", {"Jane", {}, "1"}, moment());
  expected.updated_at = moment(3);
  CHECK(store->update_user("one", {}, moment(3)) == expected);
  CHECK(store->find_session("one") == expected);
}

TEST_CASE("An update of an unknown session fails and creates nothing") {
  WITH_EVERY_STORE();
  CHECK(code_of([&] { store->update_user("one", {.name = "Jane"}, moment()); }) ==
        ErrorCode::kNotFound);
  CHECK_FALSE(store->find_session("one"));
}

// --- Messages

TEST_CASE("Messages come oldest first, from after an id on, and no more than asked for") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  store->create_session("two", {}, moment());
  for (int i = 0; i < 3; ++i) {
    whole_turn(*store, "one", "q" + std::to_string(i), "a" + std::to_string(i));
    whole_turn(*store, "two", "other", "other");
  }
  const std::vector<Message> all = store->messages("one", {});
  CHECK(texts(all) == Strings{"q0", "a0", "q1", "a1", "q2", "a2"});
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i].is_bot == (i % 2 == 1));
    if (i > 0) CHECK(all[i].id > all[i - 1].id);
  }
  CHECK(texts(store->messages("one", {.limit = 2})) == Strings{"q0", "a0"});
  CHECK(texts(store->messages("one", {.after_id = all[1].id})) == Strings{"q1", "a1", "q2", "a2"});
  CHECK(texts(store->messages("one", {.after_id = all[1].id, .limit = 3})) ==
        Strings{"q1", "a1", "q2"});
  CHECK(store->messages("one", {.after_id = all[5].id}).empty());
}

TEST_CASE("A page of messages is read backwards, from before an id or from the end") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  store->create_session("two", {}, moment());
  for (int i = 0; i < 3; ++i) {
    whole_turn(*store, "two", "other", "other");
    whole_turn(*store, "one", "q" + std::to_string(i), "a" + std::to_string(i));
  }
  const std::vector<Message> all = store->messages("one", {});
  const auto page = [&](const MessageQuery& query) { return texts(store->messages("one", query)); };
  CHECK(page({.limit = 3, .newest = true}) == Strings{"a1", "q2", "a2"});
  CHECK(page({.limit = 3, .before_id = all[3].id, .newest = true}) == Strings{"q0", "a0", "q1"});
  CHECK(page({.limit = 2, .before_id = all[3].id, .newest = true}) == Strings{"a0", "q1"});
  CHECK(page({.limit = 2, .before_id = all[3].id}) == Strings{"q0", "a0"});
  CHECK(page({.before_id = all[1].id}) == Strings{"q0"});
  CHECK(page({.before_id = all[0].id, .newest = true}).empty());
  CHECK(page({.after_id = all[0].id, .before_id = all[3].id}) == Strings{"a0", "q1"});
  CHECK(page({.after_id = all[0].id, .limit = 1, .before_id = all[3].id, .newest = true}) ==
        Strings{"q1"});
  CHECK(page({.after_id = all[2].id, .before_id = all[1].id}).empty());
  CHECK(page({.newest = true}).size() == 6);
}

// A text, and what becomes of it where not all bytes can be kept.
struct OddText {
  std::string text;
  std::string replaced;
};

std::vector<OddText> odd_texts() {
  const std::string no_character = "\xef\xbf\xbd";
  std::string every_byte;
  std::string every_byte_replaced;
  for (int c = 0; c < 256; ++c) {
    every_byte += static_cast<char>(c);
    every_byte_replaced +=
        c > 0 && c < 128 ? every_byte.substr(every_byte.size() - 1) : no_character;
  }
  std::vector<OddText> texts{
      {"\xed\xa0\x80 lone", no_character + no_character + no_character + " lone"},
      {"\xc0\x80 overlong", no_character + no_character + " overlong"},
      {"\xff\xfe", no_character + no_character},
      {"cut \xf0\x9f\x98", "cut " + no_character + no_character + no_character},
      {std::string("nul\0nul\0", 8), "nul" + no_character + "nul" + no_character},
      {every_byte, every_byte_replaced}};
  const std::vector<std::string> good{"",
                                      " two spaces ",
                                      "caf\xc3\xa9 \xf0\x9f\x98\x80",
                                      "e\xcc\x81",
                                      "\xef\xbb\xbf"
                                      "bom",
                                      "'; DROP TABLE",
                                      "line\r\nline\n",
                                      "5",
                                      "1e3",
                                      "X'41'",
                                      "\\x41",
                                      "{1,2}",
                                      std::string(200'000, 'y')};
  for (const std::string& text : good) texts.push_back({text, text});
  return texts;
}

TEST_CASE("Any text comes back byte for byte, or with a mark for what is no character") {
  WITH_EVERY_STORE();
  const OddText odd = GENERATE(from_range(odd_texts()));
  const std::string& text = odd.text;
  const std::string& kept = store.any_bytes() ? odd.text : odd.replaced;
  UserDetails user;
  if (text.size() <= 20) user = {text, text, text};
  const Session session = store->create_session("one", user, moment());
  if (user.name) CHECK(session.user == UserDetails{kept, kept, kept});
  NewTurn turn = new_turn("one", text);
  turn.idempotency_key = "key" + text.substr(0, 252);
  turn.fingerprint = text;
  FinishedTurn finished;
  const Turn begun = store->begin_turn(turn).turn;
  CHECK(begun.user_message.text == kept);
  finished.turn_id = begun.id;
  finished.status = TurnStatus::kComplete;
  finished.answer = text;
  finished.contents = text;
  finished.model = text;
  finished.now = moment();
  CHECK(store->finish_turn(finished).text() == kept);

  CHECK(store->find_session("one") == session);
  CHECK(texts(store->messages("one", {})) == Strings{kept, kept});
  const std::vector<PastTurn> past = store->past_turns("one", 0, 1);
  REQUIRE(past.size() == 1);
  CHECK(past[0].user_text == kept);
  CHECK(past[0].answer_text == kept);
  CHECK(past[0].contents == text);
  CHECK(store->turns("one", 1).at(0).model == kept);
  CHECK(store->begin_turn(turn).kind == BegunTurn::Kind::kReplayed);
  turn.idempotency_key += '\x01';
  CHECK(store->begin_turn(turn).kind == BegunTurn::Kind::kNew);
}

TEST_CASE("Times are kept to the microsecond") {
  WITH_EVERY_STORE();
  using namespace std::chrono_literals;
  const Timestamp time =
      GENERATE(moment(0), moment(1), moment(999'999), moment(100'000), Timestamp{},
               Timestamp(std::chrono::microseconds(-1)),
               Timestamp(std::chrono::sys_days(std::chrono::year(2024) / 2 / 29) + 24h - 1us),
               Timestamp(std::chrono::sys_days(std::chrono::year(9999) / 12 / 31)));
  store->create_session("one", {}, time);
  store->begin_turn(new_turn("one", "q", time));
  CHECK(store->find_session("one")->created_at == time);
  CHECK(store->find_session("one")->updated_at == time);
  CHECK(store->messages("one", {}).at(0).created_at == time);
}

// --- Beginning a turn

TEST_CASE("A begun turn is pending, and its message is there") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  const BegunTurn begun = store->begin_turn(new_turn("one", "hello", moment(9)));
  CHECK(begun.kind == BegunTurn::Kind::kNew);
  CHECK(begun.turn.id > 0);
  CHECK(begun.turn.session_id == "one");
  CHECK(begun.turn.status == TurnStatus::kPending);
  CHECK(begun.turn.user_message.text == "hello");
  CHECK_FALSE(begun.turn.user_message.is_bot);
  CHECK(begun.turn.user_message.created_at == moment(9));
  CHECK_FALSE(begun.turn.answer);
  CHECK_FALSE(begun.turn.replayed);
  CHECK(store->messages("one", {}) == std::vector<Message>{begun.turn.user_message});
  CHECK(store->turns("one", 10) == std::vector<Turn>{begun.turn});
  CHECK(store->find_session("one")->updated_at == moment(9));
}

TEST_CASE("A turn in an unknown session fails and leaves nothing") {
  WITH_EVERY_STORE();
  CHECK(code_of([&] { store->begin_turn(new_turn("one", "hello")); }) == ErrorCode::kNotFound);
  CHECK_FALSE(store->find_session("one"));
}

TEST_CASE("A turn may create its session, with the details it brings") {
  WITH_EVERY_STORE();
  NewTurn turn = new_turn("one", "hello", moment(2));
  turn.create_session = true;
  turn.details = {.name = "Jane", .email = nullptr};
  CHECK(store->begin_turn(turn).kind == BegunTurn::Kind::kNew);
  const std::optional<Session> session = store->find_session("one");
  REQUIRE(session);
  CHECK(session->user == UserDetails{"Jane", std::nullopt, std::nullopt});
  CHECK(session->created_at == moment(2));
  CHECK(store->messages("one", {}).size() == 1);
}

TEST_CASE("A turn that may create its session uses the one that is there") {
  WITH_EVERY_STORE();
  const Session session = store->create_session("one", {"Jane", {}, "1"}, moment());
  NewTurn turn = new_turn("one", "hello", moment(2));
  turn.create_session = true;
  turn.details = {.phone = "2"};
  store->begin_turn(turn);
  const std::optional<Session> found = store->find_session("one");
  REQUIRE(found);
  CHECK(found->id == session.id);
  CHECK(found->created_at == session.created_at);
  CHECK(found->user == UserDetails{"Jane", std::nullopt, "2"});
}

TEST_CASE("Turns without a key never meet each other") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  CHECK(store->begin_turn(new_turn("one", "hello")).kind == BegunTurn::Kind::kNew);
  CHECK(store->begin_turn(new_turn("one", "hello")).kind == BegunTurn::Kind::kNew);
  CHECK(store->messages("one", {}).size() == 2);
}

NewTurn keyed_turn(const std::string& session_id, Timestamp now = moment()) {
  NewTurn turn = new_turn(session_id, "hello", now);
  turn.idempotency_key = "key";
  turn.fingerprint = "print";
  return turn;
}

TEST_CASE("A key belongs to its session") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  store->create_session("two", {}, moment());
  CHECK(store->begin_turn(keyed_turn("one")).kind == BegunTurn::Kind::kNew);
  CHECK(store->begin_turn(keyed_turn("two")).kind == BegunTurn::Kind::kNew);
}

TEST_CASE("A key whose turn is pending is refused, and nothing changes") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  store->begin_turn(keyed_turn("one"));
  NewTurn again = keyed_turn("one", moment(5));
  again.details.name = "Eve";
  CHECK(code_of([&] { store->begin_turn(again); }) == ErrorCode::kAborted);
  CHECK(store->messages("one", {}).size() == 1);
  CHECK(store->find_session("one")->updated_at == moment());
  CHECK_FALSE(store->find_session("one")->user.name);
}

TEST_CASE("A key with another fingerprint is refused, whatever became of its turn") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  FinishedTurn finished;
  finished.turn_id = store->begin_turn(keyed_turn("one")).turn.id;
  finished.status = GENERATE(from_range(kEndings));
  finished.now = moment(1);
  const bool ended = GENERATE(true, false);
  if (ended) store->finish_turn(finished);
  NewTurn other = keyed_turn("one", moment(5));
  other.fingerprint = "another";
  CHECK(code_of([&] { store->begin_turn(other); }) == ErrorCode::kAlreadyExists);
  CHECK(store->messages("one", {}).size() == 1);
}

TEST_CASE("Complete, truncated and blocked turns are replayed, and nothing is written") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  FinishedTurn finished;
  finished.turn_id = store->begin_turn(keyed_turn("one")).turn.id;
  finished.status = GENERATE(TurnStatus::kComplete, TurnStatus::kTruncated, TurnStatus::kBlocked);
  finished.answer = "hi";
  finished.now = moment(1);
  Turn expected = store->finish_turn(finished);
  CHECK_FALSE(expected.replayed);
  NewTurn again = keyed_turn("one", moment(5));
  again.details.name = "Eve";
  const BegunTurn begun = store->begin_turn(again);
  CHECK(begun.kind == BegunTurn::Kind::kReplayed);
  expected.replayed = true;
  CHECK(begun.turn == expected);
  CHECK(store->messages("one", {}).size() == 2);
  CHECK(store->find_session("one")->updated_at == moment(1));
  CHECK_FALSE(store->find_session("one")->user.name);
}

TEST_CASE("All other ended turns are resumed: the message stands and the turn is pending again") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  const Turn first = store->begin_turn(keyed_turn("one")).turn;
  FinishedTurn finished;
  finished.turn_id = first.id;
  finished.status = GENERATE(TurnStatus::kEmpty, TurnStatus::kFailed, TurnStatus::kCancelled,
                             TurnStatus::kInterrupted);
  finished.finish_reason_raw = "OTHER";
  finished.error_code = "INTERNAL";
  finished.attempts = 3;
  finished.usage.prompt_tokens = 5;
  finished.now = moment(1);
  store->finish_turn(finished);
  whole_turn(*store, "one", "in between", "answer");

  NewTurn again = keyed_turn("one", moment(5));
  again.details.name = "Jane";
  const BegunTurn resumed = store->begin_turn(again);
  CHECK(resumed.kind == BegunTurn::Kind::kResumed);
  CHECK(resumed.turn == first);
  CHECK(texts(store->messages("one", {})) == Strings{"hello", "in between", "answer"});
  CHECK(store->find_session("one")->updated_at == moment(5));
  CHECK(store->find_session("one")->user.name == "Jane");
  CHECK(code_of([&] { store->begin_turn(again); }) == ErrorCode::kAborted);

  finished.status = TurnStatus::kComplete;
  finished.answer = "hi";
  CHECK(store->finish_turn(finished).text() == "hi");
  CHECK(store->begin_turn(again).kind == BegunTurn::Kind::kReplayed);
}

TEST_CASE("A pending turn that has expired is resumed") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  NewTurn turn = keyed_turn("one");
  turn.expires_at = moment(10);
  const std::int64_t id = store->begin_turn(turn).turn.id;
  turn.now = moment(9);
  CHECK(code_of([&] { store->begin_turn(turn); }) == ErrorCode::kAborted);
  turn.now = moment(10);
  turn.expires_at = moment(20);
  const BegunTurn begun = store->begin_turn(turn);
  CHECK(begun.kind == BegunTurn::Kind::kResumed);
  CHECK(begun.turn.id == id);
  turn.now = moment(11);
  CHECK(code_of([&] { store->begin_turn(turn); }) == ErrorCode::kAborted);
  CHECK(store->messages("one", {}).size() == 1);
}

TEST_CASE("What a cancelled turn had answered stays among the messages when it is resumed") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  FinishedTurn finished;
  finished.turn_id = store->begin_turn(keyed_turn("one")).turn.id;
  finished.status = TurnStatus::kCancelled;
  finished.answer = "partl";
  finished.now = moment(1);
  CHECK(store->finish_turn(finished).text() == "partl");
  CHECK_FALSE(store->begin_turn(keyed_turn("one")).turn.answer);
  finished.status = TurnStatus::kComplete;
  finished.answer = "partly cloudy";
  CHECK(store->finish_turn(finished).text() == "partly cloudy");
  CHECK(texts(store->messages("one", {})) == Strings{"hello", "partl", "partly cloudy"});
  const std::vector<PastTurn> past = store->past_turns("one", 0, 10);
  REQUIRE(past.size() == 1);
  CHECK(past[0].answer_text == "partly cloudy");
}

TEST_CASE("Of many threads with the same key exactly one begins the turn") {
  WITH_EVERY_STORE();
  for (int round = 0; round < 10; ++round) {
    const std::string id = "session " + std::to_string(round);
    std::atomic<int> begun{0};
    std::atomic<int> aborted{0};
    on_threads(16, [&](int) {
      NewTurn turn = keyed_turn(id);
      turn.create_session = true;
      const auto code = code_of([&] {
        if (store->begin_turn(turn).kind == BegunTurn::Kind::kNew) ++begun;
      });
      if (code == ErrorCode::kAborted) ++aborted;
    });
    CHECK(begun == 1);
    CHECK(aborted == 15);
    CHECK(store->messages(id, {}).size() == 1);
  }
}

// --- Finishing a turn

TEST_CASE("A finished turn has everything that it was finished with") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  const Turn begun = store->begin_turn(new_turn("one", "hello")).turn;
  FinishedTurn finished;
  finished.turn_id = begun.id;
  finished.status = GENERATE(from_range(kEndings));
  finished.answer = "hi";
  finished.contents = R"([{"parts":[]}])";
  finished.finish_reason_raw = "MAX_TOKENS";
  finished.block_reason = "SAFETY";
  finished.model = "model";
  finished.model_version = "model-001";
  finished.response_id = "response";
  finished.usage = {10, 2, 30, 4, 46};
  finished.latency = std::chrono::milliseconds(1'234);
  finished.attempts = 2;
  finished.error_code = "INTERNAL";
  finished.now = moment(8);
  const Turn turn = store->finish_turn(finished);
  CHECK(turn.id == begun.id);
  CHECK(turn.session_id == "one");
  CHECK(turn.status == finished.status);
  CHECK(turn.user_message == begun.user_message);
  REQUIRE(turn.answer);
  CHECK(turn.answer->text == "hi");
  CHECK(turn.answer->is_bot);
  CHECK(turn.answer->created_at == moment(8));
  CHECK(turn.answer->id > turn.user_message.id);
  CHECK(turn.finish_reason == FinishReason::kMaxTokens);
  CHECK(turn.finish_reason_raw == "MAX_TOKENS");
  CHECK(turn.block_reason == "SAFETY");
  CHECK(turn.model == "model");
  CHECK(turn.model_version == "model-001");
  CHECK(turn.response_id == "response");
  CHECK(turn.usage == finished.usage);
  CHECK(turn.latency == finished.latency);
  CHECK(turn.attempts == 2);
  CHECK(turn.error_code == "INTERNAL");
  CHECK(store->turns("one", 10) == std::vector<Turn>{turn});
  CHECK(store->messages("one", {}) == std::vector<Message>{turn.user_message, *turn.answer});
  CHECK(store->find_session("one")->updated_at == moment(8));
}

TEST_CASE("A turn that is finished without an answer adds no message") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  const Turn turn = whole_turn(*store, "one", "hello", "", TurnStatus::kFailed);
  CHECK_FALSE(turn.answer);
  CHECK(store->messages("one", {}).size() == 1);
  CHECK(store->find_session("one")->updated_at == moment(1));
}

TEST_CASE("An empty answer is an answer") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  FinishedTurn finished;
  finished.turn_id = store->begin_turn(new_turn("one", "hello")).turn.id;
  finished.status = TurnStatus::kComplete;
  finished.answer = "";
  CHECK(store->finish_turn(finished).answer.has_value());
  CHECK(store->messages("one", {}).size() == 2);
}

TEST_CASE("A turn that does not exist cannot be finished") {
  WITH_EVERY_STORE();
  FinishedTurn finished;
  finished.turn_id = GENERATE(0, 1, -1, 77);
  CHECK(code_of([&] { store->finish_turn(finished); }) == ErrorCode::kNotFound);
}

TEST_CASE("A turn cannot be finished as pending") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  FinishedTurn finished;
  finished.turn_id = store->begin_turn(new_turn("one", "hello")).turn.id;
  finished.status = TurnStatus::kPending;
  finished.answer = "hi";
  CHECK(code_of([&] { store->finish_turn(finished); }) == ErrorCode::kInvalidArgument);
  CHECK(store->messages("one", {}).size() == 1);
}

TEST_CASE("A turn that has ended stays as it is") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  FinishedTurn finished;
  finished.turn_id = store->begin_turn(new_turn("one", "hello")).turn.id;
  finished.status = GENERATE(TurnStatus::kComplete, TurnStatus::kTruncated, TurnStatus::kBlocked,
                             TurnStatus::kEmpty, TurnStatus::kFailed, TurnStatus::kCancelled);
  finished.now = moment(1);
  const Turn turn = store->finish_turn(finished);
  finished.status = TurnStatus::kComplete;
  finished.answer = "too late";
  finished.now = moment(2);
  CHECK(code_of([&] { store->finish_turn(finished); }) == ErrorCode::kFailedPrecondition);
  CHECK(store->turns("one", 10) == std::vector<Turn>{turn});
  CHECK(store->messages("one", {}).size() == 1);
  CHECK(store->find_session("one")->updated_at == moment(1));
}

TEST_CASE("A turn that was marked interrupted is finished all the same") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  FinishedTurn finished;
  finished.turn_id = store->begin_turn(new_turn("one", "hello")).turn.id;
  finished.status = TurnStatus::kInterrupted;
  store->finish_turn(finished);
  finished.status = TurnStatus::kComplete;
  finished.answer = "hi";
  CHECK(store->finish_turn(finished).status == TurnStatus::kComplete);
  CHECK(texts(store->messages("one", {})) == Strings{"hello", "hi"});
}

// --- Reading turns

// --- The tokens of a day

// Ends a turn of session "one" that used so many tokens of each kind that counts.
void use_tokens(Store& store, std::int64_t each, Timestamp now,
                TurnStatus status = TurnStatus::kComplete) {
  FinishedTurn finished;
  finished.turn_id = store.begin_turn(new_turn("one", "q", now)).turn.id;
  finished.status = status;
  if (status == TurnStatus::kComplete) finished.answer = "a";
  finished.usage = {.prompt_tokens = each,
                    .cached_tokens = each,
                    .output_tokens = each,
                    .thought_tokens = each,
                    .total_tokens = 3 * each};
  finished.now = now;
  store.finish_turn(finished);
}

NewTurn capped_turn(std::int64_t most, Timestamp now, std::string session = "one") {
  NewTurn turn = new_turn(std::move(session), "too much", now);
  turn.create_session = true;
  turn.details.name = "Eve";
  turn.max_tokens_per_day = most;
  return turn;
}

TEST_CASE("Once the tokens of the day are used up no turn begins, and nothing is written") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  use_tokens(*store, 30, moment(1));
  use_tokens(*store, 10, moment(2), TurnStatus::kFailed);  // those were used, too
  CHECK_NOTHROW(store->begin_turn(capped_turn(121, moment(3))));
  CHECK_NOTHROW(store->begin_turn(capped_turn(0, moment(3))));
  const std::vector<Message> before = store->messages("one", {});
  const std::optional<Session> session = store->find_session("one");
  for (const char* asking : {"one", "new"}) {
    CAPTURE(asking);
    try {
      store->begin_turn(capped_turn(120, moment(4), asking));
      FAIL("the turn began");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kResourceExhausted);
      CHECK(error.details().reason == "DAILY_TOKENS");
      // moment() is at noon.
      CHECK(error.retry_after() == std::chrono::hours(12));
    }
  }
  CHECK(store->messages("one", {}) == before);
  CHECK(store->find_session("one") == session);
  CHECK_FALSE(store->find_session("new"));
}

TEST_CASE("The tokens of a day end with it, at midnight UTC") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  const Timestamp midnight = std::chrono::floor<std::chrono::days>(moment()) + std::chrono::days(1);
  const Timestamp last = midnight - std::chrono::microseconds(1);
  use_tokens(*store, 40, moment());
  try {
    store->begin_turn(capped_turn(100, last));
    FAIL("the turn began");
  } catch (const Error& error) {
    CHECK(error.retry_after() == std::chrono::milliseconds(1));
  }
  // A turn counts for the day on which it ends.
  FinishedTurn late;
  late.turn_id = store->begin_turn(new_turn("one", "late", last)).turn.id;
  late.status = TurnStatus::kFailed;
  late.usage.prompt_tokens = 70;
  late.now = midnight;
  CHECK_NOTHROW(store->begin_turn(capped_turn(100, midnight)));
  store->finish_turn(late);
  CHECK_NOTHROW(store->begin_turn(capped_turn(71, midnight)));
  CHECK(code_of([&] { store->begin_turn(capped_turn(70, midnight)); }) ==
        ErrorCode::kResourceExhausted);
}

TEST_CASE(
    "With the tokens used up a stored answer is still replayed, and what failed is not resumed") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  const auto ended = [&](const std::string& key, TurnStatus status) {
    NewTurn turn = new_turn("one", key);
    turn.idempotency_key = key;
    FinishedTurn finished;
    finished.turn_id = store->begin_turn(turn).turn.id;
    finished.status = status;
    if (status == TurnStatus::kComplete) finished.answer = "a";
    finished.usage.output_tokens = 50;
    finished.now = moment(1);
    store->finish_turn(finished);
    turn.max_tokens_per_day = 100;
    turn.now = moment(2);
    return turn;
  };
  const NewTurn answered = ended("answered", TurnStatus::kComplete);
  const NewTurn failed = ended("failed", TurnStatus::kFailed);
  CHECK(store->begin_turn(answered).kind == BegunTurn::Kind::kReplayed);
  CHECK(code_of([&] { store->begin_turn(failed); }) == ErrorCode::kResourceExhausted);
  CHECK(store->turns("one", 10).back().status == TurnStatus::kFailed);
  // What a turn used before it is resumed stays used.
  NewTurn again = failed;
  again.max_tokens_per_day = 101;
  FinishedTurn finished;
  finished.turn_id = store->begin_turn(again).turn.id;
  finished.status = TurnStatus::kFailed;
  finished.usage.output_tokens = 50;
  finished.now = moment(3);
  store->finish_turn(finished);
  CHECK(code_of([&] { store->begin_turn(capped_turn(150, moment(4))); }) ==
        ErrorCode::kResourceExhausted);
  CHECK_NOTHROW(store->begin_turn(capped_turn(151, moment(4))));
}

TEST_CASE("A store that works says so") {
  WITH_EVERY_STORE();
  CHECK_NOTHROW(store->check());
}

TEST_CASE("The newest turns come oldest first, whatever their status") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  store->create_session("two", {}, moment());
  std::vector<Turn> all;
  for (TurnStatus status : kEndings) {
    all.push_back(whole_turn(*store, "one", to_string(status), "a", status));
    whole_turn(*store, "two", "other", "other");
  }
  all.push_back(store->begin_turn(new_turn("one", "pending")).turn);
  CHECK(store->turns("one", 100) == all);
  CHECK(store->turns("one", 3) == std::vector<Turn>(all.end() - 3, all.end()));
  CHECK(store->turns("one", 0).empty());
}

TEST_CASE("Turns are found by their answers, in the order of those") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  store->create_session("two", {}, moment());
  FinishedTurn late;
  late.turn_id = store->begin_turn(new_turn("one", "asked first")).turn.id;
  late.status = TurnStatus::kComplete;
  late.answer = "answered last";
  const Turn first = whole_turn(*store, "one", "q", "a");
  whole_turn(*store, "one", "lost", "", TurnStatus::kFailed);
  const Turn other = whole_turn(*store, "two", "q", "a");
  const Turn blocked = whole_turn(*store, "one", "q", "no", TurnStatus::kBlocked);
  const Turn last = store->finish_turn(late);
  const auto found = [&](const char* session, const Turn& from, const Turn& to) {
    return store->answered_turns(session, from.answer->id, to.answer->id);
  };
  CHECK(found("one", first, last) == std::vector<Turn>{first, blocked, last});
  CHECK(found("one", blocked, blocked) == std::vector<Turn>{blocked});
  CHECK(found("one", other, other).empty());
  CHECK(found("two", first, last) == std::vector<Turn>{other});
  CHECK(found("one", last, first).empty());
  CHECK(found("nobody", first, last).empty());
}

// --- Feedback

TEST_CASE("What a visitor thinks of an answer is kept with its turn until it is changed") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  const std::int64_t answer = whole_turn(*store, "one", "q", "a").answer->id;
  const Turn other = whole_turn(*store, "one", "q2", "a2");
  CHECK(other.feedback == Feedback::kNone);
  CHECK(other.feedback_at == std::nullopt);
  const std::optional<Session> session = store->find_session("one");
  for (const Feedback feedback : {Feedback::kUp, Feedback::kDown, Feedback::kUp}) {
    const Turn turn = store->set_feedback("one", answer, feedback, moment(7));
    CHECK(turn.text() == "a");
    CHECK(turn.feedback == feedback);
    CHECK(turn.feedback_at == moment(7));
    CHECK(store->turns("one", 2) == std::vector<Turn>{turn, other});
    CHECK(store->answered_turns("one", answer, answer) == std::vector<Turn>{turn});
  }
  const Turn none = store->set_feedback("one", answer, Feedback::kNone, moment(9));
  CHECK(none.feedback == Feedback::kNone);
  CHECK(none.feedback_at == std::nullopt);
  CHECK(store->turns("one", 2).front() == none);
  CHECK(store->find_session("one") == session);  // updated_at is that of the last message
}

TEST_CASE("Feedback on what is no answer of the session is not found and changes nothing") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  store->create_session("two", {}, moment());
  const Turn turn = whole_turn(*store, "one", "q", "a");
  const auto refused = [&](const char* session, std::int64_t message) {
    return code_of([&] { store->set_feedback(session, message, Feedback::kUp, moment()); });
  };
  CHECK(refused("one", turn.user_message.id) == ErrorCode::kNotFound);
  CHECK(refused("one", turn.answer->id + 1) == ErrorCode::kNotFound);
  CHECK(refused("one", 0) == ErrorCode::kNotFound);
  CHECK(refused("two", turn.answer->id) == ErrorCode::kNotFound);
  CHECK(refused("nobody", turn.answer->id) == ErrorCode::kNotFound);
  CHECK(store->turns("one", 1) == std::vector<Turn>{turn});
}

TEST_CASE("A turn that is resumed has no feedback: that was for another answer") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  NewTurn turn = new_turn("one", "q");
  turn.idempotency_key = "k";
  FinishedTurn finished;
  finished.turn_id = store->begin_turn(turn).turn.id;
  finished.status = TurnStatus::kCancelled;
  finished.answer = "what was sh";
  const std::int64_t answer = store->finish_turn(finished).answer->id;
  store->set_feedback("one", answer, Feedback::kDown, moment());
  CHECK(store->begin_turn(turn).turn.feedback == Feedback::kNone);
  finished.status = TurnStatus::kComplete;
  finished.answer = "what was shown";
  const Turn again = store->finish_turn(finished);
  CHECK(again.feedback == Feedback::kNone);
  CHECK(again.feedback_at == std::nullopt);
  CHECK(store->turns("one", 1) == std::vector<Turn>{again});
  CHECK(code_of([&] { store->set_feedback("one", answer, Feedback::kUp, moment()); }) ==
        ErrorCode::kNotFound);
}

// --- Consents

TEST_CASE("Consents are kept one by one with their words, and stamped when they are withdrawn") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  store->create_session("two", {}, moment());
  const std::optional<Session> session = store->find_session("one");
  const NewConsent english{"one", "1", "en", "I agree.", moment(1)};
  const NewConsent hindi{"one", "2", "hi", "\xe0\xa4\xb9\xe0\xa4\xbe\xe0\xa4\x81", moment(2)};
  const Consent first = store->record_consent(english);
  CHECK(first.id > 0);
  CHECK(first == Consent{first.id, "1", "en", "I agree.", moment(1)});
  const Consent second = store->record_consent(hindi);
  CHECK(second == Consent{second.id, "2", "hi", hindi.text, moment(2)});
  CHECK(second.id > first.id);
  const Consent other = store->record_consent({"two", "1", "en", "I agree.", moment(3)});
  CHECK(store->consents("one") == std::vector<Consent>{first, second});

  std::vector<Consent> expected{first, second};
  for (Consent& consent : expected) consent.withdrawn_at = moment(4);
  CHECK(store->withdraw_consents("one", moment(4)) == expected);
  CHECK(store->withdraw_consents("one", moment(5)) == expected);  // the first time counts
  expected.push_back(store->record_consent({"one", "1", "en", "I agree.", moment(6)}));
  CHECK(expected.back().withdrawn_at == std::nullopt);
  CHECK(store->consents("one") == expected);
  CHECK(store->consents("two") == std::vector<Consent>{other});
  CHECK(store->find_session("one") == session);
}

TEST_CASE("An unknown session agrees to nothing") {
  WITH_EVERY_STORE();
  CHECK(code_of([&] {
          store->record_consent({"nobody", "1", "en", "I agree.", moment()});
        }) == ErrorCode::kNotFound);
  CHECK(code_of([&] { store->withdraw_consents("nobody", moment()); }) == ErrorCode::kNotFound);
  CHECK(store->consents("nobody").empty());
  store->create_session("one", {}, moment());
  CHECK(store->withdraw_consents("one", moment()).empty());
}

TEST_CASE("Past turns are the complete and the truncated ones that have an answer") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  for (TurnStatus status : kEndings) {
    whole_turn(*store, "one", std::string(to_string(status)) + " with", "a", status);
    whole_turn(*store, "one", std::string(to_string(status)) + " without", "", status);
  }
  store->begin_turn(new_turn("one", "pending"));
  CHECK(questions(store->past_turns("one", 0, 100)) == Strings{"complete with", "truncated with"});
}

TEST_CASE("A past turn has its texts, its contents and its usage") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  FinishedTurn finished;
  finished.turn_id = store->begin_turn(new_turn("one", "hello")).turn.id;
  finished.status = TurnStatus::kComplete;
  finished.answer = "hi";
  finished.contents = "opaque";
  finished.usage = {1, 2, 3, 4, 5};
  store->finish_turn(finished);
  const std::vector<PastTurn> past = store->past_turns("one", 0, 10);
  REQUIRE(past.size() == 1);
  CHECK(past[0].turn_id == finished.turn_id);
  CHECK(past[0].user_text == "hello");
  CHECK(past[0].answer_text == "hi");
  CHECK(past[0].contents == "opaque");
  CHECK(past[0].usage == finished.usage);
}

TEST_CASE("Past turns are the newest so many, oldest first, of that session alone") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  store->create_session("two", {}, moment());
  for (int i = 0; i < 5; ++i) {
    whole_turn(*store, "one", std::to_string(i), "a");
    whole_turn(*store, "two", "other", "other");
  }
  CHECK(questions(store->past_turns("one", 0, 2)) == Strings{"3", "4"});
  CHECK(questions(store->past_turns("one", 0, 5)) == Strings{"0", "1", "2", "3", "4"});
  CHECK(questions(store->past_turns("one", 0, 500)) == Strings{"0", "1", "2", "3", "4"});
  CHECK(store->past_turns("one", 0, 0).empty());
}

TEST_CASE("A turn leaves out itself and the turns that came after it") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  std::vector<std::int64_t> ids;
  for (int i = 0; i < 4; ++i) {
    ids.push_back(whole_turn(*store, "one", std::to_string(i), "a").id);
  }
  CHECK(questions(store->past_turns("one", ids[2], 10)) == Strings{"0", "1"});
  CHECK(questions(store->past_turns("one", ids[2], 1)) == Strings{"1"});
  CHECK(store->past_turns("one", ids[0], 10).empty());
  const std::int64_t pending = store->begin_turn(new_turn("one", "now")).turn.id;
  CHECK(questions(store->past_turns("one", pending, 2)) == Strings{"2", "3"});
}

TEST_CASE("Answered turns are found behind a long row of failed ones") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  whole_turn(*store, "one", "old", "a");
  for (int i = 0; i < 200; ++i) whole_turn(*store, "one", "lost", "", TurnStatus::kFailed);
  whole_turn(*store, "one", "new", "a");
  CHECK(questions(store->past_turns("one", 0, 2)) == Strings{"old", "new"});
}

TEST_CASE("Turns that overlap keep their own answers") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  FinishedTurn first;
  first.turn_id = store->begin_turn(new_turn("one", "q1")).turn.id;
  first.status = TurnStatus::kComplete;
  first.answer = "a1";
  FinishedTurn second = first;
  second.turn_id = store->begin_turn(new_turn("one", "q2")).turn.id;
  second.answer = "a2";
  store->finish_turn(second);
  store->finish_turn(first);
  const std::vector<PastTurn> past = store->past_turns("one", 0, 10);
  REQUIRE(past.size() == 2);
  CHECK(past[0].user_text == "q1");
  CHECK(past[0].answer_text == "a1");
  CHECK(past[1].user_text == "q2");
  CHECK(past[1].answer_text == "a2");
  CHECK(store->past_turns("one", second.turn_id, 10).at(0).answer_text == "a1");
}

// --- Many threads

TEST_CASE("Nothing is lost or mixed up when many threads write and read at once") {
  WITH_EVERY_STORE();
  constexpr int kThreads = 16;
  constexpr int kTurns = 20;
  std::atomic<int> wrong{0};
  on_threads(kThreads, [&](int i) {
    const std::string own = "own " + std::to_string(i);
    store->create_session(own, {}, moment());
    for (int n = 0; n < kTurns; ++n) {
      const std::string text = own + "/" + std::to_string(n);
      const Turn turn = whole_turn(*store, own, text, "re: " + text);
      if (turn.user_message.text != text || turn.text() != "re: " + text) ++wrong;
      NewTurn shared = new_turn("shared", text);
      shared.create_session = true;
      FinishedTurn finished;
      finished.turn_id = store->begin_turn(shared).turn.id;
      finished.status = TurnStatus::kComplete;
      finished.answer = "re: " + text;
      store->finish_turn(finished);
      const auto past = store->past_turns(own, 0, 3);
      if (past.empty() || past.back().user_text != text) ++wrong;
      if (store->messages(own, {}).size() != static_cast<std::size_t>(2 * n + 2)) ++wrong;
      store->update_user(own, {.name = text}, moment(n));
      if (store->find_session(own)->user.name != text) ++wrong;
    }
  });
  CHECK(wrong == 0);
  const std::vector<Message> shared = store->messages("shared", {});
  CHECK(shared.size() == 2u * kThreads * kTurns);
  CHECK(std::is_sorted(shared.begin(), shared.end(),
                       [](const Message& a, const Message& b) { return a.id < b.id; }));
  std::set<std::string> said;
  for (const Message& message : shared) said.insert(message.text);
  CHECK(said.size() == shared.size());
  for (const Turn& turn : store->turns("shared", 1'000)) {
    if (turn.text() != "re: " + turn.user_message.text) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("A failing call does not disturb others that run at the same time") {
  WITH_EVERY_STORE();
  store->create_session("one", {}, moment());
  std::atomic<int> failed{0};
  on_threads(16, [&](int i) {
    for (int n = 0; n < 20; ++n) {
      if (i % 2 == 0) {
        store->begin_turn(new_turn("one", std::to_string(i)));
      } else if (code_of([&] { store->begin_turn(new_turn("nobody", "x")); }) ==
                 ErrorCode::kNotFound) {
        ++failed;
      }
    }
  });
  CHECK(failed == 8 * 20);
  CHECK(store->messages("one", {}).size() == 8u * 20);
}

}  // namespace
}  // namespace twinchat::testing
