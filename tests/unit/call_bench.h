#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "catch.h"
#include "fake_io_loop.h"
#include "gemini/call.h"

namespace twinchat::testing {

// What became of one call.
struct Outcome {
  int answers = 0;  // how often on_answer was called
  std::optional<Result<ModelAnswer>> result;
  std::chrono::milliseconds at{-1};  // when, the last time
  std::string shown;
  std::vector<std::string> pieces;

  bool done() const { return answers > 0; }
  const ModelAnswer& answer() const {
    REQUIRE(answers == 1);
    return result->value();
  }
  const Error& error() const {
    REQUIRE(answers == 1);
    REQUIRE_FALSE(result->ok());
    return result->error();
  }
};

// A client of the model on a FakeIoLoop, with random numbers that are all `random`.
class CallBench {
 public:
  explicit CallBench(GeminiOptions options = {}) {
    if (options.api_key.empty()) options.api_key = "key";
    client = std::make_shared<gemini::Client>(std::move(options), loop, [this] { return random; });
  }
  ~CallBench() {
    // Calls that hang hold the loop that holds them.
    client->close();
    loop->run();
  }
  CallBench(const CallBench&) = delete;
  CallBench& operator=(const CallBench&) = delete;

  // Begins a call; it is under way when the loop runs next.
  Outcome& start(CallOptions options = {}) {
    return start_request({.contents = {text_content(Role::kUser, "Hello")}}, std::move(options));
  }
  // The same with an on_text, so that the answer is streamed.
  Outcome& stream(CallOptions options = {}) {
    Outcome& outcome = outcomes_.emplace_back();
    if (!options.on_text) {
      options.on_text = [&outcome](std::string_view text) {
        outcome.shown += text;
        outcome.pieces.emplace_back(text);
        return true;
      };
    }
    begin(outcome, {.contents = {text_content(Role::kUser, "Hello")}}, std::move(options));
    return outcome;
  }
  Outcome& start_request(GenerateRequest request, CallOptions options = {}) {
    Outcome& outcome = outcomes_.emplace_back();
    begin(outcome, std::move(request), std::move(options));
    return outcome;
  }
  Outcome& new_outcome() { return outcomes_.emplace_back(); }
  void begin(Outcome& outcome, GenerateRequest request, CallOptions options) {
    auto call = std::make_shared<gemini::Call>(client, std::move(request), std::move(options),
                                               [this, &outcome](Result<ModelAnswer> got) {
                                                 ++outcome.answers;
                                                 outcome.result.emplace(std::move(got));
                                                 outcome.at = loop->elapsed();
                                                 if (on_answer) on_answer(outcome);
                                               });
    loop->post([client = client, call = std::move(call)] { client->begin(call); });
  }

  // When the requests were sent.
  std::vector<std::chrono::milliseconds> attempts() const {
    std::vector<std::chrono::milliseconds> times;
    for (const auto& sent : loop->sent()) times.push_back(sent.when);
    return times;
  }
  // The models that the requests went to.
  std::vector<std::string> asked_models() const {
    std::vector<std::string> models;
    for (const auto& sent : loop->sent()) {
      const std::string& url = sent.request.url;
      const auto begin = url.find("/models/") + 8;
      models.push_back(url.substr(begin, url.rfind(':') - begin));
    }
    return models;
  }

  double random = 0.5;
  std::function<void(Outcome&)> on_answer;  // called within the call's own on_answer
  const std::shared_ptr<FakeIoLoop> loop = std::make_shared<FakeIoLoop>();
  std::shared_ptr<gemini::Client> client;

 private:
  std::list<Outcome> outcomes_;
};

// Pieces of answers as the API writes them.
inline std::string json_answer(const std::string& text, const std::string& finish_reason = "STOP") {
  return R"({"candidates":[{"content":{"role":"model","parts":[{"text":")" + text +
         R"("}]},"finishReason":")" + finish_reason + R"("}]})";
}
inline std::string json_end(const std::string& finish_reason) {
  return R"({"candidates":[{"finishReason":")" + finish_reason + R"("}]})";
}
inline std::string json_text(const std::string& text) {
  return R"({"candidates":[{"content":{"role":"model","parts":[{"text":")" + text + R"("}]}}]})";
}
inline std::string json_error(int code, const std::string& status, const std::string& message = "x",
                              const std::string& details = "[]") {
  return R"({"error":{"code":)" + std::to_string(code) + R"(,"message":")" + message +
         R"(","status":")" + status + R"(","details":)" + details + "}}";
}
inline std::string retry_info(const std::string& delay) {
  return R"([{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":")" + delay +
         R"("}])";
}
inline std::string event(const std::string& json) {
  return "data: " + json + "\r\n\r\n";
}

}  // namespace twinchat::testing
