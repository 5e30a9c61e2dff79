#pragma once

#include <tuple>

#include "convert.h"
#include "twinchat/twinchat.h"

// What the library's structs and enumerations consist of, for convert.h. What is a function or an
// object of a thread (on_text, a stop_token, an executor) is not in here: it is set by hand.
namespace twinchat::python {

template <>
struct Enumerators<ErrorCode> {
  static constexpr const char* kName = "ErrorCode";
  static constexpr ErrorCode kFirst = ErrorCode::kCancelled;
  static constexpr ErrorCode kLast = ErrorCode::kUnauthenticated;
  static const char* name(ErrorCode code) { return to_string(code); }
};

template <>
struct Enumerators<Role> {
  static constexpr const char* kName = "Role";
  static constexpr Role kFirst = Role::kUser;
  static constexpr Role kLast = Role::kModel;
  static const char* name(Role role) { return role == Role::kUser ? "USER" : "MODEL"; }
};

template <>
struct Enumerators<TurnStatus> {
  static constexpr const char* kName = "TurnStatus";
  static constexpr TurnStatus kFirst = TurnStatus::kPending;
  static constexpr TurnStatus kLast = TurnStatus::kInterrupted;
  static const char* name(TurnStatus status) {
    switch (status) {
      case TurnStatus::kPending:
        return "PENDING";
      case TurnStatus::kComplete:
        return "COMPLETE";
      case TurnStatus::kTruncated:
        return "TRUNCATED";
      case TurnStatus::kBlocked:
        return "BLOCKED";
      case TurnStatus::kEmpty:
        return "EMPTY";
      case TurnStatus::kFailed:
        return "FAILED";
      case TurnStatus::kCancelled:
        return "CANCELLED";
      case TurnStatus::kInterrupted:
        return "INTERRUPTED";
    }
    return "";
  }
};

template <>
struct Enumerators<Feedback> {
  static constexpr const char* kName = "Feedback";
  static constexpr Feedback kFirst = Feedback::kNone;
  static constexpr Feedback kLast = Feedback::kDown;
  static const char* name(Feedback feedback) {
    switch (feedback) {
      case Feedback::kNone:
        return "NONE";
      case Feedback::kUp:
        return "UP";
      case Feedback::kDown:
        return "DOWN";
    }
    return "";
  }
};

template <>
struct Enumerators<FinishReason> {
  static constexpr const char* kName = "FinishReason";
  static constexpr FinishReason kFirst = FinishReason::kNone;
  static constexpr FinishReason kLast = FinishReason::kUnrecognized;
  static const char* name(FinishReason reason) {
    switch (reason) {
      case FinishReason::kNone:
        return "NONE";
      case FinishReason::kStop:
        return "STOP";
      case FinishReason::kMaxTokens:
        return "MAX_TOKENS";
      case FinishReason::kContinuation:
        return "CONTINUATION";
      case FinishReason::kSafety:
        return "SAFETY";
      case FinishReason::kRecitation:
        return "RECITATION";
      case FinishReason::kLanguage:
        return "LANGUAGE";
      case FinishReason::kBlocklist:
        return "BLOCKLIST";
      case FinishReason::kProhibitedContent:
        return "PROHIBITED_CONTENT";
      case FinishReason::kSpii:
        return "SPII";
      case FinishReason::kModelArmor:
        return "MODEL_ARMOR";
      case FinishReason::kMalformedFunctionCall:
        return "MALFORMED_FUNCTION_CALL";
      case FinishReason::kUnexpectedToolCall:
        return "UNEXPECTED_TOOL_CALL";
      case FinishReason::kTooManyToolCalls:
        return "TOO_MANY_TOOL_CALLS";
      case FinishReason::kMalformedResponse:
        return "MALFORMED_RESPONSE";
      case FinishReason::kMissingThoughtSignature:
        return "MISSING_THOUGHT_SIGNATURE";
      case FinishReason::kImage:
        return "IMAGE";
      case FinishReason::kOther:
        return "OTHER";
      case FinishReason::kUnrecognized:
        return "UNRECOGNIZED";
    }
    return "";
  }
};

template <>
struct Enumerators<BegunTurn::Kind> {
  static constexpr const char* kName = "BegunTurnKind";
  static constexpr BegunTurn::Kind kFirst = BegunTurn::Kind::kNew;
  static constexpr BegunTurn::Kind kLast = BegunTurn::Kind::kReplayed;
  static const char* name(BegunTurn::Kind kind) {
    switch (kind) {
      case BegunTurn::Kind::kNew:
        return "NEW";
      case BegunTurn::Kind::kResumed:
        return "RESUMED";
      case BegunTurn::Kind::kReplayed:
        return "REPLAYED";
    }
    return "";
  }
};

#define TWINCHAT_FIELD(member) \
  Field {                      \
#member, &Self::member     \
  }
#define TWINCHAT_FIELDS(type, ...)                         \
  template <>                                              \
  struct Fields<type> {                                    \
    using Self = type;                                     \
    static constexpr const char* kName = #type;            \
    static constexpr auto kList = std::tuple{__VA_ARGS__}; \
  }

// error.h
TWINCHAT_FIELDS(ErrorDetails, TWINCHAT_FIELD(retry_after), TWINCHAT_FIELD(retryable),
                TWINCHAT_FIELD(http_status), TWINCHAT_FIELD(upstream_status),
                TWINCHAT_FIELD(reason), TWINCHAT_FIELD(quota_id), TWINCHAT_FIELD(stage),
                TWINCHAT_FIELD(model), TWINCHAT_FIELD(response_id), TWINCHAT_FIELD(attempts),
                TWINCHAT_FIELD(diagnostic));

// content.h
TWINCHAT_FIELDS(FunctionCall, TWINCHAT_FIELD(id), TWINCHAT_FIELD(name), TWINCHAT_FIELD(args_json));
TWINCHAT_FIELDS(FunctionResponse, TWINCHAT_FIELD(id), TWINCHAT_FIELD(name),
                TWINCHAT_FIELD(response_json));
TWINCHAT_FIELDS(Part, TWINCHAT_FIELD(text), TWINCHAT_FIELD(function_call),
                TWINCHAT_FIELD(function_response), TWINCHAT_FIELD(thought),
                TWINCHAT_FIELD(thought_signature), TWINCHAT_FIELD(extra_json));
TWINCHAT_FIELDS(Content, TWINCHAT_FIELD(role), TWINCHAT_FIELD(parts), TWINCHAT_FIELD(model));
TWINCHAT_FIELDS(Usage, TWINCHAT_FIELD(prompt_tokens), TWINCHAT_FIELD(cached_tokens),
                TWINCHAT_FIELD(output_tokens), TWINCHAT_FIELD(thought_tokens),
                TWINCHAT_FIELD(total_tokens));

// session.h
TWINCHAT_FIELDS(UserDetails, TWINCHAT_FIELD(name), TWINCHAT_FIELD(email), TWINCHAT_FIELD(phone));
TWINCHAT_FIELDS(UserDetailsUpdate, TWINCHAT_FIELD(name), TWINCHAT_FIELD(email),
                TWINCHAT_FIELD(phone));
TWINCHAT_FIELDS(FieldProblem, TWINCHAT_FIELD(field), TWINCHAT_FIELD(message));
TWINCHAT_FIELDS(Session, TWINCHAT_FIELD(id), TWINCHAT_FIELD(session_id), TWINCHAT_FIELD(user),
                TWINCHAT_FIELD(created_at), TWINCHAT_FIELD(updated_at));
TWINCHAT_FIELDS(Message, TWINCHAT_FIELD(id), TWINCHAT_FIELD(text), TWINCHAT_FIELD(is_bot),
                TWINCHAT_FIELD(created_at));
TWINCHAT_FIELDS(Turn, TWINCHAT_FIELD(id), TWINCHAT_FIELD(session_id), TWINCHAT_FIELD(status),
                TWINCHAT_FIELD(user_message), TWINCHAT_FIELD(answer), TWINCHAT_FIELD(finish_reason),
                TWINCHAT_FIELD(finish_reason_raw), TWINCHAT_FIELD(block_reason),
                TWINCHAT_FIELD(model), TWINCHAT_FIELD(model_version), TWINCHAT_FIELD(response_id),
                TWINCHAT_FIELD(usage), TWINCHAT_FIELD(latency), TWINCHAT_FIELD(attempts),
                TWINCHAT_FIELD(error_code), TWINCHAT_FIELD(replayed), TWINCHAT_FIELD(feedback),
                TWINCHAT_FIELD(feedback_at));
TWINCHAT_FIELDS(Consent, TWINCHAT_FIELD(id), TWINCHAT_FIELD(version), TWINCHAT_FIELD(language),
                TWINCHAT_FIELD(text), TWINCHAT_FIELD(given_at), TWINCHAT_FIELD(withdrawn_at));

// model.h
TWINCHAT_FIELDS(GenerationConfig, TWINCHAT_FIELD(temperature), TWINCHAT_FIELD(top_p),
                TWINCHAT_FIELD(top_k), TWINCHAT_FIELD(max_output_tokens),
                TWINCHAT_FIELD(stop_sequences), TWINCHAT_FIELD(seed),
                TWINCHAT_FIELD(presence_penalty), TWINCHAT_FIELD(frequency_penalty),
                TWINCHAT_FIELD(thinking_budget), TWINCHAT_FIELD(thinking_level),
                TWINCHAT_FIELD(include_thoughts), TWINCHAT_FIELD(response_mime_type),
                TWINCHAT_FIELD(response_json_schema));
TWINCHAT_FIELDS(FunctionDeclaration, TWINCHAT_FIELD(name), TWINCHAT_FIELD(description),
                TWINCHAT_FIELD(parameters_json_schema));
TWINCHAT_FIELDS(GenerateRequest, TWINCHAT_FIELD(system_instruction), TWINCHAT_FIELD(contents),
                TWINCHAT_FIELD(config), TWINCHAT_FIELD(functions));
TWINCHAT_FIELDS(Timeouts, TWINCHAT_FIELD(connect), TWINCHAT_FIELD(first_byte), TWINCHAT_FIELD(idle),
                TWINCHAT_FIELD(total));
TWINCHAT_FIELDS(ModelAnswer, TWINCHAT_FIELD(content), TWINCHAT_FIELD(finish_reason),
                TWINCHAT_FIELD(finish_reason_raw), TWINCHAT_FIELD(block_reason),
                TWINCHAT_FIELD(usage), TWINCHAT_FIELD(model), TWINCHAT_FIELD(model_version),
                TWINCHAT_FIELD(response_id), TWINCHAT_FIELD(attempts),
                TWINCHAT_FIELD(interruption));

// gemini.h
TWINCHAT_FIELDS(RetryOptions, TWINCHAT_FIELD(max_attempts), TWINCHAT_FIELD(initial_backoff),
                TWINCHAT_FIELD(max_backoff), TWINCHAT_FIELD(max_server_delay),
                TWINCHAT_FIELD(max_empty_retries), TWINCHAT_FIELD(budget_ratio));
TWINCHAT_FIELDS(BreakerOptions, TWINCHAT_FIELD(enabled), TWINCHAT_FIELD(window),
                TWINCHAT_FIELD(min_calls), TWINCHAT_FIELD(failure_ratio), TWINCHAT_FIELD(open_for));
TWINCHAT_FIELDS(SafetySetting, TWINCHAT_FIELD(category), TWINCHAT_FIELD(threshold));
TWINCHAT_FIELDS(ModelCapabilities, TWINCHAT_FIELD(model_prefix), TWINCHAT_FIELD(sampling),
                TWINCHAT_FIELD(thinking_budget), TWINCHAT_FIELD(thinking_level),
                TWINCHAT_FIELD(minimal_thinking), TWINCHAT_FIELD(zero_thinking_budget));
TWINCHAT_FIELDS(GeminiOptions, TWINCHAT_FIELD(api_key), TWINCHAT_FIELD(model),
                TWINCHAT_FIELD(fallback_models), TWINCHAT_FIELD(base_url),
                TWINCHAT_FIELD(api_version), TWINCHAT_FIELD(model_path),
                TWINCHAT_FIELD(safety_settings), TWINCHAT_FIELD(max_output_tokens),
                TWINCHAT_FIELD(timeouts), TWINCHAT_FIELD(retry), TWINCHAT_FIELD(breaker),
                TWINCHAT_FIELD(capabilities), TWINCHAT_FIELD(max_in_flight),
                TWINCHAT_FIELD(max_connections), TWINCHAT_FIELD(max_queued), TWINCHAT_FIELD(proxy),
                TWINCHAT_FIELD(ca_file), TWINCHAT_FIELD(max_answer_bytes));

// sqlite_store.h
TWINCHAT_FIELDS(SqliteStoreOptions, TWINCHAT_FIELD(busy_timeout), TWINCHAT_FIELD(durable),
                TWINCHAT_FIELD(max_readers), TWINCHAT_FIELD(create));

// store.h
TWINCHAT_FIELDS(MessageQuery, TWINCHAT_FIELD(after_id), TWINCHAT_FIELD(limit),
                TWINCHAT_FIELD(before_id), TWINCHAT_FIELD(newest));
TWINCHAT_FIELDS(NewTurn, TWINCHAT_FIELD(session_id), TWINCHAT_FIELD(create_session),
                TWINCHAT_FIELD(details), TWINCHAT_FIELD(text), TWINCHAT_FIELD(idempotency_key),
                TWINCHAT_FIELD(fingerprint), TWINCHAT_FIELD(now), TWINCHAT_FIELD(expires_at),
                TWINCHAT_FIELD(max_tokens_per_day));
TWINCHAT_FIELDS(BegunTurn, TWINCHAT_FIELD(kind), TWINCHAT_FIELD(turn));
TWINCHAT_FIELDS(FinishedTurn, TWINCHAT_FIELD(turn_id), TWINCHAT_FIELD(status),
                TWINCHAT_FIELD(answer), TWINCHAT_FIELD(contents), TWINCHAT_FIELD(finish_reason_raw),
                TWINCHAT_FIELD(block_reason), TWINCHAT_FIELD(model), TWINCHAT_FIELD(model_version),
                TWINCHAT_FIELD(response_id), TWINCHAT_FIELD(usage), TWINCHAT_FIELD(latency),
                TWINCHAT_FIELD(attempts), TWINCHAT_FIELD(error_code), TWINCHAT_FIELD(now));
TWINCHAT_FIELDS(PastTurn, TWINCHAT_FIELD(turn_id), TWINCHAT_FIELD(user_text),
                TWINCHAT_FIELD(answer_text), TWINCHAT_FIELD(contents), TWINCHAT_FIELD(usage));
TWINCHAT_FIELDS(NewConsent, TWINCHAT_FIELD(session_id), TWINCHAT_FIELD(version),
                TWINCHAT_FIELD(language), TWINCHAT_FIELD(text), TWINCHAT_FIELD(now));

// assistant.h
TWINCHAT_FIELDS(AssistantOptions, TWINCHAT_FIELD(system_prompt), TWINCHAT_FIELD(history_turns),
                TWINCHAT_FIELD(history_tokens), TWINCHAT_FIELD(generation),
                TWINCHAT_FIELD(max_tool_rounds), TWINCHAT_FIELD(max_message_length),
                TWINCHAT_FIELD(refusal), TWINCHAT_FIELD(turn_timeout),
                TWINCHAT_FIELD(max_queued_per_session), TWINCHAT_FIELD(daily_tokens));
TWINCHAT_FIELDS(SendOptions, TWINCHAT_FIELD(timeout), TWINCHAT_FIELD(idempotency_key),
                TWINCHAT_FIELD(generation), TWINCHAT_FIELD(details), TWINCHAT_FIELD(create_session),
                TWINCHAT_FIELD(model_timeouts));

#undef TWINCHAT_FIELDS
#undef TWINCHAT_FIELD

}  // namespace twinchat::python
