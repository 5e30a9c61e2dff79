// What is read from sessions, messages and turns.
#include <optional>
#include <string>

#include "handles.h"

namespace twinchat::c {
namespace {

const char* text_or_null(const std::optional<std::string>& text) {
  return text ? text->c_str() : nullptr;
}

std::int64_t microseconds(Timestamp time) {
  return time.time_since_epoch().count();
}

const char* with_length(const std::string& text, size_t* length) {
  if (length != nullptr) *length = text.size();
  return text.c_str();
}

template <class Handle, class List>
const Handle* at(const List* list, size_t index) {
  const auto* all = behind(list);
  return all != nullptr && index < all->size() ? handle_of<Handle>((*all)[index]) : nullptr;
}

// What a reading function gives for NULL.
const std::string kNone;

twinchat_status status_of(TurnStatus status) {
  switch (status) {
    case TurnStatus::kPending:
      return TWINCHAT_PENDING;
    case TurnStatus::kComplete:
      return TWINCHAT_COMPLETE;
    case TurnStatus::kTruncated:
      return TWINCHAT_TRUNCATED;
    case TurnStatus::kBlocked:
      return TWINCHAT_BLOCKED;
    case TurnStatus::kEmpty:
      return TWINCHAT_EMPTY;
    case TurnStatus::kFailed:
      return TWINCHAT_FAILED;
    case TurnStatus::kCancelled:
      return TWINCHAT_STOPPED;
    case TurnStatus::kInterrupted:
      return TWINCHAT_INTERRUPTED;
  }
  return TWINCHAT_FAILED;
}

TurnStatus turn_status_of(twinchat_status status) {
  switch (status) {
    case TWINCHAT_PENDING:
      return TurnStatus::kPending;
    case TWINCHAT_COMPLETE:
      return TurnStatus::kComplete;
    case TWINCHAT_TRUNCATED:
      return TurnStatus::kTruncated;
    case TWINCHAT_BLOCKED:
      return TurnStatus::kBlocked;
    case TWINCHAT_EMPTY:
      return TurnStatus::kEmpty;
    case TWINCHAT_FAILED:
      return TurnStatus::kFailed;
    case TWINCHAT_STOPPED:
      return TurnStatus::kCancelled;
    case TWINCHAT_INTERRUPTED:
      return TurnStatus::kInterrupted;
  }
  return TurnStatus::kFailed;
}

}  // namespace
}  // namespace twinchat::c

using namespace twinchat::c;

const char* twinchat_version(void) {
  return twinchat::version();
}

const char* twinchat_session_id(const twinchat_session* session) {
  return session != nullptr ? behind(session)->session_id.c_str() : "";
}

const char* twinchat_session_name(const twinchat_session* session) {
  return session != nullptr ? text_or_null(behind(session)->user.name) : nullptr;
}

const char* twinchat_session_email(const twinchat_session* session) {
  return session != nullptr ? text_or_null(behind(session)->user.email) : nullptr;
}

const char* twinchat_session_phone(const twinchat_session* session) {
  return session != nullptr ? text_or_null(behind(session)->user.phone) : nullptr;
}

int64_t twinchat_session_created_at_us(const twinchat_session* session) {
  return session != nullptr ? microseconds(behind(session)->created_at) : 0;
}

int64_t twinchat_session_updated_at_us(const twinchat_session* session) {
  return session != nullptr ? microseconds(behind(session)->updated_at) : 0;
}

void twinchat_session_free(twinchat_session* session) {
  release(session);
}

size_t twinchat_message_list_count(const twinchat_message_list* messages) {
  return messages != nullptr ? behind(messages)->size() : 0;
}

const twinchat_message* twinchat_message_list_at(const twinchat_message_list* messages,
                                                 size_t index) {
  return at<twinchat_message>(messages, index);
}

void twinchat_message_list_free(twinchat_message_list* messages) {
  release(messages);
}

int64_t twinchat_message_id(const twinchat_message* message) {
  return message != nullptr ? behind(message)->id : 0;
}

const char* twinchat_message_text(const twinchat_message* message, size_t* length) {
  return with_length(message != nullptr ? behind(message)->text : kNone, length);
}

int twinchat_message_is_bot(const twinchat_message* message) {
  return message != nullptr && behind(message)->is_bot ? 1 : 0;
}

int64_t twinchat_message_created_at_us(const twinchat_message* message) {
  return message != nullptr ? microseconds(behind(message)->created_at) : 0;
}

const char* twinchat_status_name(twinchat_status status) {
  return twinchat::to_string(turn_status_of(status));
}

size_t twinchat_turn_list_count(const twinchat_turn_list* turns) {
  return turns != nullptr ? behind(turns)->size() : 0;
}

const twinchat_turn* twinchat_turn_list_at(const twinchat_turn_list* turns, size_t index) {
  return at<twinchat_turn>(turns, index);
}

void twinchat_turn_list_free(twinchat_turn_list* turns) {
  release(turns);
}

twinchat_status twinchat_turn_status(const twinchat_turn* turn) {
  return turn != nullptr ? status_of(behind(turn)->status) : TWINCHAT_PENDING;
}

const char* twinchat_turn_text(const twinchat_turn* turn, size_t* length) {
  return with_length(turn != nullptr ? behind(turn)->text() : kNone, length);
}

const twinchat_message* twinchat_turn_question(const twinchat_turn* turn) {
  return turn != nullptr ? handle_of<twinchat_message>(behind(turn)->user_message) : nullptr;
}

const twinchat_message* twinchat_turn_answer(const twinchat_turn* turn) {
  const bool answered = turn != nullptr && behind(turn)->answer;
  return answered ? handle_of<twinchat_message>(*behind(turn)->answer) : nullptr;
}

const char* twinchat_turn_session_id(const twinchat_turn* turn) {
  return turn != nullptr ? behind(turn)->session_id.c_str() : "";
}

const char* twinchat_turn_finish_reason(const twinchat_turn* turn) {
  return turn != nullptr ? behind(turn)->finish_reason_raw.c_str() : "";
}

const char* twinchat_turn_block_reason(const twinchat_turn* turn) {
  return turn != nullptr ? behind(turn)->block_reason.c_str() : "";
}

const char* twinchat_turn_model(const twinchat_turn* turn) {
  return turn != nullptr ? behind(turn)->model.c_str() : "";
}

const char* twinchat_turn_model_version(const twinchat_turn* turn) {
  return turn != nullptr ? behind(turn)->model_version.c_str() : "";
}

const char* twinchat_turn_error_code(const twinchat_turn* turn) {
  return turn != nullptr ? behind(turn)->error_code.c_str() : "";
}

int64_t twinchat_turn_prompt_tokens(const twinchat_turn* turn) {
  return turn != nullptr ? behind(turn)->usage.prompt_tokens : 0;
}

int64_t twinchat_turn_cached_tokens(const twinchat_turn* turn) {
  return turn != nullptr ? behind(turn)->usage.cached_tokens : 0;
}

int64_t twinchat_turn_output_tokens(const twinchat_turn* turn) {
  return turn != nullptr ? behind(turn)->usage.output_tokens : 0;
}

int64_t twinchat_turn_thought_tokens(const twinchat_turn* turn) {
  return turn != nullptr ? behind(turn)->usage.thought_tokens : 0;
}

int64_t twinchat_turn_total_tokens(const twinchat_turn* turn) {
  return turn != nullptr ? behind(turn)->usage.total_tokens : 0;
}

int64_t twinchat_turn_latency_ms(const twinchat_turn* turn) {
  return turn != nullptr ? behind(turn)->latency.count() : 0;
}

int twinchat_turn_attempts(const twinchat_turn* turn) {
  return turn != nullptr ? behind(turn)->attempts : 0;
}

int twinchat_turn_replayed(const twinchat_turn* turn) {
  return turn != nullptr && behind(turn)->replayed ? 1 : 0;
}

void twinchat_turn_free(twinchat_turn* turn) {
  release(turn);
}
