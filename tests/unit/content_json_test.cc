#include "gemini/content_json.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "catch.h"

using namespace twinchat;
using namespace twinchat::gemini;

namespace {

// Makes parts and JSON values up, the same ones for the same seed.
class Maker {
 public:
  explicit Maker(std::uint32_t seed) : engine_(seed) {}

  bool chance(int one_in) { return below(one_in) == 0; }
  int below(int limit) { return static_cast<int>(engine_() % static_cast<std::uint32_t>(limit)); }

  std::string text() {
    static const std::vector<std::string> kPieces{"a",
                                                  "Hello ",
                                                  "\n",
                                                  "\"",
                                                  "\\",
                                                  "\t",
                                                  "\xC3\xA4",
                                                  "\xE2\x82\xAC",
                                                  "\xF0\x9F\x98\x80",
                                                  "{",
                                                  "}",
                                                  "[DONE]",
                                                  "data: ",
                                                  "\x01",
                                                  "\x7F",
                                                  "</script>",
                                                  "0",
                                                  std::string(1, '\0')};
    std::string made;
    for (int i = below(6); i > 0; --i) {
      made += kPieces[static_cast<std::size_t>(below(static_cast<int>(kPieces.size())))];
    }
    return made;
  }
  std::string some_text() {
    std::string made = text();
    return made.empty() ? "x" : made;
  }

  Json value(int depth) {
    switch (below(depth > 0 ? 8 : 6)) {
      case 0:
        return nullptr;
      case 1:
        return chance(2);
      case 2:
        return static_cast<std::int64_t>(engine_()) - 2'000'000'000;
      case 3:
        return static_cast<double>(below(1'000'000)) / 1024.0;
      case 4:
        return std::uint64_t{1} << (32 + below(32));
      case 5:
        return text();
      case 6: {
        Json list = Json::array();
        for (int i = below(4); i > 0; --i) list.push_back(value(depth - 1));
        return list;
      }
      default:
        return object(depth - 1);
    }
  }
  Json object(int depth) {
    Json made = Json::object();
    for (int i = below(4); i > 0; --i) made[text()] = value(depth);
    return made;
  }

  Part part() {
    Part made;
    switch (below(4)) {
      case 0:
        made.text = text();
        break;
      case 1:
        made.function_call =
            FunctionCall{.id = text(), .name = text(), .args_json = dump_json(object(3))};
        break;
      case 2:
        made.function_response =
            FunctionResponse{.id = text(), .name = text(), .response_json = dump_json(object(3))};
        break;
      default: {
        static const std::vector<std::string> kKinds{"inlineData", "executableCode", "toolCall",
                                                     "aKindThatIsYetToCome"};
        Json extra = Json::object();
        extra[kKinds[static_cast<std::size_t>(below(4))]] = value(3);
        made.extra_json = dump_json(extra);
        break;
      }
    }
    made.thought = chance(3);
    if (chance(3)) made.thought_signature = some_text();
    if (made.extra_json.empty() && chance(3)) {
      Json extra = Json::object();
      extra["partMetadata"] = value(2);
      made.extra_json = dump_json(extra);
    }
    return made;
  }

  // A part as a server might send it, sense or not. What has the same meaning as its absence
  // ("thought": false, an empty signature or id, missing arguments) is not made.
  Json part_json() {
    Json made = Json::object();
    static const std::vector<std::string> kFields{
        "text",         "thought",       "thoughtSignature", "functionCall", "functionResponse",
        "partMetadata", "videoMetadata", "inlineData",       "somethingNew", "Text"};
    for (int i = below(4); i >= 0; --i) {
      const std::string& name = kFields[static_cast<std::size_t>(below(10))];
      if (name == "text" && chance(2)) {
        made[name] = text();
      } else if (name == "thought" && chance(2)) {
        made[name] = true;
      } else if (name == "thoughtSignature" && chance(2)) {
        made[name] = some_text();
      } else if ((name == "functionCall" || name == "functionResponse") && !chance(4)) {
        Json& call = made[name] = object(2);
        call["name"] = chance(8) ? value(1) : Json(text());
        call[name == "functionCall" ? "args" : "response"] = chance(8) ? value(2) : object(2);
        if (chance(2)) call["id"] = chance(8) ? value(1) : Json(some_text());
        if (field(call, "id") == "") call.erase("id");
      } else {
        made[name] = value(2);
        if (made[name] == "" || made[name] == false) made.erase(name);
      }
    }
    return made;
  }

 private:
  std::mt19937 engine_;
};

}  // namespace

TEST_CASE("A part that goes through JSON comes back as it was") {
  Maker maker(20261123);
  for (int i = 0; i < 20'000; ++i) {
    const Part part = maker.part();
    const Json json = part_to_json(part);
    INFO("part " << i << ": " << dump_json(json));
    REQUIRE(part_from_json(json) == part);
    const auto as_text = parse_json(dump_json(json));
    REQUIRE(as_text);
    REQUIRE(part_from_json(*as_text) == part);
  }
}

TEST_CASE("JSON that goes through a part comes back as it was, whatever it holds") {
  Maker maker(4711);
  for (int i = 0; i < 20'000; ++i) {
    const Json json = maker.part_json();
    INFO("part " << i << ": " << dump_json(json));
    REQUIRE(part_to_json(part_from_json(json)) == json);
  }
}

TEST_CASE("Fields of the wrong type and fields of tomorrow survive a round trip") {
  for (const char* text : {
           R"({"text":null})",
           R"({"text":7})",
           R"({"thought":"yes","text":"x"})",
           R"({"thoughtSignature":[1],"text":"x"})",
           R"({"functionCall":"f"})",
           R"({"functionCall":{}})",
           R"({"functionCall":{"name":7,"args":{}}})",
           R"({"functionCall":{"name":"f","args":[1,2]}})",
           R"({"functionCall":{"name":"f","args":{},"id":null}})",
           R"({"functionResponse":{"name":"f","response":"plain"}})",
           R"({"functionResponse":{"name":"f","response":{},"parts":[{"inlineData":{}}]}})",
           R"({"functionCall":{"name":"f","args":{},"willContinue":true},"thoughtSignature":"s"})",
           R"({"inlineData":{"mimeType":"image/png","data":"AAAA"},"videoMetadata":{"fps":1.5}})",
           R"({"text":"x","functionCall":{"name":"f","args":{}}})",
           R"({"text":"","thoughtSignature":"s"})",
       }) {
    INFO(text);
    const Json json = Json::parse(text);
    CHECK(part_to_json(part_from_json(json)) == json);
  }
}

TEST_CASE("A function call with a field of tomorrow is still a function call") {
  const Part part = part_from_json(
      Json::parse(R"({"functionCall":{"id":"1","name":"f","args":{"a":1},"willContinue":false}})"));
  REQUIRE(part.function_call);
  CHECK(part.function_call->id == "1");
  CHECK(part.function_call->name == "f");
  CHECK(part.function_call->args_json == R"({"a":1})");
  const Part response = part_from_json(
      Json::parse(R"({"functionResponse":{"name":"f","response":{"a":1},"scheduling":"IDLE"}})"));
  REQUIRE(response.function_response);
  CHECK(response.function_response->response_json == R"({"a":1})");
}

TEST_CASE("A part that is no JSON object is an empty part") {
  for (const char* text : {"null", "7", "\"x\"", "[]", "[{\"text\":\"x\"}]"}) {
    CHECK(part_from_json(Json::parse(text)) == Part{});
  }
}

TEST_CASE("Parts with texts that are no JSON are written without them, not refused") {
  Part part{.function_call = FunctionCall{.name = "f", .args_json = "{broken"}};
  CHECK(dump_json(part_to_json(part)) == R"({"functionCall":{"args":{},"name":"f"}})");
  part.extra_json = R"({"functionCall":"not an object"})";
  CHECK(dump_json(part_to_json(part)) == R"({"functionCall":{"args":{},"name":"f"}})");
  CHECK(part_to_json(Part{.extra_json = "[1]"}) == Json::object());
  CHECK(part_to_json(Part{.extra_json = "nonsense"}) == Json::object());
}

TEST_CASE("A function's result that is no object goes in one, and is not lost") {
  const auto sent = [](const std::string& result) {
    const Part part{.function_response = FunctionResponse{.name = "f", .response_json = result}};
    return dump_json(part_to_json(part)["functionResponse"]["response"]);
  };
  CHECK(sent(R"({"a":1})") == R"({"a":1})");
  CHECK(sent("21.5") == R"({"result":21.5})");
  CHECK(sent("[1,2]") == R"({"result":[1,2]})");
  CHECK(sent("sunny, 21 degrees") == R"({"result":"sunny, 21 degrees"})");
  CHECK(sent("") == "{}");
}

TEST_CASE("Text that is not UTF-8 is written with replacement characters") {
  CHECK(dump_json(part_to_json(Part{.text = "a\xFFz"})) == "{\"text\":\"a\xEF\xBF\xBDz\"}");
}

TEST_CASE("Contents that go through text come back as they were") {
  Maker maker(99);
  for (int i = 0; i < 2'000; ++i) {
    std::vector<Content> contents;
    for (int k = maker.below(4); k > 0; --k) {
      Content content{.role = maker.chance(2) ? Role::kUser : Role::kModel,
                      .model = maker.chance(2) ? maker.text() : ""};
      for (int p = maker.below(4); p > 0; --p) content.parts.push_back(maker.part());
      contents.push_back(std::move(content));
    }
    const std::string text = encode_contents(contents);
    INFO(text);
    REQUIRE(decode_contents(text) == contents);
    REQUIRE(encode_contents(decode_contents(text)) == text);
  }
}

TEST_CASE("A stored text that cannot be read gives no contents") {
  for (const char* text : {"", "null", "{}", "7", "\"x\"", "[", "[{]", "nonsense",
                           "[{\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]"}) {
    CHECK(decode_contents(text).empty());
  }
  std::string deep(100'000, '[');
  CHECK(decode_contents(deep).empty());
  deep += std::string(100'000, ']');
  CHECK(decode_contents(deep).empty());
}

TEST_CASE("Pieces of plain text become one part again") {
  std::vector<Part> parts;
  append_part(parts, {.text = "Hel"});
  append_part(parts, {.text = ""});
  append_part(parts, {.text = "lo"});
  CHECK(parts == std::vector<Part>{{.text = "Hello"}});
}

TEST_CASE("Only what is plain text of one kind is joined") {
  const std::vector<std::pair<Part, Part>> never{
      {{.text = "a"}, {.text = "b", .thought = true}},
      {{.text = "a", .thought = true}, {.text = "b"}},
      {{.text = "a", .thought_signature = "s"}, {.text = "b"}},
      {{.text = "a"}, {.text = "b", .thought_signature = "s"}},
      {{.text = "a"}, {.text = "", .thought_signature = "s"}},
      {{.text = "a", .thought_signature = "s"}, {.text = "b", .thought_signature = "s"}},
      {{.text = "a", .extra_json = "{\"partMetadata\":{}}"}, {.text = "b"}},
      {{.text = "a"}, {.text = "b", .extra_json = "{\"partMetadata\":{}}"}},
      {{.text = "a"}, {.function_call = FunctionCall{.name = "f"}}},
      {{.function_call = FunctionCall{.name = "f"}}, {.function_call = FunctionCall{.name = "f"}}},
      {{.function_response = FunctionResponse{.name = "f"}}, {.text = "b"}},
      {{.extra_json = "{\"inlineData\":{}}"}, {.extra_json = "{\"inlineData\":{}}"}},
  };
  for (const auto& [first, second] : never) {
    std::vector<Part> parts;
    append_part(parts, first);
    append_part(parts, second);
    CHECK(parts == std::vector<Part>{first, second});
  }
  std::vector<Part> thoughts;
  append_part(thoughts, {.text = "a", .thought = true});
  append_part(thoughts, {.text = "b", .thought = true});
  CHECK(thoughts == std::vector<Part>{{.text = "ab", .thought = true}});
}

TEST_CASE("Joining streamed parts changes neither the visible text nor any signature") {
  Maker maker(7);
  for (int i = 0; i < 2'000; ++i) {
    Content streamed;
    Content joined;
    std::string signatures;
    std::string joined_signatures;
    for (int p = maker.below(12); p > 0; --p) {
      streamed.parts.push_back(maker.part());
      append_part(joined.parts, streamed.parts.back());
      signatures += streamed.parts.back().thought_signature + "|";
    }
    std::erase(signatures, '|');
    for (const Part& part : joined.parts) joined_signatures += part.thought_signature;
    std::erase(joined_signatures, '|');
    REQUIRE(visible_text(joined) == visible_text(streamed));
    REQUIRE(joined_signatures == signatures);
  }
}

TEST_CASE("Numbers that no integer holds are clamped, not undefined") {
  const auto number = [](const char* text) {
    return int_field(Json::parse(std::string("{\"n\":") + text + "}"), "n");
  };
  CHECK(number("7") == 7);
  CHECK(number("-7") == -7);
  CHECK(number("7.9") == 7);
  CHECK(number("1e300") == INT64_MAX);
  CHECK(number("-1e300") == INT64_MIN);
  CHECK(number("18446744073709551615") == INT64_MAX);
  CHECK(number("9223372036854775807") == INT64_MAX);
  CHECK(number("\"7\"") == 0);
  CHECK(number("null") == 0);
  CHECK(number("true") == 0);
}

TEST_CASE("JSON that nests too deeply is refused before it costs the stack") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK(parse_json(nested(128)));
  CHECK_FALSE(parse_json(nested(129)));
  CHECK_FALSE(parse_json(nested(1'000'000)));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  CHECK_FALSE(parse_json(objects));
  // Brackets within a string are no nesting.
  CHECK(parse_json("\"" + std::string(1'000, '[') + "\\\"" + std::string(1'000, '{') + "\""));
  CHECK_FALSE(parse_json(""));
  CHECK_FALSE(parse_json("{} {}"));
  CHECK_FALSE(parse_json("{\"a\":\"\xFF\"}"));
}
