#include "store/records_rules.h"

#include <algorithm>

#include "twinchat/accounts.h"
#include "twinchat/error.h"

namespace twinchat {

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

Error last_superuser() {
  return Error(ErrorCode::kFailedPrecondition, "There would be no active superuser any more.");
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

void add_turn(DayStatistics& day, TurnStatus status, const Usage& usage,
              std::chrono::milliseconds latency, std::vector<std::int64_t>& latencies) {
  ++day.turns.at(static_cast<std::size_t>(status));
  day.usage.prompt_tokens += usage.prompt_tokens;
  day.usage.cached_tokens += usage.cached_tokens;
  day.usage.output_tokens += usage.output_tokens;
  day.usage.thought_tokens += usage.thought_tokens;
  day.usage.total_tokens += usage.total_tokens;
  if (status == TurnStatus::kComplete || status == TurnStatus::kTruncated) {
    latencies.push_back(latency.count());
  }
}

std::optional<DayStatistics::Latency> percentiles(std::vector<std::int64_t>& latencies) {
  if (latencies.empty()) return std::nullopt;
  std::sort(latencies.begin(), latencies.end());
  const auto at = [&](std::size_t percent) {
    return std::chrono::milliseconds(latencies[(latencies.size() * percent + 99) / 100 - 1]);
  };
  return DayStatistics::Latency{at(50), at(90), at(99)};
}

std::vector<TurnStatus> statuses_of(const TurnQuery& query) {
  static const std::vector<TurnStatus> kListed{TurnStatus::kTruncated, TurnStatus::kBlocked,
                                               TurnStatus::kEmpty,     TurnStatus::kFailed,
                                               TurnStatus::kCancelled, TurnStatus::kInterrupted};
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
