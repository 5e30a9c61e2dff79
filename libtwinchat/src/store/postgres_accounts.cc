#include <algorithm>
#include <limits>
#include <utility>

#include "store/cursor.h"
#include "store/postgres_records.h"
#include "store/postgres_rows.h"
#include "store/postgres_schema.h"
#include "store/postgres_statement.h"
#include "store/records_rules.h"
#include "store/search_text.h"

namespace twinchat::postgres {
namespace {

constexpr char kUserByName[] =
    "SELECT " TWINCHAT_USER_COLUMNS " FROM auth_user WHERE username = $1";
constexpr char kUserById[] = "SELECT " TWINCHAT_USER_COLUMNS " FROM auth_user WHERE id = $1";
constexpr char kUsers[] =
    "SELECT " TWINCHAT_USER_COLUMNS
    " FROM auth_user WHERE username COLLATE \"C\" > $1 AND ($2 = '' OR strpos(lower(username "
    "COLLATE \"C\"), $2) > 0 OR strpos(lower(email COLLATE \"C\"), $2) > 0) ORDER BY username "
    "COLLATE \"C\" LIMIT $3";
constexpr char kCountUsers[] =
    "SELECT count(*) FROM auth_user WHERE $1 = '' OR strpos(lower(username COLLATE \"C\"), $1) > 0 "
    "OR strpos(lower(email COLLATE \"C\"), $1) > 0";
constexpr char kPermissions[] =
    "SELECT DISTINCT c.app_label || '.' || p.codename AS name FROM auth_permission AS p JOIN "
    "django_content_type AS c ON c.id = p.content_type_id WHERE p.id IN (SELECT permission_id FROM "
    "auth_user_user_permissions WHERE user_id = $1 UNION SELECT g.permission_id FROM "
    "auth_group_permissions AS g JOIN auth_user_groups AS u ON u.group_id = g.group_id WHERE "
    "u.user_id = $1)";
constexpr char kInsertUser[] =
    "INSERT INTO auth_user (username, password, email, first_name, last_name, is_active, is_staff, "
    "is_superuser, last_login, date_joined) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
    "RETURNING id";
constexpr char kUpdateUser[] =
    "UPDATE auth_user SET username = $1, email = $2, first_name = $3, last_name = $4, is_active = "
    "$5, is_staff = $6, is_superuser = $7 WHERE id = $8";
constexpr char kSuperusers[] = "SELECT count(*) FROM auth_user WHERE is_active AND is_superuser";
constexpr char kLockUser[] = "SELECT 1 FROM auth_user WHERE id = $1 FOR UPDATE";
// Two of them who take each other's rights away do it one after the other.
constexpr char kLockSuperusers[] =
    "SELECT id FROM auth_user WHERE (is_active AND is_superuser) OR id = $1 ORDER BY id FOR UPDATE";
constexpr char kSetPassword[] = "UPDATE auth_user SET password = $1 WHERE id = $2";
constexpr char kRehash[] = "UPDATE auth_user SET password = $1 WHERE id = $2 AND password = $3";
constexpr char kLastLogin[] = "UPDATE auth_user SET last_login = $1 WHERE id = $2";
constexpr char kDeleteUser[] = "DELETE FROM auth_user WHERE id = $1";
constexpr char kDeleteGroups[] = "DELETE FROM auth_user_groups WHERE user_id = $1";
constexpr char kAnyPermission[] = "DELETE FROM auth_user_user_permissions WHERE user_id = $1";
// Those of other applications are not ours to take away.
constexpr char kClearPermissions[] =
    "DELETE FROM auth_user_user_permissions WHERE user_id = $1 AND permission_id IN (SELECT p.id "
    "FROM auth_permission AS p JOIN django_content_type AS c ON c.id = p.content_type_id WHERE "
    "c.app_label = 'chat')";
constexpr char kGivePermissions[] =
    "INSERT INTO auth_user_user_permissions (user_id, permission_id) SELECT $1, p.id FROM "
    "auth_permission AS p JOIN django_content_type AS c ON c.id = p.content_type_id WHERE "
    "c.app_label || '.' || p.codename = ANY($2) ON CONFLICT DO NOTHING";

constexpr char kInsertLogin[] =
    "INSERT INTO twinchat_login (token_hash, user_id, csrf_token, created_at, seen_at, expires_at) "
    "VALUES ($1, $2, $3, $4, $5, $6)";
// Those that somebody else is forgetting at this moment are forgotten.
constexpr char kForgetLogins[] =
    "DELETE FROM twinchat_login WHERE token_hash IN (SELECT token_hash FROM twinchat_login WHERE "
    "expires_at <= $1 FOR UPDATE SKIP LOCKED)";
constexpr char kFindLogin[] =
    "SELECT token_hash, user_id, csrf_token, created_at, seen_at, expires_at FROM twinchat_login "
    "WHERE token_hash = $1 AND expires_at > $2";
constexpr char kTouchLogin[] = "UPDATE twinchat_login SET seen_at = $1 WHERE token_hash = $2";
constexpr char kEndLogin[] = "DELETE FROM twinchat_login WHERE token_hash = $1";
constexpr char kEndLogins[] = "DELETE FROM twinchat_login WHERE user_id = $1 AND token_hash <> $2";

constexpr char kFailures[] =
    "SELECT " TWINCHAT_FAILURE_COLUMNS " FROM twinchat_login_failure WHERE key = ANY($1)";
// Rows are there and locked, in the order of their keys, before anybody looks at them to change
// them.
constexpr char kAddFailures[] =
    "INSERT INTO twinchat_login_failure (" TWINCHAT_FAILURE_COLUMNS
    ") SELECT u.key, 0, $2, false, $2 FROM unnest($1) AS u(key) ORDER BY u.key ON CONFLICT (key) "
    "DO NOTHING";
constexpr char kLockFailures[] =
    "SELECT " TWINCHAT_FAILURE_COLUMNS
    " FROM twinchat_login_failure WHERE key = ANY($1) ORDER BY key FOR UPDATE";
// One that was forgotten at that very moment is made anew.
constexpr char kPutFailures[] =
    "INSERT INTO twinchat_login_failure (" TWINCHAT_FAILURE_COLUMNS
    ") VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, "
    "until = excluded.until, known = excluded.known, forget_at = excluded.forget_at";
constexpr char kForgetFailures[] =
    "DELETE FROM twinchat_login_failure WHERE key IN (SELECT key FROM twinchat_login_failure WHERE "
    "forget_at <= $1 ORDER BY forget_at LIMIT 1000 FOR UPDATE SKIP LOCKED)";

constexpr char kInsertToken[] =
    "INSERT INTO twinchat_token (token_hash, user_id, name, created_at, expires_at) VALUES ($1, "
    "$2, $3, $4, $5) RETURNING id";
constexpr char kFindToken[] =
    "SELECT " TWINCHAT_TOKEN_COLUMNS
    " FROM twinchat_token WHERE token_hash = $1 AND (expires_at IS NULL OR expires_at > $2)";
constexpr char kTouchToken[] = "UPDATE twinchat_token SET last_used_at = $1 WHERE id = $2";
constexpr char kTokens[] =
    "SELECT " TWINCHAT_TOKEN_COLUMNS " FROM twinchat_token WHERE user_id = $1 ORDER BY id";
constexpr char kDeleteToken[] = "DELETE FROM twinchat_token WHERE id = $1 AND user_id = $2";
constexpr char kDeleteTokens[] = "DELETE FROM twinchat_token WHERE user_id = $1";

constexpr char kInsertAudit[] =
    "INSERT INTO twinchat_audit (at, \"user\", address, action, model, object_id, detail) VALUES "
    "($1, $2, $3, $4, $5, $6, $7)";
constexpr char kHasAudit[] =
    "SELECT 1 FROM (SELECT * FROM twinchat_audit ORDER BY id DESC LIMIT 10000) AS a WHERE a.at = "
    "$1 AND a.\"user\" = $2 AND a.address = $3 AND a.action = $4 AND a.model = $5 AND a.object_id "
    "= $6 AND a.detail = $7 LIMIT 1";
#define AUDIT_ROW \
  "SELECT id, at, \"user\", address, action, model, object_id, detail FROM twinchat_audit "

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
  std::sort(user.permissions.begin(), user.permissions.end());
}

std::optional<User> load_user(Connection& connection, std::int64_t id) {
  if (!has_users(connection)) return std::nullopt;
  Query query(connection, kUserById);
  query.bind(id);
  if (!query.step()) return std::nullopt;
  User user = read_user(query);
  add_permissions(connection, user);
  return user;
}

std::optional<User> load_user(Connection& connection, const std::string& name) {
  if (!is_storable(name) || !has_users(connection)) return std::nullopt;
  Query query(connection, kUserByName);
  query.bind(name);
  if (!query.step()) return std::nullopt;
  User user = read_user(query);
  add_permissions(connection, user);
  return user;
}

User must_load(Connection& connection, std::int64_t id) {
  if (auto user = load_user(connection, id)) return *std::move(user);
  throw no_such_user();
}

void lock_user(Connection& connection, std::int64_t id) {
  if (has_users(connection)) Query(connection, kLockUser).bind(id).step();
}

void lock_superusers(Connection& connection, std::int64_t id) {
  if (has_users(connection)) Query(connection, kLockSuperusers).bind(id).step();
}

void give_permissions(Connection& connection, std::int64_t id,
                      const std::vector<std::string>& permissions) {
  Query(connection, kClearPermissions).bind(id).run();
  Query(connection, kGivePermissions).bind(id).bind(permissions).run();
}

void check_superusers(Connection& connection) {
  Query query(connection, kSuperusers);
  if (!query.step() || query.integer(0) == 0) throw last_superuser();
}

void end_logins_of(Connection& connection, std::int64_t id, const std::string& but = {}) {
  Query(connection, kEndLogins).bind(id).bind(but).run();
}

// What to lock before a change: nothing, or a user.
void nothing(Connection&) {}
auto of_user(std::int64_t id) {
  return [id](Connection& connection) { lock_user(connection, id); };
}

// A name that somebody else took at the same moment.
template <class F>
auto naming(F&& work) {
  try {
    return work();
  } catch (const SqlError& error) {
    if (!error.is_duplicate()) throw;
    throw name_taken();
  }
}

std::vector<LoginFailures> load_failures(Connection& connection, const char* sql,
                                         const std::vector<std::string>& keys, Timestamp now) {
  std::vector<LoginFailures> failures = no_failures(keys);
  Query query(connection, sql);
  query.bind(keys);
  while (query.step()) read_failures(query, now, failures);
  return failures;
}

class PostgresAccounts final : public Accounts {
 public:
  explicit PostgresAccounts(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}

  std::optional<User> find_user(std::string_view username) override {
    const std::string name(username);
    return transactions_.read([&](Connection& connection) { return load_user(connection, name); });
  }

  std::optional<User> user(std::int64_t id) override {
    return transactions_.read([&](Connection& connection) { return load_user(connection, id); });
  }

  Page<User> users(const UserQuery& query) override {
    const std::string search = ascii_folded(query.search);
    std::string after;
    if (!query.cursor.empty()) after = unpack_cursor(query.cursor, 1).front();
    return transactions_.read([&](Connection& connection) {
      Page<User> page;
      page.count = 0;
      if (!is_storable(search) || !has_users(connection)) return page;
      Query rows(connection, kUsers);
      rows.bind(after).bind(search).bind(sql_limit(query.limit + 1));
      while (rows.step()) {
        if (page.rows.size() == query.limit) {
          page.next = pack_cursor(std::vector<std::string>{page.rows.back().username});
          break;
        }
        page.rows.push_back(read_user(rows));
      }
      for (User& user : page.rows) add_permissions(connection, user);
      Query count(connection, kCountUsers);
      count.bind(search).step();
      page.count = count.integer(0);
      return page;
    });
  }

  std::int64_t active_superusers() override {
    return transactions_.read([](Connection& connection) {
      if (!has_users(connection)) return std::int64_t{0};
      Query query(connection, kSuperusers);
      query.step();
      return query.integer(0);
    });
  }

  User add_user(const User& user, const AuditEntry& audit) override {
    make_tables();
    return naming([&] {
      return write_audited(transactions_, nothing, [&](Connection& connection) {
        prepare_for_users(connection);
        if (load_user(connection, user.username)) throw name_taken();
        Query query(connection, kInsertUser);
        query.bind(user.username).bind(user.password).bind(user.email).bind(user.first_name);
        query.bind(user.last_name).bind(user.is_active).bind(user.is_staff);
        query.bind(user.is_superuser).bind(user.last_login).bind(user.date_joined).step();
        const std::int64_t id = query.integer(0);
        give_permissions(connection, id, user.permissions);
        AuditEntry entry = audit;
        entry.object_id = std::to_string(id);
        return std::pair(must_load(connection, id), entry);
      });
    });
  }

  User edit_user(const User& user, const AuditEntry& audit) override {
    const auto lock = [&](Connection& connection) { lock_superusers(connection, user.id); };
    return naming([&] {
      return write_audited(transactions_, lock, [&](Connection& connection) {
        const User before = must_load(connection, user.id);
        if (user.username != before.username && load_user(connection, user.username)) {
          throw name_taken();
        }
        Query query(connection, kUpdateUser);
        query.bind(user.username).bind(user.email).bind(user.first_name).bind(user.last_name);
        query.bind(user.is_active).bind(user.is_staff).bind(user.is_superuser).bind(user.id).run();
        if (user.permissions != before.permissions) {
          prepare_for_users(connection);
          give_permissions(connection, user.id, user.permissions);
        }
        if (before.is_active && before.is_superuser) check_superusers(connection);
        if (!user.is_active || !user.is_staff) end_logins_of(connection, user.id);
        return std::pair(must_load(connection, user.id), audit);
      });
    });
  }

  void set_password(std::int64_t id, const std::string& hash, std::string_view keep_login,
                    const AuditEntry& audit) override {
    const std::string kept(keep_login);
    write_audited(transactions_, of_user(id), [&](Connection& connection) {
      must_load(connection, id);
      Query(connection, kSetPassword).bind(hash).bind(id).run();
      end_logins_of(connection, id, kept);
      return std::pair(true, audit);
    });
  }

  void rehash_password(std::int64_t id, const std::string& old_hash,
                       const std::string& hash) override {
    transactions_.write([&](Connection& connection) {
      if (has_users(connection)) {
        Query(connection, kRehash).bind(hash).bind(id).bind(old_hash).run();
      }
      return true;
    });
  }

  void delete_user(std::int64_t id, const AuditEntry& audit) override {
    const auto lock = [&](Connection& connection) { lock_superusers(connection, id); };
    write_audited(transactions_, lock, [&](Connection& connection) {
      const User before = must_load(connection, id);
      end_logins_of(connection, id);
      for (const char* sql : {kDeleteTokens, kDeleteGroups, kAnyPermission, kDeleteUser}) {
        Query(connection, sql).bind(id).run();
      }
      if (before.is_active && before.is_superuser) check_superusers(connection);
      return std::pair(true, audit);
    });
  }

  void add_login(const Login& login, const AuditEntry& audit) override {
    write_audited(transactions_, of_user(login.user_id), [&](Connection& connection) {
      must_load(connection, login.user_id);
      Query(connection, kForgetLogins).bind(login.created_at).run();
      Query query(connection, kInsertLogin);
      query.bind(login.token_hash).bind(login.user_id).bind(login.csrf_token);
      query.bind(login.created_at).bind(login.seen_at).bind(login.expires_at).run();
      Query(connection, kLastLogin).bind(login.created_at).bind(login.user_id).run();
      return std::pair(true, audit);
    });
  }

  std::optional<Login> find_login(std::string_view token_hash, Timestamp now) override {
    const std::string key(token_hash);
    if (!is_storable(key)) return std::nullopt;
    return transactions_.read([&](Connection& connection) -> std::optional<Login> {
      Query query(connection, kFindLogin);
      query.bind(key).bind(now);
      if (!query.step()) return std::nullopt;
      return Login{query.text(0), query.integer(1), query.text(2),
                   query.time(3), query.time(4),    query.time(5)};
    });
  }

  void touch_login(std::string_view token_hash, Timestamp now) override {
    const std::string key(token_hash);
    transactions_.write([&](Connection& connection) {
      return Query(connection, kTouchLogin).bind(now).bind(key).run();
    });
  }

  void end_login(std::string_view token_hash, const AuditEntry& audit) override {
    const std::string key(token_hash);
    write_audited(transactions_, nothing, [&](Connection& connection) {
      Query(connection, kEndLogin).bind(key).run();
      return std::pair(true, audit);
    });
  }

  void end_logins(std::int64_t user_id, const AuditEntry& audit) override {
    write_audited(transactions_, nothing, [&](Connection& connection) {
      end_logins_of(connection, user_id);
      return std::pair(true, audit);
    });
  }

  void change_failures(
      const std::vector<std::string>& keys, Timestamp now,
      const std::function<bool(std::vector<LoginFailures>& failures)>& change) override {
    const bool stores = transactions_.read([&](Connection& connection) {
      std::vector<LoginFailures> failures = load_failures(connection, kFailures, keys, now);
      return change(failures);
    });
    if (!stores) return;
    // Done twice when nobody can say whether it was committed, which counts one failure too many.
    transactions_.write([&](Connection& connection) {
      Query(connection, kAddFailures).bind(keys).bind(now).run();
      std::vector<LoginFailures> failures = load_failures(connection, kLockFailures, keys, now);
      if (!change(failures)) return false;
      for (const LoginFailures& one : failures) {
        Query query(connection, kPutFailures);
        query.bind(one.key).bind(one.count).bind(one.until).bind(one.known).bind(one.forget_at);
        query.run();
      }
      Query(connection, kForgetFailures).bind(now).run();
      return true;
    });
  }

  ApiToken add_token(const ApiToken& token, const AuditEntry& audit) override {
    return write_audited(transactions_, nothing, [&](Connection& connection) {
      Query query(connection, kInsertToken);
      query.bind(token.token_hash).bind(token.user_id).bind(token.name).bind(token.created_at);
      query.bind(token.expires_at).step();
      ApiToken added = token;
      added.id = query.integer(0);
      AuditEntry entry = audit;
      entry.object_id = std::to_string(added.id);
      return std::pair(added, entry);
    });
  }

  std::optional<ApiToken> find_token(std::string_view token_hash, Timestamp now) override {
    const std::string key(token_hash);
    if (!is_storable(key)) return std::nullopt;
    return transactions_.read([&](Connection& connection) -> std::optional<ApiToken> {
      Query query(connection, kFindToken);
      query.bind(key).bind(now);
      if (!query.step()) return std::nullopt;
      return read_token(query);
    });
  }

  void touch_token(std::int64_t id, Timestamp now) override {
    transactions_.write([&](Connection& connection) {
      return Query(connection, kTouchToken).bind(now).bind(id).run();
    });
  }

  std::vector<ApiToken> tokens(std::int64_t user_id) override {
    return transactions_.read([&](Connection& connection) {
      std::vector<ApiToken> found;
      Query query(connection, kTokens);
      query.bind(user_id);
      while (query.step()) found.push_back(read_token(query));
      return found;
    });
  }

  void delete_token(std::int64_t id, std::int64_t user_id, const AuditEntry& audit) override {
    write_audited(transactions_, nothing, [&](Connection& connection) {
      if (Query(connection, kDeleteToken).bind(id).bind(user_id).run() == 0) {
        throw no_such_token();
      }
      return std::pair(true, audit);
    });
  }

  void record(const AuditEntry& entry) override {
    write_audited(transactions_, nothing, [&](Connection&) { return std::pair(true, entry); });
  }

  Page<AuditEntry> audit(const AuditQuery& query) override {
    const std::int64_t before = unpack_id(query.cursor, std::numeric_limits<std::int64_t>::max());
    Statement sql(AUDIT_ROW "WHERE id < ");
    sql.value(before);
    if (!query.user.empty()) sql.add(" AND \"user\" = ").value(query.user);
    if (!query.action.empty()) sql.add(" AND action = ").value(query.action);
    if (!query.object_id.empty()) sql.add(" AND object_id = ").value(query.object_id);
    if (query.at.from) sql.add(" AND at >= ").value(*query.at.from);
    if (query.at.before) sql.add(" AND at < ").value(*query.at.before);
    if (query.changes_only) {
      sql.add(" AND action NOT IN ('view', 'search', 'export', 'login', 'login_failed', 'logout')");
    }
    sql.add(" ORDER BY id DESC LIMIT ").value(sql_limit(query.limit + 1));
    return transactions_.read([&](Connection& connection) {
      Page<AuditEntry> page;
      Query rows(connection, sql.text());
      sql.bind(rows);
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
  // Django's tables. Another server, or Django, may be making them at this moment.
  void make_tables() {
    for (int tries = 0;; ++tries) {
      try {
        if (transactions_.read([](Connection& connection) { return has_users(connection); }))
          return;
        transactions_.write([](Connection& connection) {
          prepare_for_users(connection);
          return true;
        });
        return;
      } catch (const SqlError& error) {
        if (!is_made_meanwhile(error) || tries == 5) throw;
      }
    }
  }

  const std::shared_ptr<Pool> pool_;
  Transactions transactions_{*pool_};
};

}  // namespace

void insert_audit(Connection& connection, const AuditEntry& entry) {
  Query query(connection, kInsertAudit);
  query.bind(entry.at).bind(entry.user).bind(entry.address).bind(entry.action).bind(entry.model);
  query.bind(entry.object_id).bind(entry.detail).run();
}

bool has_audit(Connection& connection, const AuditEntry& entry) {
  Query query(connection, kHasAudit);
  query.bind(entry.at).bind(entry.user).bind(entry.address).bind(entry.action).bind(entry.model);
  query.bind(entry.object_id).bind(entry.detail);
  return query.step();
}

std::shared_ptr<Accounts> make_accounts(std::shared_ptr<Pool> pool) {
  return std::make_shared<PostgresAccounts>(std::move(pool));
}

std::vector<std::string> account_statements() {
  return {kUserByName,    kUserById,         kUsers,           kCountUsers,
          kPermissions,   kInsertUser,       kUpdateUser,      kSuperusers,
          kLockUser,      kLockSuperusers,   kSetPassword,     kRehash,
          kLastLogin,     kDeleteUser,       kDeleteGroups,    kAnyPermission,
          kInsertLogin,   kClearPermissions, kGivePermissions, kForgetLogins,
          kFindLogin,     kTouchLogin,       kEndLogin,        kEndLogins,
          kInsertToken,   kFindToken,        kTouchToken,      kTokens,
          kDeleteToken,   kDeleteTokens,     kInsertAudit,     kHasAudit,
          kFailures,      kAddFailures,      kLockFailures,    kPutFailures,
          kForgetFailures};
}

}  // namespace twinchat::postgres
