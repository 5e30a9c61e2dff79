#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/call.h"
#include "api/request_limits.h"
#include "api/router.h"
#include "twinchat/accounts.h"
#include "twinchat/error.h"

namespace twinchat::server {

// Somebody who was let in.
struct Operator {
  User user;
  std::optional<Login> login = {};  // absent for a token

  // Whether the user may do that, "view_message".
  bool may(std::string_view permission) const;
  // Refusal 403 otherwise.
  void must(std::string_view permission) const;
};

// What a route asks of who comes.
struct Need {
  enum class Who { kAnybody, kStaff, kSuperuser };
  Who who = Who::kStaff;
  // All of them, beside being staff.
  std::vector<std::string> permissions = {};
  // A log-in, not a token.
  bool login_only = false;
};

// The door of the admin: who is it, may they, and does the request come from our own page. Cookies
// and tokens are known nowhere else.
//
// Thread safety: every function may be called from any number of threads at once.
class Gate {
 public:
  static constexpr std::chrono::minutes kIdle{30};
  static constexpr std::chrono::hours kAbsolute{12};

  // Keeps the references. With `always_secure` there is no cookie without https, not even on a
  // loopback address.
  Gate(Accounts& accounts, const RequestLimits& limits, bool always_secure)
      : accounts_(accounts), limits_(limits), always_secure_(always_secure) {}

  // Puts a route on the table: the handler is called only for who satisfies the need, others get
  // 401 or 403. What the library throws in it becomes the admin's answers.
  using Handler = std::function<void(Call&, const Operator&)>;
  void add(Router& router, const std::string& method, const std::string& pattern, Need need,
           Handler handler) const;

  // Who asks; nullopt for nobody. Refusal 403 when a log-in is used by a page that is not ours.
  std::optional<Operator> visitor(Call& call) const;

  // Refusal 403 unless the request comes from our own page, or from no browser at all.
  void check_origin(const Call& call) const;

  // A new log-in of the user: its cookie, as a Set-Cookie field, and what /me/ says of it.
  struct NewLogin {
    Login login;
    std::string cookie;
  };
  NewLogin make_login(const Call& call, std::int64_t user_id) const;
  // The field that takes the cookie away.
  std::string no_cookie(const Call& call) const;

  // An entry for the audit log that names who asks.
  AuditEntry entry(const Call& call, const std::string& user, std::string action,
                   std::string model = {}, std::string object_id = {},
                   std::string detail = {}) const;

 private:
  std::optional<Operator> by_login(const std::string& token, Timestamp now) const;
  std::optional<Operator> by_token(std::string_view token, Timestamp now) const;
  std::string cookie_name(const Call& call) const;
  std::string cookie(const Call& call, const std::string& value, std::chrono::seconds age) const;
  bool is_plain_loopback(const Call& call) const;

  Accounts& accounts_;
  const RequestLimits& limits_;
  const bool always_secure_;
};

// Now, as it is stored.
Timestamp now();

// The answer for what the library throws at the admin's routes.
Refusal admin_refusal(const Error& error);

// 404 {"detail":"Not found."}
Refusal not_found();

}  // namespace twinchat::server
