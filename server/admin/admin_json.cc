#include "admin/admin_json.h"

#include <array>

#include "admin/secrets.h"
#include "api/session_json.h"
#include "text.h"

namespace twinchat::server {
namespace {

constexpr std::size_t kSessionPreview = 100;
constexpr std::size_t kMessagePreview = 50;

Json or_null(const std::optional<std::string>& text) {
  return text ? Json(*text) : Json(nullptr);
}

std::string field_of(const std::optional<std::string>& text) {
  return text ? std::to_string(text->size()) + ":" + *text : "-";
}

Json without_version(const SessionRow& row, bool with_messages) {
  const Session& session = row.session;
  Json json = {{"id", session.id},
               {"session_id", session.session_id},
               {"user_name", or_null(session.user.name)},
               {"user_email", or_null(session.user.email)},
               {"user_phone", or_null(session.user.phone)},
               {"created_at", to_text(session.created_at)},
               {"updated_at", to_text(session.updated_at)},
               {"message_count", row.message_count},
               {"last_message", nullptr}};
  if (row.last_message && with_messages) {
    json["last_message"] = {{"id", row.last_message->id},
                            {"preview", preview(row.last_message->text, kSessionPreview)},
                            {"is_bot", row.last_message->is_bot},
                            {"created_at", to_text(row.last_message->created_at)}};
  }
  json["is_lead"] = is_lead(session.user);
  return json;
}

}  // namespace

std::string preview(std::string_view text, std::size_t characters) {
  std::string shown;
  std::size_t position = 0;
  for (std::size_t i = 0; position < text.size() && i < characters; ++i) {
    const std::size_t begin = position;
    if (!next_code_point(text, position)) ++position;
    shown += text.substr(begin, position - begin);
  }
  for (char& c : shown) {
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  }
  return shown;
}

std::string version_of(const UserDetails& user) {
  return digest(field_of(user.name) + field_of(user.email) + field_of(user.phone));
}

std::string version_of(const Message& message) {
  return digest((message.is_bot ? "b" : "v") + message.text);
}

Json listed(const SessionRow& row, bool with_messages) {
  return without_version(row, with_messages);
}

Json in_full(const SessionRow& row, bool with_messages) {
  Json json = without_version(row, with_messages);
  json["version"] = version_of(row.session.user);
  return json;
}

Json listed(const MessageRow& row) {
  return {{"id", row.message.id},
          {"session_id", row.session_id},
          {"is_bot", row.message.is_bot},
          {"created_at", to_text(row.message.created_at)},
          {"preview", preview(row.message.text, kMessagePreview)}};
}

Json in_full(const MessageRow& row) {
  Json json = listed(row);
  json["content"] = row.message.text;
  json["version"] = version_of(row.message);
  return json;
}

Json listed(const TurnRow& row) {
  const Turn& turn = row.turn;
  return {{"id", turn.id},
          {"session_id", turn.session_id},
          {"user_name", or_null(row.user.name)},
          {"user_email", or_null(row.user.email)},
          {"user_phone", or_null(row.user.phone)},
          {"status", to_string(turn.status)},
          {"error_code", turn.error_code},
          {"created_at", to_text(turn.user_message.created_at)},
          {"question", preview(turn.user_message.text, kSessionPreview)},
          {"question_id", turn.user_message.id},
          {"answer", turn.answer ? Json(preview(turn.answer->text, kSessionPreview)) : nullptr},
          {"feedback", to_json(turn.feedback)},
          {"feedback_at", to_json(turn.feedback_at)},
          {"model", turn.model},
          {"attempts", turn.attempts},
          {"latency_ms", turn.latency.count()}};
}

Json to_json_of_turn(const Turn& turn) {
  return {{"id", turn.id},
          {"status", to_string(turn.status)},
          {"model", turn.model},
          {"model_version", turn.model_version},
          {"finish_reason", turn.finish_reason_raw},
          {"block_reason", turn.block_reason},
          {"error_code", turn.error_code},
          {"attempts", turn.attempts},
          {"latency_ms", turn.latency.count()},
          {"usage", to_json(turn.usage)},
          {"answer_id", turn.answer ? Json(turn.answer->id) : nullptr},
          {"feedback", to_json(turn.feedback)},
          {"feedback_at", to_json(turn.feedback_at)}};
}

Json to_json(const std::vector<Consent>& consents) {
  Json shown = Json::array();
  for (const Consent& consent : consents) {
    shown.push_back({{"version", consent.version},
                     {"language", consent.language},
                     {"text", consent.text},
                     {"given_at", to_text(consent.given_at)},
                     {"withdrawn_at", to_json(consent.withdrawn_at)}});
  }
  return shown;
}

Json to_json(const Utterance& utterance) {
  const Message& message = utterance.message;
  return {{"id", message.id},
          {"content", message.text},
          {"is_bot", message.is_bot},
          {"created_at", to_text(message.created_at)},
          {"turn", utterance.turn ? to_json_of_turn(*utterance.turn) : nullptr}};
}

Json to_json(const DayStatistics& day) {
  static constexpr std::array kStatuses{
      TurnStatus::kComplete, TurnStatus::kTruncated, TurnStatus::kBlocked,    TurnStatus::kEmpty,
      TurnStatus::kFailed,   TurnStatus::kCancelled, TurnStatus::kInterrupted};
  Json json = {{"day", to_text(Timestamp(day.day)).substr(0, 10)},
               {"sessions", day.sessions},
               {"asked", day.asked},
               {"leads", day.leads},
               {"messages", day.messages},
               {"visitor_messages", day.visitor_messages}};
  std::int64_t turns = 0;
  for (const std::int64_t count : day.turns) turns += count;
  json["turns"] = turns;
  for (const TurnStatus status : kStatuses) {
    json[to_string(status)] = day.turns[static_cast<std::size_t>(status)];
  }
  json["prompt_tokens"] = day.usage.prompt_tokens;
  json["cached_tokens"] = day.usage.cached_tokens;
  json["output_tokens"] = day.usage.output_tokens;
  json["thought_tokens"] = day.usage.thought_tokens;
  json["liked"] = day.liked;
  json["disliked"] = day.disliked;
  json["latency_ms"] = nullptr;
  if (day.latency) {
    json["latency_ms"] = {{"p50", day.latency->p50.count()},
                          {"p90", day.latency->p90.count()},
                          {"p99", day.latency->p99.count()}};
  }
  return json;
}

Json to_json(const AuditEntry& entry) {
  return {{"id", entry.id},
          {"at", to_text(entry.at)},
          {"user", entry.user},
          {"address", entry.address},
          {"action", entry.action},
          {"model", entry.model},
          {"object_id", entry.object_id},
          {"detail", entry.detail}};
}

Json to_json(const User& user) {
  return {{"id", user.id},
          {"username", user.username},
          {"email", user.email},
          {"first_name", user.first_name},
          {"last_name", user.last_name},
          {"is_active", user.is_active},
          {"is_staff", user.is_staff},
          {"is_superuser", user.is_superuser},
          {"last_login", to_json(user.last_login)},
          {"date_joined", to_text(user.date_joined)},
          {"permissions", user.permissions}};
}

Json to_json(const ApiToken& token) {
  return {{"id", token.id},
          {"name", token.name},
          {"created_at", to_text(token.created_at)},
          {"last_used_at", to_json(token.last_used_at)},
          {"expires_at", to_json(token.expires_at)}};
}

}  // namespace twinchat::server
