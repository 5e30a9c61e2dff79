#include "verdict.h"

#include <algorithm>

namespace twinchat {

Verdict judge(const ModelAnswer& answer) {
  const auto& parts = answer.content.parts;
  const bool calls = std::any_of(parts.begin(), parts.end(),
                                 [](const Part& part) { return part.function_call.has_value(); });
  const bool has_something = calls || !visible_text(answer.content).empty();
  // A block reason that is "unspecified" blocks nothing that was answered all the same.
  const bool is_specified = !answer.block_reason.ends_with("_REASON_UNSPECIFIED");
  if (!answer.block_reason.empty() && (is_specified || !has_something)) return Verdict::kBlocked;
  switch (answer.finish_reason) {
    case FinishReason::kNone:
      return Verdict::kCut;
    case FinishReason::kStop:
      return has_something ? Verdict::kAnswered : Verdict::kEmpty;
    case FinishReason::kMaxTokens:
    case FinishReason::kContinuation:
      return has_something ? Verdict::kAnswered : Verdict::kEmptyByLimit;
    case FinishReason::kRecitation:
    case FinishReason::kOther:
    case FinishReason::kMalformedFunctionCall:
    case FinishReason::kUnexpectedToolCall:
    case FinishReason::kTooManyToolCalls:
    case FinishReason::kMalformedResponse:
    case FinishReason::kMissingThoughtSignature:
      return Verdict::kFaultOnce;
    case FinishReason::kSafety:
    case FinishReason::kLanguage:
    case FinishReason::kBlocklist:
    case FinishReason::kProhibitedContent:
    case FinishReason::kSpii:
    case FinishReason::kModelArmor:
    case FinishReason::kImage:
    case FinishReason::kUnrecognized:
      return Verdict::kBlocked;
  }
  return Verdict::kBlocked;
}

TurnStatus status_of(const ModelAnswer& answer) {
  if (answer.interruption) {
    return answer.interruption->code() == ErrorCode::kCancelled ? TurnStatus::kCancelled
                                                                : TurnStatus::kTruncated;
  }
  switch (judge(answer)) {
    case Verdict::kAnswered:
      return answer.finish_reason == FinishReason::kStop ? TurnStatus::kComplete
                                                         : TurnStatus::kTruncated;
    case Verdict::kCut:
      return visible_text(answer.content).empty() ? TurnStatus::kEmpty : TurnStatus::kTruncated;
    case Verdict::kEmpty:
    case Verdict::kEmptyByLimit:
      return TurnStatus::kEmpty;
    case Verdict::kBlocked:
      return TurnStatus::kBlocked;
    case Verdict::kFaultOnce:
      return answer.finish_reason == FinishReason::kRecitation ||
                     answer.finish_reason == FinishReason::kOther
                 ? TurnStatus::kBlocked
                 : TurnStatus::kFailed;
  }
  return TurnStatus::kFailed;
}

}  // namespace twinchat
