#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace twinchat::testing {

// An error as the Gemini API reports it.
struct ApiError {
  int code = 400;
  std::string message;
  std::string status = "INVALID_ARGUMENT";
  nlohmann::json details = nlohmann::json::array();
};

// {"error":{...}}, google.rpc.Status in JSON.
nlohmann::json error_json(const ApiError& error);
// The google.rpc.Code name Google sends with an HTTP status; "UNKNOWN" for others.
std::string status_name(int http_status);

// The member under its camelCase or its snake_case name, as protobuf's JSON takes both; null when
// absent. `camel_case` is the canonical name.
const nlohmann::json* field(const nlohmann::json& object, std::string_view camel_case);

bool model_exists(std::string_view model);
// What the call is really answered by: aliases and retired models are routed to another.
std::string served_model(std::string_view model);
// gemini-3 and later: thought signatures come and are wanted back.
bool model_signs(std::string_view model);

// A thought signature the stand-in gives out; it names its model, so that one carried over to
// another model is found.
std::string make_signature(std::string_view model, std::string_view response_id);

// What the real API would refuse in a generateContent body, or nothing.
std::optional<ApiError> find_fault(const nlohmann::json& body, const std::string& model);
// The same for the contents of a countTokens call.
std::optional<ApiError> find_contents_fault(const nlohmann::json& contents,
                                            const std::string& model);

std::optional<std::string> base64_decode(std::string_view text);

}  // namespace twinchat::testing
