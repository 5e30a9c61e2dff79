#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "gemini_standin/gemini_rules.h"
#include "gemini_standin/script.h"
#include "gemini_standin/server.h"

namespace twinchat::testing {

// What an answer depends on besides its script.
struct CallInfo {
  std::string model;
  std::string response_id;
  std::string last_user_text;
  int user_turns = 0;
  std::int64_t prompt_tokens = 0;
  std::optional<std::int64_t> max_output_tokens;
  bool include_thoughts = false;
  bool stream = false;
  bool sse = false;    // ?alt=sse; without it a stream is one JSON array
  int latency_ms = 0;  // when the reply names none
};

// One token for each started four bytes: the stand-in's whole tokenizer.
std::int64_t tokens_of(std::size_t bytes);

// The text of a content as the stand-in sees it: its visible text parts, and function responses as
// "name=json".
std::string text_of(const nlohmann::json& content);
// The bytes that count as prompt: all text, call, response and inline data in a contents array or
// in one content.
std::size_t prompt_bytes(const nlohmann::json& contents);

// The whole answer to a generateContent or streamGenerateContent call.
Answer generation_answer(const Reply& reply, const CallInfo& call);

// Any other JSON answer, at once.
Answer json_answer(int status, const nlohmann::json& body, int latency_ms = 0);
Answer error_answer(const ApiError& error, bool as_array = false);
// What Google's front end says where no API is: a page, not JSON.
Answer html_answer(int status, const std::string& text);

}  // namespace twinchat::testing
