#include "options.h"

#include <chrono>
#include <utility>
#include <vector>

#include "handles.h"
#include "reply.h"

namespace twinchat::c {
namespace {

void take(std::string& field, const char* given) {
  if (given != nullptr) field = given;
}

void take(std::chrono::milliseconds& field, std::int64_t given) {
  if (given != 0) field = std::chrono::milliseconds(given);
}

void take(int& field, std::int32_t given) {
  if (given != 0) field = given;
}

void take(std::size_t& field, std::int64_t given, const char* name) {
  if (given < 0) {
    throw Error(ErrorCode::kInvalidArgument, std::string(name) + " must not be negative.");
  }
  if (given > 0) field = static_cast<std::size_t>(given);
}

// With -1 for what 0 cannot say: none.
void take_or_none(std::size_t& field, std::int64_t given, const char* name) {
  if (given == -1) {
    field = 0;
  } else {
    take(field, given, name);
  }
}

std::vector<std::string> list_of(const char* const* given) {
  std::vector<std::string> texts;
  for (; given != nullptr && *given != nullptr; ++given) texts.emplace_back(*given);
  return texts;
}

GenerationConfig generation_from(const twinchat_generation* given) {
  const auto own = read_struct(given, "generation");
  GenerationConfig config;
  const auto take_value = [](auto& field, const auto* value) {
    if (value != nullptr) field = *value;
  };
  const auto take_text = [](std::optional<std::string>& field, const char* text) {
    if (text != nullptr) field = text;
  };
  take_value(config.temperature, own.temperature);
  take_value(config.top_p, own.top_p);
  take_value(config.top_k, own.top_k);
  take_value(config.max_output_tokens, own.max_output_tokens);
  take_value(config.seed, own.seed);
  take_value(config.thinking_budget, own.thinking_budget);
  take_text(config.thinking_level, own.thinking_level);
  if (own.stop_sequences != nullptr) config.stop_sequences = list_of(own.stop_sequences);
  take_text(config.response_mime_type, own.response_mime_type);
  take_text(config.response_json_schema, own.response_json_schema);
  return config;
}

Tool tool_from(const twinchat_tool& own, std::shared_ptr<UserData> data) {
  Tool tool;
  take(tool.declaration.name, needed(own.name, "tool.name"));
  take(tool.declaration.description, own.description);
  take(tool.declaration.parameters_json_schema, own.parameters_json_schema);
  tool.function = [function = needed(own.function, "tool.function"),
                   data = std::move(data)](const std::string& args_json) {
    twinchat_reply reply;
    function(data->get(), args_json.c_str(), &reply);
    if (reply.failure) throw *reply.failure;
    if (reply.thrown) std::rethrow_exception(reply.thrown);
    return std::move(reply.text);
  };
  return tool;
}

}  // namespace

std::string_view text_of(const char* text, std::size_t length) {
  if (length == 0) return {};
  needed(text, "text");
  return length == TWINCHAT_NTS ? std::string_view(text) : std::string_view(text, length);
}

GeminiOptions gemini_options_from(const twinchat_gemini_options* given) {
  const auto own = read_struct(needed(given, "options"), "gemini_options");
  GeminiOptions options;
  take(options.api_key, own.api_key);
  take(options.model, own.model);
  options.fallback_models = list_of(own.fallback_models);
  take(options.base_url, own.base_url);
  take(options.api_version, own.api_version);
  const auto safety = list_of(own.safety_settings);
  if (safety.size() % 2 != 0) {
    throw Error(ErrorCode::kInvalidArgument, "safety_settings: a category has no threshold.");
  }
  for (std::size_t i = 0; i < safety.size(); i += 2) {
    options.safety_settings.push_back({.category = safety[i], .threshold = safety[i + 1]});
  }
  take(options.max_output_tokens, own.max_output_tokens);
  take(options.retry.max_attempts, own.max_attempts);
  take(options.timeouts.connect, own.connect_timeout_ms);
  take(options.timeouts.first_byte, own.first_byte_timeout_ms);
  take(options.timeouts.idle, own.idle_timeout_ms);
  take(options.timeouts.total, own.total_timeout_ms);
  take(options.max_in_flight, own.max_in_flight, "max_in_flight");
  take(options.max_connections, own.max_connections, "max_connections");
  take(options.proxy, own.proxy);
  take(options.ca_file, own.ca_file);
  if (own.on_warning != nullptr) {
    options.on_warning = [on_warning = own.on_warning, data = own.user_data](
                             const std::string& text) { on_warning(data, text.c_str()); };
  }
  return options;
}

AssistantOptions assistant_options_from(const twinchat_assistant_options* given,
                                        std::vector<std::shared_ptr<UserData>>& tools_data) {
  const auto own = read_struct(given, "assistant_options");
  AssistantOptions options;
  take(options.system_prompt, own.system_prompt);
  take_or_none(options.history_turns, own.history_turns, "history_turns");
  take(options.history_tokens, own.history_tokens, "history_tokens");
  take(options.max_message_length, own.max_message_length, "max_message_length");
  take(options.refusal, own.refusal);
  take(options.turn_timeout, own.turn_timeout_ms);
  take(options.max_queued_per_session, own.max_queued, "max_queued");
  options.daily_tokens = own.daily_tokens;
  take(options.max_tool_rounds, own.max_tool_rounds);
  options.generation = generation_from(own.generation);
  for (auto tool = own.tools; tool != nullptr && *tool != nullptr; ++tool) {
    const auto own_tool = read_struct(*tool, "tool");
    tools_data.push_back(std::make_shared<UserData>(own_tool.user_data, own_tool.release));
    options.tools.push_back(tool_from(own_tool, tools_data.back()));
  }
  return options;
}

SendOptions send_options_from(const twinchat_send_options* given) {
  const auto own = read_struct(given, "send_options");
  SendOptions options;
  if (own.on_text != nullptr) {
    // C reads to the NUL, which a piece need not have behind it.
    options.on_text = [on_text = own.on_text, data = own.user_data](std::string_view piece) {
      return on_text(data, std::string(piece).c_str(), piece.size()) != 0;
    };
  }
  if (own.cancel != nullptr) options.stop_token = behind(own.cancel)->get_token();
  if (own.timeout_ms != 0) options.timeout = std::chrono::milliseconds(own.timeout_ms);
  take(options.idempotency_key, own.idempotency_key);
  options.generation = generation_from(own.generation);
  options.details = details_update_from(own.details);
  options.create_session = own.create_session != 0;
  return options;
}

UserDetails details_from(const twinchat_details* given) {
  UserDetails details;
  details_update_from(given).apply_to(details);
  return details;
}

UserDetailsUpdate details_update_from(const twinchat_details* given) {
  const auto own = read_struct(given, "details");
  const auto update_of = [&own](const char* text, std::uint32_t clear) -> FieldUpdate {
    if ((own.clear & clear) != 0) return nullptr;
    return text != nullptr ? FieldUpdate(text) : FieldUpdate();
  };
  return {.name = update_of(own.name, TWINCHAT_CLEAR_NAME),
          .email = update_of(own.email, TWINCHAT_CLEAR_EMAIL),
          .phone = update_of(own.phone, TWINCHAT_CLEAR_PHONE)};
}

}  // namespace twinchat::c
