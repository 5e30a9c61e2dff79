#include "demo_model.h"

#include "catch.h"

namespace twinchat::server {
namespace {

using std::chrono::milliseconds;

GenerateRequest question(const std::string& text) {
  return {.contents = {text_content(Role::kUser, text)}};
}

std::string answer_to(const std::string& text) {
  DemoModel model(milliseconds(0));
  return visible_text(model.generate(question(text), {}).content);
}

TEST_CASE("The demo answers each of its topics and says what it is") {
  const auto [asked, part] = GENERATE(table<std::string, std::string>({
      {"How can I reverse diabetes?", "Type 2 diabetes"},
      {"My HbA1c is too high", "Type 2 diabetes"},
      {"I am OVERWEIGHT", "weight loss"},
      {"do you help with PCOD?", "PCOD is often"},
      {"What is a Whole Body Digital Twin?", "living model of your own metabolism"},
      {"How do I become a member?", "50,000"},
      {"explain metabolism", "how the body turns food into energy"},
      {"How can I contact you", "glad to help in person"},
      {"I have chest pain", "emergency"},
      {"Who won the match?", "only a few topics"},
      {"", "only a few topics"},
  }));
  CAPTURE(asked);
  const std::string answer = answer_to(asked);
  CHECK(answer.find(part) != std::string::npos);
  CHECK(answer.find("offline demo") != std::string::npos);
}

TEST_CASE("The demo streams the same answer word by word") {
  DemoModel model(milliseconds(0));
  std::string streamed;
  int pieces = 0;
  const ModelAnswer answer = model.generate(question("diabetes"), {.on_text = [&](auto piece) {
                                              streamed += piece;
                                              ++pieces;
                                              return true;
                                            }});
  CHECK(streamed == visible_text(answer.content));
  CHECK(streamed == answer_to("diabetes"));
  CHECK(pieces > 20);
  CHECK(answer.finish_reason == FinishReason::kStop);
}

TEST_CASE("The demo stops where it is told to and gives what had come") {
  DemoModel model(milliseconds(0));
  std::string streamed;
  int pieces = 0;
  const ModelAnswer answer = model.generate(question("diabetes"), {.on_text = [&](auto piece) {
                                              streamed += piece;
                                              return ++pieces < 3;
                                            }});
  CHECK(pieces == 3);
  CHECK(visible_text(answer.content) == streamed);
  REQUIRE(answer.interruption);
  CHECK(answer.interruption->code() == ErrorCode::kCancelled);
}

TEST_CASE("A demo stopped before its first word is cancelled") {
  DemoModel model(milliseconds(60'000));
  std::stop_source stop;
  stop.request_stop();
  CHECK_THROWS_AS(model.generate(question("x"), {.on_text = [](auto) { return true; },
                                                 .stop_token = stop.get_token()}),
                  Error);
}

}  // namespace
}  // namespace twinchat::server
