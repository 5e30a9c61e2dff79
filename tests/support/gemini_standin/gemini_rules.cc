#include "gemini_standin/gemini_rules.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <vector>

namespace twinchat::testing {
namespace {

using nlohmann::json;

constexpr std::string_view kSignaturePrefix = "standin/";

std::string snake_case(std::string_view camel_case) {
  std::string result;
  for (const char c : camel_case) {
    if (c >= 'A' && c <= 'Z') {
      result += '_';
      result += static_cast<char>(c - 'A' + 'a');
    } else {
      result += c;
    }
  }
  return result;
}

bool is_snake(std::string_view name) {
  return name.find('_') != std::string_view::npos;
}

std::string camel_case(std::string_view snake) {
  std::string result;
  bool raise = false;
  for (const char c : snake) {
    if (c == '_') {
      raise = true;
    } else {
      result += raise && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      raise = false;
    }
  }
  return result;
}

ApiError invalid(std::string message) {
  return {.message = std::move(message)};
}

ApiError invalid_payload(const std::string& where, const std::string& description) {
  ApiError error = invalid("Invalid JSON payload received. " + description);
  error.details.push_back(
      {{"@type", "type.googleapis.com/google.rpc.BadRequest"},
       {"fieldViolations", json::array({{{"field", where}, {"description", error.message}}})}});
  return error;
}

// The name of a content or part, made only when there is a fault to tell.
struct Place {
  std::string_view content;  // "contents" or "system_instruction"
  std::size_t index = 0;
  std::optional<std::size_t> part = {};

  std::string text() const {
    std::string text(content);
    if (content == "contents") text += "[" + std::to_string(index) + "]";
    if (part) text += ".parts[" + std::to_string(*part) + "]";
    return text;
  }
};

std::optional<ApiError> unknown_name(const json& object, const std::set<std::string_view>& known,
                                     const std::string& where);

// As unknown_name(), in a content or part.
std::optional<ApiError> unknown_name_at(const json& object, const std::set<std::string_view>& known,
                                        const Place& place) {
  if (object.is_object()) {
    bool all_known = true;
    for (auto member = object.begin(); member != object.end(); ++member) {
      all_known = all_known && known.contains(member.key());
    }
    if (all_known) return std::nullopt;
  }
  return unknown_name(object, known, place.text());
}

std::optional<ApiError> unknown_name(const json& object, const std::set<std::string_view>& known,
                                     const std::string& where) {
  if (!object.is_object()) {
    return invalid("Invalid value at '" + where + "', expected an object.");
  }
  for (const auto& [name, value] : object.items()) {
    if (known.contains(name) || (is_snake(name) && known.contains(camel_case(name)))) continue;
    const std::string place = where.empty() ? "" : " at '" + where + "'";
    return invalid_payload(where, "Unknown name \"" + name + "\"" + place + ": Cannot find field.");
  }
  return std::nullopt;
}

// "gemini-3.5-flash-lite" -> 3.5 and "flash-lite", a view of the name given; aliases and other
// names give 0.
struct ModelName {
  int major = 0;
  int minor = 0;
  std::string_view rest;
};

ModelName parse_model(std::string_view model) {
  ModelName result;
  constexpr std::string_view kPrefix = "gemini-";
  if (!model.starts_with(kPrefix)) return result;
  model.remove_prefix(kPrefix.size());
  std::size_t i = 0;
  const auto digit = [&] { return i < model.size() && model[i] >= '0' && model[i] <= '9'; };
  for (; digit() && i < 3; ++i) result.major = result.major * 10 + (model[i] - '0');
  if (i < model.size() && model[i] == '.') {
    ++i;
    for (const std::size_t start = i; digit() && i < start + 3; ++i) {
      result.minor = result.minor * 10 + (model[i] - '0');
    }
  }
  if (i < model.size() && model[i] == '-') result.rest = model.substr(i + 1);
  return result;
}

// gemini-3.6-flash, gemini-3.5-flash-lite and everything later.
bool refuses_model_final(std::string_view model) {
  const std::string served = served_model(model);
  const ModelName name = parse_model(served);
  if (name.major != 3) return name.major > 3;
  return name.minor >= 6 || (name.minor == 5 && name.rest.starts_with("flash-lite"));
}

bool has_text(const json& object, std::string_view name) {
  const json* value = field(object, name);
  return value != nullptr && value->is_string();
}

std::optional<ApiError> number_outside(const json& config, std::string_view name, double low,
                                       double high) {
  const json* value = field(config, name);
  if (value == nullptr) return std::nullopt;
  const std::string path = "generation_config." + snake_case(name);
  if (!value->is_number()) {
    return invalid_payload(path, "Invalid value at '" + path + "' (TYPE_FLOAT).");
  }
  const double number = value->get<double>();
  if (number >= low && number <= high) return std::nullopt;
  return invalid("* GenerateContentRequest." + path + ": value must be in the range [" +
                 std::to_string(low) + ", " + std::to_string(high) + "].\n");
}

std::optional<ApiError> thinking_fault(const json& config, const std::string& model) {
  const json* thinking = field(config, "thinkingConfig");
  if (thinking == nullptr) return std::nullopt;
  if (auto fault = unknown_name(*thinking, {"includeThoughts", "thinkingBudget", "thinkingLevel"},
                                "generation_config.thinking_config")) {
    return fault;
  }
  const json* budget = field(*thinking, "thinkingBudget");
  const json* level = field(*thinking, "thinkingLevel");
  if (budget != nullptr && level != nullptr) {
    return invalid("You can only set only one of thinking budget and thinking level.");
  }
  const ModelName name = parse_model(model);
  if (level != nullptr) {
    static const std::set<std::string> kLevels = {"MINIMAL", "LOW", "MEDIUM", "HIGH"};
    if (!level->is_string() || !kLevels.contains(level->get<std::string>())) {
      return invalid_payload("generation_config.thinking_config.thinking_level",
                             "Invalid value at 'generation_config.thinking_config.thinking_level'"
                             " (type.googleapis.com/google.ai.generativelanguage.v1beta."
                             "ThinkingConfig.ThinkingLevel), " +
                                 level->dump());
    }
    if (name.major == 2) return invalid("Thinking level is not supported for this model.");
    const bool no_minimal =
        name.major == 3 && (name.minor == 7 || name.minor == 8) && name.rest == "flash";
    if (no_minimal && *level == "MINIMAL") {
      return invalid("Thinking level MINIMAL is not supported for this model.");
    }
  }
  if (budget != nullptr && *budget == 0 && name.major == 3 && name.minor == 5 &&
      name.rest.starts_with("flash-lite")) {
    return invalid("Budget 0 is invalid. This model only works in thinking mode.");
  }
  return std::nullopt;
}

std::optional<ApiError> config_fault(const json& config, const std::string& model) {
  static const std::set<std::string_view> kKnown = {"temperature",
                                                    "topP",
                                                    "topK",
                                                    "candidateCount",
                                                    "maxOutputTokens",
                                                    "stopSequences",
                                                    "seed",
                                                    "presencePenalty",
                                                    "frequencyPenalty",
                                                    "responseMimeType",
                                                    "responseSchema",
                                                    "responseJsonSchema",
                                                    "responseLogprobs",
                                                    "logprobs",
                                                    "responseModalities",
                                                    "mediaResolution",
                                                    "speechConfig",
                                                    "imageConfig",
                                                    "audioTranscriptionConfig",
                                                    "enableEnhancedCivicAnswers",
                                                    "thinkingConfig"};
  if (auto fault = unknown_name(config, kKnown, "generation_config")) return fault;
  if (auto fault = number_outside(config, "temperature", 0, 2)) return fault;
  if (auto fault = number_outside(config, "topP", 0, 1)) return fault;
  if (auto fault = number_outside(config, "candidateCount", 1, 8)) return fault;
  if (auto fault = number_outside(config, "maxOutputTokens", 1, 1e9)) return fault;
  if (auto fault = number_outside(config, "logprobs", 0, 20)) return fault;
  const json* stops = field(config, "stopSequences");
  if (stops != nullptr && (!stops->is_array() || stops->size() > 5)) {
    return invalid(
        "* GenerateContentRequest.generation_config.stop_sequences: at most 5 stop sequences are "
        "supported.\n");
  }
  if (field(config, "responseSchema") != nullptr &&
      field(config, "responseJsonSchema") != nullptr) {
    return invalid("Only one of response_schema and response_json_schema can be set.");
  }
  return thinking_fault(config, model);
}

std::optional<ApiError> signature_fault(const json& part, const std::string& model,
                                        const Place& place) {
  const json* signature = field(part, "thoughtSignature");
  if (signature == nullptr) return std::nullopt;
  // Google's "skip_thought_signature_validator" is good base64 too.
  const auto decoded =
      signature->is_string() ? base64_decode(signature->get<std::string>()) : std::nullopt;
  if (!decoded) {
    const std::string where = place.text();
    return invalid_payload(
        where + ".thought_signature",
        "Invalid value at '" + where + ".thought_signature' (TYPE_BYTES), Base64 decoding failed.");
  }
  if (decoded->starts_with(kSignaturePrefix) &&
      !decoded->starts_with(std::string(kSignaturePrefix) + served_model(model) + "/")) {
    return invalid("Corrupted thought signature.");
  }
  return std::nullopt;
}

std::optional<ApiError> part_fault(const json& part, const std::string& model, const Place& place) {
  static const std::set<std::string_view> kData = {
      "text",           "inlineData",          "fileData", "functionCall", "functionResponse",
      "executableCode", "codeExecutionResult", "toolCall", "toolResponse"};
  static const std::set<std::string_view> kKnown = [] {
    std::set<std::string_view> known = kData;
    known.insert(
        {"thought", "thoughtSignature", "partMetadata", "videoMetadata", "mediaResolution"});
    return known;
  }();
  if (auto fault = unknown_name_at(part, kKnown, place)) return fault;
  int count = 0;
  for (auto member = part.begin(); member != part.end(); ++member) {
    const std::string& name = member.key();
    if (member->is_null()) continue;
    if (kData.contains(name) || (is_snake(name) && kData.contains(camel_case(name)))) ++count;
  }
  if (count == 0) {
    return invalid("* GenerateContentRequest." + place.text() +
                   ".data: required oneof field 'data' must have one initialized field\n");
  }
  if (count > 1) {
    return invalid_payload(place.text(), "oneof field 'data' is already set. Cannot set two at '" +
                                             place.text() + "'.");
  }
  if (const json* text = field(part, "text"); text != nullptr && !text->is_string()) {
    const std::string where = place.text() + ".text";
    return invalid_payload(where,
                           "Invalid value at '" + where + "' (TYPE_STRING), " + text->dump());
  }
  return signature_fault(part, model, place);
}

std::vector<std::string> names_of(const json& content, std::string_view kind) {
  std::vector<std::string> names;
  for (const json& part : *field(content, "parts")) {
    if (const json* call = field(part, kind)) {
      names.push_back(has_text(*call, "name") ? field(*call, "name")->get<std::string>() : "");
    }
  }
  return names;
}

std::optional<ApiError> parts_fault(const json& content, const std::string& model, Place place) {
  const json* parts = field(content, "parts");
  if (parts == nullptr || !parts->is_array() || parts->empty()) {
    return invalid("* GenerateContentRequest." + place.text() +
                   ".parts: contents.parts must not be empty.\n");
  }
  for (std::size_t i = 0; i < parts->size(); ++i) {
    place.part = i;
    if (auto fault = part_fault((*parts)[i], model, place)) return fault;
  }
  return std::nullopt;
}

std::optional<ApiError> content_fault(const json& content, const std::string& model,
                                      const Place& place) {
  static const std::set<std::string_view> kKnown = {"role", "parts"};
  if (auto fault = unknown_name_at(content, kKnown, place)) return fault;
  if (const json* role = field(content, "role");
      role != nullptr && *role != "user" && *role != "model" && *role != "function") {
    return invalid("Please use a valid role: user, model.");
  }
  return parts_fault(content, model, place);
}

// Function calls want their signature, and their responses at once and in the same number.
std::optional<ApiError> function_fault(const json& contents, const std::string& model) {
  std::vector<std::string> open_calls;
  for (std::size_t i = 0; i < contents.size(); ++i) {
    const json& content = contents[i];
    std::vector<std::string> responses = names_of(content, "functionResponse");
    if (!responses.empty() && open_calls.empty()) {
      return invalid(
          "Please ensure that function response turn comes immediately after a function call "
          "turn.");
    }
    if (!open_calls.empty()) {
      if (responses.size() != open_calls.size()) {
        return invalid(
            "Please ensure that the number of function response parts is equal to the number of "
            "function call parts of the function call turn.");
      }
      std::sort(responses.begin(), responses.end());
      std::sort(open_calls.begin(), open_calls.end());
      if (responses != open_calls) {
        return invalid(
            "Please ensure that the function response names match the function call names.");
      }
    }
    open_calls = names_of(content, "functionCall");
    if (open_calls.empty() || !model_signs(model)) continue;
    for (const json& part : *field(content, "parts")) {
      const json* call = field(part, "functionCall");
      if (call == nullptr) continue;
      if (!has_text(part, "thoughtSignature")) {
        return invalid(
            "Function call is missing a thought_signature in functionCall parts. This is required "
            "for tools to work correctly, and missing thought_signature may lead to degraded model "
            "performance. Additional data, function call `default_api:" +
            (has_text(*call, "name") ? field(*call, "name")->get<std::string>() : "") +
            "` , position " + std::to_string(i + 1) + ".");
      }
      break;  // of parallel calls only the first is signed
    }
  }
  return std::nullopt;
}

std::optional<ApiError> safety_fault(const json& settings) {
  std::set<std::string> seen;
  for (const json& setting : settings) {
    if (!has_text(setting, "category")) continue;
    const std::string category = field(setting, "category")->get<std::string>();
    if (!seen.insert(category).second) {
      return invalid("Duplicate safety setting for the category " + category + ".");
    }
  }
  return std::nullopt;
}

}  // namespace

json error_json(const ApiError& error) {
  json body = {{"code", error.code}, {"message", error.message}, {"status", error.status}};
  if (!error.details.empty()) body["details"] = error.details;
  return {{"error", std::move(body)}};
}

std::string status_name(int http_status) {
  switch (http_status) {
    case 400:
      return "INVALID_ARGUMENT";
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "PERMISSION_DENIED";
    case 404:
      return "NOT_FOUND";
    case 409:
      return "ABORTED";
    case 429:
      return "RESOURCE_EXHAUSTED";
    case 499:
      return "CANCELLED";
    case 500:
      return "INTERNAL";
    case 501:
      return "UNIMPLEMENTED";
    case 503:
      return "UNAVAILABLE";
    case 504:
      return "DEADLINE_EXCEEDED";
    default:
      return "UNKNOWN";
  }
}

const json* field(const json& object, std::string_view camel) {
  if (!object.is_object()) return nullptr;
  // Objects here have few members: a look at each needs no key made for the search.
  for (auto member = object.begin(); member != object.end(); ++member) {
    const std::string& name = member.key();
    if (name == camel || (is_snake(name) && camel_case(name) == camel)) {
      return member->is_null() ? nullptr : &*member;
    }
  }
  return nullptr;
}

bool model_exists(std::string_view model) {
  return !model.empty() && !model.starts_with("gemini-1.") && !model.starts_with("gemini-2.0") &&
         !model.starts_with("no-such-model");
}

std::string served_model(std::string_view model) {
  struct Route {
    std::string_view from, to;
  };
  static constexpr std::array<Route, 5> kRoutes = {
      {{"gemini-flash-latest", "gemini-3.8-flash"},
       {"gemini-flash-lite-latest", "gemini-3.5-flash-lite"},
       {"gemini-pro-latest", "gemini-3.1-pro-preview"},
       {"gemini-3.7-flash", "gemini-3.8-flash"},
       {"gemini-3.5-flash", "gemini-3.6-flash"}}};
  for (const Route& route : kRoutes) {
    if (route.from == model) return std::string(route.to);
  }
  return std::string(model);
}

bool model_signs(std::string_view model) {
  return parse_model(served_model(model)).major >= 3;
}

std::string make_signature(std::string_view model, std::string_view response_id) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string plain =
      std::string(kSignaturePrefix) + served_model(model) + "/" + std::string(response_id);
  std::string result;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : plain) {
    bits = (bits << 8) | static_cast<unsigned char>(c);
    for (count += 8; count >= 6; count -= 6) result += kAlphabet[(bits >> (count - 6)) & 63];
  }
  if (count > 0) result += kAlphabet[(bits << (6 - count)) & 63];
  while (result.size() % 4 != 0) result += '=';
  return result;
}

std::optional<std::string> base64_decode(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string result;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    std::uint32_t value = 0;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<std::uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<std::uint32_t>(c - 'a' + 26);
    } else if (c >= '0' && c <= '9') {
      value = static_cast<std::uint32_t>(c - '0' + 52);
    } else if (c == '+' || c == '-') {
      value = 62;
    } else if (c == '/' || c == '_') {
      value = 63;
    } else {
      return std::nullopt;
    }
    bits = (bits << 6) | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      result += static_cast<char>((bits >> count) & 255);
    }
  }
  return result;
}

std::optional<ApiError> find_contents_fault(const json& contents, const std::string& model) {
  if (!contents.is_array() || contents.empty()) {
    return invalid("* GenerateContentRequest.contents: contents is not specified\n");
  }
  for (std::size_t i = 0; i < contents.size(); ++i) {
    if (auto fault = content_fault(contents[i], model, {"contents", i})) {
      return fault;
    }
  }
  return std::nullopt;
}

std::optional<ApiError> find_fault(const json& body, const std::string& model) {
  static const std::set<std::string_view> kKnown = {
      "model", "contents",    "systemInstruction", "generationConfig",
      "tools", "toolConfig",  "safetySettings",    "cachedContent",
      "store", "serviceTier", "continuationToken"};
  if (auto fault = unknown_name(body, kKnown, "")) return fault;
  const json* contents = field(body, "contents");
  if (auto fault = find_contents_fault(contents == nullptr ? json() : *contents, model)) {
    return fault;
  }
  if (const json* config = field(body, "generationConfig")) {
    if (auto fault = config_fault(*config, model)) return fault;
  }
  if (const json* system = field(body, "systemInstruction")) {
    if (auto fault = content_fault(*system, model, {"system_instruction"})) return fault;
  }
  if (const json* settings = field(body, "safetySettings")) {
    if (auto fault = safety_fault(*settings)) return fault;
  }
  if (field(body, "cachedContent") != nullptr &&
      (field(body, "systemInstruction") != nullptr || field(body, "tools") != nullptr ||
       field(body, "toolConfig") != nullptr)) {
    return invalid(
        "CachedContent can not be used with GenerateContent request setting system_instruction, "
        "tools or tool_config.");
  }
  if (auto fault = function_fault(*contents, model)) return fault;
  const json* last_role = field(contents->back(), "role");
  if (last_role != nullptr && *last_role == "model" && refuses_model_final(model)) {
    return invalid("Requests ending with a model turn are not supported.");
  }
  return std::nullopt;
}

}  // namespace twinchat::testing
