#include "config/widget_settings.h"

#include <map>
#include <string>

#include "catch.h"
#include "config/settings_error.h"

namespace twinchat::server {
namespace {

std::string error_of(const std::string& text) {
  try {
    WidgetSettings::parse(text);
  } catch (const SettingsError& error) {
    return error.what();
  }
  return {};
}

TEST_CASE("What is built in is a whole document, and may be given back as it is") {
  const WidgetSettings built_in;
  for (const char* language : {"en", "hi"}) {
    const Json& words = built_in.document()["texts"][language];
    CHECK(words["quick_actions"].size() == 4);
    CHECK(built_in.consent_text(language) == words["consent"].get<std::string>());
  }
  CHECK(built_in.document()["texts"]["en"]["quick_actions"][0]["label"] == "New Enquiry");
  CHECK(built_in.has_consent("1"));
  CHECK_FALSE(built_in.has_consent("2"));
  CHECK(built_in.consent_text("fr") == std::nullopt);
  CHECK(WidgetSettings::parse(built_in.document().dump()).document() == built_in.document());
  CHECK(WidgetSettings::parse("{}").document() == built_in.document());
}

TEST_CASE("What is given stands over what is built in, member by member") {
  const Json built_in = WidgetSettings().document();
  const Json made = WidgetSettings::parse(R"({
    "texts": {"en": {"title": "Ask us", "quick_actions": [{"label": "Hi", "message": "Hello"}]}},
    "details": {"when": "never"}, "consent": {"version": "2026-11", "link": "https://x.example/p"},
    "feedback": false, "max_message_length": 500})")
                        .document();
  Json expected = built_in;
  expected["texts"]["en"]["title"] = "Ask us";
  expected["texts"]["en"]["quick_actions"] = Json::array({{{"label", "Hi"}, {"message", "Hello"}}});
  expected["details"]["when"] = "never";
  expected["consent"]["version"] = "2026-11";
  expected["consent"]["link"] = "https://x.example/p";
  expected["feedback"] = false;
  expected["max_message_length"] = 500;
  CHECK(made == expected);
}

TEST_CASE("Consent can be left out, a language taken away, and another put in") {
  const WidgetSettings none = WidgetSettings::parse(R"({"consent": null})");
  CHECK(none.document()["consent"].is_null());
  CHECK_FALSE(none.has_consent("1"));
  const WidgetSettings french = WidgetSettings::parse(R"({
    "texts": {"hi": null, "en": null, "fr": {"title": "T", "welcome": "W", "consent": "C",
      "quick_actions": []}}, "default_language": "fr"})");
  CHECK(french.document()["texts"].size() == 1);
  CHECK(french.consent_text("fr") == "C");
  CHECK(french.consent_text("en") == std::nullopt);
}

TEST_CASE("What is wrong in the document is told by its place") {
  const std::map<std::string, std::string> cases{
      {"", "it is no JSON object."},
      {"[]", "it is no JSON object."},
      {"{\"texts\":", "it is no JSON object."},
      {R"({"text": {}})", "text: there is no such member."},
      {R"({"texts": {"en": {"titel": "T"}}})", "texts.en.titel: there is no such member."},
      {R"({"texts": {"en": {"title": " "}}})",
       "texts.en.title: a text of 1 to 100 characters is expected."},
      {R"({"texts": {"en": {"welcome": 5}}})",
       "texts.en.welcome: a text of 1 to 2000 characters is expected."},
      {R"({"texts": {"fr": {"title": "T"}}})", "texts.fr.welcome: a value is expected."},
      {R"({"texts": {"e n": {"title": "T"}}})",
       "texts.e n: a language tag such as en is expected."},
      {R"({"texts": {"en": null, "hi": null}})", "texts: an object with a language is expected."},
      {R"({"texts": null})", "texts: an object with a language is expected."},
      {R"({"texts": {"en": {"quick_actions": [{"label": "L"}]}}})",
       "texts.en.quick_actions[0].message: a value is expected."},
      {R"({"texts": {"en": {"quick_actions": "none"}}})",
       "texts.en.quick_actions: an array of up to 12 elements is expected."},
      {R"({"default_language": "fr"})",
       "default_language: one of the languages of texts is expected."},
      {R"({"texts": {"en": null}})",
       "default_language: one of the languages of texts is expected."},
      {R"({"details": {"when": "later"}})",
       "details.when: one of before_first_answer, after_first_answer, never is expected."},
      {R"({"details": {"fields": [{"name": "age", "required": true, "pattern": null}]}})",
       "details.fields[0].name: one of name, email, phone is expected."},
      {R"({"details": {"fields": [{"name": "name", "required": true, "pattern": null},
                                  {"name": "name", "required": true, "pattern": null}]}})",
       "details.fields[1].name: each name once is expected."},
      {R"({"details": {"fields": [{"name": "name", "required": "yes", "pattern": null}]}})",
       "details.fields[0].required: true or false is expected."},
      {R"({"details": {"fields": [{"name": "name", "required": true, "pattern": 1}]}})",
       "details.fields[0].pattern: a text of 1 to 500 characters is expected."},
      {R"({"consent": true})", "consent: an object is expected."},
      {R"({"consent": {"version": ""}})",
       "consent.version: a text of 1 to 64 characters is expected."},
      {R"({"consent": {"link": "javascript:alert"}})",
       "consent.link: null or a URL with https:// is expected."},
      {R"({"feedback": 1})", "feedback: true or false is expected."},
      {R"({"max_message_length": 0})",
       "max_message_length: a whole number from 1 to 5000 is expected."},
      {R"({"max_message_length": 5001})",
       "max_message_length: a whole number from 1 to 5000 is expected."}};
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    CHECK(error_of(text) == expected);
  }
}

}  // namespace
}  // namespace twinchat::server
