#include "gemini/request.h"

#include <utility>

#include "gemini/content_json.h"
#include "gemini/json.h"
#include "twinchat/error.h"

namespace twinchat::gemini {
namespace {

Json schema_from(const std::string& text, const char* what) {
  auto schema = parse_json(text);
  if (!schema || !schema->is_object()) {
    throw Error(ErrorCode::kInvalidArgument, std::string(what) + " is not a JSON object.");
  }
  return *std::move(schema);
}

Json generation_config(const GenerationConfig& config, const RequestShape& shape) {
  const ModelCapabilities& can = shape.capabilities;
  Json json = Json::object();
  const auto set = [&json](const char* name, const auto& value) {
    if (value) json[name] = *value;
  };
  if (can.sampling) {
    set("temperature", config.temperature);
    set("topP", config.top_p);
    set("topK", config.top_k);
  }
  json["maxOutputTokens"] = config.max_output_tokens.value_or(shape.options.max_output_tokens);
  set("stopSequences", config.stop_sequences);
  set("seed", config.seed);
  set("presencePenalty", config.presence_penalty);
  set("frequencyPenalty", config.frequency_penalty);
  set("responseMimeType", config.response_mime_type);
  if (config.response_json_schema) {
    json["responseJsonSchema"] = schema_from(*config.response_json_schema, "The response schema");
  }
  Json thinking = Json::object();
  if (config.thinking_level && can.thinking_level) {
    const bool too_low = *config.thinking_level == "MINIMAL" && !can.minimal_thinking;
    thinking["thinkingLevel"] = too_low ? "LOW" : *config.thinking_level;
  } else if (config.thinking_budget && can.thinking_budget &&
             (*config.thinking_budget != 0 || can.zero_thinking_budget)) {
    thinking["thinkingBudget"] = *config.thinking_budget;
  }
  if (config.include_thoughts) thinking["includeThoughts"] = *config.include_thoughts;
  if (!thinking.empty()) json["thinkingConfig"] = std::move(thinking);
  return json;
}

// The part as it is sent, or nothing when nothing of it is. `has_call` says whether the content's
// first function call has been seen.
void append_part(std::string& out, const Part& part, bool keep_signatures, bool& has_call,
                 const RequestShape& shape) {
  if (part.thought) return;
  if (part.text && part.extra_json.empty() && !part.function_call && !part.function_response) {
    // Nearly every part there is: written without a tree of JSON values.
    const bool is_signed = keep_signatures && !part.thought_signature.empty();
    if (part.text->empty() && !is_signed) return;
    out += "{\"text\":";
    append_json_string(out, *part.text);
    if (is_signed) {
      out += ",\"thoughtSignature\":";
      append_json_string(out, part.thought_signature);
    }
    out += '}';
    return;
  }
  Json json = part_to_json(part);
  if (!keep_signatures) {
    const bool was_signed = json.erase("thoughtSignature") > 0;
    const bool is_first_call = part.function_call && !std::exchange(has_call, true);
    if (part.function_call && (was_signed || is_first_call) && shape.capabilities.thinking_level) {
      // The first call of a step without a signature is refused, also when the model that made
      // it signs nothing; this word stands for one that cannot be had.
      json["thoughtSignature"] = "skip_thought_signature_validator";
    }
  }
  // A part that held nothing but a signature is no part without it.
  const bool hollow = json.empty() || (json.size() == 1 && json.contains("text") &&
                                       string_field(json, "text").empty());
  if (!hollow) out += dump_json(json);
}

void append_contents(std::string& out, const GenerateRequest& request, const RequestShape& shape) {
  out += '[';
  for (const Content& content : request.contents) {
    const std::size_t begin = out.size();
    const bool keep_signatures =
        !shape.strip_signatures && (content.model.empty() || content.model == shape.model);
    if (out.back() != '[') out += ',';
    out += R"({"parts":[)";
    const std::size_t first = out.size();
    bool has_call = false;
    for (const Part& part : content.parts) {
      const std::size_t before = out.size();
      if (before != first) out += ',';
      const std::size_t from = out.size();
      append_part(out, part, keep_signatures, has_call, shape);
      if (out.size() == from) out.resize(before);
    }
    if (out.size() == first) {
      out.resize(begin);
    } else {
      out += content.role == Role::kUser ? R"(],"role":"user"})" : R"(],"role":"model"})";
    }
  }
  out += ']';
}

Json function_declarations(const std::vector<FunctionDeclaration>& functions) {
  Json list = Json::array();
  for (const FunctionDeclaration& function : functions) {
    Json json = Json::object();
    json["name"] = function.name;
    json["description"] = function.description;
    if (!function.parameters_json_schema.empty()) {
      json["parametersJsonSchema"] =
          schema_from(function.parameters_json_schema, "The parameter schema of a function");
    }
    list.push_back(std::move(json));
  }
  return list;
}

// What the body will take, nearly: quotes and line ends within the texts are not counted.
std::size_t size_estimate(const GenerateRequest& request) {
  std::size_t size = 256 + request.system_instruction.size();
  for (const Content& content : request.contents) {
    size += 32;
    for (const Part& part : content.parts) {
      size += 16 + (part.text ? part.text->size() : 0) + part.thought_signature.size();
    }
  }
  return size;
}

}  // namespace

std::string build_request(const GenerateRequest& request, const RequestShape& shape) {
  Json body = Json::object();
  body["generationConfig"] = generation_config(request.config, shape);
  if (!request.functions.empty()) {
    body["tools"][0]["functionDeclarations"] = function_declarations(request.functions);
  }
  if (!shape.options.safety_settings.empty()) {
    Json& settings = body["safetySettings"] = Json::array();
    for (const SafetySetting& setting : shape.options.safety_settings) {
      Json entry = Json::object();
      entry["category"] = setting.category;
      entry["threshold"] = setting.threshold;
      settings.push_back(std::move(entry));
    }
  }
  std::string out;
  out.reserve(size_estimate(request));
  out += R"({"contents":)";
  append_contents(out, request, shape);
  if (!request.system_instruction.empty()) {
    out += R"(,"systemInstruction":{"parts":[{"text":)";
    append_json_string(out, request.system_instruction);
    out += "}]}";
  }
  // The rest is small: an object of its own, joined to this one.
  out += ',';
  out += std::string_view(dump_json(body)).substr(1);
  return out;
}

GenerateRequest read_request(std::string_view body, const std::string& model) {
  GenerateRequest request;
  const auto json = parse_json(body);
  if (!json) return request;
  const Json& instructions = field(field(*json, "systemInstruction"), "parts");
  if (instructions.is_array() && !instructions.empty()) {
    request.system_instruction = string_field(instructions.front(), "text");
  }
  request.contents = contents_from_json(field(*json, "contents"));
  for (Content& content : request.contents) {
    if (content.role == Role::kModel) content.model = model;
  }
  return request;
}

}  // namespace twinchat::gemini
