#include "gemini_standin/script.h"

#include <functional>
#include <map>
#include <stdexcept>

namespace twinchat::testing {
namespace {

using nlohmann::json;

template <typename T>
T value_of(const json& value, const std::string& name) {
  try {
    return value.get<T>();
  } catch (const json::exception&) {
    throw std::invalid_argument("reply field \"" + name + "\" has the wrong type");
  }
}

Reply::Match parse_match(const json& object) {
  Reply::Match match;
  if (!object.is_object()) throw std::invalid_argument("reply field \"match\" must be an object");
  for (const auto& [name, value] : object.items()) {
    if (name == "method") {
      match.method = value_of<std::string>(value, name);
    } else if (name == "model") {
      match.model = value_of<std::string>(value, name);
    } else if (name == "text_contains") {
      match.text_contains = value_of<std::string>(value, name);
    } else if (name == "stream") {
      match.stream = value_of<bool>(value, name);
    } else {
      throw std::invalid_argument("unknown field \"match." + name + "\"");
    }
  }
  return match;
}

ApiError parse_error(const json& object) {
  ApiError error;
  error.code = value_of<int>(object.value("code", json(500)), "error.code");
  error.status = object.value("status", status_name(error.code));
  error.message = object.value("message", "scripted error");
  error.details = object.value("details", json::array());
  return error;
}

std::string parse_line_end(const std::string& name) {
  if (name == "crlf") return "\r\n";
  if (name == "lf") return "\n";
  if (name == "cr") return "\r";
  throw std::invalid_argument("line_end is crlf, lf or cr");
}

Reply::ErrorShape parse_shape(const std::string& name) {
  if (name == "data") return Reply::ErrorShape::kData;
  if (name == "bare") return Reply::ErrorShape::kBare;
  if (name == "array") return Reply::ErrorShape::kArray;
  throw std::invalid_argument("error_shape is data, bare or array");
}

Reply::Cut parse_cut(const std::string& name) {
  if (name == "fin") return Reply::Cut::kFin;
  if (name == "rst") return Reply::Cut::kReset;
  throw std::invalid_argument("cut is fin or rst");
}

template <typename T>
auto set(T Reply::*member) {
  return [member](Reply& reply, const std::string& name, const json& value) {
    reply.*member = value_of<T>(value, name);
  };
}

template <typename T>
auto set(std::optional<T> Reply::*member) {
  return [member](Reply& reply, const std::string& name, const json& value) {
    reply.*member = value_of<T>(value, name);
  };
}

auto set_json(std::optional<json> Reply::*member) {
  return [member](Reply& reply, const std::string&, const json& value) { reply.*member = value; };
}

using Setter = std::function<void(Reply&, const std::string&, const json&)>;

const std::map<std::string, Setter>& setters() {
  static const std::map<std::string, Setter> table = {
      {"times", set(&Reply::times)},
      {"match", [](Reply& reply, const std::string&,
                   const json& value) { reply.match = parse_match(value); }},
      {"status", set(&Reply::status)},
      {"headers", set(&Reply::headers)},
      {"content_type", set(&Reply::content_type)},
      {"latency_ms", set(&Reply::latency_ms)},
      {"after_head_ms", set(&Reply::after_head_ms)},
      {"chunk_ms", set(&Reply::chunk_ms)},
      {"text",
       [](Reply& reply, const std::string& name, const json& value) {
         reply.chunks = {value_of<std::string>(value, name)};
         reply.split_text = true;
       }},
      {"chunks",
       [](Reply& reply, const std::string& name, const json& value) {
         reply.chunks = value_of<std::vector<std::string>>(value, name);
         reply.split_text = false;
       }},
      {"thought", set(&Reply::thought)},
      {"signature", set_json(&Reply::signature)},
      {"finish_reason", set_json(&Reply::finish_reason)},
      {"finish_message", set(&Reply::finish_message)},
      {"finish_everywhere", set(&Reply::finish_everywhere)},
      {"block_reason", set(&Reply::block_reason)},
      {"usage", set_json(&Reply::usage)},
      {"usage_only_last_chunk", set(&Reply::usage_only_last_chunk)},
      {"final_without_parts", set(&Reply::final_without_parts)},
      {"events", set(&Reply::events)},
      {"body", set_json(&Reply::body)},
      {"raw", set(&Reply::raw)},
      {"raw_base64",
       [](Reply& reply, const std::string& name, const json& value) {
         reply.raw = base64_decode(value_of<std::string>(value, name));
         if (!reply.raw) throw std::invalid_argument("raw_base64 is not base64");
       }},
      {"error", [](Reply& reply, const std::string&,
                   const json& value) { reply.error = parse_error(value); }},
      {"error_after_chunks", set(&Reply::error_after_chunks)},
      {"error_shape",
       [](Reply& reply, const std::string& name, const json& value) {
         reply.error_shape = parse_shape(value_of<std::string>(value, name));
       }},
      {"cut_after_bytes", set(&Reply::cut_after_bytes)},
      {"cut", [](Reply& reply, const std::string& name,
                 const json& value) { reply.cut = parse_cut(value_of<std::string>(value, name)); }},
      {"cut_before_head", set(&Reply::cut_before_head)},
      {"split", set(&Reply::split)},
      {"line_end",
       [](Reply& reply, const std::string& name, const json& value) {
         reply.line_end = parse_line_end(value_of<std::string>(value, name));
       }},
      {"no_final_blank", set(&Reply::no_final_blank)},
      {"comments", set(&Reply::comments)},
      {"bom", set(&Reply::bom)},
      {"done_sentinel", set(&Reply::done_sentinel)},
      {"hang", set(&Reply::hang)},
      {"close_idle", set(&Reply::close_idle)},
  };
  return table;
}

bool fits(const Reply::Match& match, const CallTraits& call) {
  const bool stream = call.method == "streamGenerateContent";
  if (match.method) {
    if (*match.method != call.method) return false;
  } else if (!stream && call.method != "generateContent") {
    return false;
  }
  if (match.stream && *match.stream != stream) return false;
  if (match.model && *match.model != call.model) return false;
  return !match.text_contains ||
         call.last_user_text.find(*match.text_contains) != std::string::npos;
}

}  // namespace

Reply parse_reply(const json& object) {
  if (!object.is_object()) throw std::invalid_argument("a reply must be an object");
  Reply reply;
  for (const auto& [name, value] : object.items()) {
    const auto setter = setters().find(name);
    if (setter == setters().end()) {
      throw std::invalid_argument("unknown reply field \"" + name + "\"");
    }
    setter->second(reply, name, value);
  }
  return reply;
}

std::optional<Reply> Script::take(const CallTraits& call) {
  for (auto reply = replies_.begin(); reply != replies_.end(); ++reply) {
    if (!fits(reply->match, call)) continue;
    if (reply->times == 0) return *reply;
    if (--reply->times > 0) return *reply;
    Reply last = std::move(*reply);
    replies_.erase(reply);
    return last;
  }
  return std::nullopt;
}

}  // namespace twinchat::testing
