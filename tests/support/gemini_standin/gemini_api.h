#pragma once

#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "gemini_standin/answer.h"
#include "gemini_standin/http_message.h"
#include "gemini_standin/script.h"
#include "gemini_standin/server.h"

namespace twinchat::testing {

struct ApiOptions {
  // Before the head of every answer to a generate call whose reply names no latency of its own.
  int latency_ms = 0;
  // Keep the calls for GET /_requests; off for benchmarks, which make millions.
  bool record = true;
  // Do not even read the bodies of generate calls: no checks, and one text for all. For benchmarks
  // that want the processor for what they measure.
  bool blind = false;
};

// The Gemini API and the stand-in's own /_ paths: from a request to the answer it gets.
//
// Thread safety: none.
class GeminiApi {
 public:
  explicit GeminiApi(ApiOptions options) : options_(options) {}

  // Must be called once, before the first request; the server outlives the API's use of it.
  void attach(Server* server) { server_ = server; }
  Answer handle(HttpRequest request);

 private:
  struct Route {
    std::string version;
    std::string model;   // empty: the list
    std::string method;  // generateContent, ..., getModel, listModels
  };

  std::optional<Answer> admin(const HttpRequest& request);
  Answer add_to_script(const std::string& body);
  nlohmann::json recorded() const;
  nlohmann::json stats() const;

  Answer call(const HttpRequest& request);
  Answer generate(const Route& route, const HttpRequest& request);
  Answer count_tokens(const Route& route, const HttpRequest& request);
  Answer list_models(const HttpRequest& request) const;
  std::optional<Answer> scripted(const Route& route);
  static std::optional<Route> find_route(const HttpRequest& request);

  ApiOptions options_;
  Server* server_ = nullptr;
  Script script_;
  std::deque<HttpRequest> records_;
  std::uint64_t answers_ = 0;
};

}  // namespace twinchat::testing
