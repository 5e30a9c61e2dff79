#include "admin/person.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "admin/admin_json.h"
#include "api/session_json.h"

namespace twinchat::server {
namespace {

constexpr std::size_t kDeletedAtOnce = 25;

Json turns_json(Store& store, const std::string& session_id) {
  Json all = Json::array();
  for (const Turn& turn : store.turns(session_id, SIZE_MAX)) {
    Json shown = to_json_of_turn(turn);
    shown["user_message_id"] = turn.user_message.id;
    all.push_back(std::move(shown));
  }
  return all;
}

Json history_json(Accounts& accounts, const std::string& session_id) {
  Json all = Json::array();
  AuditQuery query{.object_id = session_id, .limit = 1'000};
  do {
    const Page<AuditEntry> page = accounts.audit(query);
    for (const AuditEntry& entry : page.rows) {
      if (entry.model != "session" && entry.model != "message") continue;
      all.push_back({{"at", to_text(entry.at)},
                     {"user", entry.user},
                     {"action", entry.action},
                     {"model", entry.model},
                     {"detail", entry.detail}});
    }
    query.cursor = page.next;
  } while (!query.cursor.empty());
  return all;
}

}  // namespace

Json person_json(Store& store, Records& records, Accounts& accounts,
                 const std::vector<std::string>& session_ids, Timestamp now) {
  Json sessions = Json::array();
  for (const std::string& id : session_ids) {
    const std::optional<SessionRow> row = records.session(id);
    if (!row) continue;
    Json session = to_json(row->session, {});
    session["messages"] = to_json(store.messages(id, {}), store.answered_turns(id, 0, INT64_MAX));
    session["turns"] = turns_json(store, id);
    session["consents"] = to_json(store.consents(id));
    session["history"] = history_json(accounts, id);
    sessions.push_back(std::move(session));
  }
  return {{"exported_at", to_text(now)}, {"sessions", std::move(sessions)}};
}

std::int64_t messages_of(Records& records, const std::vector<std::string>& session_ids) {
  std::int64_t messages = 0;
  for (const std::string& id : session_ids) {
    if (const auto row = records.session(id)) messages += row->message_count;
  }
  return messages;
}

Erased delete_in_steps(Records& records, const std::vector<std::string>& session_ids,
                       const AuditEntry& audit, bool erase) {
  Erased all;
  for (std::size_t at = 0; at < session_ids.size(); at += kDeletedAtOnce) {
    const std::size_t end = std::min(session_ids.size(), at + kDeletedAtOnce);
    const std::vector<std::string> some(session_ids.begin() + static_cast<std::ptrdiff_t>(at),
                                        session_ids.begin() + static_cast<std::ptrdiff_t>(end));
    AuditEntry step = audit;
    if (session_ids.size() > kDeletedAtOnce) step.detail += fmt::format(", {} to {}", at + 1, end);
    const Erased done = erase ? records.erase(some, step) : records.delete_sessions(some, step);
    all.sessions += done.sessions;
    all.messages += done.messages;
  }
  return all;
}

}  // namespace twinchat::server
