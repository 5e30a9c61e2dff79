#include "config/widget_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <set>
#include <vector>

#include "config/settings_error.h"
#include "text.h"

namespace twinchat::server {
namespace {

constexpr std::size_t kMaxQuickActions = 12;
constexpr std::size_t kMaxLanguageTag = 35;

constexpr std::string_view kBuiltIn = R"json({
  "texts": {
    "en": {
      "title": "Twin Health Assistant",
      "welcome": "Hello! I am the Twin Health assistant. Ask me about metabolism, diabetes, weight, PCOD or becoming a member.",
      "consent": "I agree that Twin Health keeps this conversation and the details I give, in order to answer me. The assistant does not replace a doctor.",
      "quick_actions": [
        {"label": "New Enquiry", "message": "I would like to know more about the Twin Health programme."},
        {"label": "Existing Member", "message": "I am an existing member and need help."},
        {"label": "FAQs", "message": "What do people ask most often about Twin Health?"},
        {"label": "What is Metabolism?", "message": "What is metabolism?"}
      ]
    },
    "hi": {
      "title": "ट्विन हेल्थ सहायक",
      "welcome": "नमस्ते! मैं ट्विन हेल्थ का सहायक हूँ। मुझसे मेटाबॉलिज़्म, मधुमेह, वज़न, पीसीओडी या सदस्यता के बारे में पूछिए।",
      "consent": "मैं सहमत हूँ कि ट्विन हेल्थ मुझे उत्तर देने के लिए यह बातचीत और मेरी दी हुई जानकारी सुरक्षित रखे। यह सहायक डॉक्टर की जगह नहीं लेता।",
      "quick_actions": [
        {"label": "नई पूछताछ", "message": "मैं ट्विन हेल्थ कार्यक्रम के बारे में और जानना चाहता हूँ।"},
        {"label": "मौजूदा सदस्य", "message": "मैं पहले से सदस्य हूँ और मुझे सहायता चाहिए।"},
        {"label": "सामान्य प्रश्न", "message": "ट्विन हेल्थ के बारे में लोग सबसे ज़्यादा क्या पूछते हैं?"},
        {"label": "मेटाबॉलिज़्म क्या है?", "message": "मेटाबॉलिज़्म क्या है?"}
      ]
    }
  },
  "default_language": "en",
  "details": {
    "when": "after_first_answer",
    "fields": [
      {"name": "name", "required": true, "pattern": null},
      {"name": "email", "required": true, "pattern": null},
      {"name": "phone", "required": false, "pattern": null}
    ]
  },
  "consent": {"required": true, "version": "1", "link": null},
  "feedback": true,
  "max_message_length": 5000
})json";

[[noreturn]] void refuse(const std::string& place, const std::string& expected) {
  throw SettingsError(fmt::format("{}: {} is expected.", place, expected));
}

std::string in(const std::string& place, const std::string& name) {
  return place.empty() ? name : place + "." + name;
}

// An object with all of these members and no others.
void check_members(const Json& value, const std::string& place,
                   std::initializer_list<std::string_view> names) {
  if (!value.is_object()) refuse(place, "an object");
  for (const auto& [name, member] : value.items()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw SettingsError(fmt::format("{}: there is no such member.", in(place, name)));
    }
  }
  for (const std::string_view name : names) {
    if (!value.contains(std::string(name))) refuse(in(place, std::string(name)), "a value");
  }
}

void check_text(const Json& value, const std::string& place, std::size_t most) {
  const bool fits = value.is_string() && !trim(value.get_ref<const std::string&>()).empty() &&
                    count_code_points(value.get_ref<const std::string&>()) <= most;
  if (!fits) refuse(place, fmt::format("a text of 1 to {} characters", most));
}

void check_flag(const Json& value, const std::string& place) {
  if (!value.is_boolean()) refuse(place, "true or false");
}

void check_choice(const Json& value, const std::string& place,
                  std::initializer_list<std::string_view> choices) {
  const bool known =
      value.is_string() && std::find(choices.begin(), choices.end(),
                                     value.get_ref<const std::string&>()) != choices.end();
  if (!known) refuse(place, fmt::format("one of {}", fmt::join(choices, ", ")));
}

void check_array(const Json& value, const std::string& place, std::size_t most) {
  if (!value.is_array() || value.size() > most) {
    refuse(place, fmt::format("an array of up to {} elements", most));
  }
}

// A tag as in "hi" or "pt-BR".
bool is_language(std::string_view tag) {
  return tag.size() >= 2 && tag.size() <= kMaxLanguageTag &&
         std::all_of(tag.begin(), tag.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-';
         });
}

void check_texts(const Json& texts) {
  if (!texts.is_object() || texts.empty()) refuse("texts", "an object with a language");
  for (const auto& [language, words] : texts.items()) {
    const std::string place = in("texts", language);
    if (!is_language(language)) refuse(place, "a language tag such as en");
    check_members(words, place, {"title", "welcome", "consent", "quick_actions"});
    check_text(words["title"], in(place, "title"), 100);
    check_text(words["welcome"], in(place, "welcome"), 2000);
    check_text(words["consent"], in(place, "consent"), 5000);
    const Json& actions = words["quick_actions"];
    check_array(actions, in(place, "quick_actions"), kMaxQuickActions);
    for (std::size_t i = 0; i < actions.size(); ++i) {
      const std::string at = fmt::format("{}.quick_actions[{}]", place, i);
      check_members(actions[i], at, {"label", "message"});
      check_text(actions[i]["label"], in(at, "label"), 60);
      check_text(actions[i]["message"], in(at, "message"), 1000);
    }
  }
}

void check_details(const Json& details) {
  check_members(details, "details", {"when", "fields"});
  check_choice(details["when"], "details.when",
               {"before_first_answer", "after_first_answer", "never"});
  const Json& fields = details["fields"];
  check_array(fields, "details.fields", 3);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::string at = fmt::format("details.fields[{}]", i);
    check_members(fields[i], at, {"name", "required", "pattern"});
    check_choice(fields[i]["name"], in(at, "name"), {"name", "email", "phone"});
    if (!seen.insert(fields[i]["name"].get<std::string>()).second)
      refuse(in(at, "name"), "each name once");
    check_flag(fields[i]["required"], in(at, "required"));
    // Whether it is a regular expression the browser has to say: the kinds differ.
    if (!fields[i]["pattern"].is_null()) check_text(fields[i]["pattern"], in(at, "pattern"), 500);
  }
}

void check_consent(const Json& consent) {
  if (consent.is_null()) return;
  check_members(consent, "consent", {"required", "version", "link"});
  check_flag(consent["required"], "consent.required");
  check_text(consent["version"], "consent.version", 64);
  if (consent["version"].get_ref<const std::string&>().size() > 64) {
    refuse("consent.version", "a text of up to 64 bytes");
  }
  const Json& link = consent["link"];
  if (link.is_null()) return;
  check_text(link, "consent.link", 2000);
  const std::string& url = link.get_ref<const std::string&>();
  if (!url.starts_with("https://") && !url.starts_with("http://")) {
    refuse("consent.link", "null or a URL with https://");
  }
}

void check(const Json& document) {
  check_members(
      document, "",
      {"texts", "default_language", "details", "consent", "feedback", "max_message_length"});
  check_texts(document["texts"]);
  const Json& language = document["default_language"];
  if (!language.is_string() || !document["texts"].contains(language.get<std::string>())) {
    refuse("default_language", "one of the languages of texts");
  }
  check_details(document["details"]);
  check_consent(document["consent"]);
  check_flag(document["feedback"], "feedback");
  const Json& length = document["max_message_length"];
  if (!length.is_number_integer() || length.get<double>() < 1 || length.get<double>() > 5000) {
    refuse("max_message_length", "a whole number from 1 to 5000");
  }
}

void merge(Json& base, const Json& over) {
  if (!base.is_object() || !over.is_object()) {
    base = over;
    return;
  }
  for (const auto& [name, value] : over.items()) merge(base[name], value);
}

}  // namespace

WidgetSettings::WidgetSettings() : document_(Json::parse(kBuiltIn)) {}

WidgetSettings WidgetSettings::parse(std::string_view text) {
  WidgetSettings settings;
  Json given = Json::parse(text, nullptr, false);
  if (!given.is_object()) throw SettingsError("it is no JSON object.");
  merge(settings.document_, given);
  Json& texts = settings.document_["texts"];
  if (texts.is_object()) {
    std::vector<std::string> gone;
    for (const auto& [language, words] : texts.items()) {
      if (words.is_null()) gone.push_back(language);
    }
    for (const std::string& language : gone) texts.erase(language);
  }
  check(settings.document_);
  return settings;
}

bool WidgetSettings::has_consent(std::string_view version) const {
  const Json& consent = document_["consent"];
  return !consent.is_null() && consent["version"].get_ref<const std::string&>() == version;
}

std::optional<std::string> WidgetSettings::consent_text(std::string_view language) const {
  const Json& texts = document_["texts"];
  const auto found = texts.find(std::string(language));
  if (found == texts.end()) return std::nullopt;
  return (*found)["consent"].get<std::string>();
}

}  // namespace twinchat::server
