// When a call asks again, whom, and when it gives up.
#include "call_bench.h"
#include "gemini/json.h"
#include "verdict.h"

using namespace twinchat;
using namespace twinchat::testing;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

const std::string kOverloaded = json_error(503, "UNAVAILABLE");

using Times = std::vector<milliseconds>;
using Models = std::vector<std::string>;

}  // namespace

TEST_CASE("A call that works is one request with one answer") {
  CallBench bench;
  bench.loop->play(replies(200, json_answer("Hi")));
  const Outcome& outcome = bench.start();
  bench.loop->run();
  CHECK(visible_text(outcome.answer().content) == "Hi");
  CHECK(outcome.answer().attempts == 1);
  CHECK(outcome.answer().model == "gemini-3.5-flash-lite");
  CHECK_FALSE(outcome.answer().interruption);
  CHECK(bench.attempts() == Times{0ms});
  CHECK(bench.loop->tasks_left() == 0);

  const auto& request = bench.loop->sent()[0].request;
  CHECK(request.url ==
        "https://generativelanguage.googleapis.com/v1beta/models/"
        "gemini-3.5-flash-lite:generateContent");
  CHECK(request.headers == std::vector<std::string>{"Content-Type: application/json",
                                                    "Expect:", "X-Server-Timeout: 180",
                                                    "x-goog-api-key: key"});
  CHECK(request.timeouts == Timeouts{});
}

TEST_CASE("A streamed call asks for events and shows them one by one") {
  CallBench bench({.model = "tunedModels/mine", .base_url = "http://127.0.0.1:9/gateway//"});
  bench.loop->play(
      streams({event(json_text("a")), event(json_text("b")), event(json_end("STOP"))}));
  const Outcome& outcome = bench.stream();
  bench.loop->run();
  CHECK(outcome.pieces == std::vector<std::string>{"a", "b"});
  CHECK(visible_text(outcome.answer().content) == "ab");
  CHECK(bench.loop->sent()[0].request.url ==
        "http://127.0.0.1:9/gateway/v1beta/tunedModels/mine:streamGenerateContent?alt=sse");
}

TEST_CASE("The server is told how much time there is, in whole seconds rounded up") {
  const auto told = [](CallOptions options) {
    CallBench bench;
    options.deadline = options.deadline.value_or(bench.loop->after(1'000s));
    bench.start(std::move(options));
    bench.loop->run_to(0ms);
    return bench.loop->sent().at(0).request.headers.at(2);
  };
  const auto deadline = [](milliseconds time) {
    return CallOptions{.deadline = FakeIoLoop().after(time)};
  };
  CHECK(told({}) == "X-Server-Timeout: 180");
  CHECK(told(deadline(20'001ms)) == "X-Server-Timeout: 21");
  CHECK(told(deadline(1ms)) == "X-Server-Timeout: 1");
  CHECK(told({.timeouts = Timeouts{.total = 2'500ms}}) == "X-Server-Timeout: 3");
  CHECK(told({.timeouts = Timeouts{.total = 0ms}}) == "X-Server-Timeout: 1");
}

TEST_CASE("A call has one credential: the token where there is one, fresh for every attempt") {
  int tokens = 0;
  CallBench bench(
      {.api_key = "key", .bearer_token = [&tokens] { return "token" + std::to_string(++tokens); }});
  bench.loop->play(replies(503, kOverloaded));
  bench.loop->play(replies(200, json_answer("Hi")));
  bench.start();
  bench.loop->run();
  REQUIRE(bench.loop->sent().size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& headers = bench.loop->sent()[i].request.headers;
    CHECK(headers.size() == 4);
    CHECK(headers.back() == "Authorization: Bearer token" + std::to_string(i + 1));
  }
}

TEST_CASE("A token source that throws ends the call, not the program") {
  CallBench bench({.bearer_token = []() -> std::string { throw std::runtime_error("s3cret"); }});
  const Outcome& outcome = bench.start();
  bench.loop->run();
  CHECK(outcome.error().code() == ErrorCode::kUnknown);
  CHECK(std::string(outcome.error().what()).find("s3cret") == std::string::npos);
  // Its slot is free again.
  for (int i = 0; i < 3; ++i) bench.start();
  bench.loop->run();
  CHECK(bench.loop->sent().empty());
}

TEST_CASE("A bad request of ours fails without being sent") {
  CallBench bench;
  const Outcome& outcome = bench.start_request({.config = {.response_json_schema = "{"}});
  bench.loop->run();
  CHECK(outcome.error().code() == ErrorCode::kInvalidArgument);
  CHECK(bench.loop->sent().empty());
}

TEST_CASE("Attempts are made at exact times, and end at their number") {
  CallBench bench;
  for (int i = 0; i < 5; ++i) bench.loop->play(replies(503, kOverloaded));
  const Outcome& outcome = bench.start();
  bench.loop->run();
  CHECK(bench.attempts() == Times{0ms, 250ms, 750ms, 1'750ms});
  CHECK(outcome.at == 1'750ms);
  CHECK(outcome.error().code() == ErrorCode::kUnavailable);
  CHECK(outcome.error().details().attempts == 4);
  CHECK(outcome.error().details().http_status == 503);
  CHECK(outcome.error().details().model == "gemini-3.5-flash-lite");
  CHECK(outcome.error().details().retryable);
}

TEST_CASE("Failures of every kind that may pass are asked again, and the call then works") {
  const std::vector<Script> failures{
      replies(408, ""),
      replies(429, json_error(429, "RESOURCE_EXHAUSTED")),
      replies(499, json_error(499, "CANCELLED")),
      replies(500, json_error(500, "INTERNAL")),
      replies(502, "<html>"),
      replies(503, ""),
      replies(504, json_error(504, "DEADLINE_EXCEEDED")),
      ends(lost("DNS")),
      ends(lost("CONNECT")),
      ends(lost("TLS")),
      ends(lost("CONNECTION_LOST")),
      ends(timed_out("connect")),
      ends(timed_out("first byte")),
      ends(timed_out("idle")),
      ends(timed_out("total")),
      streams({}),
      streams({event(json_error(503, "UNAVAILABLE"))}),
      streams({"{\n\"error\": {\n\"code\": 503,\n\"status\": \"UNAVAILABLE\"\n}\n}\n"}),
      streams({"[{\n\"error\": {\n\"code\": 503,\n\"status\": \"UNAVAILABLE\"\n}\n}]\n"}),
      streams({event("not JSON")}),
      streams({event(json_text(""))}),
      streams({event(R"({"candidates":[{"content":{"parts":[{"text":"hm","thought":true}]}}]})")}),
      streams({event(json_end("STOP"))}),
      streams({event(json_end("OTHER"))}),
      streams({event(json_answer("", "MALFORMED_RESPONSE"))}),
      streams({": only a comment\n\n"}),
      streams({"<html>"}),
      streams({event(json_text(""))}, lost()),
      streams({event(json_text(""))}, timed_out("idle")),
  };
  for (std::size_t i = 0; i < failures.size(); ++i) {
    INFO("failure " << i);
    CallBench bench;
    bench.loop->play(failures[i]);
    bench.loop->play(streams({event(json_answer("Hi"))}));
    const Outcome& outcome = bench.stream();
    bench.loop->run();
    CHECK(bench.attempts() == Times{0ms, 250ms});
    CHECK(visible_text(outcome.answer().content) == "Hi");
    CHECK(outcome.shown == "Hi");
    CHECK(outcome.answer().attempts == 2);
    CHECK_FALSE(outcome.answer().interruption);
  }
}

TEST_CASE("Failures that will not pass are told at once") {
  struct Row {
    Script failure;
    ErrorCode code;
  };
  for (const Row& row : std::vector<Row>{
           {replies(400, json_error(400, "INVALID_ARGUMENT")), ErrorCode::kInvalidArgument},
           {replies(400, json_error(400, "FAILED_PRECONDITION")), ErrorCode::kFailedPrecondition},
           {replies(401, json_error(401, "UNAUTHENTICATED")), ErrorCode::kUnauthenticated},
           {replies(403, json_error(403, "PERMISSION_DENIED")), ErrorCode::kPermissionDenied},
           {replies(404, json_error(404, "NOT_FOUND")), ErrorCode::kNotFound},
           {replies(413, ""), ErrorCode::kInvalidArgument},
           {replies(429, json_error(429, "RESOURCE_EXHAUSTED", "limit: 0")),
            ErrorCode::kResourceExhausted},
           {replies(302, ""), ErrorCode::kInternal},
           {ends(lost("CERTIFICATE")), ErrorCode::kUnavailable},
           {streams({event(json_error(403, "PERMISSION_DENIED"))}), ErrorCode::kPermissionDenied},
           // The status is known, the rest of the answer lost.
           {{{.what = Head{.status = 401}}, {.what = std::string("{\"err")}, {.what = lost()}},
            ErrorCode::kUnauthenticated},
           {{{.what = Head{.status = 400}}, {.what = timed_out("idle")}},
            ErrorCode::kInvalidArgument},
       }) {
    CallBench bench;
    bench.loop->play(row.failure);
    const Outcome& outcome = bench.stream();
    bench.loop->run();
    CHECK(bench.attempts() == Times{0ms});
    CHECK(outcome.error().code() == row.code);
    CHECK(outcome.error().details().attempts == 1);
    CHECK(outcome.shown.empty());
  }
}

TEST_CASE("The time that a server asks for is waited, wherever it says so") {
  for (const Script& failure :
       {replies(429, json_error(429, "RESOURCE_EXHAUSTED", "x", retry_info("12.000000001s"))),
        replies(503, "", "12"), replies(429, json_error(429, "x", "Please retry in 12s.")),
        streams({event(json_error(429, "RESOURCE_EXHAUSTED", "x", retry_info("12s")))})}) {
    CallBench bench;
    bench.random = 0.0;
    bench.loop->play(failure);
    bench.loop->play(streams({event(json_answer("Hi"))}));
    const Outcome& outcome = bench.stream();
    bench.loop->run();
    REQUIRE(bench.attempts().size() == 2);
    CHECK(bench.attempts()[1] >= 12'000ms);
    CHECK(bench.attempts()[1] <= 12'001ms);
    CHECK(outcome.shown == "Hi");
  }
}

TEST_CASE("A server's time that is too long is not waited for: the caller is told") {
  SECTION("longer than the limit") {
    CallBench bench;
    bench.loop->play(
        replies(429, json_error(429, "RESOURCE_EXHAUSTED", "x", retry_info("60.001s"))));
    const Outcome& outcome = bench.start();
    bench.loop->run();
    CHECK(outcome.at == 0ms);
    CHECK(outcome.error().code() == ErrorCode::kResourceExhausted);
    CHECK(outcome.error().retry_after() == 60'001ms);
  }
  SECTION("longer than the time that is left") {
    CallBench bench;
    bench.loop->play(replies(429, json_error(429, "RESOURCE_EXHAUSTED", "x", retry_info("30s"))));
    const Outcome& outcome = bench.start({.deadline = bench.loop->after(20s)});
    bench.loop->run();
    CHECK(outcome.at == 0ms);
    CHECK(outcome.error().code() == ErrorCode::kResourceExhausted);
    CHECK(outcome.error().retry_after() == 30'000ms);
  }
  SECTION("a quota of the day") {
    CallBench bench;
    bench.loop->play(replies(
        429,
        json_error(
            429, "RESOURCE_EXHAUSTED", "x",
            R"([{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"RequestsPerDay"}]}])")));
    const Outcome& outcome = bench.start();
    bench.loop->run();
    CHECK(bench.attempts().size() == 1);
    CHECK(outcome.error().retry_after());
    CHECK_FALSE(outcome.error().details().retryable);
  }
}

TEST_CASE("An empty answer is asked for again twice, and is then the answer") {
  CallBench bench({.retry = {.max_attempts = 10}});
  for (int i = 0; i < 5; ++i) bench.loop->play(replies(200, json_end("STOP")));
  const Outcome& outcome = bench.start();
  bench.loop->run();
  CHECK(bench.attempts().size() == 3);
  CHECK(outcome.answer().attempts == 3);
  CHECK(outcome.answer().finish_reason == FinishReason::kStop);
  CHECK(status_of(outcome.answer()) == TurnStatus::kEmpty);
}

TEST_CASE("Empty answers and other failures are counted apart") {
  CallBench bench({.retry = {.max_attempts = 6}});
  bench.loop->play(replies(200, json_end("STOP")));
  bench.loop->play(replies(503, kOverloaded));
  bench.loop->play(replies(200, json_end("STOP")));
  bench.loop->play(replies(503, kOverloaded));
  bench.loop->play(replies(200, json_answer("Hi")));
  const Outcome& outcome = bench.start();
  bench.loop->run();
  CHECK(outcome.answer().attempts == 5);
  CHECK(visible_text(outcome.answer().content) == "Hi");
}

TEST_CASE("An answer that ran into the limit without text is not asked for again") {
  CallBench bench;
  bench.loop->play(replies(200, json_end("MAX_TOKENS")));
  const Outcome& outcome = bench.start();
  bench.loop->run();
  CHECK(outcome.answer().finish_reason == FinishReason::kMaxTokens);
  CHECK(bench.attempts().size() == 1);
}

TEST_CASE("Refusals are not asked for again") {
  for (const char* reason : {"SAFETY", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
                             "MODEL_ARMOR", "NO_IMAGE", "A_REASON_OF_TOMORROW"}) {
    CallBench bench;
    bench.loop->play(replies(200, json_answer("x", reason)));
    const Outcome& outcome = bench.start();
    bench.loop->run();
    CHECK(bench.attempts().size() == 1);
    CHECK(outcome.answer().finish_reason_raw == reason);
  }
  CallBench bench;
  bench.loop->play(replies(200, R"({"promptFeedback":{"blockReason":"SAFETY"}})"));
  const Outcome& outcome = bench.start();
  bench.loop->run();
  CHECK(bench.attempts().size() == 1);
  CHECK(outcome.answer().block_reason == "SAFETY");
}

TEST_CASE("Faults of the model are asked about once more") {
  for (const char* reason :
       {"RECITATION", "OTHER", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE"}) {
    INFO(reason);
    CallBench bench;
    for (int i = 0; i < 3; ++i) bench.loop->play(replies(200, json_answer("x", reason)));
    const Outcome& outcome = bench.start();
    bench.loop->run();
    CHECK(bench.attempts() == Times{0ms, 250ms});
    CHECK(outcome.answer().finish_reason_raw == reason);
    CHECK(outcome.answer().attempts == 2);
  }
}

TEST_CASE("What the server gave up on is asked once more") {
  for (const Script& failure : {replies(499, json_error(499, "CANCELLED")),
                                replies(504, json_error(504, "DEADLINE_EXCEEDED"))}) {
    CallBench bench;
    for (int i = 0; i < 3; ++i) bench.loop->play(failure);
    const Outcome& outcome = bench.start();
    bench.loop->run();
    CHECK(bench.attempts().size() == 2);
    CHECK_FALSE(outcome.result->ok());
  }
}

TEST_CASE("A signature that is refused is left out, and the request sent again once") {
  const GenerateRequest request{
      .contents = {text_content(Role::kUser, "a"),
                   {.role = Role::kModel,
                    .parts = {{.text = "b", .thought_signature = "c2lnbmF0dXJl"}},
                    .model = "gemini-3.5-flash-lite"},
                   text_content(Role::kUser, "c")}};
  const std::string refused = json_error(400, "INVALID_ARGUMENT", "Corrupted thought signature.");
  CallBench bench;
  bench.loop->play(replies(400, refused));
  SECTION("and works then") {
    bench.loop->play(replies(200, json_answer("Hi")));
    const Outcome& outcome = bench.start_request(request);
    bench.loop->run();
    CHECK(bench.attempts() == Times{0ms, 0ms});
    CHECK(outcome.answer().attempts == 2);
  }
  SECTION("and is not sent a third time") {
    bench.loop->play(replies(400, refused));
    const Outcome& outcome = bench.start_request(request);
    bench.loop->run();
    CHECK(bench.attempts() == Times{0ms, 0ms});
    CHECK(outcome.error().code() == ErrorCode::kInvalidArgument);
  }
  REQUIRE(bench.loop->sent().size() == 2);
  CHECK(bench.loop->sent()[0].request.body.find("c2lnbmF0dXJl") != std::string::npos);
  CHECK(bench.loop->sent()[1].request.body.find("thoughtSignature") == std::string::npos);
}

TEST_CASE("A history that lost a signature is sent without any") {
  const GenerateRequest request{
      .contents = {
          {.role = Role::kModel,
           .parts = {{.function_call = FunctionCall{.name = "f"}}},
           .model = "gemini-3.5-flash-lite"},
          {.role = Role::kUser, .parts = {{.function_response = FunctionResponse{.name = "f"}}}}}};
  CallBench bench;
  bench.loop->play(replies(200, json_end("MISSING_THOUGHT_SIGNATURE")));
  bench.loop->play(replies(200, json_answer("Hi")));
  const Outcome& outcome = bench.start_request(request);
  bench.loop->run();
  CHECK(visible_text(outcome.answer().content) == "Hi");
  REQUIRE(bench.loop->sent().size() == 2);
  CHECK(bench.loop->sent()[0].request.body.find("thoughtSignature") == std::string::npos);
  CHECK(bench.loop->sent()[1].request.body.find("skip_thought_signature_validator") !=
        std::string::npos);
}

TEST_CASE("When a model cannot answer, the next is asked, in order, and is recorded") {
  CallBench bench(
      {.model = "first", .fallback_models = {"second", "third"}, .retry = {.max_attempts = 2}});
  bench.loop->play(replies(503, kOverloaded));
  bench.loop->play(replies(503, kOverloaded));
  bench.loop->play(replies(404, json_error(404, "NOT_FOUND")));
  SECTION("up to the one that answers") {
    bench.loop->play(replies(200, json_answer("Hi")));
    const Outcome& outcome = bench.start();
    bench.loop->run();
    CHECK(outcome.answer().model == "third");
    CHECK(outcome.answer().content.model == "third");
    CHECK(outcome.answer().attempts == 4);
    CHECK(bench.attempts() == Times{0ms, 250ms, 250ms, 250ms});
  }
  SECTION("and the last one's error is the call's") {
    bench.loop->play(replies(429, json_error(429, "RESOURCE_EXHAUSTED", "limit: 0")));
    const Outcome& outcome = bench.start();
    bench.loop->run();
    CHECK(outcome.error().code() == ErrorCode::kResourceExhausted);
    CHECK(outcome.error().details().model == "third");
    CHECK(outcome.error().details().attempts == 4);
  }
  CHECK(bench.asked_models() == Models{"first", "first", "second", "third"});
}

TEST_CASE("Every model has its own attempts, pauses and empty answers") {
  CallBench bench({.model = "first", .fallback_models = {"second"}, .retry = {.max_attempts = 3}});
  for (int i = 0; i < 3; ++i) bench.loop->play(replies(503, kOverloaded));
  for (int i = 0; i < 2; ++i) bench.loop->play(replies(200, json_end("STOP")));
  bench.loop->play(replies(200, json_answer("Hi")));
  const Outcome& outcome = bench.start();
  bench.loop->run();
  CHECK(bench.asked_models() == Models{"first", "first", "first", "second", "second", "second"});
  CHECK(bench.attempts() == Times{0ms, 250ms, 750ms, 750ms, 1'000ms, 1'500ms});
  CHECK(outcome.answer().model == "second");
  CHECK(outcome.answer().attempts == 6);
}

TEST_CASE("Another model is not asked about what is wrong with the request or the key") {
  for (const int status : {400, 401, 403, 413}) {
    CallBench bench({.model = "first", .fallback_models = {"second"}});
    bench.loop->play(replies(status, ""));
    const Outcome& outcome = bench.start();
    bench.loop->run();
    CHECK(bench.asked_models() == Models{"first"});
    CHECK(outcome.error().details().http_status == status);
  }
}

TEST_CASE("A server's time that is too long sends the call to the next model") {
  CallBench bench({.model = "first", .fallback_models = {"second"}});
  bench.loop->play(replies(429, json_error(429, "RESOURCE_EXHAUSTED", "x", retry_info("3600s"))));
  bench.loop->play(replies(200, json_answer("Hi")));
  const Outcome& outcome = bench.start();
  bench.loop->run();
  CHECK(outcome.answer().model == "second");
  CHECK(outcome.at == 0ms);
}

TEST_CASE("An empty answer of every model is the last one's") {
  CallBench bench(
      {.model = "first", .fallback_models = {"second"}, .retry = {.max_empty_retries = 0}});
  for (int i = 0; i < 2; ++i) bench.loop->play(replies(200, json_end("STOP")));
  const Outcome& outcome = bench.start();
  bench.loop->run();
  CHECK(bench.asked_models() == Models{"first", "second"});
  CHECK(outcome.answer().model == "second");
}

TEST_CASE("Nothing is asked again once text was shown") {
  const std::vector<Script> broken{
      streams({event(json_text("a"))}),
      streams({event(json_text("a"))}, lost()),
      streams({event(json_text("a"))}, timed_out("idle")),
      streams({event(json_text("a")), event(json_error(503, "UNAVAILABLE"))}),
      streams({event(json_text("a")),
               event(json_error(429, "RESOURCE_EXHAUSTED", "x", retry_info("1s")))}),
      streams({event(json_text("a")), "{\n\"error\":{\"code\":503}}\n"}),
      streams({event(json_text("a")), "[{\n\"error\":{\"code\":503}}]\n"}),
      streams({event(json_text("a")), event("nonsense")}),
      streams({"[" + json_text("a") + "," + json_error(503, "UNAVAILABLE") + "]"}),
  };
  for (std::size_t i = 0; i < broken.size(); ++i) {
    INFO("end " << i);
    CallBench bench({.model = "first", .fallback_models = {"second"}});
    bench.loop->play(broken[i]);
    const Outcome& outcome = bench.stream();
    bench.loop->run();
    CHECK(bench.attempts().size() == 1);
    CHECK(outcome.shown == "a");
    CHECK(visible_text(outcome.answer().content) == "a");
    REQUIRE(outcome.answer().interruption);
    CHECK(status_of(outcome.answer()) == TurnStatus::kTruncated);
  }
}

TEST_CASE("An error in a stream ends the call though the server keeps the connection open") {
  CallBench bench({.retry = {.max_attempts = 1}});
  Script script = streams({event(json_text("a")), event(json_error(503, "UNAVAILABLE"))});
  script.back() = {.after = 60s, .what = timed_out("idle")};
  bench.loop->play(script);
  const Outcome& outcome = bench.stream();
  bench.loop->run();
  CHECK(outcome.at == 0ms);
  CHECK(outcome.answer().interruption->details().http_status == 503);
  CHECK(bench.loop->sent()[0].aborted);
}

TEST_CASE("An error that came before the connection broke is the reason that is given") {
  CallBench bench({.retry = {.max_attempts = 1}});
  // Without its blank line the event ends with the stream only.
  bench.loop->play(
      streams({"data: " + json_error(429, "RESOURCE_EXHAUSTED", "x", retry_info("5s"))}, lost()));
  const Outcome& outcome = bench.stream();
  bench.loop->run();
  CHECK(outcome.error().code() == ErrorCode::kResourceExhausted);
  CHECK(outcome.error().retry_after() == 5'000ms);
}

TEST_CASE("A refusal after text was shown is an answer that was refused") {
  CallBench bench;
  bench.loop->play(streams({event(json_text("a")), event(json_end("SAFETY"))}));
  const Outcome& outcome = bench.stream();
  bench.loop->run();
  CHECK(status_of(outcome.answer()) == TurnStatus::kBlocked);
  CHECK_FALSE(outcome.answer().interruption);
}

TEST_CASE("The deadline bounds the whole call and says where it was reached") {
  SECTION("while the server is silent") {
    CallBench bench;
    const Outcome& outcome = bench.start({.deadline = bench.loop->after(5s)});
    bench.loop->run();
    CHECK(outcome.at == 5'000ms);
    CHECK(outcome.error().code() == ErrorCode::kDeadlineExceeded);
    CHECK(outcome.error().details().stage == "deadline");
    CHECK(outcome.error().details().attempts == 1);
    CHECK(bench.loop->sent()[0].aborted);
  }
  SECTION("while it waits for a slot") {
    CallBench bench({.max_in_flight = 1});
    bench.start();
    const Outcome& outcome = bench.start({.deadline = bench.loop->after(5s)});
    bench.loop->run();
    CHECK(outcome.at == 5'000ms);
    CHECK(outcome.error().code() == ErrorCode::kDeadlineExceeded);
    CHECK(outcome.error().details().stage == "queue");
    CHECK(outcome.error().details().attempts == 0);
  }
  SECTION("in the middle of the text") {
    CallBench bench;
    Script script = streams({event(json_text("a")), event(json_text("b"))}, {}, 3s);
    bench.loop->play(script);
    const Outcome& outcome = bench.stream({.deadline = bench.loop->after(5s)});
    bench.loop->run();
    CHECK(outcome.at == 5'000ms);
    CHECK(outcome.shown == "a");
    CHECK(visible_text(outcome.answer().content) == "a");
    REQUIRE(outcome.answer().interruption);
    CHECK(outcome.answer().interruption->code() == ErrorCode::kDeadlineExceeded);
    CHECK(outcome.answer().interruption->details().stage == "deadline");
    CHECK(status_of(outcome.answer()) == TurnStatus::kTruncated);
  }
  SECTION("before it begins") {
    CallBench bench;
    const Outcome& outcome = bench.start({.deadline = bench.loop->after(0ms)});
    bench.loop->run();
    CHECK(outcome.error().code() == ErrorCode::kDeadlineExceeded);
    CHECK(bench.loop->sent().empty());
  }
  SECTION("with attempts on the way to it") {
    CallBench bench({.retry = {.max_attempts = 100, .budget_ratio = 0}});
    for (int i = 0; i < 100; ++i) bench.loop->play(ends(lost("CONNECT"), 1s));
    const Outcome& outcome = bench.start({.deadline = bench.loop->after(10s)});
    bench.loop->run();
    // 1 s and a pause each time: 0, 1.25, 2.75, 4.75, 7.75; the pause of 4 s after it is too long.
    CHECK(bench.attempts() == Times{0ms, 1'250ms, 2'750ms, 4'750ms, 7'750ms});
    CHECK(outcome.at == 8'750ms);
    CHECK(outcome.error().code() == ErrorCode::kUnavailable);
  }
}

TEST_CASE("The limit of one attempt is named by its stage") {
  for (const char* stage : {"connect", "first byte", "idle", "total"}) {
    CallBench bench({.retry = {.max_attempts = 1}});
    bench.loop->play(ends(timed_out(stage), 10s));
    const Outcome& outcome = bench.start();
    bench.loop->run();
    CHECK(outcome.error().code() == ErrorCode::kDeadlineExceeded);
    CHECK(outcome.error().details().stage == stage);
    CHECK(outcome.error().details().retryable);
  }
}

TEST_CASE("How the network failed is in the reason, not in the sentence") {
  for (const char* reason : {"DNS", "CONNECT", "TLS", "CERTIFICATE", "CONNECTION_LOST"}) {
    CallBench bench({.retry = {.max_attempts = 1}});
    bench.loop->play(ends(lost(reason)));
    const Outcome& outcome = bench.start();
    bench.loop->run();
    CHECK(outcome.error().code() == ErrorCode::kUnavailable);
    CHECK(outcome.error().details().reason == reason);
    CHECK(outcome.error().details().diagnostic == "scripted");
    CHECK(outcome.error().details().http_status == 0);
    CHECK(std::string(outcome.error().what()) == "the model is overloaded or cannot be reached.");
  }
}

TEST_CASE("An answer that is too large ends the reading") {
  for (const bool streamed : {false, true}) {
    CallBench bench({.max_answer_bytes = 1'000});
    Script script{{.what = Head{}}};
    for (int i = 0; i < 100; ++i) script.push_back({.what = std::string(100, '{')});
    script.push_back({.what = gemini::TransferEnd{}});
    bench.loop->play(script);
    const Outcome& outcome = streamed ? bench.stream() : bench.start();
    bench.loop->run();
    CHECK(outcome.error().code() == ErrorCode::kInternal);
    CHECK(outcome.error().details().reason == "ANSWER_TOO_LARGE");
    CHECK(bench.attempts().size() == 1);
    CHECK(bench.loop->sent()[0].aborted);
  }
}

TEST_CASE("An error's page of any length is read no further than it may matter") {
  CallBench bench({.retry = {.max_attempts = 1}});
  Script script{{.what = Head{.status = 503}}};
  for (int i = 0; i < 100; ++i) script.push_back({.what = std::string(100'000, 'x')});
  script.push_back({.what = gemini::TransferEnd{}});
  bench.loop->play(script);
  const Outcome& outcome = bench.start();
  bench.loop->run();
  CHECK(outcome.error().code() == ErrorCode::kUnavailable);
}

TEST_CASE("Retries are a share of the calls, so that an outage is not doubled") {
  CallBench bench(
      {.retry = {.max_attempts = 2, .budget_ratio = 0.1}, .breaker = {.enabled = false}});
  for (int i = 0; i < 500; ++i) bench.loop->play(replies(503, kOverloaded));
  std::vector<const Outcome*> outcomes;
  for (int i = 0; i < 100; ++i) {
    outcomes.push_back(&bench.start());
    bench.loop->run();
  }
  for (const Outcome* outcome : outcomes) {
    CHECK(outcome->error().code() == ErrorCode::kUnavailable);
  }
  // 100 calls, the allowance of 10, and a tenth of 100.
  CHECK(bench.loop->sent().size() >= 119);
  CHECK(bench.loop->sent().size() <= 120);
}

TEST_CASE("Whoever wants to know hears of a breaker that opens, and closes, once each") {
  std::vector<std::string> heard;
  CallBench bench({.model = "m",
                   .retry = {.max_attempts = 1},
                   .breaker = {.min_calls = 3, .open_for = 5s},
                   .on_breaker = [&heard](const std::string& model, bool open) {
                     heard.push_back(model + (open ? " open" : " closed"));
                   }});
  const auto fail = [&bench] {
    bench.loop->play(ends(lost("CONNECT")));
    bench.stream();
    bench.loop->run();
  };
  for (int i = 0; i < 2; ++i) fail();
  CHECK(heard.empty());
  fail();
  CHECK(heard == std::vector<std::string>{"m open"});
  bench.loop->run_to(5'000ms);
  fail();
  CHECK(heard.size() == 1);
  bench.loop->run_to(10'000ms);
  bench.loop->play(streams({event(json_answer("Hi"))}));
  bench.stream();
  bench.loop->run();
  CHECK(heard == std::vector<std::string>{"m open", "m closed"});
}

TEST_CASE("The breaker opens for a model that is down, and closes by a probe") {
  CallBench bench(
      {.retry = {.max_attempts = 1}, .breaker = {.window = 30s, .min_calls = 3, .open_for = 5s}});
  const auto ask = [&bench](Script script) -> const Outcome& {
    bench.loop->play(std::move(script));
    const Outcome& outcome = bench.stream();
    bench.loop->run();
    return outcome;
  };
  for (int i = 0; i < 3; ++i) ask(ends(lost("CONNECT")));
  CHECK(bench.loop->sent().size() == 3);

  const Outcome& refused = bench.start();
  bench.loop->run();
  CHECK(bench.loop->sent().size() == 3);
  CHECK(refused.error().code() == ErrorCode::kUnavailable);
  CHECK(refused.error().details().reason == "CIRCUIT_OPEN");
  CHECK(refused.error().retry_after() == 5'000ms);
  CHECK(refused.error().details().retryable);
  CHECK(refused.error().details().attempts == 0);

  bench.loop->run_to(5'000ms);
  SECTION("that succeeds") {
    CHECK(ask(streams({event(json_answer("Hi"))})).shown == "Hi");
    CHECK(ask(streams({event(json_answer("Hi"))})).shown == "Hi");
  }
  SECTION("that fails, and then another") {
    ask(ends(lost("CONNECT")));
    const Outcome& still = bench.start();
    bench.loop->run();
    CHECK(still.error().details().reason == "CIRCUIT_OPEN");
    bench.loop->run_to(10'000ms);
    CHECK(ask(streams({event(json_answer("Hi"))})).shown == "Hi");
  }
  SECTION("and only one at a time") {
    bench.loop->play(streams({event(json_answer("Hi"))}, {}, 1s));
    const Outcome& probe = bench.stream();
    const Outcome& other = bench.stream();
    bench.loop->run();
    CHECK(probe.shown == "Hi");
    CHECK(other.error().details().reason == "CIRCUIT_OPEN");
  }

  // However a probe ends, it must not stand in the way of the next one.
  SECTION("that is cancelled while it waits") {
    std::stop_source stop;
    const Outcome& probe = bench.stream({.stop_token = stop.get_token()});
    bench.loop->run_to(6'000ms);
    CHECK(bench.loop->sent().size() == 4);
    stop.request_stop();
    bench.loop->run();
    CHECK(probe.error().code() == ErrorCode::kCancelled);
    CHECK(ask(streams({event(json_answer("Hi"))})).shown == "Hi");
  }
  SECTION("that reaches its deadline") {
    bench.stream({.deadline = bench.loop->after(6'000ms)});
    bench.loop->run();
    CHECK(ask(streams({event(json_answer("Hi"))})).shown == "Hi");
  }
  SECTION("that is refused for its signature, and is then sent without") {
    bench.loop->play(
        replies(400, json_error(400, "INVALID_ARGUMENT", "Corrupted thought signature.")));
    CHECK(ask(streams({event(json_answer("Hi"))})).shown == "Hi");
    CHECK(ask(streams({event(json_answer("Hi"))})).shown == "Hi");
  }
  SECTION("that is told of a quota") {
    ask(replies(429, json_error(429, "RESOURCE_EXHAUSTED", "limit: 0")));
    CHECK(ask(streams({event(json_answer("Hi"))})).shown == "Hi");
  }
  SECTION("whose reader stops at the last piece, which ends with the stream") {
    bench.loop->play(streams({"data: " + json_text("a")}));
    const Outcome& probe = bench.stream({.on_text = [](std::string_view) { return false; }});
    bench.loop->run();
    CHECK(probe.answer().interruption->code() == ErrorCode::kCancelled);
    CHECK(ask(streams({event(json_answer("Hi"))})).shown == "Hi");
  }
  SECTION("that cannot be written") {
    bench.start_request({.config = {.response_json_schema = "{"}});
    bench.loop->run();
    CHECK(ask(streams({event(json_answer("Hi"))})).shown == "Hi");
  }
}

TEST_CASE("Every way a model can be down counts for the breaker, nothing else does") {
  const auto opens = [](const Script& script) {
    CallBench bench({.retry = {.max_attempts = 1}, .breaker = {.min_calls = 1}});
    bench.loop->play(script);
    bench.stream();
    bench.loop->run();
    const Outcome& next = bench.stream();
    bench.loop->run();
    return next.done() && !next.result->ok() && next.error().details().reason == "CIRCUIT_OPEN";
  };
  for (const Script& outage :
       {ends(lost("DNS")), ends(lost("CONNECT")), ends(timed_out("connect")),
        ends(timed_out("first byte")), replies(500, ""), replies(502, ""), replies(503, ""),
        replies(504, ""), streams({}), streams({event(json_text("a"))}, lost()),
        streams({event(json_text("a"))}), streams({event("nonsense")}),
        streams({event(json_error(503, "UNAVAILABLE"))})}) {
    CHECK(opens(outage));
  }
  for (const Script& other :
       {replies(400, ""), replies(401, ""), replies(403, ""), replies(404, ""), replies(429, ""),
        streams({event(json_answer("x", "SAFETY"))}), streams({event(json_end("STOP"))}),
        streams({event(json_end("MAX_TOKENS"))}), streams({event(json_end("OTHER"))}),
        streams({event(json_answer("x"))})}) {
    CHECK_FALSE(opens(other));
  }
}

TEST_CASE("With the breaker open, the next model is asked instead") {
  CallBench bench({.model = "first",
                   .fallback_models = {"second"},
                   .retry = {.max_attempts = 1},
                   .breaker = {.min_calls = 1}});
  bench.loop->play(ends(lost("CONNECT")));
  bench.loop->play(replies(200, json_answer("Hi")));
  bench.loop->play(replies(200, json_answer("Hi")));
  for (int i = 0; i < 2; ++i) {
    const Outcome& outcome = bench.start();
    bench.loop->run();
    CHECK(outcome.answer().model == "second");
  }
  CHECK(bench.asked_models() == Models{"first", "second", "second"});
}

TEST_CASE("Of a model that is being retired, the operator is told once") {
  std::vector<std::string> warnings;
  const std::string deprecated =
      R"({"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}],"modelStatus":{"modelStage":"DEPRECATED"}})";
  const auto run = [&](std::function<void(const std::string&)> on_warning) {
    CallBench bench({.model = "old", .on_warning = std::move(on_warning)});
    for (int i = 0; i < 3; ++i) {
      bench.loop->play(replies(200, deprecated));
      const Outcome& outcome = bench.start();
      bench.loop->run();
      CHECK(visible_text(outcome.answer().content) == "Hi");
    }
  };
  run([&warnings](const std::string& warning) { warnings.push_back(warning); });
  CHECK(warnings == std::vector<std::string>{"The model old is DEPRECATED: choose another soon."});
  // One that throws must not cost the answer.
  run([](const std::string&) { throw std::runtime_error("x"); });
}
