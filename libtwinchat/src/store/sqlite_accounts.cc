#include <algorithm>
#include <limits>
#include <utility>

#include "store/cursor.h"
#include "store/records_rules.h"
#include "store/search_text.h"
#include "store/sqlite_records.h"
#include "store/sqlite_rows.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_time.h"

namespace twinchat::sqlite {
namespace {

constexpr char kUserByName[] = "SELECT " TWINCHAT_USER_COLUMNS " FROM auth_user WHERE username = ?";
constexpr char kUserById[] = "SELECT " TWINCHAT_USER_COLUMNS " FROM auth_user WHERE id = ?";
constexpr char kUsers[] =
    "SELECT " TWINCHAT_USER_COLUMNS
    " FROM auth_user WHERE username > ?1 AND (?2 = '' OR "
    "instr(lower(username), ?2) > 0 OR instr(lower(email), ?2) > 0) ORDER BY username LIMIT ?3";
constexpr char kCountUsers[] =
    "SELECT count(*) FROM auth_user WHERE ?1 = '' OR instr(lower(username), ?1) > 0 OR "
    "instr(lower(email), ?1) > 0";
constexpr char kPermissions[] =
    "SELECT DISTINCT c.app_label || '.' || p.codename AS name FROM auth_permission AS p JOIN "
    "django_content_type AS c ON c.id = p.content_type_id WHERE p.id IN (SELECT permission_id FROM "
    "auth_user_user_permissions WHERE user_id = ?1 UNION SELECT g.permission_id FROM "
    "auth_group_permissions AS g JOIN auth_user_groups AS u ON u.group_id = g.group_id WHERE "
    "u.user_id = ?1) ORDER BY name";
constexpr char kInsertUser[] =
    "INSERT INTO auth_user (username, password, email, first_name, last_name, is_active, is_staff, "
    "is_superuser, last_login, date_joined) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr char kUpdateUser[] =
    "UPDATE auth_user SET username = ?, email = ?, first_name = ?, last_name = ?, is_active = ?, "
    "is_staff = ?, is_superuser = ? WHERE id = ?";
constexpr char kSuperusers[] = "SELECT count(*) FROM auth_user WHERE is_active AND is_superuser";
constexpr char kSetPassword[] = "UPDATE auth_user SET password = ? WHERE id = ?";
constexpr char kRehash[] = "UPDATE auth_user SET password = ? WHERE id = ? AND password = ?";
constexpr char kLastLogin[] = "UPDATE auth_user SET last_login = ? WHERE id = ?";
constexpr char kDeleteUser[] = "DELETE FROM auth_user WHERE id = ?";
constexpr char kDeleteGroups[] = "DELETE FROM auth_user_groups WHERE user_id = ?";
constexpr char kAnyPermission[] = "DELETE FROM auth_user_user_permissions WHERE user_id = ?";
// Those of other applications are not ours to take away.
constexpr char kClearPermissions[] =
    "DELETE FROM auth_user_user_permissions WHERE user_id = ? AND permission_id IN (SELECT p.id "
    "FROM auth_permission AS p JOIN django_content_type AS c ON c.id = p.content_type_id WHERE "
    "c.app_label = 'chat')";
constexpr char kGivePermission[] =
    "INSERT OR IGNORE INTO auth_user_user_permissions (user_id, permission_id) SELECT ?, p.id FROM "
    "auth_permission AS p JOIN django_content_type AS c ON c.id = p.content_type_id WHERE "
    "c.app_label || '.' || p.codename = ?";

constexpr char kInsertLogin[] =
    "INSERT INTO twinchat_login (token_hash, user_id, csrf_token, created_at, seen_at, expires_at) "
    "VALUES (?, ?, ?, ?, ?, ?)";
constexpr char kForgetLogins[] = "DELETE FROM twinchat_login WHERE expires_at <= ?";
constexpr char kFindLogin[] =
    "SELECT token_hash, user_id, csrf_token, created_at, seen_at, expires_at FROM twinchat_login "
    "WHERE token_hash = ? AND expires_at > ?";
constexpr char kTouchLogin[] = "UPDATE twinchat_login SET seen_at = ? WHERE token_hash = ?";
constexpr char kEndLogin[] = "DELETE FROM twinchat_login WHERE token_hash = ?";
constexpr char kEndLogins[] = "DELETE FROM twinchat_login WHERE user_id = ? AND token_hash <> ?";

constexpr char kFailures[] =
    "SELECT " TWINCHAT_FAILURE_COLUMNS " FROM twinchat_login_failure WHERE key = ?";
constexpr char kPutFailures[] =
    "INSERT OR REPLACE INTO twinchat_login_failure (" TWINCHAT_FAILURE_COLUMNS
    ") VALUES (?, ?, ?, ?, ?)";
constexpr char kForgetFailures[] = "DELETE FROM twinchat_login_failure WHERE forget_at <= ?";

constexpr char kInsertToken[] =
    "INSERT INTO twinchat_token (token_hash, user_id, name, created_at, expires_at) VALUES (?, ?, "
    "?, ?, ?)";
constexpr char kFindToken[] =
    "SELECT " TWINCHAT_TOKEN_COLUMNS
    " FROM twinchat_token WHERE token_hash = ? AND (expires_at IS NULL OR "
    "expires_at > ?)";
constexpr char kTouchToken[] = "UPDATE twinchat_token SET last_used_at = ? WHERE id = ?";
constexpr char kTokens[] =
    "SELECT " TWINCHAT_TOKEN_COLUMNS " FROM twinchat_token WHERE user_id = ? ORDER BY id";
constexpr char kDeleteToken[] = "DELETE FROM twinchat_token WHERE id = ? AND user_id = ?";
constexpr char kDeleteTokens[] = "DELETE FROM twinchat_token WHERE user_id = ?";

constexpr char kInsertAudit[] =
    "INSERT INTO twinchat_audit (at, user, address, action, model, object_id, detail) VALUES (?, "
    "?, "
    "?, ?, ?, ?, ?)";
constexpr char kAudit[] =
    "SELECT id, at, user, address, action, model, object_id, detail FROM twinchat_audit WHERE id < "
    "?";

std::optional<std::string> optional_time(const std::optional<Timestamp>& time) {
  return time ? std::optional(time_text(*time)) : std::nullopt;
}

void add_permissions(Connection& connection, User& user) {
  const std::vector<std::string>& known = known_permissions();
  Query query(connection, kPermissions);
  query.bind(user.id);
  while (query.step()) {
    std::string name = query.text(0);
    if (std::binary_search(known.begin(), known.end(), name)) {
      user.permissions.push_back(std::move(name));
    }
  }
}

std::optional<User> load_user(Connection& connection, std::int64_t id) {
  if (!has_users(connection)) return std::nullopt;
  std::optional<User> user;
  {
    Query query(connection, kUserById);
    query.bind(id);
    if (!query.step()) return std::nullopt;
    user = read_user(query);
  }
  add_permissions(connection, *user);
  return user;
}

std::optional<User> load_user(Connection& connection, const std::string& name) {
  if (!has_users(connection)) return std::nullopt;
  std::optional<User> user;
  {
    Query query(connection, kUserByName);
    query.bind(name);
    if (!query.step()) return std::nullopt;
    user = read_user(query);
  }
  add_permissions(connection, *user);
  return user;
}

User must_load(Connection& connection, std::int64_t id) {
  if (auto user = load_user(connection, id)) return *std::move(user);
  throw no_such_user();
}

void give_permissions(Connection& connection, std::int64_t id,
                      const std::vector<std::string>& permissions) {
  Query(connection, kClearPermissions).bind(id).run();
  for (const std::string& name : permissions) {
    Query(connection, kGivePermission).bind(id).bind(name).run();
  }
}

void check_superusers(Connection& connection) {
  Query query(connection, kSuperusers);
  if (!query.step() || query.integer(0) == 0) throw last_superuser();
}

void end_logins_of(Connection& connection, std::int64_t id, const std::string& but = {}) {
  Query(connection, kEndLogins).bind(id).bind(but).run();
}

std::vector<LoginFailures> load_failures(Connection& connection,
                                         const std::vector<std::string>& keys, Timestamp now) {
  std::vector<LoginFailures> failures = no_failures(keys);
  for (const std::string& key : keys) {
    Query query(connection, kFailures);
    query.bind(key);
    if (query.step()) read_failures(query, now, failures);
  }
  return failures;
}

class SqliteAccounts final : public Accounts {
 public:
  explicit SqliteAccounts(OpenFile file) : file_(std::move(file)) {}

  std::optional<User> find_user(std::string_view username) override {
    const std::string name(username);
    return file_.readers.run([&](Connection& connection) { return load_user(connection, name); });
  }

  std::optional<User> user(std::int64_t id) override {
    return file_.readers.run([&](Connection& connection) { return load_user(connection, id); });
  }

  Page<User> users(const UserQuery& query) override {
    const std::string search = ascii_folded(query.search);
    std::string after;
    if (!query.cursor.empty()) after = unpack_cursor(query.cursor, 1).front();
    return file_.readers.run([&](Connection& connection) {
      Page<User> page;
      page.count = 0;
      if (!has_users(connection)) return page;
      {
        Query rows(connection, kUsers);
        rows.bind(after).bind(search).bind(sql_limit(query.limit + 1));
        while (rows.step()) {
          if (page.rows.size() == query.limit) {
            page.next = pack_cursor(std::vector<std::string>{page.rows.back().username});
            break;
          }
          page.rows.push_back(read_user(rows));
        }
      }
      for (User& user : page.rows) add_permissions(connection, user);
      Query count(connection, kCountUsers);
      count.bind(search).step();
      page.count = count.integer(0);
      return page;
    });
  }

  std::int64_t active_superusers() override {
    return file_.readers.run([](Connection& connection) {
      if (!has_users(connection)) return std::int64_t{0};
      Query query(connection, kSuperusers);
      query.step();
      return query.integer(0);
    });
  }

  User add_user(const User& user, const AuditEntry& audit) override {
    return file_.writer.run([&](Connection& connection) {
      prepare_for_users(connection);
      if (load_user(connection, user.username)) throw name_taken();
      const std::optional<std::string> last_login = optional_time(user.last_login);
      const std::string joined = time_text(user.date_joined);
      Query query(connection, kInsertUser);
      query.bind(user.username).bind(user.password).bind(user.email).bind(user.first_name);
      query.bind(user.last_name).bind(user.is_active ? 1 : 0).bind(user.is_staff ? 1 : 0);
      query.bind(user.is_superuser ? 1 : 0).bind(last_login).bind(joined).run();
      const std::int64_t id = connection.database().getLastInsertRowid();
      give_permissions(connection, id, user.permissions);
      AuditEntry entry = audit;
      entry.object_id = std::to_string(id);
      insert_audit(connection, entry);
      return must_load(connection, id);
    });
  }

  User edit_user(const User& user, const AuditEntry& audit) override {
    return file_.writer.run([&](Connection& connection) {
      const User before = must_load(connection, user.id);
      if (user.username != before.username && load_user(connection, user.username)) {
        throw name_taken();
      }
      Query query(connection, kUpdateUser);
      query.bind(user.username).bind(user.email).bind(user.first_name).bind(user.last_name);
      query.bind(user.is_active ? 1 : 0).bind(user.is_staff ? 1 : 0);
      query.bind(user.is_superuser ? 1 : 0).bind(user.id).run();
      if (user.permissions != before.permissions) {
        prepare_for_users(connection);
        give_permissions(connection, user.id, user.permissions);
      }
      if (before.is_active && before.is_superuser) check_superusers(connection);
      if (!user.is_active || !user.is_staff) end_logins_of(connection, user.id);
      insert_audit(connection, audit);
      return must_load(connection, user.id);
    });
  }

  void set_password(std::int64_t id, const std::string& hash, std::string_view keep_login,
                    const AuditEntry& audit) override {
    const std::string kept(keep_login);
    file_.writer.run([&](Connection& connection) {
      must_load(connection, id);
      Query(connection, kSetPassword).bind(hash).bind(id).run();
      end_logins_of(connection, id, kept);
      insert_audit(connection, audit);
      return true;
    });
  }

  void rehash_password(std::int64_t id, const std::string& old_hash,
                       const std::string& hash) override {
    file_.writer.run([&](Connection& connection) {
      if (!has_users(connection)) return 0;
      return Query(connection, kRehash).bind(hash).bind(id).bind(old_hash).run();
    });
  }

  void delete_user(std::int64_t id, const AuditEntry& audit) override {
    file_.writer.run([&](Connection& connection) {
      const User before = must_load(connection, id);
      end_logins_of(connection, id);
      for (const char* sql : {kDeleteTokens, kDeleteGroups, kAnyPermission, kDeleteUser}) {
        Query(connection, sql).bind(id).run();
      }
      if (before.is_active && before.is_superuser) check_superusers(connection);
      insert_audit(connection, audit);
      return true;
    });
  }

  void add_login(const Login& login, const AuditEntry& audit) override {
    file_.writer.run([&](Connection& connection) {
      const std::string created = time_text(login.created_at);
      const std::string seen = time_text(login.seen_at);
      const std::string expires = time_text(login.expires_at);
      must_load(connection, login.user_id);
      Query(connection, kForgetLogins).bind(created).run();
      Query query(connection, kInsertLogin);
      query.bind(login.token_hash).bind(login.user_id).bind(login.csrf_token).bind(created);
      query.bind(seen).bind(expires).run();
      Query(connection, kLastLogin).bind(created).bind(login.user_id).run();
      insert_audit(connection, audit);
      return true;
    });
  }

  std::optional<Login> find_login(std::string_view token_hash, Timestamp now) override {
    const std::string key(token_hash);
    const std::string time = time_text(now);
    return file_.readers.run([&](Connection& connection) -> std::optional<Login> {
      Query query(connection, kFindLogin);
      query.bind(key).bind(time);
      if (!query.step()) return std::nullopt;
      return Login{query.text(0), query.integer(1), query.text(2),
                   query.time(3), query.time(4),    query.time(5)};
    });
  }

  void touch_login(std::string_view token_hash, Timestamp now) override {
    const std::string key(token_hash);
    const std::string time = time_text(now);
    file_.writer.run([&](Connection& connection) {
      return Query(connection, kTouchLogin).bind(time).bind(key).run();
    });
  }

  void end_login(std::string_view token_hash, const AuditEntry& audit) override {
    const std::string key(token_hash);
    file_.writer.run([&](Connection& connection) {
      insert_audit(connection, audit);
      return Query(connection, kEndLogin).bind(key).run();
    });
  }

  void end_logins(std::int64_t user_id, const AuditEntry& audit) override {
    file_.writer.run([&](Connection& connection) {
      end_logins_of(connection, user_id);
      insert_audit(connection, audit);
      return true;
    });
  }

  void change_failures(
      const std::vector<std::string>& keys, Timestamp now,
      const std::function<bool(std::vector<LoginFailures>& failures)>& change) override {
    const bool stores = file_.readers.run([&](Connection& connection) {
      std::vector<LoginFailures> failures = load_failures(connection, keys, now);
      return change(failures);
    });
    if (!stores) return;
    const std::string forgotten = time_text(now);
    file_.writer.run([&](Connection& connection) {
      std::vector<LoginFailures> failures = load_failures(connection, keys, now);
      if (!change(failures)) return false;
      for (const LoginFailures& one : failures) {
        const std::string until = time_text(one.until);
        const std::string forget_at = time_text(one.forget_at);
        Query query(connection, kPutFailures);
        query.bind(one.key).bind(one.count).bind(until).bind(one.known ? 1 : 0);
        query.bind(forget_at).run();
      }
      Query(connection, kForgetFailures).bind(forgotten).run();
      return true;
    });
  }

  ApiToken add_token(const ApiToken& token, const AuditEntry& audit) override {
    return file_.writer.run([&](Connection& connection) {
      const std::string created = time_text(token.created_at);
      const std::optional<std::string> expires = optional_time(token.expires_at);
      Query query(connection, kInsertToken);
      query.bind(token.token_hash).bind(token.user_id).bind(token.name).bind(created);
      query.bind(expires).run();
      ApiToken added = token;
      added.id = connection.database().getLastInsertRowid();
      AuditEntry entry = audit;
      entry.object_id = std::to_string(added.id);
      insert_audit(connection, entry);
      return added;
    });
  }

  std::optional<ApiToken> find_token(std::string_view token_hash, Timestamp now) override {
    const std::string key(token_hash);
    const std::string time = time_text(now);
    return file_.readers.run([&](Connection& connection) -> std::optional<ApiToken> {
      Query query(connection, kFindToken);
      query.bind(key).bind(time);
      if (!query.step()) return std::nullopt;
      return read_token(query);
    });
  }

  void touch_token(std::int64_t id, Timestamp now) override {
    const std::string time = time_text(now);
    file_.writer.run([&](Connection& connection) {
      return Query(connection, kTouchToken).bind(time).bind(id).run();
    });
  }

  std::vector<ApiToken> tokens(std::int64_t user_id) override {
    return file_.readers.run([&](Connection& connection) {
      std::vector<ApiToken> found;
      Query query(connection, kTokens);
      query.bind(user_id);
      while (query.step()) found.push_back(read_token(query));
      return found;
    });
  }

  void delete_token(std::int64_t id, std::int64_t user_id, const AuditEntry& audit) override {
    file_.writer.run([&](Connection& connection) {
      if (Query(connection, kDeleteToken).bind(id).bind(user_id).run() == 0) {
        throw no_such_token();
      }
      insert_audit(connection, audit);
      return true;
    });
  }

  void record(const AuditEntry& entry) override {
    file_.writer.run([&](Connection& connection) {
      insert_audit(connection, entry);
      return true;
    });
  }

  Page<AuditEntry> audit(const AuditQuery& query) override {
    std::string sql = kAudit;
    std::vector<std::string> values;
    const auto also = [&](const char* column, const char* comparison, const std::string& value) {
      sql += std::string(" AND ") + column + comparison;
      values.push_back(value);
    };
    if (!query.user.empty()) also("user", " = ?", query.user);
    if (!query.action.empty()) also("action", " = ?", query.action);
    if (!query.object_id.empty()) also("object_id", " = ?", query.object_id);
    if (query.at.from) also("at", " >= ?", time_text(*query.at.from));
    if (query.at.before) also("at", " < ?", time_text(*query.at.before));
    if (query.changes_only) {
      sql += " AND action NOT IN ('view', 'search', 'export', 'login', 'login_failed', 'logout')";
    }
    sql += " ORDER BY id DESC LIMIT ?";
    const std::int64_t before = unpack_id(query.cursor, std::numeric_limits<std::int64_t>::max());
    return file_.readers.run([&](Connection& connection) {
      Page<AuditEntry> page;
      Query rows(connection, sql);
      rows.bind(before);
      for (const std::string& value : values) rows.bind(value);
      rows.bind(sql_limit(query.limit + 1));
      while (rows.step()) {
        if (page.rows.size() == query.limit) {
          page.next = pack_cursor(page.rows.back().id);
          break;
        }
        page.rows.push_back({rows.integer(0), rows.time(1), rows.text(2), rows.text(3),
                             rows.text(4), rows.text(5), rows.text(6), rows.text(7)});
      }
      return page;
    });
  }

 private:
  const OpenFile file_;
};

}  // namespace

void insert_audit(Connection& connection, const AuditEntry& entry) {
  const std::string at = time_text(entry.at);
  Query query(connection, kInsertAudit);
  query.bind(at).bind(entry.user).bind(entry.address).bind(entry.action).bind(entry.model);
  query.bind(entry.object_id).bind(entry.detail).run();
}

std::shared_ptr<Accounts> make_accounts(OpenFile file) {
  return std::make_shared<SqliteAccounts>(std::move(file));
}

}  // namespace twinchat::sqlite
