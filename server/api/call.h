#pragma once

#include <httplib.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/json.h"
#include "api/refusal.h"
#include "api/request_observer.h"
#include "api/retry_spread.h"
#include "http/http_server.h"

namespace twinchat::server {

// Further header fields of an answer.
using HeaderList = std::vector<std::pair<std::string, std::string>>;

// What one request's answers have in common, wherever they are made: the header fields that go on
// every one of them, and the line in the log.
//
// Thread safety: written by the thread that runs the handler, before later() if it is called; the
// const functions may then be called from any thread.
struct AnswerContext {
  httplib::Headers headers = {};
  std::string method = {};
  // The route's pattern, never the path: paths may hold what must not be logged.
  std::string route = "(none)";
  std::string request_id = {};
  // Of the trace the request belongs to; empty when it named none.
  std::string trace_id = {};
  // A hash of the session's id, never the id; empty when there is no session in it.
  std::string session = {};
  // A hash of the client's address.
  std::string client = {};
  // The request came by https.
  bool secure = false;
  // The router's; outlives every answer.
  const RetrySpread* spread = nullptr;
  std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
  // Hears of the answer; null where nobody counts.
  RequestObserver* observer = nullptr;
  // What the observer calls the route.
  std::size_t route_number = 0;

  httplib::Response empty_response(int status, const HeaderList& further = {}) const;
  httplib::Response response(int status, const Json& body, const HeaderList& further = {}) const;
  // Writes the line in the log; `bytes` are those of the answer's body.
  void log(int status, std::size_t bytes) const;

  // When to come back, spread as the refusal says.
  std::optional<int> retry_after(const Refusal& refusal) const;
  // The fields that a refusal puts on its answer.
  HeaderList headers_of(const Refusal& refusal) const;
};

// An answer that is given after the handler has returned.
//
// Thread safety: every function may be called from any thread; one answer is given once.
class LateAnswer {
 public:
  LateAnswer(std::shared_ptr<Reply> reply, std::shared_ptr<const AnswerContext> context)
      : reply_(std::move(reply)), context_(std::move(context)) {}

  void send(int status, const Json& body, const HeaderList& further = {});
  void send(const Refusal& refusal);
  void send_empty(int status, const HeaderList& further = {});

  // Begins a stream with status 200 in place of send(); it is written and ended through the Reply.
  std::shared_ptr<Reply> begin_stream(const HeaderList& further);
  // To be called when the stream has ended, with the bytes that were written to it, for the line in
  // the log.
  void stream_ended(std::size_t bytes) const { context_->log(200, bytes); }
  // See AnswerContext::retry_after().
  std::optional<int> retry_after(const Refusal& refusal) const {
    return context_->retry_after(refusal);
  }

  // Called when the client goes away.
  void on_close(std::function<void()> gone) { reply_->on_close(std::move(gone)); }
  // See Reply.
  bool client_left() const { return reply_->client_left(); }

 private:
  void send(httplib::Response response);

  std::shared_ptr<Reply> reply_;
  std::shared_ptr<const AnswerContext> context_;
};

// One request on its way through a handler: what was asked, and the answer to it. The handler
// answers before it returns, or calls later().
//
// Thread safety: for the thread that runs the handler.
class Call {
 public:
  Call(Exchange& exchange, std::shared_ptr<AnswerContext> context, std::string parameter)
      : exchange_(exchange), context_(std::move(context)), parameter_(std::move(parameter)) {}

  const httplib::Request& request() const { return exchange_.request(); }
  // What stands in the path where the route's pattern has {}.
  const std::string& parameter() const { return parameter_; }
  // A parameter of the query; the last one of that name.
  std::optional<std::string> query(std::string_view name) const;
  // The address of the TCP peer, which may be a proxy.
  const std::string& peer() const { return exchange_.client_address(); }
  // Whether the request came by https, to this server or to a proxy that is believed.
  bool secure() const { return context_->secure; }
  // Decoded, without the query.
  std::string_view path() const { return exchange_.path(); }
  // Says which session the request is about, for the log: a hash of the id.
  void about_session(std::string hash) { context_->session = std::move(hash); }
  // See parse_json_body().
  Json json() const;

  void answer(int status, const Json& body, const HeaderList& further = {});
  // The same without a body.
  void answer_empty(int status, const HeaderList& further = {});
  // The same with bytes of that type as they are.
  void answer_bytes(int status, std::string_view body, const std::string& type,
                    const HeaderList& further = {});

  // To answer later, from any thread.
  LateAnswer later() { return {exchange_.defer(), context_}; }

 private:
  void answer(httplib::Response response);

  Exchange& exchange_;
  std::shared_ptr<AnswerContext> context_;
  std::string parameter_;
};

}  // namespace twinchat::server
