#include "api/session_json.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

namespace twinchat::server {
namespace {

Json to_json(const std::optional<std::string>& text) {
  return text ? Json(*text) : Json(nullptr);
}

// Appends exactly so many digits. A history has a time for each of its messages.
void append_digits(std::string& text, std::uint64_t value, int digits) {
  text.resize(text.size() + static_cast<std::size_t>(digits));
  for (auto at = text.rbegin(); digits > 0; --digits, ++at, value /= 10) {
    *at = static_cast<char>('0' + value % 10);
  }
}

}  // namespace

std::string to_text(Timestamp time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::string text;
  text.reserve(27);
  const auto append = [&text](auto value, int digits, char end) {
    append_digits(text, static_cast<std::uint64_t>(value), digits);
    text += end;
  };
  append(static_cast<int>(date.year()), 4, '-');
  append(static_cast<unsigned>(date.month()), 2, '-');
  append(static_cast<unsigned>(date.day()), 2, 'T');
  append(clock.hours().count(), 2, ':');
  append(clock.minutes().count(), 2, ':');
  append(clock.seconds().count(), 2, '.');
  append(clock.subseconds().count(), 6, 'Z');
  return text;
}

Json to_json(Feedback feedback) {
  return feedback == Feedback::kNone ? Json(nullptr) : Json(to_string(feedback));
}

Json to_json(const std::optional<Timestamp>& time) {
  return time ? Json(to_text(*time)) : Json(nullptr);
}

Json to_json(std::vector<Message> messages, const std::vector<Turn>& turns) {
  Json shown = Json::array();
  for (Message& message : messages) {
    // An initializer list would make every value twice.
    auto& members = shown.emplace_back(Json::object()).get_ref<Json::object_t&>();
    members.reserve(6);
    members.emplace_back("id", message.id);
    members.emplace_back("content", std::move(message.text));
    members.emplace_back("is_bot", message.is_bot);
    members.emplace_back("created_at", to_text(message.created_at));
    const auto turn = std::find_if(turns.begin(), turns.end(), [&](const Turn& each) {
      return each.answer && each.answer->id == message.id;
    });
    if (turn == turns.end()) continue;
    members.emplace_back("status", to_string(turn->status));
    members.emplace_back("feedback", to_json(turn->feedback));
  }
  return shown;
}

Json to_json(const Session& session, std::vector<Message> messages) {
  Json shown = to_json(std::move(messages), {});
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
