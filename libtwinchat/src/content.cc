#include "twinchat/content.h"

#include <array>
#include <utility>

namespace twinchat {

Content text_content(Role role, std::string text) {
  Content content{.role = role};
  content.parts.push_back(Part{.text = std::move(text)});
  return content;
}

std::string visible_text(const Content& content) {
  std::string text;
  for (const Part& part : content.parts) {
    if (part.text && !part.thought) text += *part.text;
  }
  return text;
}

FinishReason finish_reason_from(std::string_view raw) noexcept {
  static constexpr std::array<std::pair<std::string_view, FinishReason>, 23> kReasons{{
      {"", FinishReason::kNone},
      {"FINISH_REASON_UNSPECIFIED", FinishReason::kNone},
      {"STOP", FinishReason::kStop},
      {"MAX_TOKENS", FinishReason::kMaxTokens},
      {"CONTINUATION", FinishReason::kContinuation},
      {"SAFETY", FinishReason::kSafety},
      {"RECITATION", FinishReason::kRecitation},
      {"LANGUAGE", FinishReason::kLanguage},
      {"BLOCKLIST", FinishReason::kBlocklist},
      {"PROHIBITED_CONTENT", FinishReason::kProhibitedContent},
      {"SPII", FinishReason::kSpii},
      {"MODEL_ARMOR", FinishReason::kModelArmor},
      {"MALFORMED_FUNCTION_CALL", FinishReason::kMalformedFunctionCall},
      {"UNEXPECTED_TOOL_CALL", FinishReason::kUnexpectedToolCall},
      {"TOO_MANY_TOOL_CALLS", FinishReason::kTooManyToolCalls},
      {"MALFORMED_RESPONSE", FinishReason::kMalformedResponse},
      {"MISSING_THOUGHT_SIGNATURE", FinishReason::kMissingThoughtSignature},
      {"IMAGE_SAFETY", FinishReason::kImage},
      {"IMAGE_PROHIBITED_CONTENT", FinishReason::kImage},
      {"IMAGE_RECITATION", FinishReason::kImage},
      {"IMAGE_OTHER", FinishReason::kImage},
      {"NO_IMAGE", FinishReason::kImage},
      {"OTHER", FinishReason::kOther},
  }};
  for (const auto& [name, reason] : kReasons) {
    if (name == raw) return reason;
  }
  return FinishReason::kUnrecognized;
}

}  // namespace twinchat
