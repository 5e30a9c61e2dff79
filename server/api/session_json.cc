#include "api/session_json.h"

#include <fmt/format.h>

namespace twinchat::server {
namespace {

Json to_json(const std::optional<std::string>& text) {
  return text ? Json(*text) : Json(nullptr);
}

}  // namespace

std::string to_text(Timestamp time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

Json to_json(const Session& session, const std::vector<Message>& messages) {
  Json shown = Json::array();
  for (const Message& message : messages) {
    shown.push_back({{"id", message.id},
                     {"content", message.text},
                     {"is_bot", message.is_bot},
                     {"created_at", to_text(message.created_at)}});
  }
  return {{"id", session.id},
          {"session_id", session.session_id},
          {"user_name", to_json(session.user.name)},
          {"user_email", to_json(session.user.email)},
          {"user_phone", to_json(session.user.phone)},
          {"messages", std::move(shown)},
          {"created_at", to_text(session.created_at)},
          {"updated_at", to_text(session.updated_at)}};
}

Json to_json(const Turn& turn) {
  return {{"user_message", turn.user_message.text},
          {"bot_response", turn.text()},
          {"timestamp", to_text((turn.answer ? *turn.answer : turn.user_message).created_at)},
          {"session_id", turn.session_id}};
}

Json to_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"cached_tokens", usage.cached_tokens},
          {"output_tokens", usage.output_tokens},
          {"thought_tokens", usage.thought_tokens},
          {"total_tokens", usage.total_tokens}};
}

}  // namespace twinchat::server
