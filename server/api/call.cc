#include "api/call.h"

#include "api/json_body.h"
#include "log/log.h"
#include "text.h"

namespace twinchat::server {

httplib::Response AnswerContext::empty_response(int status, const HeaderList& further) const {
  httplib::Response response;
  response.status = status;
  response.headers = headers;
  // What an answer says itself stands in place of what is on every one.
  for (const auto& [name, value] : further) response.headers.erase(name);
  for (const auto& [name, value] : further) response.set_header(name, value);
  return response;
}

httplib::Response AnswerContext::response(int status, const Json& body,
                                          const HeaderList& further) const {
  httplib::Response made = empty_response(status, further);
  // set_content() would copy the text.
  made.body = to_text(body);
  made.set_header("Content-Type", "application/json");
  return made;
}

void AnswerContext::log(int status, std::size_t bytes) const {
  const auto took = std::chrono::steady_clock::now() - since;
  if (observer) observer->answered(route_number, method, status, took);
  log_access({.method = method_name(method),
              .route = route,
              .request_id = request_id,
              .trace_id = trace_id,
              .session = session,
              .client = client,
              .status = status,
              .duration = took,
              .bytes = method == "HEAD" ? 0 : bytes});
}

std::optional<int> AnswerContext::retry_after(const Refusal& refusal) const {
  if (!refusal.retry_after || !spread) return refusal.retry_after;
  return (*spread)(*refusal.retry_after, refusal.spread);
}

HeaderList AnswerContext::headers_of(const Refusal& refusal) const {
  HeaderList headers;
  if (const auto wait = retry_after(refusal)) {
    headers.emplace_back("Retry-After", std::to_string(*wait));
  }
  if (!refusal.authenticate.empty()) {
    headers.emplace_back("WWW-Authenticate", refusal.authenticate);
  }
  headers.insert(headers.end(), refusal.headers.begin(), refusal.headers.end());
  return headers;
}

void LateAnswer::send(httplib::Response response) {
  context_->log(response.status, response.body.size());
  reply_->send(std::move(response));
}

void LateAnswer::send(int status, const Json& body, const HeaderList& further) {
  send(context_->response(status, body, further));
}

void LateAnswer::send(const Refusal& refusal) {
  send(refusal.status, refusal.body, context_->headers_of(refusal));
}

void LateAnswer::send_empty(int status, const HeaderList& further) {
  send(context_->empty_response(status, further));
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

void Call::answer(httplib::Response response) {
  context_->log(response.status, response.body.size());
  exchange_.response() = std::move(response);
}

void Call::answer(int status, const Json& body, const HeaderList& further) {
  answer(context_->response(status, body, further));
}

void Call::answer_bytes(int status, std::string_view body, const std::string& type,
                        const HeaderList& further) {
  httplib::Response response = context_->empty_response(status, further);
  response.set_content(body.data(), body.size(), type.c_str());
  answer(std::move(response));
}

void Call::answer_empty(int status, const HeaderList& further) {
  answer(context_->empty_response(status, further));
}

}  // namespace twinchat::server
