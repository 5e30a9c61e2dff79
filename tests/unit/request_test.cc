#include "gemini/request.h"

#include <string>
#include <vector>

#include "catch.h"
#include "gemini/capabilities.h"
#include "gemini/json.h"
#include "twinchat/error.h"

using namespace twinchat;
using namespace twinchat::gemini;

namespace {

// The body that is made for `model`, as JSON.
Json body_for(const GenerateRequest& request, const std::string& model,
              const GeminiOptions& options = {}, bool strip_signatures = false) {
  const auto body = parse_json(build_request(request, {.model = model,
                                                       .capabilities = capabilities_of(model, {}),
                                                       .options = options,
                                                       .strip_signatures = strip_signatures}));
  REQUIRE(body);
  return *body;
}

Json contents_for(const GenerateRequest& request, const std::string& model,
                  bool strip_signatures = false) {
  return body_for(request, model, {}, strip_signatures)["contents"];
}

Json config_for(const GenerationConfig& config, const std::string& model) {
  return body_for({.contents = {text_content(Role::kUser, "x")}, .config = config},
                  model)["generationConfig"];
}

ErrorCode code_of(const GenerateRequest& request) {
  try {
    build_request(request, {.model = "m", .capabilities = capabilities_of("m", {}), .options = {}});
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("no error");
  return ErrorCode::kUnknown;
}

constexpr const char* kSentinel = "skip_thought_signature_validator";

}  // namespace

TEST_CASE("The smallest request has its contents and the cap on output, and nothing else") {
  CHECK(build_request({.contents = {text_content(Role::kUser, "Hi")}},
                      {.model = "gemini-3.5-flash-lite",
                       .capabilities = capabilities_of("gemini-3.5-flash-lite", {}),
                       .options = {}}) ==
        R"({"contents":[{"parts":[{"text":"Hi"}],"role":"user"}],)"
        R"("generationConfig":{"maxOutputTokens":8192}})");
}

TEST_CASE("A request with everything is written in full") {
  GenerateRequest request{
      .system_instruction = "Be brief.",
      .contents = {text_content(Role::kUser, "One?"), text_content(Role::kModel, "One."),
                   text_content(Role::kUser, "Two?")},
      .config = {.temperature = 0.5,
                 .top_p = 0.25,
                 .top_k = 40,
                 .max_output_tokens = 100,
                 .stop_sequences = std::vector<std::string>{"END", "STOP"},
                 .seed = 7,
                 .presence_penalty = -0.5,
                 .frequency_penalty = 1.5,
                 .thinking_budget = 256,
                 .include_thoughts = true,
                 .response_mime_type = "application/json",
                 .response_json_schema = R"({"type":"object"})"},
      .functions = {{.name = "lookup",
                     .description = "Looks it up.",
                     .parameters_json_schema = R"({"type":"object","properties":{}})"},
                    {.name = "bare"}}};
  GeminiOptions options;
  options.safety_settings = {{"HARM_CATEGORY_HARASSMENT", "BLOCK_ONLY_HIGH"},
                             {"HARM_CATEGORY_HATE_SPEECH", "OFF"}};
  CHECK(body_for(request, "gemini-2.5-flash", options) == Json::parse(R"({
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
      {"role": "user", "parts": [{"text": "One?"}]},
      {"role": "model", "parts": [{"text": "One."}]},
      {"role": "user", "parts": [{"text": "Two?"}]}
    ],
    "generationConfig": {
      "temperature": 0.5, "topP": 0.25, "topK": 40, "maxOutputTokens": 100,
      "stopSequences": ["END", "STOP"], "seed": 7,
      "presencePenalty": -0.5, "frequencyPenalty": 1.5,
      "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
      "thinkingConfig": {"thinkingBudget": 256, "includeThoughts": true}
    },
    "tools": [{"functionDeclarations": [
      {"name": "lookup", "description": "Looks it up.",
       "parametersJsonSchema": {"type": "object", "properties": {}}},
      {"name": "bare", "description": ""}
    ]}],
    "safetySettings": [
      {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"},
      {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "OFF"}
    ]
  })"));
}

TEST_CASE("The cap on output is the request's own, else the option's") {
  GeminiOptions options;
  options.max_output_tokens = 123;
  GenerateRequest request{.contents = {text_content(Role::kUser, "x")}};
  CHECK(body_for(request, "m", options)["generationConfig"]["maxOutputTokens"] == 123);
  request.config.max_output_tokens = 5;
  CHECK(body_for(request, "m", options)["generationConfig"]["maxOutputTokens"] == 5);
}

TEST_CASE("Schemas that are no JSON objects are refused") {
  for (const char* schema : {"", "{", "[]", "7", "null", "{} {}", "type: object"}) {
    INFO(schema);
    CHECK(code_of({.config = {.response_json_schema = schema}}) == ErrorCode::kInvalidArgument);
    if (*schema == '\0') continue;  // no parameters
    CHECK(code_of({.functions = {{.name = "f", .parameters_json_schema = schema}}}) ==
          ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("Thoughts are not sent, nor contents and parts that hold nothing") {
  const GenerateRequest request{
      .contents = {
          text_content(Role::kUser, "a"),
          {.role = Role::kModel,
           .parts = {{.text = "thinking", .thought = true},
                     {.text = ""},
                     {.text = "b"},
                     {.text = "more thinking", .thought = true, .thought_signature = "s"}}},
          {.role = Role::kModel, .parts = {{.text = "only thinking", .thought = true}}},
          {.role = Role::kModel, .parts = {{.text = ""}, Part{}}},
          {.role = Role::kModel},
          text_content(Role::kUser, "c")}};
  CHECK(contents_for(request, "gemini-3.5-flash-lite") == Json::parse(R"([
    {"role": "user", "parts": [{"text": "a"}]},
    {"role": "model", "parts": [{"text": "b"}]},
    {"role": "user", "parts": [{"text": "c"}]}
  ])"));
}

TEST_CASE("Signatures go back to the model that made them, in their parts, empty ones too") {
  const GenerateRequest request{.contents = {{.role = Role::kModel,
                                              .parts = {{.text = "a", .thought_signature = "s1"},
                                                        {.text = "", .thought_signature = "s2"}},
                                              .model = "gemini-3.5-flash-lite"}}};
  CHECK(contents_for(request, "gemini-3.5-flash-lite") == Json::parse(R"([{"role": "model",
    "parts": [{"text": "a", "thoughtSignature": "s1"}, {"text": "", "thoughtSignature": "s2"}]}])"));
}

TEST_CASE("Signatures do not go to another model, nor anywhere after a signature error") {
  const GenerateRequest request{.contents = {{.role = Role::kModel,
                                              .parts = {{.text = "a", .thought_signature = "s1"},
                                                        {.text = "", .thought_signature = "s2"}},
                                              .model = "gemini-3.5-flash-lite"},
                                             {.role = Role::kModel,
                                              .parts = {{.text = "", .thought_signature = "s3"}},
                                              .model = "gemini-3.5-flash-lite"}}};
  const Json without = Json::parse(R"([{"role": "model", "parts": [{"text": "a"}]}])");
  CHECK(contents_for(request, "gemini-3.8-flash") == without);
  CHECK(contents_for(request, "gemini-3.5-flash-lite", true) == without);
}

TEST_CASE("A function call whose signature cannot be sent gets the word in its place") {
  const auto call = [](const char* name, std::string signature) {
    return Part{.function_call = FunctionCall{.name = name},
                .thought_signature = std::move(signature)};
  };
  GenerateRequest request{.contents = {{.role = Role::kModel,
                                        .parts = {call("f", "s1"), call("g", ""), call("h", "s2")},
                                        .model = "gemini-3.5-flash-lite"}}};
  SECTION("for another model") {
    const Json parts = contents_for(request, "gemini-3.8-flash")[0]["parts"];
    CHECK(parts[0]["thoughtSignature"] == kSentinel);
    CHECK_FALSE(parts[1].contains("thoughtSignature"));
    CHECK(parts[2]["thoughtSignature"] == kSentinel);
  }
  SECTION("after a signature error") {
    const Json parts = contents_for(request, "gemini-3.5-flash-lite", true)[0]["parts"];
    CHECK(parts[0]["thoughtSignature"] == kSentinel);
  }
  SECTION("but not for the same model") {
    const Json parts = contents_for(request, "gemini-3.5-flash-lite")[0]["parts"];
    CHECK(parts[0]["thoughtSignature"] == "s1");
    CHECK_FALSE(parts[1].contains("thoughtSignature"));
    CHECK(parts[2]["thoughtSignature"] == "s2");
  }
  SECTION("and not for a model that knows no signatures") {
    const Json parts = contents_for(request, "gemini-2.5-flash")[0]["parts"];
    for (const Json& part : parts) CHECK_FALSE(part.contains("thoughtSignature"));
  }
  SECTION("also when the model that made the call signs nothing") {
    request.contents[0].model = "gemini-2.5-flash";
    request.contents[0].parts = {call("f", ""), call("g", "")};
    const Json parts = contents_for(request, "gemini-3.5-flash-lite")[0]["parts"];
    CHECK(parts[0]["thoughtSignature"] == kSentinel);
    CHECK_FALSE(parts[1].contains("thoughtSignature"));
  }
}

TEST_CASE("Function calls and their responses are written as the API names them") {
  const GenerateRequest request{
      .contents = {
          {.role = Role::kModel,
           .parts = {{.function_call =
                          FunctionCall{.id = "1", .name = "f", .args_json = R"({"a":[1]})"}}}},
          {.role = Role::kUser,
           .parts = {{.function_response = FunctionResponse{
                          .id = "1", .name = "f", .response_json = R"({"r":2})"}}}}}};
  CHECK(contents_for(request, "gemini-3.5-flash-lite") == Json::parse(R"([
    {"role": "model", "parts": [{"functionCall": {"id": "1", "name": "f", "args": {"a": [1]}}}]},
    {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "f", "response": {"r": 2}}}]}
  ])"));
}

TEST_CASE("What a model is known to refuse is left out of its request") {
  struct Row {
    const char* model;
    bool sampling;
    bool budget;
    bool level;
    const char* minimal;  // what MINIMAL becomes
    bool zero_budget;
  };
  const std::vector<Row> rows{
      {"gemini-2.5-flash-lite", true, true, false, "", true},
      {"gemini-2.5-flash", true, true, false, "", true},
      {"gemini-2.5-pro", true, true, false, "", false},
      {"models/gemini-2.5-flash", true, true, false, "", true},
      {"gemini-3-flash-preview", true, false, true, "MINIMAL", false},
      {"gemini-3.1-flash-lite", true, false, true, "MINIMAL", false},
      {"gemini-3.5-flash", true, false, true, "MINIMAL", false},
      {"gemini-3.5-flash-lite", false, false, true, "MINIMAL", false},
      {"gemini-3.5-flash-lite-001", false, false, true, "MINIMAL", false},
      {"gemini-3.6-flash", false, false, true, "MINIMAL", false},
      {"gemini-3.7-flash", false, false, true, "LOW", false},
      {"gemini-3.8-flash", false, false, true, "LOW", false},
      {"gemini-4-argon", false, false, true, "LOW", false},
      {"gemini-flash-latest", false, false, true, "LOW", false},
      {"something-new", false, false, true, "LOW", false},
  };
  for (const Row& row : rows) {
    INFO(row.model);
    const Json sampling =
        config_for({.temperature = 1.0, .top_p = 0.5, .top_k = 1, .seed = 1}, row.model);
    CHECK(sampling.contains("temperature") == row.sampling);
    CHECK(sampling.contains("topP") == row.sampling);
    CHECK(sampling.contains("topK") == row.sampling);
    CHECK(sampling["seed"] == 1);
    CHECK_FALSE(sampling.contains("thinkingConfig"));

    const Json budget = config_for({.thinking_budget = 99}, row.model);
    CHECK(budget.contains("thinkingConfig") == row.budget);
    const Json automatic = config_for({.thinking_budget = -1}, row.model);
    CHECK(automatic.contains("thinkingConfig") == row.budget);
    const Json zero = config_for({.thinking_budget = 0}, row.model);
    CHECK(zero.contains("thinkingConfig") == row.zero_budget);

    const Json level = config_for({.thinking_level = "HIGH"}, row.model);
    CHECK(level.contains("thinkingConfig") == row.level);
    const Json minimal = config_for({.thinking_level = "MINIMAL"}, row.model);
    CHECK((minimal.contains("thinkingConfig")
               ? minimal["thinkingConfig"]["thinkingLevel"].get<std::string>()
               : "") == row.minimal);

    // Never both: that is an error.
    const Json both = config_for({.thinking_budget = 99, .thinking_level = "LOW"}, row.model);
    CHECK(both["thinkingConfig"].size() == 1);
  }
}

TEST_CASE("A program's own rows on capabilities come before the built-in ones, the longest first") {
  const std::vector<ModelCapabilities> own{
      {.model_prefix = "gemini-3.5", .sampling = true, .thinking_level = false},
      {.model_prefix = "gemini-3.5-flash-lite-x", .sampling = false},
      {.model_prefix = "tunedModels/", .thinking_budget = false},
  };
  CHECK(capabilities_of("gemini-3.5-flash-lite", own).model_prefix == "gemini-3.5");
  CHECK(capabilities_of("gemini-3.5-flash-lite", own).sampling);
  CHECK(capabilities_of("gemini-3.5-flash-lite-xy", own).model_prefix == "gemini-3.5-flash-lite-x");
  CHECK(capabilities_of("tunedModels/mine", own).model_prefix == "tunedModels/");
  CHECK(capabilities_of("gemini-3.6-flash", own).model_prefix == "gemini-3.6");
  CHECK(capabilities_of("anything", {{.model_prefix = "", .minimal_thinking = true}})
            .minimal_thinking);
}

TEST_CASE("A merged configuration has every field of the second that is set") {
  const GenerationConfig none;
  const GenerationConfig all{.temperature = 1.0,
                             .top_p = 0.5,
                             .top_k = 2,
                             .max_output_tokens = 3,
                             .stop_sequences = std::vector<std::string>{"a"},
                             .seed = 4,
                             .presence_penalty = 0.1,
                             .frequency_penalty = 0.2,
                             .thinking_budget = 5,
                             .include_thoughts = true,
                             .response_mime_type = "text/plain",
                             .response_json_schema = "{}"};
  const GenerationConfig others{.temperature = 0.0,
                                .top_p = 0.0,
                                .top_k = 0,
                                .max_output_tokens = 0,
                                .stop_sequences = std::vector<std::string>{},
                                .seed = 0,
                                .presence_penalty = 0.0,
                                .frequency_penalty = 0.0,
                                .thinking_budget = 0,
                                .include_thoughts = false,
                                .response_mime_type = "",
                                .response_json_schema = ""};
  CHECK(none.merged_with(none) == none);
  CHECK(all.merged_with(none) == all);
  CHECK(none.merged_with(all) == all);
  // Zero and empty are values too.
  CHECK(all.merged_with(others) == others);

  // One field at a time, so that no two can be mixed up.
  const auto one_field = [&](auto member) {
    GenerationConfig over;
    over.*member = others.*member;
    GenerationConfig expected = all;
    expected.*member = others.*member;
    CHECK(all.merged_with(over) == expected);
  };
  one_field(&GenerationConfig::temperature);
  one_field(&GenerationConfig::top_p);
  one_field(&GenerationConfig::top_k);
  one_field(&GenerationConfig::max_output_tokens);
  one_field(&GenerationConfig::stop_sequences);
  one_field(&GenerationConfig::seed);
  one_field(&GenerationConfig::presence_penalty);
  one_field(&GenerationConfig::frequency_penalty);
  one_field(&GenerationConfig::thinking_budget);
  one_field(&GenerationConfig::include_thoughts);
  one_field(&GenerationConfig::response_mime_type);
  one_field(&GenerationConfig::response_json_schema);
}

TEST_CASE("One way to steer thinking displaces the other when configurations are merged") {
  const GenerationConfig budget{.thinking_budget = 5};
  const GenerationConfig level{.thinking_level = "LOW"};
  CHECK(budget.merged_with(level) == level);
  CHECK(level.merged_with(budget) == budget);
}

TEST_CASE("A text is quoted as a tree of JSON values would quote it, whatever its bytes") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const std::vector<std::string> texts{
      "",
      "plain",
      std::string(100, 'x') + "\"" + std::string(40, 'y') + "\\",
      "\n\t\b\x01\x7f",
      std::string("a\0b", 3),
      "gr\xC3\xBC\xC3\x9F dich \xF0\x9F\x98\x80",
      "cut \xE2\x82",
      "a surrogate \xED\xA0\x80 and an overlong \xC0\x80",
      all.substr(0, 128),
      all,
  };
  for (const std::string& text : texts) {
    CAPTURE(text);
    std::string out = "before ";
    append_json_string(out, text);
    CHECK(out == "before " + dump_json(Json(text)));
  }
}
