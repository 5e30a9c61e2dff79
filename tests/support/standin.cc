#include "standin.h"

#include <stdexcept>
#include <utility>

#include "http_client.h"

namespace twinchat::testing {
namespace {

using nlohmann::json;

std::vector<std::string> command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), TWINCHAT_GEMINI_STANDIN);
  return arguments;
}

}  // namespace

GeminiStandIn::GeminiStandIn(std::vector<std::string> arguments)
    : process_(command(std::move(arguments))) {
  const std::string marker = "listening on ";
  const auto line = process_.wait_for_line(marker);
  if (!line) throw std::runtime_error("gemini-standin did not start: " + process_.errors());
  base_url_ = line->substr(line->find(marker) + marker.size());
}

void GeminiStandIn::script(const json& replies) {
  const json list = replies.is_array() ? replies : json::array({replies});
  const HttpResponse response =
      HttpClient(base_url_).post_json("/_script", json{{"replies", list}}.dump());
  if (response.status != 200) throw std::invalid_argument(response.body);
}

json GeminiStandIn::requests() const {
  return json::parse(HttpClient(base_url_).get("/_requests").body);
}

GeminiStandIn::Stats GeminiStandIn::stats() const {
  const json stats = json::parse(HttpClient(base_url_).get("/_stats").body);
  return {.calls = stats.at("calls"),
          .open_connections = stats.at("open_connections"),
          .connections_total = stats.at("connections_total"),
          .in_flight = stats.at("in_flight"),
          .max_in_flight = stats.at("max_in_flight"),
          .aborted = stats.at("aborted"),
          .pending_replies = stats.at("pending_replies")};
}

void GeminiStandIn::reset() {
  HttpClient(base_url_).request("DELETE", "/_script");
}

}  // namespace twinchat::testing
