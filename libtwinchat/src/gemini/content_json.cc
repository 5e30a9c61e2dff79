#include "gemini/content_json.h"

#include <optional>
#include <utility>

namespace twinchat::gemini {
namespace {

Json object_from(std::string_view text) {
  auto parsed = parse_json(text);
  return parsed && parsed->is_object() ? *std::move(parsed) : Json::object();
}

// Whether `object` has exactly the fields that FunctionCall or FunctionResponse have; anything more
// is kept as it came, in extra_json.
bool has_only(const Json& object, std::initializer_list<std::string_view> names) {
  if (!object.is_object()) return false;
  for (const auto& item : object.items()) {
    bool known = false;
    for (const std::string_view name : names) known = known || item.key() == name;
    if (!known) return false;
  }
  return true;
}

bool is_plain_text(const Part& part) {
  return part.text && part.thought_signature.empty() && part.extra_json.empty() &&
         !part.function_call && !part.function_response;
}

}  // namespace

Json part_to_json(const Part& part) {
  Json json = part.extra_json.empty() ? Json::object() : object_from(part.extra_json);
  if (part.text) json["text"] = *part.text;
  if (part.function_call) {
    Json& call = json["functionCall"];
    call["name"] = part.function_call->name;
    call["args"] = object_from(part.function_call->args_json);
    if (!part.function_call->id.empty()) call["id"] = part.function_call->id;
  }
  if (part.function_response) {
    Json& response = json["functionResponse"];
    response["name"] = part.function_response->name;
    response["response"] = object_from(part.function_response->response_json);
    if (!part.function_response->id.empty()) response["id"] = part.function_response->id;
  }
  if (part.thought) json["thought"] = true;
  if (!part.thought_signature.empty()) json["thoughtSignature"] = part.thought_signature;
  return json;
}

Part part_from_json(const Json& json) {
  Part part;
  Json extra = Json::object();
  if (!json.is_object()) return part;
  for (const auto& item : json.items()) {
    const std::string& key = item.key();
    const Json& value = item.value();
    if (key == "text" && value.is_string()) {
      part.text = value.get<std::string>();
    } else if (key == "thought" && value.is_boolean()) {
      part.thought = value.get<bool>();
    } else if (key == "thoughtSignature" && value.is_string()) {
      part.thought_signature = value.get<std::string>();
    } else if (key == "functionCall" && has_only(value, {"id", "name", "args"})) {
      const Json& args = field(value, "args");
      part.function_call = FunctionCall{.id = string_field(value, "id"),
                                        .name = string_field(value, "name"),
                                        .args_json = args.is_object() ? dump_json(args) : "{}"};
    } else if (key == "functionResponse" && has_only(value, {"id", "name", "response"})) {
      const Json& response = field(value, "response");
      part.function_response =
          FunctionResponse{.id = string_field(value, "id"),
                           .name = string_field(value, "name"),
                           .response_json = response.is_object() ? dump_json(response) : "{}"};
    } else {
      extra[key] = value;
    }
  }
  if (!extra.empty()) part.extra_json = dump_json(extra);
  return part;
}

void append_part(std::vector<Part>& parts, Part part) {
  if (!parts.empty() && is_plain_text(part) && is_plain_text(parts.back()) &&
      parts.back().thought == part.thought) {
    *parts.back().text += *part.text;
    return;
  }
  parts.push_back(std::move(part));
}

std::string encode_contents(const std::vector<Content>& contents) {
  Json list = Json::array();
  for (const Content& content : contents) {
    Json entry = Json::object();
    entry["role"] = content.role == Role::kUser ? "user" : "model";
    Json& parts = entry["parts"] = Json::array();
    for (const Part& part : content.parts) parts.push_back(part_to_json(part));
    if (!content.model.empty()) entry["model"] = content.model;
    list.push_back(std::move(entry));
  }
  return dump_json(list);
}

std::vector<Content> decode_contents(std::string_view text) {
  std::vector<Content> contents;
  const auto list = parse_json(text);
  if (!list || !list->is_array()) return contents;
  for (const Json& entry : *list) {
    Content content{.role = string_field(entry, "role") == "user" ? Role::kUser : Role::kModel,
                    .model = string_field(entry, "model")};
    const Json& parts = field(entry, "parts");
    if (parts.is_array()) {
      for (const Json& part : parts) content.parts.push_back(part_from_json(part));
    }
    contents.push_back(std::move(content));
  }
  return contents;
}

}  // namespace twinchat::gemini
