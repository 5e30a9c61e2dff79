#include "admin/gate.h"

#include <fmt/format.h>

#include <algorithm>

#include "admin/secrets.h"
#include "api/error_table.h"
#include "text.h"

namespace twinchat::server {
namespace {

constexpr std::string_view kSecureCookie = "__Host-twinchat_admin";
constexpr std::string_view kPlainCookie = "twinchat_admin";
constexpr std::string_view kBearer = "bearer ";
// How exact Login::seen_at and ApiToken::last_used_at are: not every request is worth a write.
constexpr std::chrono::minutes kTouch{1};

Refusal forbidden() {
  return {403, {{"detail", "You do not have permission to perform this action."}}};
}

Refusal foreign() {
  return {403, {{"detail", "CSRF verification failed."}, {"code", "csrf"}}};
}

Refusal nobody() {
  Refusal refusal(401, {{"detail", "Authentication credentials were not provided."}});
  refusal.authenticate = "Session realm=\"operators\"";
  return refusal;
}

bool is_safe(const std::string& method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

std::string cookie_value(std::string_view field, std::string_view name) {
  for (const std::string& part : split_list(field, ';')) {
    const std::size_t equals = part.find('=');
    if (equals != std::string::npos && trim(std::string_view(part).substr(0, equals)) == name) {
      return std::string(trim(std::string_view(part).substr(equals + 1)));
    }
  }
  return {};
}

std::string host_of(std::string_view host_and_port) {
  const std::size_t bracket = host_and_port.find(']');
  const std::size_t colon =
      host_and_port.find(':', bracket == std::string_view::npos ? 0 : bracket);
  return ascii_lower(host_and_port.substr(0, colon));
}

}  // namespace

bool Operator::may(std::string_view permission) const {
  const std::string name = "chat." + std::string(permission);
  return user.is_superuser ||
         std::binary_search(user.permissions.begin(), user.permissions.end(), name);
}

void Operator::must(std::string_view permission) const {
  if (!may(permission)) throw forbidden();
}

void Gate::add(Router& router, const std::string& method, const std::string& pattern, Need need,
               Handler handler) const {
  router.add(method, pattern, [this, need, handler](Call& call) {
    try {
      const std::optional<Operator> who = visitor(call);
      if (need.who != Need::Who::kAnybody) {
        if (!who) throw nobody();
        if (need.who == Need::Who::kSuperuser && !who->user.is_superuser) throw forbidden();
        if (need.login_only && !who->login) throw forbidden();
        for (const std::string& permission : need.permissions) who->must(permission);
      }
      handler(call, who.value_or(Operator{}));
    } catch (const Error& error) {
      throw admin_refusal(error);
    }
  });
}

std::optional<Operator> Gate::visitor(Call& call) const {
  const Timestamp time = now();
  const httplib::Request& request = call.request();
  const std::string authorization = request.get_header_value("Authorization");
  if (ascii_lower(authorization.substr(0, kBearer.size())) == kBearer) {
    return by_token(trim(std::string_view(authorization).substr(kBearer.size())), time);
  }
  const std::string token = cookie_value(request.get_header_value("Cookie"), cookie_name(call));
  if (token.empty()) return std::nullopt;
  std::optional<Operator> who = by_login(token, time);
  if (who && !is_safe(request.method)) {
    check_origin(call);
    const std::string given = request.get_header_value("X-CSRFToken");
    // A log-in anew needs none: it was somebody else's page that is shown.
    const bool logs_in = request.path.starts_with("/api/admin/login");
    if (!logs_in && !equal_secrets(given, who->login->csrf_token)) throw foreign();
  }
  return who;
}

std::optional<Operator> Gate::by_login(const std::string& token, Timestamp time) const {
  const std::string hash = token_hash(token);
  std::optional<Login> login = accounts_.find_login(hash, time);
  if (!login || login->seen_at + kIdle <= time) return std::nullopt;
  std::optional<User> user = accounts_.user(login->user_id);
  if (!user || !user->is_active || !user->is_staff) return std::nullopt;
  if (login->seen_at + kTouch <= time) accounts_.touch_login(hash, time);
  return Operator{*std::move(user), std::move(login)};
}

std::optional<Operator> Gate::by_token(std::string_view token, Timestamp time) const {
  const std::optional<ApiToken> found = accounts_.find_token(token_hash(token), time);
  if (!found) return std::nullopt;
  std::optional<User> user = accounts_.user(found->user_id);
  if (!user || !user->is_active || !user->is_staff) return std::nullopt;
  if (!found->last_used_at || *found->last_used_at + kTouch <= time) {
    accounts_.touch_token(found->id, time);
  }
  return Operator{*std::move(user)};
}

void Gate::check_origin(const Call& call) const {
  const httplib::Request& request = call.request();
  const std::string site = request.get_header_value("Sec-Fetch-Site");
  if (!site.empty() && site != "same-origin") throw foreign();
  const std::string origin = ascii_lower(request.get_header_value("Origin"));
  if (origin.empty()) return;
  const std::string host = ascii_lower(request.get_header_value("Host"));
  if (origin != "http://" + host && origin != "https://" + host) throw foreign();
}

Gate::NewLogin Gate::make_login(const Call& call, std::int64_t user_id) const {
  const std::string token = random_token();
  const Timestamp time = now();
  return {{token_hash(token), user_id, random_token(), time, time, time + kAbsolute},
          cookie(call, token, kAbsolute)};
}

std::string Gate::no_cookie(const Call& call) const {
  return cookie(call, "", std::chrono::seconds(0));
}

AuditEntry Gate::entry(const Call& call, const std::string& user, std::string action,
                       std::string model, std::string object_id, std::string detail) const {
  const IpAddress address =
      limits_.client_of(call.peer(), call.request().get_header_value("X-Forwarded-For"));
  return {0,
          now(),
          user,
          to_text(address),
          std::move(action),
          std::move(model),
          std::move(object_id),
          std::move(detail)};
}

bool Gate::is_plain_loopback(const Call& call) const {
  if (always_secure_ || call.secure()) return false;
  const std::string host = host_of(call.request().get_header_value("Host"));
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

std::string Gate::cookie_name(const Call& call) const {
  return std::string(is_plain_loopback(call) ? kPlainCookie : kSecureCookie);
}

std::string Gate::cookie(const Call& call, const std::string& value,
                         std::chrono::seconds age) const {
  return fmt::format("{}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{}", cookie_name(call),
                     value, age.count(), is_plain_loopback(call) ? "" : "; Secure");
}

Timestamp now() {
  return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

Refusal admin_refusal(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kNotFound:
      return not_found();
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kFailedPrecondition:
      if (error.details().diagnostic.empty()) return {400, {{"detail", error.what()}}};
      break;
    case ErrorCode::kAborted:
      return {409, {{"detail", error.what()}, {"code", "changed"}}};
    default:
      break;
  }
  return refusal_for(error);
}

Refusal not_found() {
  return {404, {{"detail", "Not found."}}};
}

}  // namespace twinchat::server
