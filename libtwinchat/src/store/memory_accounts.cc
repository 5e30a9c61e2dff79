#include <algorithm>
#include <utility>

#include "store/cursor.h"
#include "store/memory_data.h"
#include "store/records_rules.h"
#include "store/search_text.h"
#include "twinchat/error.h"

namespace twinchat::memory {
namespace {

bool is_change(const std::string& action) {
  for (const char* other : {"view", "search", "export", "login", "login_failed", "logout"}) {
    if (action == other) return false;
  }
  return true;
}

class MemoryAccounts final : public Accounts {
 public:
  explicit MemoryAccounts(std::shared_ptr<Data> data) : data_(std::move(data)) {}

  std::optional<User> find_user(std::string_view username) override {
    std::lock_guard lock(data_->mutex);
    const User* found = named(username);
    return found != nullptr ? std::optional(*found) : std::nullopt;
  }

  std::optional<User> user(std::int64_t id) override {
    std::lock_guard lock(data_->mutex);
    const auto found = data_->users.find(id);
    return found != data_->users.end() ? std::optional(found->second) : std::nullopt;
  }

  Page<User> users(const UserQuery& query) override {
    std::string after;
    if (!query.cursor.empty()) after = unpack_cursor(query.cursor, 1).front();
    const std::string search = ascii_folded(query.search);
    std::lock_guard lock(data_->mutex);
    std::map<std::string, User> rows;
    for (const auto& [id, user] : data_->users) {
      if (ascii_folded(user.username).find(search) != std::string::npos ||
          ascii_folded(user.email).find(search) != std::string::npos) {
        rows.emplace(user.username, user);
      }
    }
    Page<User> page;
    page.count = static_cast<std::int64_t>(rows.size());
    for (auto at = rows.upper_bound(after); at != rows.end(); ++at) {
      if (page.rows.size() == query.limit) {
        page.next = pack_cursor(std::vector<std::string>{page.rows.back().username});
        break;
      }
      page.rows.push_back(at->second);
    }
    return page;
  }

  std::int64_t active_superusers() override {
    std::lock_guard lock(data_->mutex);
    return count_superusers();
  }

  User add_user(const User& user, const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    if (named(user.username) != nullptr) throw name_taken();
    User added = user;
    added.id = ++data_->last_user;
    std::sort(added.permissions.begin(), added.permissions.end());
    data_->users.emplace(added.id, added);
    AuditEntry entry = audit;
    entry.object_id = std::to_string(added.id);
    data_->insert_audit(entry);
    return added;
  }

  User edit_user(const User& user, const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    User& stored = must_find(user.id);
    const User* other = named(user.username);
    if (other != nullptr && other != &stored) throw name_taken();
    const User before = stored;
    stored = user;
    stored.password = before.password;
    stored.last_login = before.last_login;
    stored.date_joined = before.date_joined;
    std::sort(stored.permissions.begin(), stored.permissions.end());
    if (before.is_active && before.is_superuser && count_superusers() == 0) {
      stored = before;
      throw last_superuser();
    }
    if (!stored.is_active || !stored.is_staff) end_logins_of(user.id);
    data_->insert_audit(audit);
    return stored;
  }

  void set_password(std::int64_t id, const std::string& hash, std::string_view keep_login,
                    const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    must_find(id).password = hash;
    end_logins_of(id, keep_login);
    data_->insert_audit(audit);
  }

  void rehash_password(std::int64_t id, const std::string& old_hash,
                       const std::string& hash) override {
    std::lock_guard lock(data_->mutex);
    const auto found = data_->users.find(id);
    if (found != data_->users.end() && found->second.password == old_hash) {
      found->second.password = hash;
    }
  }

  void delete_user(std::int64_t id, const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    const User& user = must_find(id);
    if (user.is_active && user.is_superuser && count_superusers() == 1) throw last_superuser();
    end_logins_of(id);
    std::erase_if(data_->api_tokens, [&](const auto& entry) { return entry.second.user_id == id; });
    data_->users.erase(id);
    data_->insert_audit(audit);
  }

  void add_login(const Login& login, const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    must_find(login.user_id).last_login = login.created_at;
    std::erase_if(data_->logins,
                  [&](const auto& entry) { return entry.second.expires_at <= login.created_at; });
    data_->logins[login.token_hash] = login;
    data_->insert_audit(audit);
  }

  std::optional<Login> find_login(std::string_view token_hash, Timestamp now) override {
    std::lock_guard lock(data_->mutex);
    const auto found = data_->logins.find(token_hash);
    if (found == data_->logins.end() || found->second.expires_at <= now) return std::nullopt;
    return found->second;
  }

  void touch_login(std::string_view token_hash, Timestamp now) override {
    std::lock_guard lock(data_->mutex);
    const auto found = data_->logins.find(token_hash);
    if (found != data_->logins.end()) found->second.seen_at = now;
  }

  void end_login(std::string_view token_hash, const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    const auto found = data_->logins.find(token_hash);
    if (found != data_->logins.end()) data_->logins.erase(found);
    data_->insert_audit(audit);
  }

  void end_logins(std::int64_t user_id, const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    end_logins_of(user_id);
    data_->insert_audit(audit);
  }

  void change_failures(
      const std::vector<std::string>& keys, Timestamp now,
      const std::function<bool(std::vector<LoginFailures>& failures)>& change) override {
    std::lock_guard lock(data_->mutex);
    std::erase_if(data_->failures,
                  [&](const auto& entry) { return entry.second.forget_at <= now; });
    std::vector<LoginFailures> failures = no_failures(keys);
    for (LoginFailures& one : failures) {
      const auto found = data_->failures.find(one.key);
      if (found != data_->failures.end()) one = found->second;
    }
    if (!change(failures)) return;
    for (const LoginFailures& one : failures) data_->failures.insert_or_assign(one.key, one);
  }

  ApiToken add_token(const ApiToken& token, const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    ApiToken added = token;
    added.id = ++data_->last_api_token;
    data_->api_tokens.emplace(added.id, added);
    AuditEntry entry = audit;
    entry.object_id = std::to_string(added.id);
    data_->insert_audit(entry);
    return added;
  }

  std::optional<ApiToken> find_token(std::string_view token_hash, Timestamp now) override {
    std::lock_guard lock(data_->mutex);
    for (const auto& [id, token] : data_->api_tokens) {
      if (token.token_hash == token_hash && (!token.expires_at || *token.expires_at > now)) {
        return token;
      }
    }
    return std::nullopt;
  }

  void touch_token(std::int64_t id, Timestamp now) override {
    std::lock_guard lock(data_->mutex);
    const auto found = data_->api_tokens.find(id);
    if (found != data_->api_tokens.end()) found->second.last_used_at = now;
  }

  std::vector<ApiToken> tokens(std::int64_t user_id) override {
    std::lock_guard lock(data_->mutex);
    std::vector<ApiToken> found;
    for (const auto& [id, token] : data_->api_tokens) {
      if (token.user_id == user_id) found.push_back(token);
    }
    return found;
  }

  void delete_token(std::int64_t id, std::int64_t user_id, const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    const auto found = data_->api_tokens.find(id);
    if (found == data_->api_tokens.end() || found->second.user_id != user_id) {
      throw no_such_token();
    }
    data_->api_tokens.erase(found);
    data_->insert_audit(audit);
  }

  void record(const AuditEntry& entry) override {
    std::lock_guard lock(data_->mutex);
    data_->insert_audit(entry);
  }

  Page<AuditEntry> audit(const AuditQuery& query) override {
    std::lock_guard lock(data_->mutex);
    const std::int64_t before =
        unpack_id(query.cursor, static_cast<std::int64_t>(data_->audit.size()) + 1);
    Page<AuditEntry> page;
    for (auto at = data_->audit.rbegin(); at != data_->audit.rend(); ++at) {
      if (at->id >= before || (!query.user.empty() && at->user != query.user) ||
          (!query.action.empty() && at->action != query.action) ||
          (!query.object_id.empty() && at->object_id != query.object_id) ||
          !query.at.contains(at->at) || (query.changes_only && !is_change(at->action))) {
        continue;
      }
      if (page.rows.size() == query.limit) {
        page.next = pack_cursor(page.rows.back().id);
        break;
      }
      page.rows.push_back(*at);
    }
    return page;
  }

 private:
  User* named(std::string_view username) {
    for (auto& [id, user] : data_->users) {
      if (user.username == username) return &user;
    }
    return nullptr;
  }

  User& must_find(std::int64_t id) {
    const auto found = data_->users.find(id);
    if (found == data_->users.end()) {
      throw no_such_user();
    }
    return found->second;
  }

  std::int64_t count_superusers() const {
    return std::count_if(data_->users.begin(), data_->users.end(), [](const auto& entry) {
      return entry.second.is_active && entry.second.is_superuser;
    });
  }

  void end_logins_of(std::int64_t user_id, std::string_view but = {}) {
    std::erase_if(data_->logins, [&](const auto& entry) {
      return entry.second.user_id == user_id && entry.first != but;
    });
  }

  const std::shared_ptr<Data> data_;
};

}  // namespace

std::shared_ptr<Accounts> make_accounts(std::shared_ptr<Data> data) {
  return std::make_shared<MemoryAccounts>(std::move(data));
}

}  // namespace twinchat::memory
