#pragma once

#include <functional>
#include <string>

#include "admin/gate.h"
#include "admin/login_throttle.h"
#include "admin/task_pool.h"
#include "twinchat/accounts.h"

namespace twinchat::server {

// Log-in, users, tokens and the audit log; API.md and the OpenAPI document are the manual.
//
// Passwords are hashed on two threads of their own. When too many wait for them, further ones get
// 503: log-ins cannot take the workers from the chats.
//
// Thread safety: every function may be called from any number of threads at once.
class AccountRoutes {
 public:
  // Keeps the references, which must live until every answer has been given.
  AccountRoutes(Accounts& accounts, const Gate& gate, const RequestLimits& limits,
                const KeyedHash& login_hash);

  // Puts the routes on the table. `this` must outlive the router's use.
  void add_to(Router& router);

 private:
  void login(Call& call, const Operator& who);
  void me(Call& call, const Operator& who);
  void logout(Call& call, const Operator& who);
  void logout_everywhere(Call& call, const Operator& who);
  void change_password(Call& call, const Operator& who);
  void users(Call& call, const Operator& who);
  void add_user(Call& call, const Operator& who);
  void user(Call& call, const Operator& who);
  void edit_user(Call& call, const Operator& who);
  void delete_user(Call& call, const Operator& who);
  void set_password(Call& call, const Operator& who);
  void tokens(Call& call, const Operator& who);
  void add_token(Call& call, const Operator& who);
  void delete_token(Call& call, const Operator& who);
  void audit(Call& call, const Operator& who);

  struct Answer {
    int status = 200;
    Json body = {};  // null for none
    HeaderList headers = {};
  };
  // Answers the call with what `task` gives, or throws, on a thread for hashing.
  void answer_when_hashed(Call& call, std::function<Answer()> task);
  User found_user(const Call& call);
  // Refusal 429 when the one who asks has to wait before trying another password.
  void admit(const Call& call, const std::string& username);
  AuditEntry entry(const Call& call, const Operator& who, std::string action, std::string model,
                   std::string object_id = {}, std::string detail = {}) const;

  Accounts& accounts_;
  const Gate& gate_;
  const RequestLimits& limits_;
  LoginThrottle throttle_;
  TaskPool hashing_;
};

// What is wrong with a name for a user, as Django words it; empty when it will do.
std::vector<std::string> username_problems(std::string_view username);

}  // namespace twinchat::server
