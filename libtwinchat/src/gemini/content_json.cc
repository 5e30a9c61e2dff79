#include "gemini/content_json.h"

#include <utility>

namespace twinchat::gemini {
namespace {

Json object_from(std::string_view text) {
  auto parsed = parse_json(text);
  return parsed && parsed->is_object() ? *std::move(parsed) : Json::object();
}

// A function's result as the object that the API asks for: what is none goes in one.
Json result_from(std::string_view text) {
  auto parsed = parse_json(text);
  if (parsed && parsed->is_object()) return *std::move(parsed);
  Json object = Json::object();
  if (!text.empty()) object["result"] = parsed ? *std::move(parsed) : Json(text);
  return object;
}

// Takes the fields of a functionCall or functionResponse out of `call`, where they are what they
// should be. False, and `call` unchanged, when it is not one that could be asked or answered.
bool take_call(Json& call, const char* payload_name, std::string& id, std::string& name,
               std::string& payload) {
  const auto given = [&call](const char* field_name) { return call.contains(field_name); };
  if (!call.is_object() || !field(call, "name").is_string() ||
      (given("id") && !field(call, "id").is_string()) ||
      (given(payload_name) && !field(call, payload_name).is_object())) {
    return false;
  }
  id = string_field(call, "id");
  name = string_field(call, "name");
  payload = given(payload_name) ? dump_json(call[payload_name]) : "{}";
  for (const char* taken : {"id", "name", payload_name}) call.erase(taken);
  return true;
}

// The object that holds a call's fields, with those in it that this version has no type for.
Json& call_object(Json& part, const char* name) {
  Json& call = part[name];
  if (!call.is_object()) call = Json::object();
  return call;
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
    Json& call = call_object(json, "functionCall");
    call["name"] = part.function_call->name;
    call["args"] = object_from(part.function_call->args_json);
    if (!part.function_call->id.empty()) call["id"] = part.function_call->id;
  }
  if (part.function_response) {
    Json& response = call_object(json, "functionResponse");
    response["name"] = part.function_response->name;
    response["response"] = result_from(part.function_response->response_json);
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
    } else if (key == "functionCall" || key == "functionResponse") {
      Json rest = value;
      if (key == "functionCall") {
        FunctionCall call;
        if (take_call(rest, "args", call.id, call.name, call.args_json)) {
          part.function_call = std::move(call);
        }
      } else {
        FunctionResponse response;
        if (take_call(rest, "response", response.id, response.name, response.response_json)) {
          part.function_response = std::move(response);
        }
      }
      if (rest == value || !rest.empty()) extra[key] = std::move(rest);
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

std::vector<Content> contents_from_json(const Json& list) {
  std::vector<Content> contents;
  if (!list.is_array()) return contents;
  for (const Json& entry : list) {
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

std::vector<Content> decode_contents(std::string_view text) {
  const auto list = parse_json(text);
  return list ? contents_from_json(*list) : std::vector<Content>();
}

}  // namespace twinchat::gemini
