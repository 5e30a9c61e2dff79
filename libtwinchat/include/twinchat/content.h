#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "twinchat/export.h"

namespace twinchat {

// The model asks for a function of ours to be called.
struct FunctionCall {
  std::string id = {};           // the model's id for this call; empty on models that give none
  std::string name = {};         // which function
  std::string args_json = "{}";  // a JSON object

  friend bool operator==(const FunctionCall&, const FunctionCall&) = default;
};

// What our function gave back.
struct FunctionResponse {
  std::string id = {};    // the id of the call that it answers
  std::string name = {};  // and its name
  // A JSON object. Another JSON value, and text that is no JSON, goes to the model as {"result":
  // ...}.
  std::string response_json = "{}";

  friend bool operator==(const FunctionResponse&, const FunctionResponse&) = default;
};

// One part of a content. Exactly one of text, function_call, function_response, or something that
// this version has no type for and keeps in extra_json (an image, executable code, a kind that is
// yet to come). Nothing that a model sent is lost by going through a Part.
struct Part {
  std::optional<std::string> text = {};                    // something said
  std::optional<FunctionCall> function_call = {};          // from the model
  std::optional<FunctionResponse> function_response = {};  // to the model
  // A summary of the model's thinking: never shown, never sent back.
  bool thought = false;
  // The model's opaque signature, base64 as it came; sent back in the same part to the same model.
  std::string thought_signature = {};
  // Every further field of the part, as one JSON object; empty when there is none.
  std::string extra_json = {};

  friend bool operator==(const Part&, const Part&) = default;
};

// Who speaks. A function's response goes in a user content.
enum class Role {
  kUser,   // whoever asks, and our functions
  kModel,  // whoever answers
};

// One step of a conversation as a model takes and gives it.
struct Content {
  Role role = Role::kUser;       // who speaks
  std::vector<Part> parts = {};  // in their order
  // The model that made it, for role kModel: signatures hold for that model alone.
  std::string model = {};

  friend bool operator==(const Content&, const Content&) = default;
};

// A content with one text part.
TWINCHAT_EXPORT Content text_content(Role role, std::string text);

// The text that a person sees: all text parts that are not thoughts, joined.
TWINCHAT_EXPORT std::string visible_text(const Content& content);

// Tokens as the model counted them; 0 where it said nothing.
struct Usage {
  std::int64_t prompt_tokens = 0;   // includes cached_tokens
  std::int64_t cached_tokens = 0;   // of the prompt, found in the model's cache
  std::int64_t output_tokens = 0;   // the visible answer
  std::int64_t thought_tokens = 0;  // billed like output
  std::int64_t total_tokens = 0;    // of all kinds

  friend bool operator==(const Usage&, const Usage&) = default;
};

// Why the model stopped. The raw string is always kept beside it, for the list grows.
enum class FinishReason {
  kNone,          // none was given: the answer was cut
  kStop,          // a natural end
  kMaxTokens,     // the cap on output was hit
  kContinuation,  // there would be more, under a token that this library does not follow
  // These withdraw the answer.
  kSafety,             // it may do harm
  kRecitation,         // it is too close to a source
  kLanguage,           // a language that the model does not speak
  kBlocklist,          // a word of a list
  kProhibitedContent,  // against the upstream's rules
  kSpii,               // what identifies a person
  kModelArmor,         // a filter in front of the model
  // These are faults of the model.
  kMalformedFunctionCall,    // a function call that cannot be read
  kUnexpectedToolCall,       // a call although there are no functions
  kTooManyToolCalls,         // calls without end
  kMalformedResponse,        // an answer that cannot be read
  kMissingThoughtSignature,  // the request lost a signature
  kImage,                    // one of the reasons of image models
  kOther,                    // a reason that the upstream keeps to itself
  kUnrecognized,             // a value this version does not know
};

// The reason for the upstream's string; kNone for an empty or unspecified one.
TWINCHAT_EXPORT FinishReason finish_reason_from(std::string_view raw) noexcept;

}  // namespace twinchat
