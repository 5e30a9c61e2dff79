#include "store/turn_rules.h"

#include <array>

namespace twinchat {

std::optional<TurnStatus> turn_status_from(std::string_view text) noexcept {
  static constexpr std::array kAll{TurnStatus::kPending,   TurnStatus::kComplete,
                                   TurnStatus::kTruncated, TurnStatus::kBlocked,
                                   TurnStatus::kEmpty,     TurnStatus::kFailed,
                                   TurnStatus::kCancelled, TurnStatus::kInterrupted};
  for (TurnStatus status : kAll) {
    if (text == to_string(status)) return status;
  }
  return std::nullopt;
}

bool is_replayed(TurnStatus status) noexcept {
  return status == TurnStatus::kComplete || status == TurnStatus::kTruncated ||
         status == TurnStatus::kBlocked;
}

bool is_history(TurnStatus status) noexcept {
  return status == TurnStatus::kComplete || status == TurnStatus::kTruncated;
}

std::int64_t stored(Feedback feedback) noexcept {
  return feedback == Feedback::kUp ? 1 : feedback == Feedback::kDown ? -1 : 0;
}

Feedback feedback_from(std::int64_t stored) noexcept {
  return stored == 1 ? Feedback::kUp : stored == -1 ? Feedback::kDown : Feedback::kNone;
}

Error no_such_answer() {
  return Error(ErrorCode::kNotFound, "There is no such answer.");
}

void apply(const FinishedTurn& finished, Turn& turn) {
  turn.status = finished.status;
  turn.finish_reason = finish_reason_from(finished.finish_reason_raw);
  turn.finish_reason_raw = finished.finish_reason_raw;
  turn.block_reason = finished.block_reason;
  turn.model = finished.model;
  turn.model_version = finished.model_version;
  turn.response_id = finished.response_id;
  turn.usage = finished.usage;
  turn.latency = finished.latency;
  turn.attempts = finished.attempts;
  turn.error_code = finished.error_code;
}

std::int64_t counted_tokens(const Usage& usage) noexcept {
  return usage.prompt_tokens + usage.output_tokens + usage.thought_tokens;
}

Error no_such_session() {
  return Error(ErrorCode::kNotFound, "There is no such session.");
}

Error no_such_turn() {
  return Error(ErrorCode::kNotFound, "There is no such turn.");
}

Error key_used_otherwise() {
  return Error(ErrorCode::kAlreadyExists, "This idempotency key was used for another message.");
}

Error key_in_use() {
  return Error(ErrorCode::kAborted, "This message is being answered right now.",
               {.retry_after = std::chrono::seconds(1), .retryable = true});
}

Error daily_tokens_used_up(Timestamp now) {
  const auto midnight = std::chrono::floor<std::chrono::days>(now) + std::chrono::days(1);
  return Error(ErrorCode::kResourceExhausted,
               "The assistant has answered as much as it may today. Please come back tomorrow.",
               {.retry_after = std::chrono::ceil<std::chrono::milliseconds>(midnight - now),
                .retryable = true,
                .reason = "DAILY_TOKENS"});
}

void PastTurnWalk::take(const Step& step) {
  if (done()) return;
  const std::int64_t following_bot = following_bot_;
  following_bot_ = 0;
  if (step.is_bot) {
    following_bot_ = step.message_id;
  } else if (step.turn_id != 0) {
    if (step.answer_id != 0 && is_history(step.status)) {
      found_.push_back({step.turn_id, step.message_id, step.answer_id});
    }
  } else if (following_bot != 0 && !step.follower_answers_a_turn) {
    found_.push_back({0, step.message_id, following_bot});
  }
}

}  // namespace twinchat
