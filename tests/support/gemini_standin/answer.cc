#include "gemini_standin/answer.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace twinchat::testing {
namespace {

using nlohmann::json;

constexpr std::size_t kDefaultChunks = 4;

struct BodyPiece {
  int delay_ms = 0;  // since the piece before; of the first piece, since the head
  std::string bytes;
};

const char* reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 413:
      return "Request Entity Too Large";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}

std::string head_of(int status, const std::string& content_type, const json& headers,
                    std::optional<std::size_t> content_length) {
  std::string head = "HTTP/1.1 " + std::to_string(status) + " " + reason_phrase(status) + "\r\n";
  head += "Content-Type: " + content_type + "\r\n";
  for (const auto& [name, value] : headers.items()) {
    head += name + ": " + (value.is_string() ? value.get<std::string>() : value.dump()) + "\r\n";
  }
  if (content_length) {
    head += "Content-Length: " + std::to_string(*content_length) + "\r\n\r\n";
  } else {
    head += "Transfer-Encoding: chunked\r\n\r\n";
  }
  return head;
}

std::string chunk_frame(const std::string& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string size;
  for (std::size_t rest = bytes.size(); rest > 0; rest /= 16) size.insert(0, 1, kDigits[rest % 16]);
  return size + "\r\n" + bytes + "\r\n";
}

// The pieces one after the other, cut off after `limit` bytes.
void truncate(std::vector<BodyPiece>& pieces, std::size_t limit) {
  for (auto piece = pieces.begin(); piece != pieces.end(); ++piece) {
    if (piece->bytes.size() >= limit) {
      piece->bytes.resize(limit);
      pieces.erase(piece + 1, pieces.end());
      if (limit == 0) pieces.pop_back();
      return;
    }
    limit -= piece->bytes.size();
  }
}

std::vector<BodyPiece> split(const std::vector<BodyPiece>& pieces, std::size_t size) {
  std::vector<BodyPiece> result;
  for (const BodyPiece& piece : pieces) {
    for (std::size_t i = 0; i < piece.bytes.size(); i += size) {
      result.push_back({i == 0 ? piece.delay_ms : 0, piece.bytes.substr(i, size)});
    }
  }
  return result;
}

// Head and body on the wire, with everything a reply says about their delivery.
Answer deliver(const Reply& reply, const CallInfo& call, std::string head,
               std::vector<BodyPiece> pieces, bool chunked) {
  Answer answer;
  answer.steps.push_back({reply.latency_ms.value_or(call.latency_ms), std::move(head)});
  const bool cut = reply.cut_after_bytes.has_value();
  if (cut) truncate(pieces, *reply.cut_after_bytes);
  if (reply.split > 0) pieces = split(pieces, reply.split);
  if (!pieces.empty()) pieces.front().delay_ms += reply.after_head_ms;
  for (BodyPiece& piece : pieces) {
    if (piece.bytes.empty()) continue;
    std::string bytes = chunked ? chunk_frame(piece.bytes) : std::move(piece.bytes);
    if (piece.delay_ms == 0 && reply.split == 0) {
      answer.steps.back().bytes += bytes;  // one send for all that is due together
    } else {
      answer.steps.push_back({piece.delay_ms, std::move(bytes)});
    }
  }
  if (cut) {
    answer.steps.back().after =
        reply.cut == Reply::Cut::kReset ? Step::After::kReset : Step::After::kClose;
    return answer;
  }
  if (chunked) answer.steps.back().bytes += "0\r\n\r\n";
  if (reply.close_idle) answer.steps.back().after = Step::After::kClose;
  return answer;
}

Answer deliver_whole(const Reply& reply, const CallInfo& call, int status,
                     const std::string& content_type, std::string body) {
  std::string head =
      head_of(status, reply.content_type.value_or(content_type), reply.headers, body.size());
  std::vector<BodyPiece> pieces;
  pieces.push_back({0, std::move(body)});
  return deliver(reply, call, std::move(head), std::move(pieces), false);
}

// Up to `count` pieces of about the same size, cut between characters.
std::vector<std::string> split_text(const std::string& text, std::size_t count) {
  std::vector<std::string> result;
  const std::size_t size = std::max<std::size_t>(1, (text.size() + count - 1) / count);
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = std::min(begin + size, text.size());
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) ++end;
    result.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return result;
}

std::string cut_text(const std::string& text, std::int64_t tokens) {
  std::size_t size =
      std::min(text.size(), static_cast<std::size_t>(std::max<std::int64_t>(tokens, 0)) * 4);
  while (size > 0 && size < text.size() &&
         (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) {
    --size;
  }
  return text.substr(0, size);
}

// Response objects are written as text and not built as JSON values: benchmarks take tens of
// thousands of them a second.
std::string quoted(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
  });
  return plain ? '"' + text + '"' : json(text).dump();
}

std::string usage_json(std::int64_t prompt, std::int64_t candidates, std::int64_t thoughts) {
  std::string usage = R"({"promptTokenCount":)" + std::to_string(prompt);
  if (candidates > 0) usage += R"(,"candidatesTokenCount":)" + std::to_string(candidates);
  if (thoughts > 0) usage += R"(,"thoughtsTokenCount":)" + std::to_string(thoughts);
  usage += R"(,"totalTokenCount":)" + std::to_string(prompt + candidates + thoughts);
  usage += R"(,"promptTokensDetails":[{"modality":"TEXT","tokenCount":)" + std::to_string(prompt);
  return usage + "}]}";
}

// What the model "said", before it is cut into response objects.
struct Said {
  std::optional<std::string> thought;
  std::vector<std::string> deltas;
  json finish_reason = "STOP";  // null: none
  json signature;               // null: none
};

Said say(const Reply& reply, const CallInfo& call) {
  Said said;
  said.thought = reply.thought;
  bool cut = false;
  if (reply.chunks) {
    said.deltas = *reply.chunks;
    if (reply.split_text) said.deltas = split_text(said.deltas.front(), kDefaultChunks);
  } else {
    std::string text = "Echo " + std::to_string(call.user_turns) + ": " + call.last_user_text;
    if (call.include_thoughts && !said.thought) said.thought = "The user wants an echo.";
    if (call.max_output_tokens) {
      const std::int64_t left =
          *call.max_output_tokens - (said.thought ? tokens_of(said.thought->size()) : 0);
      if (tokens_of(text.size()) > left) {
        text = cut_text(text, left);
        cut = true;
      }
    }
    said.deltas = split_text(text, kDefaultChunks);
  }
  if (cut) said.finish_reason = "MAX_TOKENS";
  if (reply.finish_reason) said.finish_reason = *reply.finish_reason;
  if (reply.signature) {
    said.signature = *reply.signature;
  } else if (model_signs(call.model) && !said.deltas.empty()) {
    said.signature = make_signature(call.model, call.response_id);
  }
  return said;
}

// A response object: what is given of `first_member`, usage, model version and response id.
std::string response_object(const CallInfo& call, const std::string& first_member,
                            const std::string& usage) {
  std::string response = "{" + first_member;
  if (!first_member.empty()) response += ',';
  if (!usage.empty()) response += R"("usageMetadata":)" + usage + ',';
  response += R"("modelVersion":)" + quoted(served_model(call.model));
  response += R"(,"responseId":)" + quoted(call.response_id);
  return response + "}";
}

std::string text_part(const std::string& text, const json& signature) {
  std::string part = R"({"text":)" + quoted(text);
  if (!signature.is_null()) part += R"(,"thoughtSignature":)" + signature.dump();
  return part + "}";
}

std::string thought_part(const std::string& text) {
  return R"({"text":)" + quoted(text) + R"(,"thought":true})";
}

// `parts` is the inside of the array: empty, a content without parts; null, no content at all.
std::string candidates_member(const std::optional<std::string>& parts, const std::string& finish) {
  std::string member = R"("candidates":[{)";
  if (parts) {
    member += R"("content":{)";
    if (!parts->empty()) member += R"("parts":[)" + *parts + "],";
    member += R"("role":"model"},)";
  }
  return member + finish + R"("index":0}])";
}

// The finish members of a candidate with their comma, or nothing.
std::string finish_members(const Reply& reply, const Said& said) {
  if (said.finish_reason.is_null()) return "";
  std::string members = R"("finishReason":)" + said.finish_reason.dump() + ",";
  if (reply.finish_message) members += R"("finishMessage":)" + quoted(*reply.finish_message) + ",";
  return members;
}

std::string blocked_prompt(const Reply& reply, const CallInfo& call) {
  const json feedback = {
      {"blockReason", *reply.block_reason},
      {"safetyRatings", json::array({{{"category", "HARM_CATEGORY_DANGEROUS_CONTENT"},
                                      {"probability", "HIGH"},
                                      {"blocked", true}}})}};
  return response_object(call, R"("promptFeedback":)" + feedback.dump(),
                         usage_json(call.prompt_tokens, 0, 0));
}

// The usage the last response reports: the script's word, or the counted one; empty for none.
std::string final_usage(const Reply& reply, std::string counted) {
  if (!reply.usage) return counted;
  return reply.usage->is_null() ? "" : reply.usage->dump();
}

std::string whole_response(const Reply& reply, const CallInfo& call) {
  if (reply.block_reason) return blocked_prompt(reply, call);
  const Said said = say(reply, call);
  std::string parts;
  if (said.thought) parts += thought_part(*said.thought);
  std::string text;
  for (const std::string& delta : said.deltas) text += delta;
  if (!text.empty()) parts += (parts.empty() ? "" : ",") + text_part(text, said.signature);
  const std::int64_t thoughts = said.thought ? tokens_of(said.thought->size()) : 0;
  return response_object(
      call, candidates_member(parts, finish_members(reply, said)),
      final_usage(reply, usage_json(call.prompt_tokens, tokens_of(text.size()), thoughts)));
}

std::vector<std::string> streamed_responses(const Reply& reply, const CallInfo& call) {
  if (reply.block_reason) return {blocked_prompt(reply, call)};
  const Said said = say(reply, call);
  const std::string finish = finish_members(reply, said);
  const std::int64_t thoughts = said.thought ? tokens_of(said.thought->size()) : 0;
  const bool usage_everywhere =
      !reply.usage_only_last_chunk && !(reply.usage && reply.usage->is_null());
  std::size_t text_bytes = 0;
  std::vector<std::string> responses;
  const auto counted = [&] {
    return usage_json(call.prompt_tokens, tokens_of(text_bytes), thoughts);
  };
  const auto add = [&](const std::optional<std::string>& parts, bool last) {
    std::string usage;
    if (usage_everywhere) usage = last ? final_usage(reply, counted()) : counted();
    responses.push_back(response_object(
        call, candidates_member(parts, last || reply.finish_everywhere ? finish : ""), usage));
  };
  if (said.thought) add(thought_part(*said.thought), false);
  for (std::size_t i = 0; i < said.deltas.size(); ++i) {
    const bool last = i + 1 == said.deltas.size();
    text_bytes += said.deltas[i].size();
    add(text_part(said.deltas[i], last ? said.signature : json()),
        last && !reply.final_without_parts);
  }
  if (said.deltas.empty()) add("", !reply.final_without_parts);
  if (reply.final_without_parts) add(std::nullopt, true);
  if (reply.usage_only_last_chunk) {
    responses.push_back(response_object(call, "", final_usage(reply, counted())));
  }
  return responses;
}

std::vector<std::string> scripted_events(const std::vector<json>& events) {
  std::vector<std::string> responses;
  for (const json& event : events) responses.push_back(event.dump());
  return responses;
}

std::string sse_event(const Reply& reply, const std::string& data, std::size_t number, bool last) {
  const std::string& end = reply.line_end;
  std::string event;
  if (reply.comments) {
    event += ": keep-alive" + end + end;
    event += "event: message" + end + "id: " + std::to_string(number) + end + ": inside" + end;
  }
  event += "data: " + data + end;
  if (!(last && reply.no_final_blank)) event += end;
  return event;
}

std::string mid_stream_error(const Reply& reply, const CallInfo& call, bool first) {
  const json body = error_json(reply.error.value_or(
      ApiError{.code = 503, .message = "The model is overloaded.", .status = "UNAVAILABLE"}));
  if (!call.sse) return (first ? "[" : ",\r\n") + body.dump(2) + "\n]";
  switch (reply.error_shape) {
    case Reply::ErrorShape::kData:
      return "data: " + body.dump() + reply.line_end + reply.line_end;
    case Reply::ErrorShape::kBare:
      return body.dump(2) + "\n";
    case Reply::ErrorShape::kArray:
      return json::array({body}).dump(2) + "\n";
  }
  return "";
}

std::vector<BodyPiece> stream_pieces(const Reply& reply, const CallInfo& call) {
  std::vector<std::string> responses =
      reply.events ? scripted_events(*reply.events) : streamed_responses(reply, call);
  const bool fails = reply.error_after_chunks.has_value();
  if (fails) responses.resize(std::min(responses.size(), *reply.error_after_chunks));
  std::vector<BodyPiece> pieces;
  const auto add = [&](std::string bytes) {
    pieces.push_back({pieces.empty() ? 0 : reply.chunk_ms, std::move(bytes)});
  };
  for (std::size_t i = 0; i < responses.size(); ++i) {
    const bool last = i + 1 == responses.size() && !fails;
    const std::string& data = responses[i];
    if (call.sse) {
      add(sse_event(reply, data, i, last && !reply.done_sentinel));
    } else {
      add((i == 0 ? "[" : ",\r\n") + data + (last ? "\n]" : ""));
    }
  }
  if (responses.empty() && !fails && !call.sse) add("[]");
  if (fails) {
    add(mid_stream_error(reply, call, responses.empty()));
  } else if (reply.done_sentinel && call.sse) {
    add(sse_event(reply, "[DONE]", responses.size(), true));
  }
  if (reply.bom && !pieces.empty()) pieces.front().bytes.insert(0, "\xEF\xBB\xBF");
  return pieces;
}

void add_text(const json& value, std::size_t& bytes) {
  if (value.is_string()) {
    bytes += value.get_ref<const std::string&>().size();
  } else if (value.is_structured()) {
    for (const json& item : value) add_text(item, bytes);
  }
}

}  // namespace

std::int64_t tokens_of(std::size_t bytes) {
  return static_cast<std::int64_t>((bytes + 3) / 4);
}

std::string text_of(const json& content) {
  std::string text;
  const json* parts = field(content, "parts");
  if (parts == nullptr) return text;
  for (const json& part : *parts) {
    const json* thought = field(part, "thought");
    if (thought != nullptr && *thought == true) continue;
    if (const json* value = field(part, "text")) {
      text += value->get_ref<const std::string&>();
    } else if (const json* response = field(part, "functionResponse")) {
      const json* name = field(*response, "name");
      const json* result = field(*response, "response");
      text += (name == nullptr ? "" : name->get<std::string>()) + "=" +
              (result == nullptr ? "" : result->dump());
    }
  }
  return text;
}

std::size_t prompt_bytes(const json& contents) {
  std::size_t bytes = 0;
  const auto count = [&](const json& content) {
    const json* parts = field(content, "parts");
    if (parts == nullptr || !parts->is_array()) return;
    for (const json& part : *parts) {
      for (const auto& [name, value] : part.items()) {
        if (name != "thoughtSignature" && name != "thought_signature") add_text(value, bytes);
      }
    }
  };
  if (contents.is_array()) {
    for (const json& content : contents) count(content);
  } else {
    count(contents);
  }
  return bytes;
}

Answer generation_answer(const Reply& reply, const CallInfo& call) {
  const int latency = reply.latency_ms.value_or(call.latency_ms);
  if (reply.hang) return {{{latency, "", Step::After::kHang}}};
  if (reply.cut_before_head) {
    return {{{latency, "",
              reply.cut == Reply::Cut::kReset ? Step::After::kReset : Step::After::kClose}}};
  }
  const char* const kJson = "application/json; charset=UTF-8";
  if (reply.error && !reply.error_after_chunks && !reply.raw && !reply.body) {
    json body = error_json(*reply.error);
    if (call.stream && !call.sse) body = json::array({std::move(body)});
    return deliver_whole(reply, call, reply.status.value_or(reply.error->code), kJson,
                         body.dump(2));
  }
  const int status = reply.status.value_or(200);
  if (!call.stream || status != 200 || reply.body) {
    if (reply.raw) return deliver_whole(reply, call, status, kJson, *reply.raw);
    if (reply.body) return deliver_whole(reply, call, status, kJson, reply.body->dump());
    if (status != 200) {
      const ApiError error{
          .code = status, .message = "scripted error", .status = status_name(status)};
      return deliver_whole(reply, call, status, kJson, error_json(error).dump(2));
    }
    return deliver_whole(reply, call, status, kJson, whole_response(reply, call));
  }
  std::string head =
      head_of(status, reply.content_type.value_or(call.sse ? "text/event-stream" : kJson),
              reply.headers, std::nullopt);
  std::vector<BodyPiece> pieces;
  if (reply.raw) {
    pieces.push_back({0, *reply.raw});
  } else {
    pieces = stream_pieces(reply, call);
  }
  return deliver(reply, call, std::move(head), std::move(pieces), true);
}

Answer json_answer(int status, const json& body, int latency_ms) {
  const std::string text = body.dump();
  return {
      {{latency_ms,
        head_of(status, "application/json; charset=UTF-8", json::object(), text.size()) + text}}};
}

Answer error_answer(const ApiError& error, bool as_array) {
  json body = error_json(error);
  if (as_array) body = json::array({std::move(body)});
  return json_answer(error.code, body);
}

Answer html_answer(int status, const std::string& text) {
  const std::string body = "<!DOCTYPE html>\n<html lang=en>\n<title>Error " +
                           std::to_string(status) + "</title>\n<p>" + text + "\n";
  return {{{0, head_of(status, "text/html; charset=UTF-8", json::object(), body.size()) + body}}};
}

}  // namespace twinchat::testing
