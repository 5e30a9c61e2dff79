#include "api/router.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <typeinfo>

#include "api/error_table.h"
#include "api/request_id.h"
#include "text.h"

namespace twinchat::server {
namespace {

constexpr std::string_view kApi = "/api/";

// Whether only pages of this server may read the answers, and pages that are served there are held
// to the strictest policy.
bool is_closed(std::string_view path) {
  return path.starts_with("/api/admin") || path.starts_with("/admin") ||
         path.starts_with("/api/docs");
}

// Whether `path` (ending with a slash) is of that pattern; `parameter` is what stands for {}.
bool matches(std::string_view pattern, std::string_view path, std::string& parameter) {
  const std::size_t hole = pattern.find("{}");
  if (hole == std::string_view::npos) return pattern == path;
  const std::string_view before = pattern.substr(0, hole);
  const std::string_view after = pattern.substr(hole + 2);
  if (!path.starts_with(before)) return false;
  path.remove_prefix(before.size());
  const std::string_view segment = path.substr(0, path.find('/'));
  if (segment.empty() || path.substr(segment.size()) != after) return false;
  parameter = segment;
  return true;
}

// The context of a request that is being worked on.
struct ActiveContext : AnswerContext {
  explicit ActiveContext(RequestObserver* the_observer) {
    observer = the_observer;
    if (observer) observer->entered();
  }
  ~ActiveContext() {
    if (observer) observer->left();
  }
  ActiveContext(const ActiveContext&) = delete;
  ActiveContext& operator=(const ActiveContext&) = delete;
};

bool is_preflight(const httplib::Request& request) {
  return request.method == "OPTIONS" && request.has_header("Origin") &&
         request.has_header("Access-Control-Request-Method");
}

}  // namespace

std::string Router::Route::allow() const {
  std::string list;
  for (const auto& [method, handler] : methods) {
    list += method + ", ";
    if (method == "GET") list += "HEAD, ";
  }
  return list + "OPTIONS";
}

void Router::add(const std::string& method, const std::string& pattern, Handler handler) {
  const auto route = std::find_if(routes_.begin(), routes_.end(),
                                  [&](const Route& r) { return r.pattern == pattern; });
  Route& target = route == routes_.end()
                      ? routes_.emplace_back(Route{
                            pattern, options_.observer ? options_.observer->add_route(pattern) : 0})
                      : *route;
  target.methods[method] = std::move(handler);
}

void Router::add_below(const std::string& prefix, Handler handler) {
  add("GET", prefix, std::move(handler));
  routes_.back().below = true;
}

std::vector<std::pair<std::string, std::string>> Router::table() const {
  std::vector<std::pair<std::string, std::string>> table;
  for (const Route& route : routes_) {
    for (const auto& [method, handler] : route.methods) table.emplace_back(method, route.pattern);
  }
  return table;
}

const Router::Route* Router::find(std::string_view path, std::string& parameter) const {
  if (path.empty()) return nullptr;  // of a request that could not be read
  std::string with_slash(path);
  if (!with_slash.ends_with('/')) with_slash += '/';
  for (const Route& route : routes_) {
    if (route.below ? with_slash.starts_with(route.pattern)
                    : matches(route.pattern, with_slash, parameter)) {
      return &route;
    }
  }
  return nullptr;
}

void Router::handle(Exchange& exchange) const {
  const auto context = std::make_shared<ActiveContext>(options_.observer);
  const auto refuse = [&](const Refusal& refusal) {
    Call(exchange, context, {}).answer(refusal.status, refusal.body, context->headers_of(refusal));
  };
  try {
    dispatch(exchange, context);
  } catch (const Refusal& refusal) {
    refuse(refusal);
  } catch (const Error& error) {
    if (!error.details().diagnostic.empty()) {
      spdlog::warn("{}: {} ({})", context->route, error.what(), error.details().diagnostic);
    }
    refuse(refusal_for(error));
  } catch (const std::exception& e) {
    // The type says enough to look for it; the text might quote what a visitor sent.
    spdlog::error("{}: a handler failed with {}", context->route, typeid(e).name());
    refuse(Refusal(500, {{"detail", "Internal server error."}}));
  }
}

void Router::fill(AnswerContext& context, std::string_view path, std::string_view peer,
                  const Head& head) const {
  context.request_id = request_id(head.request_id);
  context.trace_id = trace_id(head.traceparent);
  context.spread = &options_.spread;
  if (options_.client && !peer.empty()) context.client = options_.client(peer, head.forwarded_for);
  context.headers.emplace("X-Request-Id", context.request_id);
  const bool closed = is_closed(path);
  context.secure = head.secure;
  add_security_headers(context.headers, closed);
  options_.https.add_headers(context.headers, head.secure, closed);
  if (!path.starts_with(kApi)) return;
  context.headers.emplace("Cache-Control", "no-store");
  if (!closed) add_cors_headers(context.headers, rules_, head.origin, head.preflight);
}

void Router::dispatch(Exchange& exchange, const std::shared_ptr<AnswerContext>& context) const {
  const httplib::Request& request = exchange.request();
  const std::string_view path = exchange.path();
  context->method = request.method;
  const std::string id = request.get_header_value("X-Request-Id");
  const std::string trace = request.get_header_value("traceparent");
  const std::string origin = request.get_header_value("Origin");
  const std::string forwarded_for = request.get_header_value("X-Forwarded-For");
  const std::string& proxy_header = options_.https.proxy_header();
  // Two fields of that name are nobody's word.
  const std::string proxied = request.get_header_value_count(proxy_header.c_str()) == 1
                                  ? request.get_header_value(proxy_header.c_str())
                                  : std::string();
  const bool secure =
      options_.https.is_secure(exchange.secure(), exchange.client_address(), proxied);
  fill(*context, path, exchange.client_address(),
       {id, trace, origin, forwarded_for, secure, is_preflight(request)});
  std::string parameter;
  const Route* route = find(path, parameter);
  if (route) {
    context->route = route->pattern;
    context->route_number = route->number;
  }
  Call call(exchange, context, std::move(parameter));

  const std::string host = request.get_header_value("Host");
  if (!rules_.allows_host(host)) {
    throw Refusal(400, {{"detail", "The host name in the request is not one of ALLOWED_HOSTS."}});
  }
  if (const auto url = options_.https.redirect(secure, path, host, request.target)) {
    // After 301 a POST may come as a GET.
    const bool reads = request.method == "GET" || request.method == "HEAD";
    return call.answer_empty(reads ? 301 : 308, {{"Location", *url}});
  }
  if (is_preflight(request)) return call.answer_empty(200);
  if (!route) throw Refusal(404, {{"detail", "Not found."}});
  if (request.method == "OPTIONS") return call.answer_empty(200, {{"Allow", route->allow()}});
  const auto handler = route->methods.find(request.method == "HEAD" ? "GET" : request.method);
  if (handler == route->methods.end()) {
    return call.answer(405, {{"detail", fmt::format("Method \"{}\" not allowed.", request.method)}},
                       {{"Allow", route->allow()}});
  }
  handler->second(call);
}

httplib::Response Router::error_answer(const ErrorCause& cause) const {
  AnswerContext context;
  const std::string_view path = cause.head.target.substr(0, cause.head.target.find('?'));
  context.method = cause.head.method;
  context.since = cause.since;
  context.observer = options_.observer;
  const bool secure =
      options_.https.is_secure(cause.secure, cause.client_address,
                               cause.head.field(ascii_lower(options_.https.proxy_header())));
  fill(context, path, cause.client_address,
       {cause.head.field("x-request-id"), cause.head.field("traceparent"),
        cause.head.field("origin"), cause.head.field("x-forwarded-for"), secure, false});
  std::string parameter;
  if (const Route* route = find(path, parameter)) {
    context.route = route->pattern;
    context.route_number = route->number;
  }
  Refusal refusal(cause.status, {{"detail", cause.detail}});
  if (cause.status == 503) refusal.spread_retries(2);
  httplib::Response response =
      context.response(refusal.status, refusal.body, context.headers_of(refusal));
  context.log(cause.status, response.body.size());
  return response;
}

}  // namespace twinchat::server
