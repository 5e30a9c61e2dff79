#include <atomic>
#include <future>
#include <thread>

#include "catch.h"
#include "fixture.h"
#include "wait.h"

using namespace std::chrono_literals;
using twinchat::CallOptions;
using twinchat::Error;
using twinchat::ErrorCode;
using twinchat::GenerateRequest;
using twinchat::ModelAnswer;
using twinchat::testing::eventually;
using twinchat::testing::GeminiStandIn;
using twinchat::testing::options_for;

namespace {

GenerateRequest ask(std::string text) {
  return {.contents = {twinchat::text_content(twinchat::Role::kUser, std::move(text))}};
}

struct Outcome {
  std::string shown;
  std::optional<ModelAnswer> answer;
  std::optional<Error> error;
};

// One streamed call.
Outcome stream(twinchat::Model& model, CallOptions options = {}, std::string text = "hi") {
  Outcome outcome;
  options.on_text = [&outcome](std::string_view piece) {
    outcome.shown += piece;
    return true;
  };
  try {
    outcome.answer = model.generate(ask(std::move(text)), options);
  } catch (const Error& error) {
    outcome.error = error;
  }
  return outcome;
}

}  // namespace

TEST_CASE("A stream is read the same however its bytes come") {
  GeminiStandIn standin;
  const auto model = twinchat::make_gemini_model(options_for(standin));
  const nlohmann::json ways = {
      nlohmann::json::object(),
      {{"split", 1}},
      {{"line_end", "lf"}},
      {{"line_end", "cr"}},
      {{"no_final_blank", true}},
      {{"comments", true}},
      {{"bom", true}},
      {{"done_sentinel", true}},
      {{"finish_everywhere", true}},
      {{"final_without_parts", true}},
      {{"usage_only_last_chunk", true}},
      {{"close_idle", true}},
      {{"thought", "let me think"}},
  };
  for (nlohmann::json way : ways) {
    way["chunks"] = {"n\xC3\xA4mlich ", "so", " \xF0\x9F\x98\x80"};
    CAPTURE(way.dump());
    standin.script(way);
    const Outcome outcome = stream(*model);
    REQUIRE(outcome.answer);
    CHECK(outcome.shown == "n\xC3\xA4mlich so \xF0\x9F\x98\x80");
    CHECK(twinchat::visible_text(outcome.answer->content) == outcome.shown);
    CHECK(outcome.answer->finish_reason == twinchat::FinishReason::kStop);
    CHECK_FALSE(outcome.answer->interruption);
  }
}

TEST_CASE("A stream that breaks at any byte leaves what was shown, and says so") {
  GeminiStandIn standin;
  auto options = options_for(standin);
  options.retry.max_attempts = 1;
  options.breaker.enabled = false;
  const auto model = twinchat::make_gemini_model(options);
  for (const std::string how : {"fin", "rst"}) {
    std::string shown;
    for (int at = 0; shown != "one two three"; at += 7) {
      REQUIRE(at < 4000);
      standin.script({{"chunks", {"one ", "two ", "three"}},
                      {"cut_after_bytes", at},
                      {"cut", how},
                      {"signature", nullptr}});
      const Outcome outcome = stream(*model);
      shown = outcome.shown;
      CAPTURE(how, at, shown);
      REQUIRE(std::string("one two three").starts_with(shown));
      if (outcome.answer) {
        CHECK(twinchat::visible_text(outcome.answer->content) == shown);
        // Even when the last word was heard: there might have been more, and nobody said no.
        CHECK(outcome.answer->interruption);
      } else {
        CHECK(shown.empty());
        CHECK(outcome.error->details().retryable);
      }
    }
  }
}

TEST_CASE("Failures that pass are asked again, those that do not are not") {
  GeminiStandIn standin;
  const auto model = twinchat::make_gemini_model(options_for(standin));
  const auto fail = [&](int code, const char* status) {
    standin.script({{"error", {{"code", code}, {"status", status}, {"message", "m"}}}});
  };
  SECTION("overload, twice") {
    fail(503, "UNAVAILABLE");
    fail(503, "UNAVAILABLE");
    const auto answer = model->generate(ask("q"), {});
    CHECK(answer.attempts == 3);
  }
  SECTION("a reset before the head") {
    standin.script({{"cut_before_head", true}, {"cut", "rst"}});
    CHECK(model->generate(ask("q"), {}).attempts == 2);
  }
  SECTION("a page of some proxy's") {
    standin.script(
        {{"status", 502}, {"raw", "<html>bad gateway</html>"}, {"content_type", "text/html"}});
    CHECK(model->generate(ask("q"), {}).attempts == 2);
  }
  SECTION("a bad request") {
    fail(400, "INVALID_ARGUMENT");
    try {
      model->generate(ask("q"), {});
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kInvalidArgument);
      CHECK(error.details().attempts == 1);
      CHECK(error.details().http_status == 400);
    }
  }
  SECTION("a daily quota: at once, with a time") {
    standin.script(
        {{"error",
          {{"code", 429},
           {"status", "RESOURCE_EXHAUSTED"},
           {"message", "quota"},
           {"details",
            {{{"@type", "type.googleapis.com/google.rpc.QuotaFailure"},
              {"violations",
               {{{"quotaId", "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}}}}}}}}}});
    try {
      model->generate(ask("q"), {});
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kResourceExhausted);
      CHECK(error.retry_after());
      CHECK(error.details().attempts == 1);
      CHECK(error.details().quota_id == "GenerateRequestsPerDayPerProjectPerModel-FreeTier");
    }
  }
}

TEST_CASE("A server that asks for patience gets it") {
  GeminiStandIn standin;
  const auto model = twinchat::make_gemini_model(options_for(standin));
  standin.script(
      {{"error",
        {{"code", 503},
         {"status", "UNAVAILABLE"},
         {"message", "overloaded"},
         {"details",
          {{{"@type", "type.googleapis.com/google.rpc.RetryInfo"}, {"retryDelay", "0.3s"}}}}}}});
  model->generate(ask("q"), {});
  const auto calls = standin.requests();
  REQUIRE(calls.size() == 2);
  // Not a claim of speed: the second must not come before the server's hint.
  CHECK(calls[1]["arrival_ms"].get<double>() - calls[0]["arrival_ms"].get<double>() >= 299);
}

TEST_CASE("Each limit of time ends a call and is named") {
  GeminiStandIn standin;
  auto options = options_for(standin);
  options.retry.max_attempts = 1;
  const auto model = twinchat::make_gemini_model(options);
  const auto stage_of = [&](const nlohmann::json& reply, twinchat::Timeouts timeouts) {
    standin.script(reply);
    const Outcome outcome = stream(*model, {.timeouts = timeouts});
    const auto& error = outcome.error ? outcome.error : outcome.answer->interruption;
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::kDeadlineExceeded);
    return error->details().stage;
  };
  CHECK(stage_of({{"hang", true}}, {.first_byte = 100ms}) == "first byte");
  CHECK(stage_of({{"after_head_ms", 5000}}, {.first_byte = 100ms}) == "first byte");
  CHECK(stage_of({{"chunks", {"a", "b", "c"}}, {"chunk_ms", 5000}}, {.idle = 100ms}) == "idle");
  CHECK(stage_of({{"chunks", {"a", "b", "c", "d", "e", "f"}}, {"chunk_ms", 60}},
                 {.idle = 1000ms, .total = 150ms}) == "total");
}

TEST_CASE("A connection that cannot be made is an error of its own stage") {
  // A listening socket whose queue is full answers no further connection.
  const auto model = twinchat::make_gemini_model(
      {.api_key = "k", .base_url = "http://127.0.0.1:1", .retry = {.max_attempts = 1}});
  try {
    model->generate(ask("q"), {});
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kUnavailable);
    CHECK(error.details().reason == "CONNECT");
    CHECK(error.details().retryable);
  }
}

TEST_CASE("The next model in the list answers where the first cannot, and is recorded") {
  GeminiStandIn standin;
  auto options = options_for(standin);
  options.model = "no-such-model";
  options.fallback_models = {"gemini-3.8-flash"};
  const auto model = twinchat::make_gemini_model(options);
  const auto answer = model->generate(ask("q"), {});
  CHECK(answer.model == "gemini-3.8-flash");
  CHECK(answer.attempts == 2);
}

TEST_CASE("A model that is not there is named, with the setting that names it") {
  GeminiStandIn standin;
  auto options = options_for(standin);
  options.model = "no-such-model";
  const auto model = twinchat::make_gemini_model(options);
  try {
    model->generate(ask("q"), {});
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kNotFound);
    CHECK_THAT(error.what(), Catch::Matchers::Contains("no-such-model") &&
                                 Catch::Matchers::Contains("GEMINI_MODEL"));
  }
}

TEST_CASE("A base URL keeps its path, the version and the model path are settings") {
  GeminiStandIn standin;
  auto options = options_for(standin);
  options.base_url += "/gateway/";
  options.api_version = "v1";
  twinchat::make_gemini_model(options)->generate(ask("q"), {});
  CHECK(standin.requests().back()["path"] ==
        "/gateway/v1/models/gemini-3.5-flash-lite:generateContent");
  options.api_key.clear();
  options.bearer_token = [] { return "token"; };
  options.model_path = "projects/p/locations/l/publishers/google/models/";
  twinchat::make_gemini_model(options)->generate(ask("q"), {});
  const auto call = standin.requests().back();
  CHECK(call["path"] ==
        "/gateway/v1/projects/p/locations/l/publishers/google/models/"
        "gemini-3.5-flash-lite:generateContent");
  CHECK(call["headers"]["authorization"] == "Bearer token");
  CHECK_FALSE(call["headers"].contains("x-goog-api-key"));
}

TEST_CASE("The server is told how long we wait, and who we are") {
  GeminiStandIn standin;
  twinchat::make_gemini_model(options_for(standin))
      ->generate(ask("q"), {.deadline = std::chrono::steady_clock::now() + 9500ms});
  const auto headers = standin.requests().back()["headers"];
  CHECK(headers["x-server-timeout"] == "10");
  CHECK(headers["user-agent"].get<std::string>().starts_with("libtwinchat/"));
  CHECK(headers["content-type"] == "application/json");
}

TEST_CASE("Connections are kept and shared, and never more than allowed") {
  GeminiStandIn standin;
  auto options = options_for(standin);
  options.max_in_flight = 4;
  const auto model = twinchat::make_gemini_model(options);
  std::atomic<int> answered{0};
  for (int i = 0; i < 40; ++i) {
    model->start(ask("q"), {},
                 [&](twinchat::Result<ModelAnswer> answer) { answered += answer.ok(); });
  }
  REQUIRE(eventually([&] { return answered == 40; }));
  CHECK(standin.stats().max_in_flight <= 4);
  CHECK(standin.stats().connections_total <= 4);
}

TEST_CASE("A queue that is full refuses at once") {
  GeminiStandIn standin;
  auto options = options_for(standin);
  options.max_in_flight = 1;
  options.max_queued = 1;
  options.retry.max_attempts = 1;
  const auto model = twinchat::make_gemini_model(options);
  standin.script({{"hang", true}, {"times", 0}});
  std::stop_source stop;
  std::atomic<int> ended{0};
  std::promise<Error> third;
  for (int i = 0; i < 2; ++i) {
    model->start(ask("q"), {.stop_token = stop.get_token()},
                 [&](twinchat::Result<ModelAnswer>) { ++ended; });
  }
  model->start(ask("q"), {},
               [&](twinchat::Result<ModelAnswer> answer) { third.set_value(answer.error()); });
  const Error error = third.get_future().get();
  CHECK(error.code() == ErrorCode::kResourceExhausted);
  CHECK(error.details().reason == "QUEUE_FULL");
  stop.request_stop();
  CHECK(eventually([&] { return ended == 2; }));
}

TEST_CASE("Destroying a model ends its calls, from any thread") {
  GeminiStandIn standin;
  standin.script({{"hang", true}, {"times", 0}});
  auto model = twinchat::make_gemini_model(options_for(standin));
  std::promise<ErrorCode> code;
  SECTION("from outside") {
    model->start(ask("q"), {}, [&](twinchat::Result<ModelAnswer> answer) {
      code.set_value(answer.error().code());
    });
    REQUIRE(eventually([&] { return standin.stats().in_flight == 1; }));
    model.reset();
    CHECK(code.get_future().get() == ErrorCode::kCancelled);
  }
  SECTION("from its own thread, by the last one who held it") {
    std::stop_source stop;
    auto held = std::make_shared<std::shared_ptr<twinchat::Model>>(model);
    model->start(ask("q"), {.stop_token = stop.get_token()},
                 [&code, held](twinchat::Result<ModelAnswer> answer) {
                   held->reset();
                   code.set_value(answer.error().code());
                 });
    model.reset();
    REQUIRE(eventually([&] { return standin.stats().in_flight == 1; }));
    stop.request_stop();
    CHECK(code.get_future().get() == ErrorCode::kCancelled);
  }
}

TEST_CASE("Signatures go back to the model that made them, and to no other") {
  GeminiStandIn standin;
  const auto store = twinchat::make_memory_store();
  auto options = options_for(standin);
  twinchat::Assistant assistant(store, twinchat::make_gemini_model(options));
  const std::string session = assistant.create_session().session_id;
  assistant.send(session, "one", {.on_text = [](std::string_view) { return true; }});
  assistant.send(session, "two");
  auto contents = standin.requests().back()["body"]["contents"];
  CHECK(contents[1].dump().find("thoughtSignature") != std::string::npos);

  options.model = "gemini-3.8-flash";
  twinchat::Assistant changed(store, twinchat::make_gemini_model(options));
  changed.send(session, "three");
  contents = standin.requests().back()["body"]["contents"];
  CHECK(contents.size() == 5);
  CHECK(contents.dump().find("thoughtSignature") == std::string::npos);
}

TEST_CASE("Neither the key nor a visitor's words are in any error") {
  GeminiStandIn standin;
  auto options = options_for(standin);
  options.api_key = "canary-key";
  options.retry.max_attempts = 1;
  const auto model = twinchat::make_gemini_model(options);
  for (const int code : {400, 401, 403, 404, 429, 500, 503}) {
    standin.script({{"error",
                     {{"code", code},
                      {"status", "canary words"},
                      {"message", "canary words and canary-key"},
                      {"details",
                       {{{"@type", "type.googleapis.com/google.rpc.ErrorInfo"},
                         {"reason", "canary words"}}}}}}});
    const Outcome outcome = stream(*model, {}, "canary words");
    REQUIRE(outcome.error);
    const auto& details = outcome.error->details();
    const std::string all = std::string(outcome.error->what()) + details.diagnostic +
                            details.reason + details.upstream_status + details.quota_id;
    CAPTURE(code, all);
    CHECK(all.find("canary") == std::string::npos);
  }
}
