#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/call.h"
#include "api/headers.h"

namespace twinchat::server {

// Finds the handler for a request and sees to everything around it: the Host check, CORS and
// preflights, the header fields of every answer, HEAD and OPTIONS, 404 and 405, and errors thrown
// by handlers (Refusal as it is, twinchat::Error by refusal_for(), anything else 500).
//
// Thread safety: add() before the server runs, by one thread; handle() from any number of threads.
class Router {
 public:
  using Handler = std::function<void(Call&)>;

  // The observer, if there is one, must outlive the last answer.
  explicit Router(AccessRules rules, RequestObserver* observer = nullptr)
      : rules_(std::move(rules)), observer_(observer) {}

  // Serves `method` on `pattern`, which ends with a slash and is found with and without it. A {} in
  // it stands for one segment. What was added first is tried first. GET serves HEAD as well.
  void add(const std::string& method, const std::string& pattern, Handler handler);

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
    std::string allow() const;
  };

  const Route* find(std::string_view path, std::string& parameter) const;
  // Everything that an answer's context takes from the head of its request.
  void fill(AnswerContext& context, std::string_view path, std::string_view request_id,
            std::string_view traceparent, std::string_view origin, bool preflight) const;
  void dispatch(Exchange& exchange, const std::shared_ptr<AnswerContext>& context) const;

  AccessRules rules_;
  RequestObserver* const observer_;
  std::vector<Route> routes_;
};

}  // namespace twinchat::server
