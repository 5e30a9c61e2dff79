#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "twinchat/accounts.h"
#include "twinchat/records.h"
#include "twinchat/session.h"
#include "twinchat/store.h"

namespace twinchat::memory {

struct StoredTurn {
  Turn turn;
  std::string idempotency_key;
  std::string fingerprint;
  std::string contents;
  Timestamp began_at = {};
  Timestamp expires_at = {};
};

struct StoredSession {
  Session session;
  std::vector<Message> messages;  // by id
  std::vector<StoredTurn> turns;  // by id
  std::vector<Consent> consents;  // by id
};

// The first element whose id is not below `id`, in a vector that is in the order of ids.
template <class Vector, class Id>
auto lower_bound_by(Vector& elements, std::int64_t id, Id id_of) {
  return std::lower_bound(
      elements.begin(), elements.end(), id,
      [&](const auto& element, std::int64_t wanted) { return id_of(element) < wanted; });
}

// What the three roles of a database in memory share.
//
// Thread safety: whoever touches it holds the mutex.
struct Data {
  std::mutex mutex;
  // Elements of a map stay where they are.
  std::map<std::string, StoredSession, std::less<>> sessions;
  std::unordered_map<std::int64_t, StoredSession*> session_of_turn;
  std::map<std::chrono::sys_days, std::int64_t> tokens;  // by the day they were used
  std::int64_t last_session = 0;
  std::int64_t last_message = 0;
  std::int64_t last_turn = 0;
  std::int64_t last_consent = 0;

  std::map<std::int64_t, User> users;
  std::map<std::string, Login, std::less<>> logins;
  std::map<std::int64_t, ApiToken> api_tokens;
  std::map<std::string, LoginFailures> failures;  // by key
  std::vector<AuditEntry> audit;                  // by id
  std::int64_t last_user = 0;
  std::int64_t last_api_token = 0;

  StoredSession* find(std::string_view session_id) {
    const auto found = sessions.find(session_id);
    return found != sessions.end() ? &found->second : nullptr;
  }

  // kNotFound.
  StoredSession& must_find(std::string_view session_id);

  StoredSession& insert_session(std::string_view session_id, const UserDetails& user,
                                Timestamp now);
  const Message& insert_message(StoredSession& session, const std::string& text, bool is_bot,
                                Timestamp now);
  void insert_audit(AuditEntry entry);
};

std::shared_ptr<Store> make_store(std::shared_ptr<Data> data);
std::shared_ptr<Records> make_records(std::shared_ptr<Data> data);
std::shared_ptr<Accounts> make_accounts(std::shared_ptr<Data> data);

}  // namespace twinchat::memory
