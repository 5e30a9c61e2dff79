#pragma once

#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/json.h"
#include "api/retry_spread.h"

namespace twinchat::server {

// Thrown by whatever finds that a request cannot be served: the answer in its place.
//
// Thread safety: a plain value.
struct Refusal : std::exception {
  Refusal(int refusal_status, Json refusal_body)
      : status(refusal_status), body(std::move(refusal_body)) {}
  const char* what() const noexcept override { return "the request was refused"; }

  // Many get this refusal at the same time, and are to come back after so many seconds, spread over
  // a time that suits them.
  void spread_retries(int seconds) {
    retry_after = seconds;
    spread = RetrySpread::suited_to(seconds);
  }

  int status;
  Json body;
  // Goes out as Retry-After, in seconds.
  std::optional<int> retry_after = {};
  // Many get this refusal at the same time: each is told to come back up to so many seconds later
  // than the other, at random. 0: this one alone has to wait.
  int spread = 0;
  // Goes out as WWW-Authenticate.
  std::string authenticate = {};
  // Further fields, as they go out.
  std::vector<std::pair<std::string, std::string>> headers = {};
};

}  // namespace twinchat::server
