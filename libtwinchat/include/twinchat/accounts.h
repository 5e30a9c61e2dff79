#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "twinchat/audit.h"
#include "twinchat/export.h"
#include "twinchat/page.h"
#include "twinchat/session.h"

namespace twinchat {

// Somebody who looks after the data: a row of Django's auth_user.
struct User {
  std::int64_t id = 0;                       // the row
  std::string username;                      // at most 150 code points
  std::string password;                      // a hash in Django's format, "pbkdf2_sha256$..."
  std::string email = {};                    // may be empty
  std::string first_name = {};               // likewise
  std::string last_name = {};                // likewise
  bool is_active = true;                     // off: cannot log in, as if deleted
  bool is_staff = false;                     // may use the admin at all
  bool is_superuser = false;                 // may do everything
  std::optional<Timestamp> last_login = {};  // absent before the first one
  Timestamp date_joined = {};                // when the user was added
  // "chat.view_message" and the like, sorted: those of known_permissions() that the user was given,
  // directly or through a group. A superuser may do everything without them.
  std::vector<std::string> permissions = {};

  friend bool operator==(const User&, const User&) = default;
};

// The permissions there are, sorted: view, add, change and delete of chat.chatsession and
// chat.message.
TWINCHAT_EXPORT const std::vector<std::string>& known_permissions();

// A log-in under way. Its token is known by its hash alone.
struct Login {
  std::string token_hash;     // the key
  std::int64_t user_id = 0;   // whose
  std::string csrf_token;     // what its pages show to be ours
  Timestamp created_at = {};  // when it began
  Timestamp seen_at = {};     // the last request, to about a minute
  Timestamp expires_at = {};  // whatever happens

  friend bool operator==(const Login&, const Login&) = default;
};

// What a script is let in with.
struct ApiToken {
  std::int64_t id = 0;                         // the row
  std::string token_hash;                      // what is known of the token itself
  std::int64_t user_id = 0;                    // for whom it stands
  std::string name;                            // the user's own words for it
  Timestamp created_at = {};                   // when it was made
  std::optional<Timestamp> expires_at = {};    // from then on it is none; absent: never
  std::optional<Timestamp> last_used_at = {};  // to about a minute; absent: never

  friend bool operator==(const ApiToken&, const ApiToken&) = default;
};

// What is remembered of log-ins that failed under one name.
struct LoginFailures {
  // The caller's name for it, such as a keyed hash; at most 100 bytes.
  std::string key;
  std::int64_t count = 0;    // how many, as the caller counts them
  Timestamp until = {};      // a moment of the caller's, such as how long to wait
  bool known = false;        // whether a log-in has succeeded before
  Timestamp forget_at = {};  // from then on it is as if nothing had been

  friend bool operator==(const LoginFailures&, const LoginFailures&) = default;
};

// Which users to list, by name.
struct UserQuery {
  std::string search = {};  // part of the name or the e-mail, without regard to ASCII case
  std::size_t limit = 100;  // rows of a page
  std::string cursor = {};  // Page::next of the page before
};

// Which entries of the audit log to list, newest first.
struct AuditQuery {
  std::string user = {};       // exactly; empty for all, as everywhere here
  std::string action = {};     // exactly
  std::string object_id = {};  // exactly
  TimeRange at = {};           // of that time
  bool changes_only = false;   // without views, searches, exports, and log-ins
  std::size_t limit = 100;     // rows of a page
  std::string cursor = {};     // Page::next of the page before
};

// Who may look after the data, and what they did. Kept beside the chats of a Store. Passwords are
// hashed and tokens are made and hashed by the caller; nothing here is a secret in the clear.
//
// Errors as of Store. Thread safety: every function may be called from any number of threads at
// once.
class TWINCHAT_EXPORT Accounts {
 public:
  Accounts() = default;
  Accounts(const Accounts&) = delete;
  Accounts& operator=(const Accounts&) = delete;
  virtual ~Accounts();

  // --- Users

  // The name is compared exactly.
  virtual std::optional<User> find_user(std::string_view username) = 0;
  // The user, or nullopt.
  virtual std::optional<User> user(std::int64_t id) = 0;
  // By name. Page::count is given.
  virtual Page<User> users(const UserQuery& query) = 0;
  // How many active superusers there are.
  virtual std::int64_t active_superusers() = 0;
  // Adds the user and returns it with its id. kAlreadyExists when the name is taken.
  virtual User add_user(const User& user, const AuditEntry& audit) = 0;
  // Brings everything of `user` but password, last_login and date_joined to its row. One who is
  // not active or no staff any more is logged out. kNotFound; kAlreadyExists;
  // kFailedPrecondition, and nothing changed, when no active superuser would be left.
  virtual User edit_user(const User& user, const AuditEntry& audit) = 0;
  // Ends the user's log-ins, other than the one with `keep_login` as its token_hash.
  virtual void set_password(std::int64_t id, const std::string& hash, std::string_view keep_login,
                            const AuditEntry& audit) = 0;
  // The same password hashed anew; log-ins stay. Does nothing when the hash is not `old_hash` now.
  virtual void rehash_password(std::int64_t id, const std::string& old_hash,
                               const std::string& hash) = 0;
  // With log-ins and tokens. kNotFound; kFailedPrecondition for the last active superuser.
  virtual void delete_user(std::int64_t id, const AuditEntry& audit) = 0;

  // --- Log-ins

  // Adds the log-in, moves the user's last_login, and forgets log-ins that have expired.
  virtual void add_login(const Login& login, const AuditEntry& audit) = 0;
  // nullopt for one that has ended or expired.
  virtual std::optional<Login> find_login(std::string_view token_hash, Timestamp now) = 0;
  // Moves seen_at of a log-in that is there.
  virtual void touch_login(std::string_view token_hash, Timestamp now) = 0;
  // Ends that log-in.
  virtual void end_login(std::string_view token_hash, const AuditEntry& audit) = 0;
  // Ends all of that user.
  virtual void end_logins(std::int64_t user_id, const AuditEntry& audit) = 0;

  // --- Log-ins that failed

  // Calls `change` with what is remembered under these keys, in their order, each named once, and
  // stores what it makes of that when it returns true. For all programs on the database that is one
  // step: nobody else changes the same keys in between. It is called once for looking, which alone
  // costs no write, and when it wants to store, again with what is there then; perhaps several
  // times. Nothing else may be done in it, and it throws nothing.
  virtual void change_failures(
      const std::vector<std::string>& keys, Timestamp now,
      const std::function<bool(std::vector<LoginFailures>& failures)>& change) = 0;

  // --- Tokens

  // Adds the token and returns it with its id, which becomes the object_id of `audit`.
  virtual ApiToken add_token(const ApiToken& token, const AuditEntry& audit) = 0;
  // nullopt for one that has expired.
  virtual std::optional<ApiToken> find_token(std::string_view token_hash, Timestamp now) = 0;
  // Moves last_used_at of a token that is there.
  virtual void touch_token(std::int64_t id, Timestamp now) = 0;
  // Those of the user, oldest first.
  virtual std::vector<ApiToken> tokens(std::int64_t user_id) = 0;
  // kNotFound, also when it is another user's.
  virtual void delete_token(std::int64_t id, std::int64_t user_id, const AuditEntry& audit) = 0;

  // --- The audit log

  // Adds an entry that tells of nothing that is written.
  virtual void record(const AuditEntry& entry) = 0;
  // Newest first. Nothing changes or removes an entry.
  virtual Page<AuditEntry> audit(const AuditQuery& query) = 0;
};

}  // namespace twinchat
