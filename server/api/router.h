#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/call.h"
#include "api/headers.h"
#include "api/https_rules.h"

namespace twinchat::server {

struct RouterOptions {
  // What stands for the client in the log, made of the address of the TCP peer and the value of
  // X-Forwarded-For. Empty: nothing does.
  std::function<std::string(std::string_view peer, std::string_view forwarded_for)> client = {};
  // What depends on whether a request came by https.
  HttpsRules https = HttpsRules();
  // For the Retry-After of refusals that many get at once.
  RetrySpread spread = RetrySpread();
  // Hears of every answer, and must outlive the last of them; null: nobody does.
  RequestObserver* observer = nullptr;
};

// Finds the handler for a request and sees to everything around it: the Host check, the way to
// https, CORS and preflights, the header fields of every answer, HEAD and OPTIONS, 404 and 405, and
// errors thrown by handlers (Refusal as it is, twinchat::Error by refusal_for(), anything else
// 500).
//
// Thread safety: add() before the server runs, by one thread; handle() from any number of threads.
class Router {
 public:
  using Handler = std::function<void(Call&)>;

  explicit Router(AccessRules rules, RouterOptions options = {})
      : rules_(std::move(rules)), options_(std::move(options)) {}

  // Serves `method` on `pattern`, which ends with a slash and is found with and without it. A {} in
  // it stands for one segment. What was added first is tried first. GET serves HEAD as well.
  void add(const std::string& method, const std::string& pattern, Handler handler);

  // Serves GET on `prefix` and everything below it that no pattern matches.
  void add_below(const std::string& prefix, Handler handler);

  // The methods and patterns that were added, in their order.
  std::vector<std::pair<std::string, std::string>> table() const;

  // Answers the request, or leaves that to what the handler has begun.
  void handle(Exchange& exchange) const;

  // The answer to what never came to a handler (too large, malformed, too slow, too much), with the
  // fields of every answer as far as the request could be read, and its line in the log.
  httplib::Response error_answer(const ErrorCause& cause) const;

 private:
  struct Route {
    std::string pattern;
    std::size_t number = 0;  // with the observer
    std::map<std::string, Handler> methods = {};
    bool below = false;  // the pattern is only the beginning
    std::string allow() const;
  };

  const Route* find(std::string_view path, std::string& parameter) const;
  // The fields of a request's head that go into the context of its answers.
  struct Head {
    std::string_view request_id;
    std::string_view traceparent;
    std::string_view origin;
    std::string_view forwarded_for;
    bool secure = false;
    bool preflight = false;
  };
  void fill(AnswerContext& context, std::string_view path, std::string_view peer,
            const Head& head) const;
  void dispatch(Exchange& exchange, const std::shared_ptr<AnswerContext>& context) const;

  AccessRules rules_;
  RouterOptions options_;
  std::vector<Route> routes_;
};

}  // namespace twinchat::server
