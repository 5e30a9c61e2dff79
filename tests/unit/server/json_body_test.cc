#include "api/json_body.h"

#include "api/refusal.h"
#include "catch.h"

namespace twinchat::server {
namespace {

template <class Read>
Refusal refusal_of(Read read) {
  try {
    read();
  } catch (const Refusal& refusal) {
    return refusal;
  }
  FAIL("not refused");
  return {0, nullptr};
}

Json parse(std::string_view body) {
  return parse_json_body("application/json", body);
}

// What the message route reads.
std::string refusal_of_message(std::string_view text) {
  const Json body = parse(text);
  const Refusal refusal = refusal_of([&] {
    BodyFields fields(body);
    fields.required_text("session_id", 255);
    fields.required_text("message", 5000);
    fields.user_details();
    fields.check();
  });
  CHECK(refusal.status == 400);
  return to_text(refusal.body);
}

std::string nested(std::size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

TEST_CASE("A body is taken for JSON by its content type, whatever its case and parameters") {
  for (const char* type :
       {"application/json", "Application/JSON", "application/json; charset=utf-8",
        "application/json;charset=UTF-8", " application/json "}) {
    CHECK(parse_json_body(type, "{\"a\":1}") == Json{{"a", 1}});
  }
  for (const char* type : {"text/plain", "", "application/x-www-form-urlencoded",
                           "application/json2", "multipart/form-data; boundary=x"}) {
    const Refusal refusal = refusal_of([&] { parse_json_body(type, "{}"); });
    CHECK(refusal.status == 415);
    CHECK(refusal.body["detail"] ==
          "Unsupported media type \"" + std::string(type) + "\" in request.");
  }
}

TEST_CASE("No body at all is an empty object, whatever its content type") {
  CHECK(parse_json_body("", "") == Json::object());
  CHECK(parse_json_body("text/plain", "") == Json::object());
}

TEST_CASE("What is not JSON is refused in words of ours") {
  const std::string body = GENERATE(
      as<std::string>(), "{", "sesame", "{\"a\":sesame}", "{\"a\":1,}", "\xEF\xBB\xBF{}", "NaN",
      "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":\"\xFF\"}", "{\"a\":\"\xC3\"}",
      "{\"a\":\"\\ud800\"}", "{\"a\":\"\\udc00x\"}", "{'a':1}", "{} {}", "{\"a\":\"sesame\n\"}",
      "{\"a\":1e999}", " ", "\xFF\xFE{\0}\0", "{\"a\":\"\xED\xA0\x80\"}");
  CAPTURE(body);
  const Refusal refusal = refusal_of([&] { parse(body); });
  CHECK(refusal.status == 400);
  const std::string detail = refusal.body["detail"];
  CHECK(detail.find("JSON parse error - ") == 0);
  CHECK(detail.find("sesame") == std::string::npos);
}

TEST_CASE("JSON is read to 32 levels and refused beyond, however deep") {
  CHECK_NOTHROW(parse(nested(32)));
  for (const std::size_t levels : {std::size_t{33}, std::size_t{1000}, std::size_t{30'000}}) {
    const Refusal refusal = refusal_of([&] { parse(nested(levels)); });
    CHECK(refusal.status == 400);
    CHECK(refusal.body["detail"] == "JSON parse error - nested more than 32 levels deep");
  }
  std::string objects;
  for (int i = 0; i < 5000; ++i) objects += "{\"a\":";
  CHECK(refusal_of([&] { parse(objects); }).status == 400);
}

TEST_CASE("Of duplicate keys the last wins") {
  CHECK(parse(R"({"a":1,"a":{"b":2},"a":"x"})") == Json{{"a", "x"}});
}

TEST_CASE("A body that is no object is refused by its kind") {
  const auto [body, message] = GENERATE(table<std::string, std::string>({
      {"[]", "Invalid data. Expected a dictionary, but got list."},
      {"\"x\"", "Invalid data. Expected a dictionary, but got str."},
      {"5", "Invalid data. Expected a dictionary, but got int."},
      {"-5", "Invalid data. Expected a dictionary, but got int."},
      {"5.5", "Invalid data. Expected a dictionary, but got float."},
      {"true", "Invalid data. Expected a dictionary, but got bool."},
      {"null", "No data provided"},
  }));
  CHECK(refusal_of_message(body) == R"({"non_field_errors":[")" + message + R"("]})");
}

TEST_CASE("All fields are refused at once, each with its list of messages") {
  const std::string long_text(5001, 'x');
  const auto [body, answer] = GENERATE_COPY(table<std::string, std::string>({
      {"{}", R"({"session_id":["This field is required."],"message":["This field is required."]})"},
      {R"({"session_id":null,"message":null})",
       R"({"session_id":["This field may not be null."],"message":["This field may not be null."]})"},
      {R"({"session_id":"","message":" \t\u3000"})",
       R"({"session_id":["This field may not be blank."],"message":["This field may not be blank."]})"},
      {R"({"session_id":true,"message":["x"]})",
       R"({"session_id":["Not a valid string."],"message":["Not a valid string."]})"},
      {R"({"session_id":{},"message":false})",
       R"({"session_id":["Not a valid string."],"message":["Not a valid string."]})"},
      {R"({"session_id":"s","message":")" + long_text + R"("})",
       R"({"message":["Ensure this field has no more than 5000 characters."]})"},
      {R"({"message":"m","session_id":")" + long_text.substr(0, 256) + R"("})",
       R"({"session_id":["Ensure this field has no more than 255 characters."]})"},
      {R"({"session_id":"s","message":"a\u0000b"})",
       R"({"message":["Null characters are not allowed."]})"},
      {R"({"session_id":"s","message":"m","user_details":null})",
       R"({"user_details":["Expected a dictionary."]})"},
      {R"({"session_id":"s","message":"m","user_details":"x"})",
       R"({"user_details":["Expected a dictionary."]})"},
      {R"({"session_id":"s","message":"m","user_details":[]})",
       R"({"user_details":["Expected a dictionary."]})"},
      {R"({"session_id":"s","user_details":{"name":[],"email":"x","phone":true}})",
       R"({"message":["This field is required."],"user_details":{"name":["Not a valid string."],)"
       R"("phone":["Not a valid string."],"email":["Enter a valid email address."]}})"},
  }));
  CAPTURE(body);
  CHECK(refusal_of_message(body) == answer);
}

TEST_CASE("Texts come trimmed, and numbers as their text") {
  const Json body =
      parse(R"({"a":"\u00a0 x y\n","b":5,"c":-7,"d":5.5,"e":12345678901234,"long":"  )" +
            std::string(5000, 'x') + R"(  "})");
  BodyFields fields(body);
  CHECK(fields.required_text("a", 10) == "x y");
  CHECK(fields.required_text("b", 10) == "5");
  CHECK(fields.required_text("c", 10) == "-7");
  CHECK(fields.required_text("d", 10) == "5.5");
  CHECK(fields.required_text("e", 14) == "12345678901234");
  CHECK(fields.required_text("long", 5000).size() == 5000);
  CHECK(fields.optional_text("absent", 10).empty());
  CHECK_NOTHROW(fields.check());
}

TEST_CASE("Length is counted in code points") {
  std::string emoji;
  for (int i = 0; i < 5000; ++i) emoji += "\xF0\x9F\x98\x80";
  const Json body{{"message", emoji}};
  BodyFields fields(body);
  CHECK(fields.required_text("message", 5000) == emoji);
  CHECK_NOTHROW(fields.check());
}

TEST_CASE("Details are kept, cleared or set by what is there") {
  const Json body = parse(R"({"user_details":{"name":" Jane ","phone":null,"else":{"x":1}}})");
  BodyFields fields(body);
  const UserDetailsUpdate update = fields.user_details();
  CHECK_NOTHROW(fields.check());
  CHECK(update.name == FieldUpdate("Jane"));
  CHECK_FALSE(update.email.given());
  CHECK(update.phone == FieldUpdate(nullptr));
}

TEST_CASE("A number is a phone number") {
  const Json body = parse(R"({"user_details":{"phone":4915112345678}})");
  CHECK(BodyFields(body).user_details().phone == FieldUpdate("4915112345678"));
}

TEST_CASE("JSON is written compact, as UTF-8, and never fails on broken text") {
  CHECK(to_text(Json{{"z", "\xC3\xA9\xF0\x9F\x98\x80"}, {"a", nullptr}}) ==
        "{\"z\":\"\xC3\xA9\xF0\x9F\x98\x80\",\"a\":null}");
  CHECK(to_text(Json("a\xFF")) == "\"a\xEF\xBF\xBD\"");
}

TEST_CASE(
    "Whole numbers, choices and flags are read, and what is none of them is told by its field") {
  const Json good = parse(R"({"n": 7, "text": "-8", "up": "up", "none": null, "yes": true})");
  BodyFields fields(good);
  CHECK(fields.required_integer("n") == 7);
  CHECK(fields.required_integer("text") == -8);
  CHECK(fields.required_choice("up", {"up", "down"}) == "up");
  CHECK(fields.required_choice("none", {"up", "down"}) == std::nullopt);
  CHECK(fields.optional_flag("yes"));
  CHECK_FALSE(fields.optional_flag("none"));
  CHECK_FALSE(fields.optional_flag("absent"));
  CHECK_NOTHROW(fields.check());

  const Json bad = parse(R"({"float": 1.5, "large": 1e30, "word": "1x", "list": [1], "null": null,
                             "choice": "best", "number": 1, "flag": "true"})");
  BodyFields wrong(bad);
  for (const char* name : {"float", "large", "word", "list", "null", "absent"}) {
    CHECK(wrong.required_integer(name) == 0);
  }
  wrong.required_choice("choice", {"up", "down"});
  wrong.required_choice("number", {"up", "down"});
  wrong.required_choice("missing", {"up", "down"});
  wrong.optional_flag("flag");
  const Json told = refusal_of([&] { wrong.check(); }).body;
  for (const char* name : {"float", "large", "word", "list"}) {
    CHECK(told[name] == Json{"A valid integer is required."});
  }
  CHECK(told["null"] == Json{"This field may not be null."});
  CHECK(told["absent"] == Json{"This field is required."});
  CHECK(told["choice"] == Json{"Not a valid choice."});
  CHECK(told["number"] == Json{"Not a valid choice."});
  CHECK(told["missing"] == Json{"This field is required."});
  CHECK(told["flag"] == Json{"Must be a valid boolean."});
}

}  // namespace
}  // namespace twinchat::server
