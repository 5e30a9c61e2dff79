#include "gemini/request_body.h"

#include <random>
#include <string>

#include "catch.h"
#include "gemini/capabilities.h"
#include "twinchat/error.h"

using namespace twinchat;
using namespace twinchat::gemini;

namespace {

const std::string kFirst = "gemini-3.5-flash-lite";
const std::string kSecond = "gemini-2.5-flash";

Content answer_of(const std::string& model, std::vector<Part> parts) {
  return {.role = Role::kModel, .parts = std::move(parts), .model = model};
}

// What build_request() makes of the whole request at once.
std::string built(const GenerateRequest& request, const std::string& model, bool strip = false) {
  const GeminiOptions options;
  return build_request(request, {.model = model,
                                 .capabilities = capabilities_of(model, {}),
                                 .options = options,
                                 .strip_signatures = strip});
}

}  // namespace

TEST_CASE("The body is written once for all attempts that ask the same") {
  const GeminiOptions options;
  RequestBody body({.contents = {text_content(Role::kUser, "Hi")}}, kFirst, options);
  const auto text = body.text(kFirst, false);
  CHECK(*text == built({.contents = {text_content(Role::kUser, "Hi")}}, kFirst));
  CHECK(body.text(kFirst, false) == text);
}

TEST_CASE("Another model gets the same words under its own configuration") {
  const GenerateRequest request{
      .system_instruction = "Be \"kind\".\n",
      .contents = {text_content(Role::kUser, "a"),
                   answer_of(kFirst, {{.text = "thinking", .thought = true},
                                      {.text = "b"},
                                      {.text = "", .thought_signature = "c2ln"}}),
                   text_content(Role::kUser, "caf\u00e9")},
      .config = {.temperature = 0.5, .thinking_budget = 0, .thinking_level = "LOW"}};
  const GeminiOptions options;
  RequestBody body(request, kFirst, options);
  CHECK(*body.text(kFirst, false) == built(request, kFirst));
  CHECK(*body.text(kSecond, false) == built(request, kSecond));
  CHECK(body.text(kSecond, false)->find("c2ln") == std::string::npos);
  CHECK(*body.text(kFirst, true) == built(request, kFirst, true));
}

TEST_CASE("A request whose schema is not JSON is refused when it is made") {
  const GeminiOptions options;
  try {
    RequestBody body({.config = {.response_json_schema = "{"}}, kFirst, options);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("Whatever a conversation holds, every model gets the body that it would have got first") {
  std::mt19937 random(20'261'124);
  const auto chance = [&random](unsigned one_in) { return random() % one_in == 0; };
  const std::vector<std::string> models{kFirst, kSecond, "gemini-2.0-flash", ""};
  const GeminiOptions options{.safety_settings = {{.category = "HARM", .threshold = "BLOCK"}}};
  const auto whole = [&options](const GenerateRequest& request, const std::string& model,
                                bool strip) {
    return build_request(request, {.model = model,
                                   .capabilities = capabilities_of(model, {}),
                                   .options = options,
                                   .strip_signatures = strip});
  };
  for (int round = 0; round < 500; ++round) {
    // Half of them words alone, as nearly all conversations are.
    const bool words_only = chance(2);
    GenerateRequest request;
    if (chance(2)) request.system_instruction = "Answer briefly.";
    if (chance(3)) request.config.thinking_budget = 0;
    if (!words_only && chance(3)) request.functions = {{.name = "f"}};
    const auto count = static_cast<unsigned>(random() % 8);
    for (unsigned i = 0; i < count; ++i) {
      const bool user = i % 2 == 0;
      Content content{.role = user ? Role::kUser : Role::kModel};
      if (!user) content.model = words_only ? kFirst : models[random() % models.size()];
      const auto parts = static_cast<unsigned>(1 + random() % 3);
      for (unsigned k = 0; k < parts; ++k) {
        Part part;
        if (!words_only && chance(4)) {
          part.function_call = FunctionCall{.name = "f", .args_json = R"({"a":[1,{}]})"};
        } else if (!words_only && chance(6)) {
          part.extra_json = R"({"inlineData":{"data":"AAAA"}})";
        } else {
          part.text = chance(4) ? "" : "word " + std::to_string(random());
        }
        part.thought = !user && part.text && chance(5);
        if ((!user || !words_only) && chance(3)) part.thought_signature = "c2ln";
        content.parts.push_back(std::move(part));
      }
      request.contents.push_back(std::move(content));
    }
    CAPTURE(round, words_only);
    RequestBody body(request, kFirst, options);
    REQUIRE(*body.text(kFirst, false) == whole(request, kFirst, false));
    if (chance(2)) REQUIRE(*body.text(kFirst, true) == whole(request, kFirst, true));
    REQUIRE(*body.text(kSecond, false) == whole(request, kSecond, false));
    if (chance(2)) REQUIRE(*body.text(kSecond, true) == whole(request, kSecond, true));
  }
}
