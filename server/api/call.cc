#include "api/call.h"

#include <spdlog/spdlog.h>

#include "api/json_body.h"
#include "text.h"

namespace twinchat::server {

httplib::Response AnswerContext::empty_response(int status, const HeaderList& further) const {
  httplib::Response response;
  response.status = status;
  response.headers = headers;
  for (const auto& [name, value] : further) response.set_header(name, value);
  return response;
}

httplib::Response AnswerContext::response(int status, const Json& body,
                                          const HeaderList& further) const {
  httplib::Response made = empty_response(status, further);
  made.set_content(to_text(body), "application/json");
  return made;
}

void AnswerContext::log(int status) const {
  const auto took = std::chrono::steady_clock::now() - since;
  if (observer) observer->answered(route_number, method, status, took);
  const auto field = [](const char* name, const std::string& value) {
    return value.empty() ? std::string() : name + value;
  };
  spdlog::log(status >= 500 ? spdlog::level::warn : spdlog::level::info, "{} {} {} {:.1f} ms{}{}{}",
              method, route, status, std::chrono::duration<double, std::milli>(took).count(),
              field(" request=", request_id), field(" session=", session),
              field(" trace=", trace_id));
}

HeaderList headers_of(const Refusal& refusal) {
  HeaderList headers;
  if (refusal.retry_after)
    headers.emplace_back("Retry-After", std::to_string(*refusal.retry_after));
  if (!refusal.authenticate.empty()) {
    headers.emplace_back("WWW-Authenticate", refusal.authenticate);
  }
  headers.insert(headers.end(), refusal.headers.begin(), refusal.headers.end());
  return headers;
}

void LateAnswer::send(int status, const Json& body, const HeaderList& further) {
  context_->log(status);
  reply_->send(context_->response(status, body, further));
}

void LateAnswer::send(const Refusal& refusal) {
  send(refusal.status, refusal.body, headers_of(refusal));
}

std::shared_ptr<Reply> LateAnswer::begin_stream(const HeaderList& further) {
  reply_->begin_stream(context_->empty_response(200, further));
  return reply_;
}

std::optional<std::string> Call::query(std::string_view name) const {
  return query_value(request().target, name);
}

Json Call::json() const {
  return parse_json_body(request().get_header_value("Content-Type"), exchange_.body());
}

void Call::answer(int status, const Json& body, const HeaderList& further) {
  context_->log(status);
  exchange_.response() = context_->response(status, body, further);
}

void Call::answer_empty(int status, const HeaderList& further) {
  context_->log(status);
  exchange_.response() = context_->empty_response(status, further);
}

}  // namespace twinchat::server
