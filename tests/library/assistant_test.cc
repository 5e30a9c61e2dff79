#include <atomic>
#include <csignal>
#include <future>
#include <latch>
#include <mutex>
#include <thread>

#include "catch.h"
#include "fixture.h"
#include "temp_dir.h"
#include "wait.h"

using namespace std::chrono_literals;
using twinchat::Error;
using twinchat::ErrorCode;
using twinchat::Turn;
using twinchat::TurnStatus;
using twinchat::testing::AssistantFixture;
using twinchat::testing::eventually;
using twinchat::testing::sent_contents;

namespace {

// What `action` throws; fails the test when it throws nothing.
template <class Action>
Error error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  FAIL("no Error was thrown");
  throw std::logic_error("unreachable");
}

// The statuses of all turns of a session, oldest first.
std::vector<TurnStatus> statuses(twinchat::Assistant& assistant, const std::string& session) {
  std::vector<TurnStatus> all;
  for (const Turn& turn : assistant.history(session)) all.push_back(turn.status);
  return all;
}

// A model that does as it is told, in the calling thread.
class FunctionModel : public twinchat::Model {
 public:
  using Function = std::function<twinchat::ModelAnswer(const twinchat::GenerateRequest&,
                                                       const twinchat::CallOptions&)>;
  explicit FunctionModel(Function function) : function_(std::move(function)) {}
  ~FunctionModel() override { wait_for_started(); }
  std::string name() const override { return "function"; }
  twinchat::ModelAnswer generate(const twinchat::GenerateRequest& request,
                                 const twinchat::CallOptions& options) override {
    return function_(request, options);
  }

 private:
  Function function_;
};

twinchat::ModelAnswer answer_of(std::string text) {
  return {.content = twinchat::text_content(twinchat::Role::kModel, std::move(text))};
}

}  // namespace

TEST_CASE_METHOD(AssistantFixture, "A question is answered and both are stored") {
  const std::string session = new_session();
  const Turn turn = assistant.send(session, "How can I reverse diabetes?");
  CHECK(turn.status == TurnStatus::kComplete);
  CHECK(turn.text() == "Echo 1: How can I reverse diabetes?");
  CHECK(turn.finish_reason == twinchat::FinishReason::kStop);
  CHECK(turn.finish_reason_raw == "STOP");
  CHECK(turn.model == "gemini-3.5-flash-lite");
  CHECK_FALSE(turn.model_version.empty());
  CHECK_FALSE(turn.response_id.empty());
  CHECK(turn.attempts == 1);
  CHECK(turn.usage.output_tokens > 0);

  const auto messages = assistant.messages(session);
  REQUIRE(messages.size() == 2);
  CHECK(messages[0].text == "How can I reverse diabetes?");
  CHECK_FALSE(messages[0].is_bot);
  CHECK(messages[1].text == turn.text());
  CHECK(messages[1].is_bot);
}

TEST_CASE_METHOD(AssistantFixture,
                 "The next question carries the first turn and the prompt apart") {
  const std::string session = new_session();
  assistant.send(session, "first");
  assistant.send(session, "second");
  const auto calls = standin.requests();
  REQUIRE(calls.size() == 2);
  CHECK(sent_contents(calls[1]) ==
        std::vector<std::string>{"user: first", "model: Echo 1: first", "user: second"});
  CHECK(calls[1]["body"]["systemInstruction"]["parts"][0]["text"] == "You are a test.");
  CHECK(calls[1]["headers"]["x-goog-api-key"] == "test-key");
}

TEST_CASE_METHOD(AssistantFixture, "Pieces of a streamed answer are the stored answer") {
  const std::string session = new_session();
  std::string shown;
  int pieces = 0;
  const auto caller = std::this_thread::get_id();
  bool elsewhere = false;
  const Turn turn = assistant.send(session, "Tell me of the metabolism, at some length",
                                   {.on_text = [&](std::string_view text) {
                                     shown += text;
                                     ++pieces;
                                     elsewhere = elsewhere || std::this_thread::get_id() != caller;
                                     return true;
                                   }});
  CHECK(shown == turn.text());
  CHECK(pieces > 1);
  CHECK_FALSE(elsewhere);
  CHECK(assistant.messages(session).back().text == shown);
}

TEST_CASE_METHOD(AssistantFixture, "A failed turn keeps the question and spoils nothing") {
  const std::string session = new_session();
  assistant.send(session, "one");
  standin.script({{"error", {{"code", 400}, {"status", "INVALID_ARGUMENT"}, {"message", "no"}}}});
  const Error error = error_of([&] { assistant.send(session, "two"); });
  CHECK(error.code() == ErrorCode::kInvalidArgument);
  CHECK(std::string(error.what()).find("no") != 0);
  CHECK(assistant.send(session, "three").status == TurnStatus::kComplete);
  CHECK(statuses(assistant, session) ==
        std::vector{TurnStatus::kComplete, TurnStatus::kFailed, TurnStatus::kComplete});
  CHECK(sent_contents(standin.requests().back()) ==
        std::vector<std::string>{"user: one", "model: Echo 1: one", "user: three"});
  CHECK(assistant.messages(session).size() == 5);
}

TEST_CASE_METHOD(AssistantFixture,
                 "A refused prompt is answered with the refusal and not sent again") {
  const std::string session = new_session();
  standin.script({{"block_reason", "PROHIBITED_CONTENT"}});
  const Turn turn = assistant.send(session, "something foul");
  CHECK(turn.status == TurnStatus::kBlocked);
  CHECK(turn.block_reason == "PROHIBITED_CONTENT");
  CHECK(turn.text() == twinchat::AssistantOptions{}.refusal);
  assistant.send(session, "and now");
  CHECK(sent_contents(standin.requests().back()) == std::vector<std::string>{"user: and now"});
}

TEST_CASE_METHOD(AssistantFixture,
                 "An answer that the model withdraws is replaced by the refusal") {
  const std::string session = new_session();
  standin.script({{"text", "half of it"}, {"finish_reason", "SAFETY"}});
  const Turn turn = assistant.send(session, "hm");
  CHECK(turn.status == TurnStatus::kBlocked);
  CHECK(turn.finish_reason == twinchat::FinishReason::kSafety);
  CHECK(turn.text() == twinchat::AssistantOptions{}.refusal);
}

TEST_CASE_METHOD(AssistantFixture, "An empty answer is asked for again, at most twice") {
  const std::string session = new_session();
  SECTION("and then there is one") {
    standin.script({{"text", ""}});
    CHECK(assistant.send(session, "hello").text() == "Echo 1: hello");
    CHECK(standin.requests().size() == 2);
  }
  SECTION("and then it is an error, and the turn is empty") {
    standin.script({{"text", ""}, {"times", 0}});
    const Error error = error_of([&] { assistant.send(session, "hello"); });
    CHECK(error.details().reason == "EMPTY_ANSWER");
    CHECK(standin.requests().size() == 3);
    CHECK(statuses(assistant, session) == std::vector{TurnStatus::kEmpty});
  }
}

TEST_CASE_METHOD(AssistantFixture, "An answer that was cut is handed over, told, and sent later") {
  const std::string session = new_session();
  SECTION("by the token limit") {
    standin.script({{"text", "half"}, {"finish_reason", "MAX_TOKENS"}});
    CHECK(assistant.send(session, "q").status == TurnStatus::kTruncated);
  }
  SECTION("by a connection that ended without a finish reason") {
    standin.script({{"chunks", {"ha", "lf"}}, {"finish_reason", nullptr}});
    std::string shown;
    const Turn turn = assistant.send(
        session, "q", {.on_text = [&](std::string_view text) { return shown += text, true; }});
    CHECK(turn.status == TurnStatus::kTruncated);
    CHECK(turn.text() == shown);
  }
  SECTION("by an error in the middle of the stream") {
    standin.script({{"chunks", {"ha", "lf", "never"}}, {"error_after_chunks", 2}});
    const Turn turn =
        assistant.send(session, "q", {.on_text = [](std::string_view) { return true; }});
    CHECK(turn.status == TurnStatus::kTruncated);
    CHECK(turn.error_code == "UNAVAILABLE");
  }
  CHECK(assistant.messages(session).back().text == "half");
  assistant.send(session, "next");
  CHECK(sent_contents(standin.requests().back()) ==
        std::vector<std::string>{"user: q", "model: half", "user: next"});
}

TEST_CASE_METHOD(AssistantFixture, "The caller can stop an answer and keeps what was shown") {
  const std::string session = new_session();
  standin.script({{"chunks", {"one ", "two ", "three ", "four"}}, {"chunk_ms", 20}});
  SECTION("by returning false: the turn comes back cancelled") {
    std::string shown;
    const Turn turn = assistant.send(session, "count", {.on_text = [&](std::string_view text) {
                                       shown += text;
                                       return false;
                                     }});
    CHECK(turn.status == TurnStatus::kCancelled);
    CHECK(turn.text() == shown);
    CHECK(shown == "one ");
  }
  SECTION("by a stop token: kCancelled is thrown") {
    std::stop_source stop;
    std::string shown;
    const Error error = error_of([&] {
      assistant.send(session, "count",
                     {.on_text =
                          [&](std::string_view text) {
                            shown += text;
                            stop.request_stop();
                            return true;
                          },
                      .stop_token = stop.get_token()});
    });
    CHECK(error.code() == ErrorCode::kCancelled);
    CHECK(assistant.messages(session).back().text == shown);
  }
  SECTION("by an exception of its own, which comes out") {
    CHECK_THROWS_AS(assistant.send(session, "count", {.on_text = [](std::string_view) -> bool {
                                     throw std::out_of_range("mine");
                                   }}),
                    std::out_of_range);
  }
  CHECK(statuses(assistant, session) == std::vector{TurnStatus::kCancelled});
  CHECK(assistant.send(session, "go on").status == TurnStatus::kComplete);
}

TEST_CASE_METHOD(AssistantFixture,
                 "Whoever knows the session can stop its answer, which is a turn") {
  const std::string session = new_session();
  CHECK_FALSE(assistant.stop(session));
  SECTION("after the first words: they stay") {
    standin.script({{"chunks", {"one ", "two"}}, {"chunk_ms", 60'000}});
    std::promise<void> shown;
    auto turn = std::async(std::launch::async, [&] {
      return assistant.send(session, "count", {.on_text = [&](std::string_view) {
                              shown.set_value();
                              return true;
                            }});
    });
    shown.get_future().wait();
    CHECK_FALSE(assistant.stop("another"));
    CHECK_FALSE(assistant.stop(session, "another key"));
    CHECK(assistant.stop(session));
    const Turn stopped = turn.get();
    CHECK(stopped.status == TurnStatus::kCancelled);
    CHECK(stopped.text() == "one ");
    CHECK(assistant.messages(session).back().text == "one ");
  }
  SECTION("while the model says nothing, by its key") {
    standin.script({{"hang", true}});
    auto turn = std::async(std::launch::async, [&] {
      return assistant.send(session, "anyone?", {.idempotency_key = "k"});
    });
    REQUIRE(eventually([&] { return standin.stats().in_flight == 1; }));
    CHECK(assistant.stop(session, "k"));
    CHECK_FALSE(assistant.stop(session, "k"));
    CHECK(turn.get().status == TurnStatus::kCancelled);
    CHECK(assistant.messages(session).size() == 1);
  }
  SECTION("that waits behind another: nothing of it was stored") {
    standin.script({{"hang", true}});
    auto first = std::async(std::launch::async, [&] { return assistant.send(session, "first"); });
    REQUIRE(eventually([&] { return standin.stats().in_flight == 1; }));
    auto second = std::async(std::launch::async, [&] {
      return error_of([&] { assistant.send(session, "second", {.idempotency_key = "k"}); }).code();
    });
    REQUIRE(eventually([&] { return assistant.in_flight() == 2; }));
    CHECK(assistant.stop(session, "k"));
    CHECK(second.get() == ErrorCode::kCancelled);
    CHECK(assistant.stop(session));
    CHECK(first.get().status == TurnStatus::kCancelled);
  }
  CHECK_FALSE(assistant.stop(session));
  CHECK(statuses(assistant, session) == std::vector{TurnStatus::kCancelled});
  CHECK(assistant.send(session, "go on").status == TurnStatus::kComplete);
}

TEST_CASE_METHOD(AssistantFixture, "A caller is told that the turn has begun, before its text") {
  const std::string session = new_session();
  std::vector<std::string> told;
  const auto send = [&](const char* key) {
    return assistant.send(session, "q",
                          {.on_text =
                               [&](std::string_view) {
                                 told.push_back("text");
                                 return true;
                               },
                           .idempotency_key = key,
                           .on_begin =
                               [&](const Turn& turn) {
                                 told.push_back(std::string(to_string(turn.status)) +
                                                (turn.replayed ? " replayed" : ""));
                               }});
  };
  const Turn first = send("k");
  REQUIRE(told.size() >= 2);
  CHECK(told[0] == "pending");
  CHECK(told[1] == "text");
  told.clear();
  CHECK(send("k").answer == first.answer);
  CHECK(told == std::vector<std::string>{"complete replayed", "text"});
  told.clear();
  CHECK_THROWS_AS(
      assistant.send("nobody", "q", {.on_begin = [&](const Turn&) { told.push_back("begun"); }}),
      Error);
  CHECK(told.empty());
}

TEST_CASE_METHOD(AssistantFixture, "What is wrong with a consent is refused, and nothing is kept") {
  const std::string session = new_session();
  const auto refused = [&](const std::string& version, const std::string& language,
                           const std::string& text) {
    return error_of([&] { assistant.record_consent(session, version, language, text); }).code();
  };
  CHECK(refused("", "en", "t") == ErrorCode::kInvalidArgument);
  CHECK(refused(std::string(65, 'v'), "en", "t") == ErrorCode::kInvalidArgument);
  CHECK(refused("1", std::string(36, 'e'), "t") == ErrorCode::kInvalidArgument);
  CHECK(refused("1", "en", "\xff") == ErrorCode::kInvalidArgument);
  CHECK(refused("1", "en", std::string("a\0b", 3)) == ErrorCode::kInvalidArgument);
  CHECK(assistant.consents(session).empty());
  const auto given = assistant.record_consent(session, std::string(64, 'v'), "", "");
  CHECK(assistant.consents(session) == std::vector{given});
}

TEST_CASE_METHOD(AssistantFixture, "A turn can be stopped while the model says nothing") {
  const std::string session = new_session();
  standin.script({{"hang", true}});
  std::stop_source stop;
  auto failed = std::async(std::launch::async, [&] {
    return error_of([&] { assistant.send(session, "anyone?", {.stop_token = stop.get_token()}); })
        .code();
  });
  REQUIRE(eventually([&] { return standin.stats().in_flight == 1; }));
  stop.request_stop();
  CHECK(failed.get() == ErrorCode::kCancelled);
  CHECK(statuses(assistant, session) == std::vector{TurnStatus::kCancelled});
  CHECK(eventually([&] { return standin.stats().aborted == 1; }));
}

TEST_CASE_METHOD(AssistantFixture, "A deadline ends a turn and says where it was") {
  const std::string session = new_session();
  standin.script({{"hang", true}});
  const Error error = error_of([&] { assistant.send(session, "anyone?", {.timeout = 150ms}); });
  CHECK(error.code() == ErrorCode::kDeadlineExceeded);
  CHECK(error.details().stage == "deadline");
  CHECK(statuses(assistant, session) == std::vector{TurnStatus::kFailed});
}

TEST_CASE_METHOD(AssistantFixture, "Threads of the library take no signals of the program's") {
  const auto takes = [](int signal) {
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    return sigismember(&blocked, signal) == 0;
  };
  std::promise<bool> worker;
  assistant.start_send(new_session(), "hello", {}, [&](const twinchat::Result<Turn>&) {
    worker.set_value(takes(SIGINT) || takes(SIGTERM) || takes(SIGTSTP));
  });
  CHECK_FALSE(worker.get_future().get());

  std::promise<bool> network;
  model->start({.contents = {twinchat::text_content(twinchat::Role::kUser, "hello")}}, {},
               [&](const twinchat::Result<twinchat::ModelAnswer>&) {
                 network.set_value(takes(SIGINT) || takes(SIGTERM) || takes(SIGTSTP));
               });
  CHECK_FALSE(network.get_future().get());

  std::promise<bool> made_for_the_call;
  FunctionModel other([&](const auto&, const auto&) {
    made_for_the_call.set_value(takes(SIGINT) || takes(SIGTERM) || takes(SIGTSTP));
    return answer_of("hello");
  });
  other.start({}, {}, [](const twinchat::Result<twinchat::ModelAnswer>&) {});
  CHECK_FALSE(made_for_the_call.get_future().get());

  CHECK(takes(SIGINT));  // nothing changed for the one who asked
}

TEST_CASE_METHOD(AssistantFixture, "Sends on one session run in their order, others beside them") {
  const std::string session = new_session();
  standin.script({{"latency_ms", 100}, {"times", 0}});
  constexpr int kSends = 5;
  std::mutex mutex;
  std::vector<std::string> answers;
  std::latch all(kSends);
  for (int i = 0; i < kSends; ++i) {
    assistant.start_send(session, "m" + std::to_string(i), {}, [&](twinchat::Result<Turn> turn) {
      {
        const std::lock_guard lock(mutex);
        answers.push_back(turn.ok() ? turn.value().text() : turn.error().what());
      }
      all.count_down();
    });
  }
  const std::string other = new_session();
  CHECK(assistant.send(other, "beside").text() == "Echo 1: beside");
  all.wait();
  CHECK(answers == std::vector<std::string>{"Echo 1: m0", "Echo 2: m1", "Echo 3: m2", "Echo 4: m3",
                                            "Echo 5: m4"});
  CHECK(eventually([&] { return assistant.in_flight() == 0; }));
}

TEST_CASE_METHOD(AssistantFixture, "A send that waits behind another can be stopped or run out") {
  const std::string session = new_session();
  standin.script({{"hang", true}});
  std::stop_source first;
  std::promise<ErrorCode> first_ended;
  assistant.start_send(
      session, "first", {.stop_token = first.get_token()},
      [&](twinchat::Result<Turn> turn) { first_ended.set_value(turn.error().code()); });
  REQUIRE(eventually([&] { return standin.stats().in_flight == 1; }));

  std::stop_source second;
  std::promise<Error> second_ended;
  assistant.start_send(session, "second", {.stop_token = second.get_token()},
                       [&](twinchat::Result<Turn> turn) { second_ended.set_value(turn.error()); });
  second.request_stop();
  const Error stopped = second_ended.get_future().get();
  CHECK(stopped.code() == ErrorCode::kCancelled);
  CHECK(stopped.details().stage == "queue");

  const Error late = error_of([&] { assistant.send(session, "third", {.timeout = 50ms}); });
  CHECK(late.code() == ErrorCode::kDeadlineExceeded);
  CHECK(late.details().stage == "queue");

  first.request_stop();
  CHECK(first_ended.get_future().get() == ErrorCode::kCancelled);
  // What never left the queue was never stored.
  CHECK(assistant.messages(session).size() == 1);
  CHECK(assistant.send(session, "fourth").text() == "Echo 1: fourth");
}

TEST_CASE_METHOD(AssistantFixture, "One key means one question, one call and one answer") {
  const std::string session = new_session();
  const Turn first = assistant.send(session, "once", {.idempotency_key = "k1"});
  std::string shown;
  const Turn again =
      assistant.send(session, "once",
                     {.on_text = [&](std::string_view text) { return shown += text, true; },
                      .idempotency_key = "k1"});
  CHECK(again.replayed);
  CHECK(again.id == first.id);
  CHECK(again.text() == first.text());
  CHECK(shown == first.text());
  CHECK(standin.requests().size() == 1);
  CHECK(assistant.messages(session).size() == 2);

  CHECK(error_of([&] { assistant.send(session, "other", {.idempotency_key = "k1"}); }).code() ==
        ErrorCode::kAlreadyExists);
  // Keys are the session's own.
  CHECK_FALSE(assistant.send(new_session(), "other", {.idempotency_key = "k1"}).replayed);
}

TEST_CASE_METHOD(AssistantFixture, "A retry under its key goes on where the first one failed") {
  const std::string session = new_session();
  standin.script({{"error", {{"code", 403}, {"status", "PERMISSION_DENIED"}, {"message", "x"}}}});
  CHECK_THROWS_AS(assistant.send(session, "try", {.idempotency_key = "k"}), Error);
  const Turn turn = assistant.send(session, "try", {.idempotency_key = "k"});
  CHECK(turn.status == TurnStatus::kComplete);
  CHECK_FALSE(turn.replayed);
  CHECK(assistant.messages(session).size() == 2);
  CHECK(assistant.history(session).size() == 1);
}

TEST_CASE_METHOD(AssistantFixture, "What cannot be a message is refused and leaves nothing") {
  const std::string session = new_session();
  const auto code = [&](std::string_view text, twinchat::SendOptions options = {}) {
    return error_of([&] { assistant.send(session, text, std::move(options)); }).code();
  };
  CHECK(code("") == ErrorCode::kInvalidArgument);
  CHECK(code(std::string(5001, 'a')) == ErrorCode::kInvalidArgument);
  CHECK(code("\xff") == ErrorCode::kInvalidArgument);
  CHECK(code(std::string_view("a\0b", 3)) == ErrorCode::kInvalidArgument);
  CHECK(code("ok", {.idempotency_key = std::string(256, 'k')}) == ErrorCode::kInvalidArgument);
  CHECK(code("ok", {.details = {.email = "not an address"}}) == ErrorCode::kInvalidArgument);
  CHECK(assistant.messages(session).empty());
  CHECK(standin.requests().empty());
  CHECK(error_of([&] { assistant.send("unknown", "ok"); }).code() == ErrorCode::kNotFound);
  // 5000 code points of four bytes are a message.
  std::string wide;
  for (int i = 0; i < 5000; ++i) wide += "\xF0\x9F\x98\x80";
  CHECK(assistant.send(session, wide).status == TurnStatus::kComplete);
}

TEST_CASE_METHOD(AssistantFixture, "A message may bring its session and details along") {
  const Turn turn = assistant.send("3f2c5d0e-0000-4000-8000-000000000001", "hello",
                                   {.details = {.name = "Jane"}, .create_session = true});
  CHECK(turn.status == TurnStatus::kComplete);
  CHECK(assistant.session(turn.session_id).user.name == "Jane");
}

TEST_CASE_METHOD(AssistantFixture, "Settings of one message lie over those of the assistant") {
  twinchat::Assistant tuned(store, model, {.generation = {.max_output_tokens = 100, .seed = 7}});
  const std::string session = tuned.create_session().session_id;
  tuned.send(session, "hello", {.generation = {.max_output_tokens = 50}});
  const auto config = standin.requests().back()["body"]["generationConfig"];
  CHECK(config["maxOutputTokens"] == 50);
  CHECK(config["seed"] == 7);
}

TEST_CASE_METHOD(AssistantFixture, "The history that is sent is bounded by turns and by tokens") {
  twinchat::Assistant narrow(store, model, {.history_turns = 6});
  const std::string session = narrow.create_session().session_id;
  for (int i = 0; i < 12; ++i) narrow.send(session, "q" + std::to_string(i));
  for (const auto& call : standin.requests()) {
    const auto contents = sent_contents(call);
    CHECK(contents.size() <= 6 * 2 + 1);
    CHECK(contents.front().starts_with("user: "));
  }
  standin.reset();
  twinchat::Assistant terse(store, model, {.history_tokens = 1});
  terse.send(session, "last");
  CHECK(sent_contents(standin.requests().back()) == std::vector<std::string>{"user: last"});
}

TEST_CASE_METHOD(AssistantFixture, "A tool of the program's is called and its result used") {
  std::vector<std::string> arguments;
  twinchat::Assistant with_tool(
      store, model,
      {.tools = {{.declaration = {.name = "lookup",
                                  .description = "Finds a member",
                                  .parameters_json_schema = R"({"type":"object","properties":{}})"},
                  .function = [&](const std::string& args) -> std::string {
                    arguments.push_back(args);
                    return R"({"members":50000})";
                  }}}});
  const std::string session = with_tool.create_session().session_id;
  standin.script(
      {{"body",
        {{"candidates",
          {{{"content",
             {{"role", "model"},
              {"parts",
               {{{"functionCall", {{"id", "c1"}, {"name", "lookup"}, {"args", {{"q", 1}}}}},
                 {"thoughtSignature", "c2ln"}}}}}},
            {"finishReason", "STOP"}}}}}}});
  const Turn turn = with_tool.send(session, "how many?");
  CHECK(turn.status == TurnStatus::kComplete);
  CHECK(arguments == std::vector<std::string>{R"({"q":1})"});
  const auto second = standin.requests().back()["body"]["contents"];
  REQUIRE(second.size() == 3);
  CHECK(second[1]["parts"][0]["thoughtSignature"] == "c2ln");
  CHECK(second[2]["role"] == "user");
  CHECK(second[2]["parts"][0]["functionResponse"]["id"] == "c1");
  CHECK(second[2]["parts"][0]["functionResponse"]["response"]["members"] == 50000);
  // The whole turn goes along with the next question.
  with_tool.send(session, "thanks");
  CHECK(standin.requests().back()["body"]["contents"].size() == 5);
}

TEST_CASE("The tokens of a day are used up for all sessions, until midnight UTC") {
  using twinchat::Timestamp;
  const Timestamp noon = std::chrono::sys_days(2026y / 11 / 24) + 12h;
  Timestamp now = noon;
  const auto model = std::make_shared<FunctionModel>([](const auto&, const auto&) {
    twinchat::ModelAnswer answer = answer_of("Hi.");
    answer.usage = {.prompt_tokens = 30, .output_tokens = 10, .thought_tokens = 10};
    return answer;
  });
  twinchat::Assistant assistant(twinchat::make_memory_store(), model,
                                {.daily_tokens = 100, .now = [&] { return now; }});
  const std::string one = assistant.create_session().session_id;
  const std::string other = assistant.create_session().session_id;
  assistant.send(one, "Q");
  assistant.send(one, "Q", {.idempotency_key = "k"});
  const Error error = error_of([&] { assistant.send(other, "Q"); });
  CHECK(error.code() == ErrorCode::kResourceExhausted);
  CHECK(error.details().reason == "DAILY_TOKENS");
  CHECK(error.retry_after() == 12h);
  CHECK(assistant.messages(other).empty());
  CHECK(assistant.send(one, "Q", {.idempotency_key = "k"}).replayed);
  now = noon + 12h;
  CHECK(assistant.send(other, "Q").status == TurnStatus::kComplete);
  CHECK(error_of([&] {
          twinchat::Assistant(twinchat::make_memory_store(), model, {.daily_tokens = -1});
        }).code() == ErrorCode::kInvalidArgument);
}

TEST_CASE("Closing an assistant stops its turns, stores them so, and does not wait for the model") {
  twinchat::testing::GeminiStandIn standin;
  const auto store = twinchat::make_memory_store();
  standin.script({{"hang", true}, {"times", 0}});
  std::string session;
  std::atomic<int> cancelled{0};
  {
    twinchat::Assistant assistant(
        store, twinchat::make_gemini_model(twinchat::testing::options_for(standin)));
    session = assistant.create_session().session_id;
    for (int i = 0; i < 3; ++i) {
      assistant.start_send(i == 0 ? session : assistant.create_session().session_id, "q", {},
                           [&](twinchat::Result<Turn> turn) {
                             if (!turn.ok() && turn.error().code() == ErrorCode::kCancelled)
                               ++cancelled;
                           });
    }
    REQUIRE(eventually([&] { return standin.stats().in_flight == 3; }));
  }
  CHECK(cancelled == 3);
  const auto turns = store->turns(session, 10);
  REQUIRE(turns.size() == 1);
  CHECK(turns[0].status == TurnStatus::kCancelled);
}

TEST_CASE("A model of the program's own is all an assistant needs") {
  const auto store = twinchat::make_memory_store();
  std::vector<std::string> seen;
  twinchat::Assistant assistant(
      store, std::make_shared<FunctionModel>([&](const twinchat::GenerateRequest& request,
                                                 const twinchat::CallOptions& options) {
        seen.push_back(twinchat::visible_text(request.contents.back()));
        if (options.on_text) options.on_text("mine");
        return answer_of("mine");
      }));
  const std::string session = assistant.create_session().session_id;
  const Turn turn =
      assistant.send(session, "yours?", {.on_text = [](std::string_view) { return true; }});
  CHECK(turn.status == TurnStatus::kComplete);
  CHECK(turn.text() == "mine");
  CHECK(turn.model == "function");
  CHECK(seen == std::vector<std::string>{"yours?"});
}

TEST_CASE("An exception of a model's own becomes an Error and a failed turn") {
  const auto store = twinchat::make_memory_store();
  twinchat::Assistant assistant(
      store,
      std::make_shared<FunctionModel>([](const twinchat::GenerateRequest&,
                                         const twinchat::CallOptions&) -> twinchat::ModelAnswer {
        throw std::runtime_error("secret cause");
      }));
  const std::string session = assistant.create_session().session_id;
  const Error error = error_of([&] { assistant.send(session, "q"); });
  CHECK(error.code() == ErrorCode::kUnknown);
  CHECK(std::string(error.what()).find("secret") == std::string::npos);
  CHECK(statuses(assistant, session) == std::vector{TurnStatus::kFailed});
}

TEST_CASE("64 threads of turns on one SQLite file lose and mix up nothing") {
  twinchat::testing::GeminiStandIn standin({"--no-record"});
  const twinchat::testing::TempDir folder;
  twinchat::Assistant assistant(
      twinchat::open_store("sqlite:///" + (folder / "chat.db").string()),
      twinchat::make_gemini_model(twinchat::testing::options_for(standin)), {.history_turns = 300});
  constexpr int kThreads = 64;
  const int turns = twinchat::testing::turns_per_thread();
  std::atomic<int> wrong{0};
  std::vector<std::string> sessions;
  for (int i = 0; i < kThreads; ++i) sessions.push_back(assistant.create_session().session_id);
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      // Two threads share a session, so that lanes are at work.
      const std::string& session = sessions[static_cast<std::size_t>(i / 2)];
      for (int k = 0; k < turns; ++k) {
        const std::string text = std::to_string(i) + "/" + std::to_string(k);
        try {
          const Turn turn = assistant.send(session, text);
          if (!turn.text().ends_with(": " + text)) ++wrong;
        } catch (const std::exception&) {
          ++wrong;
        }
      }
    });
  }
  threads.clear();
  CHECK(wrong == 0);
  for (int i = 0; i < kThreads / 2; ++i) {
    const auto messages = assistant.messages(sessions[static_cast<std::size_t>(i)]);
    REQUIRE(messages.size() == static_cast<std::size_t>(4 * turns));
    for (std::size_t k = 0; k < messages.size(); ++k) CHECK(messages[k].is_bot == (k % 2 == 1));
  }
}
