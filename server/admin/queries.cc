#include "admin/queries.h"

#include <fmt/format.h>

#include <charconv>
#include <map>

#include "admin/gate.h"
#include "api/json_body.h"
#include "text.h"

namespace twinchat::server {
namespace {

constexpr std::int64_t kMostRows = 500;
constexpr std::int64_t kRows = 100;

[[noreturn]] void refuse(std::string_view name, std::string_view why) {
  throw Refusal(400, {{"detail", fmt::format("{}: {}.", name, why)}});
}

std::chrono::sys_days today() {
  return std::chrono::floor<std::chrono::days>(now());
}

std::optional<std::chrono::sys_days> day_from(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto part = [&](std::size_t at, std::size_t size) -> std::optional<unsigned> {
    unsigned value = 0;
    const char* const end = text.data() + at + size;
    const auto [rest, error] = std::from_chars(text.data() + at, end, value);
    return error == std::errc() && rest == end ? std::optional(value) : std::nullopt;
  };
  const auto year = part(0, 4), month = part(5, 2), day = part(8, 2);
  if (!year || !month || !day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(*month), std::chrono::day(*day)};
  return date.ok() ? std::optional(std::chrono::sys_days(date)) : std::nullopt;
}

std::optional<std::chrono::sys_days> day_of(const Parameters& parameters, const std::string& name) {
  const auto text = parameters(name);
  if (!text || text->empty()) return std::nullopt;
  const auto day = day_from(*text);
  if (!day) refuse(name, "not a day such as 2026-11-23");
  return day;
}

bool is_choice(std::string_view text) {
  return text == "today" || text == "7days" || text == "month" || text == "year";
}

TimeRange range_of(const Parameters& parameters, const std::string& name) {
  TimeRange range;
  const std::string choice = parameters(name).value_or("");
  if (!choice.empty() && choice != "any") {
    if (!is_choice(choice)) refuse(name, "not one of any, today, 7days, month and year");
    range.from = since(choice);
  }
  if (const auto from = day_of(parameters, name + "_from")) range.from = *from;
  if (const auto to = day_of(parameters, name + "_to")) range.before = *to + std::chrono::days(1);
  return range;
}

std::optional<bool> boolean_of(const Parameters& parameters, std::string_view name) {
  const std::string text = ascii_lower(parameters(name).value_or(""));
  if (text.empty()) return std::nullopt;
  if (text == "1" || text == "true") return true;
  if (text == "0" || text == "false") return false;
  refuse(name, "not 0 or 1");
}

std::vector<SessionSort> sort_of(const Parameters& parameters) {
  static const std::map<std::string, SessionOrder> kColumns{{"updated", SessionOrder::kUpdated},
                                                            {"created", SessionOrder::kCreated},
                                                            {"name", SessionOrder::kName},
                                                            {"email", SessionOrder::kEmail},
                                                            {"messages", SessionOrder::kMessages}};
  std::vector<SessionSort> sort;
  for (const std::string& word : split_list(parameters("sort").value_or(""), ',')) {
    const bool descending = word.starts_with('-');
    const auto column = kColumns.find(word.substr(descending ? 1 : 0));
    if (column == kColumns.end() || sort.size() == kColumns.size()) {
      refuse("sort", "not a list of updated, created, name, email and messages");
    }
    sort.push_back({column->second, descending});
  }
  return sort;
}

std::size_t limit_of(const Parameters& parameters) {
  return static_cast<std::size_t>(number_of(parameters, "limit", 1, kMostRows, kRows));
}

std::string text(const Parameters& parameters, std::string_view name) {
  return parameters(name).value_or("");
}

}  // namespace

Parameters parameters_of(const Call& call) {
  return [&call](std::string_view name) { return call.query(name); };
}

Parameters parameters_of(const Json& object) {
  return [&object](std::string_view name) -> std::optional<std::string> {
    const auto found = object.find(std::string(name));
    if (found == object.end()) return std::nullopt;
    if (found->is_boolean()) return found->get<bool>() ? "1" : "0";
    return text_of(*found);
  };
}

SessionQuery session_query(const Parameters& parameters) {
  SessionQuery query;
  query.search = text(parameters, "q");
  query.created = range_of(parameters, "created");
  query.updated = range_of(parameters, "updated");
  query.leads_only = boolean_of(parameters, "leads").value_or(false);
  query.sort = sort_of(parameters);
  query.limit = limit_of(parameters);
  query.cursor = text(parameters, "cursor");
  return query;
}

RowQuery row_query(const Parameters& parameters) {
  RowQuery query;
  query.search = text(parameters, "q");
  query.is_bot = boolean_of(parameters, "is_bot");
  query.created = range_of(parameters, "created");
  query.session_id = text(parameters, "session_id");
  const std::string sort = parameters("sort").value_or("-created");
  if (sort != "-created" && sort != "created" && !sort.empty()) {
    refuse("sort", "not created or -created");
  }
  query.newest_first = sort != "created";
  query.limit = limit_of(parameters);
  query.cursor = text(parameters, "cursor");
  return query;
}

TurnQuery turn_query(const Parameters& parameters) {
  static const std::map<std::string, std::vector<TurnStatus>> kNames{
      {"unanswered",
       {TurnStatus::kFailed, TurnStatus::kEmpty, TurnStatus::kInterrupted, TurnStatus::kCancelled}},
      {"flagged", {TurnStatus::kBlocked, TurnStatus::kTruncated}},
      {"failed", {TurnStatus::kFailed}},
      {"empty", {TurnStatus::kEmpty}},
      {"interrupted", {TurnStatus::kInterrupted}},
      {"cancelled", {TurnStatus::kCancelled}},
      {"blocked", {TurnStatus::kBlocked}},
      {"truncated", {TurnStatus::kTruncated}}};
  TurnQuery query;
  for (const std::string& word : split_list(text(parameters, "status"), ',')) {
    const auto found = kNames.find(word);
    if (found == kNames.end() || query.statuses.size() > kNames.size()) {
      refuse("status",
             "not a list of unanswered, flagged, failed, empty, interrupted, cancelled, "
             "blocked and truncated");
    }
    query.statuses.insert(query.statuses.end(), found->second.begin(), found->second.end());
  }
  const std::string feedback = text(parameters, "feedback");
  if (feedback == to_string(Feedback::kUp)) query.feedback = Feedback::kUp;
  if (feedback == to_string(Feedback::kDown)) query.feedback = Feedback::kDown;
  if (query.feedback == Feedback::kNone && !feedback.empty()) refuse("feedback", "not up or down");
  query.created = range_of(parameters, "created");
  query.limit = limit_of(parameters);
  query.cursor = text(parameters, "cursor");
  return query;
}

UserQuery user_query(const Parameters& parameters) {
  return {text(parameters, "q"), limit_of(parameters), text(parameters, "cursor")};
}

AuditQuery audit_query(const Parameters& parameters) {
  AuditQuery query;
  query.user = text(parameters, "user");
  query.action = text(parameters, "action");
  query.object_id = text(parameters, "object");
  query.at = range_of(parameters, "created");
  query.limit = limit_of(parameters);
  query.cursor = text(parameters, "cursor");
  return query;
}

Days days_of(const Parameters& parameters) {
  Days days{today() - std::chrono::days(29), today()};
  if (const auto last = day_of(parameters, "to")) days = {*last - std::chrono::days(29), *last};
  if (const auto first = day_of(parameters, "from")) days.first = *first;
  return days;
}

Timestamp since(std::string_view choice) {
  const std::chrono::year_month_day date(today());
  if (choice == "7days") return today() - std::chrono::days(6);
  if (choice == "month") return std::chrono::sys_days(date.year() / date.month() / 1);
  if (choice == "year") return std::chrono::sys_days(date.year() / 1 / 1);
  return today();
}

std::int64_t number_of(const Parameters& parameters, std::string_view name, std::int64_t least,
                       std::int64_t most, std::int64_t otherwise) {
  const auto given = parameters(name);
  if (!given || given->empty()) return otherwise;
  const auto value = id_of(*given);
  if (!value || *value < least || *value > most) {
    refuse(name, fmt::format("not a number from {} to {}", least, most));
  }
  return *value;
}

std::optional<std::int64_t> id_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

}  // namespace twinchat::server
