#include "store/records_rules.h"

#include <algorithm>
#include <charconv>

#include "twinchat/accounts.h"
#include "twinchat/error.h"

namespace twinchat {
namespace {

constexpr std::chrono::hours kDayIsSettledAfter{1};

}  // namespace

Records::~Records() = default;
Accounts::~Accounts() = default;

Erased Records::erase_expired(const ExpiredQuery& which, const AuditEntry& audit) {
  SessionQuery query;
  query.updated.before = which.before;
  query.leads_only = which.leads;
  query.sort = {{SessionOrder::kUpdated, false}};
  std::vector<std::string> ids;
  do {
    const Page<SessionRow> page = sessions(query);
    for (const SessionRow& row : page.rows) {
      if (ids.size() < which.limit && has_expired(row.session, which)) {
        ids.push_back(row.session.session_id);
      }
    }
    query.cursor = page.next;
  } while (ids.size() < which.limit && !query.cursor.empty());
  std::erase_if(ids, [&](const std::string& id) {
    const std::optional<SessionRow> row = session(id);
    return !row || !has_expired(row->session, which);
  });
  if (ids.empty()) return {};
  Erased expected;
  expected.sessions = static_cast<std::int64_t>(ids.size());
  for (const std::string& id : ids)
    expected.messages += session(id).value_or(SessionRow()).message_count;
  return erase(ids, with_counts(audit, expected));
}

bool Records::take_lease(const std::string&, const std::string&, Timestamp, Timestamp) {
  return true;
}

bool has_expired(const Session& session, const ExpiredQuery& which) {
  return session.updated_at < which.before && is_lead(session.user) == which.leads;
}

AuditEntry with_counts(const AuditEntry& audit, const Erased& erased) {
  AuditEntry entry = audit;
  entry.detail += std::to_string(erased.sessions) + " sessions, " +
                  std::to_string(erased.messages) + " messages";
  return entry;
}

bool is_lead(const UserDetails& user) noexcept {
  return (user.email && !user.email->empty()) || (user.phone && !user.phone->empty());
}

const std::vector<std::string>& known_permissions() {
  static const std::vector<std::string> names{"chat.add_chatsession",    "chat.add_message",
                                              "chat.change_chatsession", "chat.change_message",
                                              "chat.delete_chatsession", "chat.delete_message",
                                              "chat.view_chatsession",   "chat.view_message"};
  return names;
}

Error changed_meanwhile() {
  return Error(ErrorCode::kAborted, "Somebody else has changed it meanwhile.");
}

Error no_such_message() {
  return Error(ErrorCode::kNotFound, "There is no such message.");
}

Error no_such_user() {
  return Error(ErrorCode::kNotFound, "There is no such user.");
}

Error no_such_token() {
  return Error(ErrorCode::kNotFound, "There is no such token.");
}

Error name_taken() {
  return Error(ErrorCode::kAlreadyExists, "A user with that username already exists.");
}

Error last_superuser() {
  return Error(ErrorCode::kFailedPrecondition, "There would be no active superuser any more.");
}

std::vector<LoginFailures> no_failures(const std::vector<std::string>& keys) {
  std::vector<LoginFailures> failures(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) failures[i].key = keys[i];
  return failures;
}

std::vector<SessionSort> sort_of(const SessionQuery& query) {
  return query.sort.empty() ? std::vector<SessionSort>{SessionSort{}} : query.sort;
}

const std::string& SortKeys::by(SessionOrder order) const {
  switch (order) {
    case SessionOrder::kUpdated:
      return updated;
    case SessionOrder::kCreated:
      return created;
    case SessionOrder::kName:
      return name;
    case SessionOrder::kEmail:
      return email;
    case SessionOrder::kMessages:
      return messages;
  }
  return updated;
}

bool stands_before(const std::vector<std::string>& values, std::int64_t id,
                   const std::vector<std::string>& other_values, std::int64_t other_id,
                   const std::vector<SessionSort>& sort) {
  for (std::size_t i = 0; i < sort.size(); ++i) {
    if (values[i] != other_values[i]) {
      return sort[i].descending ? values[i] > other_values[i] : values[i] < other_values[i];
    }
  }
  return sort.front().descending ? id > other_id : id < other_id;
}

std::string padded(std::int64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(20 - std::min<std::size_t>(digits.size(), 20), '0') + digits;
}

void check_days(std::chrono::sys_days first, std::chrono::sys_days last) {
  if (first <= last && last - first < std::chrono::days(366)) return;
  throw Error(ErrorCode::kInvalidArgument, "Statistics are for 1 to 366 days.");
}

void add_turns(DayStatistics& day, TurnStatus status, std::int64_t count, const Usage& usage,
               std::chrono::milliseconds latency, Latencies& latencies) {
  day.turns.at(static_cast<std::size_t>(status)) += count;
  day.usage.prompt_tokens += usage.prompt_tokens;
  day.usage.cached_tokens += usage.cached_tokens;
  day.usage.output_tokens += usage.output_tokens;
  day.usage.thought_tokens += usage.thought_tokens;
  day.usage.total_tokens += usage.total_tokens;
  if (status == TurnStatus::kComplete || status == TurnStatus::kTruncated) {
    latencies[latency.count()] += count;
  }
}

std::optional<DayStatistics::Latency> percentiles(const Latencies& latencies) {
  std::int64_t all = 0;
  for (const auto& [latency, count] : latencies) all += count;
  if (all == 0) return std::nullopt;
  const auto at = [&](std::int64_t percent) {
    std::int64_t before = 0;
    for (const auto& [latency, count] : latencies) {
      before += count;
      if (before >= (all * percent + 99) / 100) return std::chrono::milliseconds(latency);
    }
    return std::chrono::milliseconds(latencies.rbegin()->first);
  };
  return DayStatistics::Latency{at(50), at(90), at(99)};
}

std::chrono::sys_days unsettled_day() {
  return std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now() -
                                               kDayIsSettledAfter);
}

std::string figures_text(const DayStatistics& day) {
  std::vector<std::int64_t> figures{day.sessions, day.asked, day.leads, day.messages,
                                    day.visitor_messages};
  figures.insert(figures.end(), day.turns.begin(), day.turns.end());
  figures.insert(figures.end(),
                 {day.usage.prompt_tokens, day.usage.cached_tokens, day.usage.output_tokens,
                  day.usage.thought_tokens, day.usage.total_tokens, day.liked, day.disliked});
  if (day.latency) {
    for (const auto value : {day.latency->p50, day.latency->p90, day.latency->p99}) {
      figures.push_back(value.count());
    }
  }
  std::string text;
  for (const std::int64_t figure : figures) text += std::to_string(figure) + " ";
  return text;
}

std::optional<DayStatistics> figures_from(std::chrono::sys_days day, const std::string& text) {
  std::vector<std::int64_t> figures;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    std::int64_t figure = 0;
    const auto [next, error] = std::from_chars(at, end, figure);
    if (error != std::errc() || next == end) return std::nullopt;
    figures.push_back(figure);
    at = next + 1;
  }
  if (figures.size() != 20 && figures.size() != 23) return std::nullopt;
  DayStatistics found;
  found.day = day;
  auto next = figures.begin();
  for (std::int64_t* value :
       {&found.sessions, &found.asked, &found.leads, &found.messages, &found.visitor_messages}) {
    *value = *next++;
  }
  for (std::int64_t& value : found.turns) value = *next++;
  for (std::int64_t* value :
       {&found.usage.prompt_tokens, &found.usage.cached_tokens, &found.usage.output_tokens,
        &found.usage.thought_tokens, &found.usage.total_tokens, &found.liked, &found.disliked}) {
    *value = *next++;
  }
  if (next != figures.end()) {
    using std::chrono::milliseconds;
    found.latency = {milliseconds(next[0]), milliseconds(next[1]), milliseconds(next[2])};
  }
  return found;
}

std::vector<TurnStatus> statuses_of(const TurnQuery& query) {
  static const std::vector<TurnStatus> kListed{TurnStatus::kTruncated, TurnStatus::kBlocked,
                                               TurnStatus::kEmpty,     TurnStatus::kFailed,
                                               TurnStatus::kCancelled, TurnStatus::kInterrupted};
  if (query.feedback != Feedback::kNone) return query.statuses;
  for (const TurnStatus status : query.statuses) {
    if (std::find(kListed.begin(), kListed.end(), status) == kListed.end()) {
      throw Error(ErrorCode::kInvalidArgument, "There is no list of turns of that status.");
    }
  }
  return query.statuses.empty() ? kListed : query.statuses;
}

void check_person(const PersonName& person) {
  if (!person.email.empty() + !person.phone.empty() + !person.session_id.empty() == 1) return;
  throw Error(ErrorCode::kInvalidArgument,
              "A person is looked for by an e-mail address, a phone number or a session.");
}

}  // namespace twinchat
