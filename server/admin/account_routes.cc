#include "admin/account_routes.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "admin/admin_json.h"
#include "admin/passwords.h"
#include "admin/queries.h"
#include "admin/secrets.h"
#include "api/json_body.h"
#include "api/session_json.h"
#include "text.h"

namespace twinchat::server {
namespace {

constexpr std::size_t kHashingThreads = 2;
constexpr std::size_t kHashingWaiting = 16;
constexpr std::size_t kMaxName = 150;
constexpr std::size_t kMaxPassword = 4'096;
constexpr std::string_view kTokenPrefix = "tca_";
constexpr const char* kWrongLogin =
    "Please enter a correct username and password. Note that both fields may be case-sensitive.";

Json me_json(const User& user, const Login* login) {
  Json shown = {{"id", user.id},
                {"username", user.username},
                {"email", user.email},
                {"first_name", user.first_name},
                {"last_name", user.last_name},
                {"is_superuser", user.is_superuser},
                {"permissions", user.is_superuser ? known_permissions() : user.permissions},
                {"last_login", user.last_login ? Json(to_text(*user.last_login)) : nullptr}};
  Json json = {{"user", std::move(shown)}};
  json["csrf_token"] = login != nullptr ? Json(login->csrf_token) : Json(nullptr);
  json["expires_at"] = login != nullptr ? Json(to_text(login->expires_at)) : Json(nullptr);
  json["idle_seconds"] = std::chrono::seconds(Gate::kIdle).count();
  return json;
}

// A password as it was sent: nothing is trimmed.
std::string password_in(const Json& body, const char* name, Json& problems) {
  const auto found = body.find(name);
  if (found == body.end() || !found->is_string() || found->get_ref<const std::string&>().empty()) {
    problems[name].push_back("This field is required.");
    return {};
  }
  if (found->get_ref<const std::string&>().size() > kMaxPassword) {
    problems[name].push_back(
        fmt::format("Ensure this field has no more than {} characters.", kMaxPassword));
    return {};
  }
  return found->get<std::string>();
}

// Two new passwords that must be one and good; `names` are their fields.
std::string new_password_in(const Json& body, const char* first, const char* second,
                            const User& user, Json& problems) {
  const std::string one = password_in(body, first, problems);
  const std::string two = password_in(body, second, problems);
  if (problems.contains(first) || problems.contains(second)) return {};
  if (one != two) {
    problems[second].push_back("The two password fields didn\xE2\x80\x99t match.");
    return {};
  }
  for (std::string& problem :
       password_problems(one, {user.username, user.email, user.first_name, user.last_name})) {
    problems[second].push_back(std::move(problem));
  }
  return one;
}

void check(const Json& problems) {
  if (!problems.empty()) throw Refusal(400, problems);
}

Json taken_name() {
  return {{"username", Json::array({"A user with that username already exists."})}};
}

// What the body says of a user beside the password, brought to `user`.
std::string read_user(const Json& body, User& user, Json& problems) {
  std::string names;
  const auto changed = [&](const char* name) {
    names += (names.empty() ? "" : ", ") + std::string(name);
  };
  const auto text = [&](const char* name, std::string& field, std::size_t max) {
    const auto found = body.find(name);
    if (found == body.end()) return;
    const auto given = text_of(*found);
    if (!given) {
      problems[name].push_back("Not a valid string.");
    } else if (count_code_points(*given) > max) {
      problems[name].push_back(
          fmt::format("Ensure this field has no more than {} characters.", max));
    } else if (field != trim(*given)) {
      field = std::string(trim(*given));
      changed(name);
    }
  };
  const auto flag = [&](const char* name, bool& field) {
    const auto found = body.find(name);
    if (found == body.end()) return;
    if (!found->is_boolean()) {
      problems[name].push_back("Must be a valid boolean.");
    } else if (field != found->get<bool>()) {
      field = found->get<bool>();
      changed(name);
    }
  };
  text("username", user.username, kMaxName);
  text("email", user.email, 254);
  text("first_name", user.first_name, kMaxName);
  text("last_name", user.last_name, kMaxName);
  flag("is_active", user.is_active);
  flag("is_staff", user.is_staff);
  flag("is_superuser", user.is_superuser);
  for (std::string& problem : username_problems(user.username)) {
    if (!problems.contains("username")) problems["username"].push_back(std::move(problem));
  }
  if (!user.email.empty()) {
    for (const FieldProblem& problem : twinchat::problems({.email = user.email})) {
      problems["email"].push_back(problem.message);
    }
  }
  if (const auto found = body.find("permissions"); found != body.end()) {
    std::vector<std::string> given;
    const std::vector<std::string>& known = known_permissions();
    bool fine = found->is_array();
    for (const Json& name : fine ? *found : Json::array()) {
      const std::string text = text_of(name).value_or("");
      fine = fine && std::binary_search(known.begin(), known.end(), text);
      given.push_back(text);
    }
    std::sort(given.begin(), given.end());
    given.erase(std::unique(given.begin(), given.end()), given.end());
    if (!fine) {
      problems["permissions"].push_back("Not a list of permissions.");
    } else if (given != user.permissions) {
      user.permissions = std::move(given);
      changed("permissions");
    }
  }
  return names;
}

}  // namespace

std::vector<std::string> username_problems(std::string_view username) {
  if (username.empty()) return {"This field may not be blank."};
  const bool fine = is_utf8(username) && std::all_of(username.begin(), username.end(), [](char c) {
                      const auto byte = static_cast<unsigned char>(c);
                      return byte >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                             (c >= 'A' && c <= 'Z') ||
                             std::string_view("@.+-_").find(c) != std::string_view::npos;
                    });
  if (fine && count_code_points(username) <= kMaxName) return {};
  return {
      "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ "
      "characters."};
}

AccountRoutes::AccountRoutes(Accounts& accounts, const Gate& gate, const RequestLimits& limits,
                             const KeyedHash& login_hash)
    : accounts_(accounts),
      gate_(gate),
      limits_(limits),
      throttle_(accounts, login_hash),
      hashing_(kHashingThreads, kHashingWaiting) {}

void AccountRoutes::add_to(Router& router) {
  const auto add = [&](const char* method, const char* pattern, Need need,
                       void (AccountRoutes::*function)(Call&, const Operator&)) {
    gate_.add(router, method, pattern, std::move(need),
              [this, function](Call& call, const Operator& who) { (this->*function)(call, who); });
  };
  using A = AccountRoutes;
  const Need anybody{Need::Who::kAnybody};
  const Need superuser{Need::Who::kSuperuser};
  const Need logged_in{.login_only = true};
  add("POST", "/api/admin/login/", anybody, &A::login);
  add("GET", "/api/admin/me/", anybody, &A::me);
  add("POST", "/api/admin/logout/", logged_in, &A::logout);
  add("POST", "/api/admin/logout-everywhere/", logged_in, &A::logout_everywhere);
  add("POST", "/api/admin/password/", logged_in, &A::change_password);
  add("GET", "/api/admin/users/", superuser, &A::users);
  add("POST", "/api/admin/users/", superuser, &A::add_user);
  add("GET", "/api/admin/users/{}/", superuser, &A::user);
  add("PATCH", "/api/admin/users/{}/", superuser, &A::edit_user);
  add("DELETE", "/api/admin/users/{}/", superuser, &A::delete_user);
  add("POST", "/api/admin/users/{}/password/", superuser, &A::set_password);
  add("GET", "/api/admin/tokens/", logged_in, &A::tokens);
  add("POST", "/api/admin/tokens/", logged_in, &A::add_token);
  add("DELETE", "/api/admin/tokens/{}/", logged_in, &A::delete_token);
  add("GET", "/api/admin/audit/", superuser, &A::audit);
}

// --- Log-in

void AccountRoutes::login(Call& call, const Operator&) {
  gate_.check_origin(call);
  const Json body = call.json();
  BodyFields fields(body);
  const std::string username = fields.required_text("username", kMaxName);
  fields.check();
  Json problems = Json::object();
  const std::string password = password_in(body, "password", problems);
  check(problems);
  admit(call, username);
  const IpAddress address =
      limits_.client_of(call.peer(), call.request().get_header_value("X-Forwarded-For"));
  AuditEntry success = gate_.entry(call, username, "login");
  AuditEntry failure = gate_.entry(call, "", "login_failed");
  // The cookie and its token are made here; they are of no use until they are stored.
  Gate::NewLogin made = gate_.make_login(call, 0);
  answer_when_hashed(call, [=, this]() mutable -> Answer {
    std::optional<User> user = accounts_.find_user(username);
    const PasswordCheck found = check_password(password, user ? user->password : std::string());
    if (!found.correct || !user->is_active || !user->is_staff) {
      // What was typed for a name may be a password.
      if (user) failure.user = username;
      accounts_.record(failure);
      return {400, {{"detail", kWrongLogin}}};
    }
    throttle_.succeeded(username, address);
    made.login.user_id = user->id;
    accounts_.add_login(made.login, success);
    if (found.outdated) {
      accounts_.rehash_password(user->id, user->password, hash_password(password));
    }
    return {200, me_json(*user, &made.login), {{"Set-Cookie", made.cookie}}};
  });
}

void AccountRoutes::me(Call& call, const Operator& who) {
  if (who.user.id == 0) return call.answer(200, {{"user", nullptr}, {"csrf_token", nullptr}});
  call.answer(200, me_json(who.user, who.login ? &*who.login : nullptr));
}

void AccountRoutes::logout(Call& call, const Operator& who) {
  accounts_.end_login(who.login->token_hash, entry(call, who, "logout", ""));
  call.answer_empty(204, {{"Set-Cookie", gate_.no_cookie(call)}});
}

void AccountRoutes::logout_everywhere(Call& call, const Operator& who) {
  accounts_.end_logins(who.user.id, entry(call, who, "logout", "", "", "everywhere"));
  call.answer_empty(204, {{"Set-Cookie", gate_.no_cookie(call)}});
}

void AccountRoutes::change_password(Call& call, const Operator& who) {
  const Json body = call.json();
  const BodyFields is_object(body);
  Json problems = Json::object();
  const std::string old = password_in(body, "old_password", problems);
  const std::string fresh =
      new_password_in(body, "new_password1", "new_password2", who.user, problems);
  if (problems.contains("old_password")) check(problems);
  admit(call, who.user.username);
  const IpAddress address =
      limits_.client_of(call.peer(), call.request().get_header_value("X-Forwarded-For"));
  const AuditEntry audit = entry(call, who, "password", "user", std::to_string(who.user.id));
  const AuditEntry again = entry(call, who, "login", "", "", "with the new password");
  const Gate::NewLogin made = gate_.make_login(call, who.user.id);
  answer_when_hashed(call, [=, this, user = who.user]() mutable -> Answer {
    if (!check_password(old, user.password).correct) {
      problems["old_password"].push_back(
          "Your old password was entered incorrectly. Please enter it again.");
    } else {
      throttle_.succeeded(user.username, address);
    }
    check(problems);
    accounts_.set_password(user.id, hash_password(fresh), "", audit);
    accounts_.add_login(made.login, again);
    return {200, me_json(user, &made.login), {{"Set-Cookie", made.cookie}}};
  });
}

// --- Users

void AccountRoutes::users(Call& call, const Operator&) {
  const Page<User> page = accounts_.users(user_query(parameters_of(call)));
  call.answer(200, page_json(page, [](const User& user) { return to_json(user); }));
}

void AccountRoutes::add_user(Call& call, const Operator& who) {
  const Json body = call.json();
  const BodyFields is_object(body);
  Json problems = Json::object();
  User user;
  user.is_staff = true;
  read_user(body, user, problems);
  const std::string password = new_password_in(body, "password1", "password2", user, problems);
  if (accounts_.find_user(user.username)) problems.update(taken_name());
  check(problems);
  user.date_joined = now();
  const AuditEntry audit = entry(call, who, "user", "user", "", "added " + user.username);
  answer_when_hashed(call, [=, this]() mutable -> Answer {
    user.password = hash_password(password);
    try {
      return {201, to_json(accounts_.add_user(user, audit))};
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kAlreadyExists) throw;
      return {400, taken_name()};
    }
  });
}

void AccountRoutes::user(Call& call, const Operator&) {
  call.answer(200, to_json(found_user(call)));
}

void AccountRoutes::edit_user(Call& call, const Operator& who) {
  const Json body = call.json();
  const BodyFields is_object(body);
  User user = found_user(call);
  Json problems = Json::object();
  const std::string names = read_user(body, user, problems);
  check(problems);
  try {
    const User after = accounts_.edit_user(
        user, entry(call, who, "user", "user", std::to_string(user.id), "changed " + names));
    call.answer(200, to_json(after));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kAlreadyExists) throw;
    throw Refusal(400, taken_name());
  }
}

void AccountRoutes::delete_user(Call& call, const Operator& who) {
  const User user = found_user(call);
  if (user.id == who.user.id) {
    throw Refusal(400, {{"detail", "You cannot delete yourself."}});
  }
  accounts_.delete_user(user.id, entry(call, who, "user", "user", std::to_string(user.id),
                                       "deleted " + user.username));
  call.answer_empty(204);
}

void AccountRoutes::set_password(Call& call, const Operator& who) {
  const Json body = call.json();
  const BodyFields is_object(body);
  const User user = found_user(call);
  Json problems = Json::object();
  const std::string password = new_password_in(body, "password1", "password2", user, problems);
  check(problems);
  const AuditEntry audit = entry(call, who, "password", "user", std::to_string(user.id));
  // One's own log-in stays.
  const std::string kept =
      who.login && who.user.id == user.id ? who.login->token_hash : std::string();
  answer_when_hashed(call, [=, this]() -> Answer {
    accounts_.set_password(user.id, hash_password(password), kept, audit);
    return {204};
  });
}

// --- Tokens

void AccountRoutes::tokens(Call& call, const Operator& who) {
  Json rows = Json::array();
  for (const ApiToken& token : accounts_.tokens(who.user.id)) rows.push_back(to_json(token));
  call.answer(200, {{"results", std::move(rows)}});
}

void AccountRoutes::add_token(Call& call, const Operator& who) {
  const Json body = call.json();
  BodyFields fields(body);
  const std::string name = fields.required_text("name", 100);
  fields.check();
  const std::string secret = std::string(kTokenPrefix) + random_token();
  ApiToken token{0, token_hash(secret), who.user.id, name, now(), {}, {}};
  if (const auto days = body.find("days"); days != body.end() && !days->is_null()) {
    if (!days->is_number_integer() || *days < 1 || *days > 3650) {
      throw Refusal(400, {{"days", Json::array({"A number from 1 to 3650."})}});
    }
    token.expires_at = token.created_at + std::chrono::days(days->get<int>());
  }
  token = accounts_.add_token(token, entry(call, who, "token", "token", "", "added"));
  Json json = to_json(token);
  json["token"] = secret;
  call.answer(201, json);
}

void AccountRoutes::delete_token(Call& call, const Operator& who) {
  const auto id = id_of(call.parameter());
  if (!id) throw not_found();
  accounts_.delete_token(*id, who.user.id,
                         entry(call, who, "token", "token", call.parameter(), "deleted"));
  call.answer_empty(204);
}

// --- The audit log

void AccountRoutes::audit(Call& call, const Operator& who) {
  const AuditQuery query = audit_query(parameters_of(call));
  const Page<AuditEntry> page = accounts_.audit(query);
  if (query.cursor.empty()) {
    accounts_.record(
        entry(call, who, "view", "audit", "", fmt::format("list, {} rows", page.rows.size())));
  }
  call.answer(200, page_json(page, [](const AuditEntry& one) { return to_json(one); }));
}

// --- Helpers

void AccountRoutes::answer_when_hashed(Call& call, std::function<Answer()> task) {
  const auto later = std::make_shared<LateAnswer>(call.later());
  const bool taken = hashing_.post([later, task = std::move(task)] {
    try {
      const Answer answer = task();
      if (answer.body.is_null()) return later->send_empty(answer.status, answer.headers);
      later->send(answer.status, answer.body, answer.headers);
    } catch (const Refusal& refusal) {
      later->send(refusal);
    } catch (const Error& error) {
      later->send(admin_refusal(error));
    } catch (const std::exception& error) {
      spdlog::error("a log-in failed with {}", typeid(error).name());
      later->send(Refusal(500, {{"detail", "Internal server error."}}));
    }
  });
  if (taken) return;
  Refusal refusal(503, {{"detail", "Too many passwords are being checked right now."}});
  refusal.spread_retries(5);
  later->send(refusal);
}

User AccountRoutes::found_user(const Call& call) {
  if (const auto id = id_of(call.parameter())) {
    if (auto user = accounts_.user(*id)) return *std::move(user);
  }
  throw not_found();
}

void AccountRoutes::admit(const Call& call, const std::string& username) {
  const IpAddress address =
      limits_.client_of(call.peer(), call.request().get_header_value("X-Forwarded-For"));
  const auto wait = throttle_.attempt(username, address);
  if (!wait) return;
  Refusal refusal(429, {{"detail", "Too many failed log-ins. Please wait before the next."}});
  refusal.retry_after = static_cast<int>(wait->count());
  throw refusal;
}

AuditEntry AccountRoutes::entry(const Call& call, const Operator& who, std::string action,
                                std::string model, std::string object_id,
                                std::string detail) const {
  return gate_.entry(call, who.user.username, std::move(action), std::move(model),
                     std::move(object_id), std::move(detail));
}

}  // namespace twinchat::server
