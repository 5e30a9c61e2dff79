#include "gemini_standin/gemini_api.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

namespace twinchat::testing {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 10> kModels = {
    "gemini-2.5-flash",      "gemini-2.5-flash-lite",   "gemini-2.5-pro",   "gemini-3.1-flash-lite",
    "gemini-3.5-flash-lite", "gemini-3.6-flash",        "gemini-3.8-flash", "gemini-4-argon",
    "gemini-flash-latest",   "gemini-flash-lite-latest"};

std::optional<ApiError> credential_fault(const HttpRequest& request) {
  const std::string* header_key = request.header("x-goog-api-key");
  const bool bearer = request.header("authorization") != nullptr;
  bool query = false;
  const std::string query_key = request.query_value("key", &query);
  const int count = (header_key != nullptr ? 1 : 0) + (bearer ? 1 : 0) + (query ? 1 : 0);
  if (count > 1) {
    return ApiError{.message =
                        "Multiple authentication credentials received. Please pass only "
                        "one."};
  }
  const std::string key = header_key != nullptr ? *header_key : query_key;
  if (!bearer && key.empty()) {
    return ApiError{.code = 403,
                    .message =
                        "Method doesn't allow unregistered callers (callers without "
                        "established identity). Please use API Key or other form of API "
                        "consumer identity to call this API.",
                    .status = "PERMISSION_DENIED"};
  }
  if (key == "bad-key") {
    const std::string message = "API key not valid. Please pass a valid API key.";
    return ApiError{
        .message = message,
        .details = json::array({{{"@type", "type.googleapis.com/google.rpc.ErrorInfo"},
                                 {"reason", "API_KEY_INVALID"},
                                 {"domain", "googleapis.com"},
                                 {"metadata", {{"service", "generativelanguage.googleapis.com"}}}},
                                {{"@type", "type.googleapis.com/google.rpc.LocalizedMessage"},
                                 {"locale", "en-US"},
                                 {"message", message}}})};
  }
  return std::nullopt;
}

ApiError not_found(const std::string& model, const std::string& version,
                   const std::string& method) {
  return {.code = 404,
          .message = "models/" + model + " is not found for API version " + version +
                     ", or is not supported for " + method +
                     ". Call ListModels to see the list of available models and their supported "
                     "methods.",
          .status = "NOT_FOUND"};
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

json model_json(std::string_view name) {
  return {{"name", "models/" + std::string(name)},
          {"version", "001"},
          {"displayName", name},
          {"inputTokenLimit", 1048576},
          {"outputTokenLimit", 65536},
          {"supportedGenerationMethods", {"generateContent", "countTokens"}},
          {"temperature", 1},
          {"maxTemperature", 2},
          {"topP", 0.95},
          {"topK", 64}};
}

// Null with the fault set when the body is no JSON object.
json parse_body(const std::string& body, std::optional<ApiError>& fault) {
  json parsed = json::parse(body, nullptr, false);
  if (parsed.is_object()) return parsed;
  fault = ApiError{.message = "Invalid JSON payload received. Unexpected token."};
  return {};
}

std::string last_user_text(const json& contents) {
  for (auto content = contents.rbegin(); content != contents.rend(); ++content) {
    const json* role = field(*content, "role");
    if (role == nullptr || *role != "model") return text_of(*content);
  }
  return "";
}

// Checks the body of a generate call and notes in `call` what the answer depends on.
std::optional<ApiError> read_body(const std::string& text, CallInfo& call) {
  std::optional<ApiError> fault;
  const json body = parse_body(text, fault);
  if (!fault) fault = find_fault(body, call.model);
  if (fault) return fault;

  const json& contents = *field(body, "contents");
  call.last_user_text = last_user_text(contents);
  call.user_turns =
      static_cast<int>(std::count_if(contents.begin(), contents.end(), [](const json& content) {
        const json* role = field(content, "role");
        return role == nullptr || *role == "user";
      }));
  std::size_t bytes = prompt_bytes(contents);
  if (const json* system = field(body, "systemInstruction")) bytes += prompt_bytes(*system);
  call.prompt_tokens = tokens_of(bytes);
  if (const json* config = field(body, "generationConfig")) {
    if (const json* cap = field(*config, "maxOutputTokens")) {
      call.max_output_tokens = cap->get<std::int64_t>();
    }
    if (const json* thinking = field(*config, "thinkingConfig")) {
      const json* include = field(*thinking, "includeThoughts");
      call.include_thoughts = include != nullptr && *include == true;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<GeminiApi::Route> GeminiApi::find_route(const HttpRequest& request) {
  static const std::set<std::string_view> kVersions = {"v1", "v1beta", "v1beta1", "v1alpha"};
  std::vector<std::string_view> segments;
  std::string_view rest = request.path;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    segments.push_back(rest.substr(0, rest.find('/')));
    rest.remove_prefix(segments.back().size());
  }
  const auto version = std::find_if(segments.begin(), segments.end(), [](std::string_view segment) {
    return kVersions.contains(segment);
  });
  if (version == segments.end()) return std::nullopt;
  auto models = version + 1;
  if (models != segments.end() && *models == "projects") {
    models = std::find(models, segments.end(), "models");  // Vertex: projects/P/locations/L/...
  }
  if (models == segments.end() || *models != "models") return std::nullopt;
  Route route{.version = std::string(*version), .model = "", .method = ""};
  const auto left = segments.end() - models;
  if (left == 1 && request.method == "GET") {
    route.method = "listModels";
    return route;
  }
  if (left != 2) return std::nullopt;
  const std::string_view name = models[1];
  const std::size_t colon = name.find(':');
  route.model = name.substr(0, colon);
  if (request.method == "GET" && colon == std::string_view::npos) {
    route.method = "getModel";
    return route;
  }
  if (request.method != "POST" || colon == std::string_view::npos) return std::nullopt;
  route.method = name.substr(colon + 1);
  if (route.method != "generateContent" && route.method != "streamGenerateContent" &&
      route.method != "countTokens") {
    return std::nullopt;
  }
  return route;
}

Answer GeminiApi::handle(HttpRequest request) {
  if (request.path.starts_with("/_")) {
    return admin(request).value_or(json_answer(404, {{"error", "no such /_ path"}}));
  }
  Answer answer;
  try {
    answer = call(request);
  } catch (const json::exception&) {
    // A member of a type the checks did not look at.
    answer = error_answer({.message = "Invalid JSON payload received. Invalid value."});
  }
  if (options_.record) records_.push_back(std::move(request));
  return answer;
}

std::optional<Answer> GeminiApi::admin(const HttpRequest& request) {
  if (request.path == "/_script" && request.method == "POST") return add_to_script(request.body);
  if (request.path == "/_script" && request.method == "DELETE") {
    script_.clear();
    records_.clear();
    server_->reset_stats();
    return json_answer(200, json::object());
  }
  if (request.path == "/_requests" && request.method == "GET") return json_answer(200, recorded());
  if (request.path == "/_stats" && request.method == "GET") return json_answer(200, stats());
  return std::nullopt;
}

Answer GeminiApi::add_to_script(const std::string& body) {
  std::vector<Reply> replies;
  try {
    const json parsed = json::parse(body);
    for (const json& reply : parsed.at("replies")) replies.push_back(parse_reply(reply));
  } catch (const json::exception&) {
    return json_answer(400, {{"error", "the script must be JSON like {\"replies\":[...]}"}});
  } catch (const std::invalid_argument& error) {
    return json_answer(400, {{"error", error.what()}});
  }
  for (Reply& reply : replies) script_.add(std::move(reply));
  return json_answer(200, {{"pending", script_.size()}});
}

json GeminiApi::recorded() const {
  json list = json::array();
  for (const HttpRequest& request : records_) {
    json headers = json::object();
    for (const auto& [name, value] : request.headers) headers[name] = value;
    json body = json::parse(request.body, nullptr, false);
    const bool parsed = !body.is_discarded();
    list.push_back({{"method", request.method},
                    {"path", request.path},
                    {"query", request.query},
                    {"headers", std::move(headers)},
                    {"body", parsed ? std::move(body) : json()},
                    {"body_bytes", request.body.size()},
                    {"arrival_ms", request.arrival_ms},
                    {"connection", request.connection_id}});
  }
  return list;
}

json GeminiApi::stats() const {
  const ServerStats& stats = server_->stats();
  return {{"calls", stats.calls},
          {"open_connections", stats.open_connections},
          {"connections_total", stats.connections_total},
          {"in_flight", stats.in_flight},
          {"max_in_flight", stats.max_in_flight},
          {"aborted", stats.aborted},
          {"pending_replies", script_.size()}};
}

Answer GeminiApi::call(const HttpRequest& request) {
  const std::optional<Route> route = find_route(request);
  if (!route) return html_answer(404, "The requested URL was not found on this server.");
  const bool as_array =
      route->method == "streamGenerateContent" && request.query_value("alt") != "sse";
  if (const auto fault = credential_fault(request)) return error_answer(*fault, as_array);
  if (route->method == "listModels") {
    return scripted(*route).value_or(list_models(request));
  }
  if (!model_exists(route->model)) {
    return error_answer(not_found(route->model, route->version, route->method), as_array);
  }
  if (route->method == "getModel") {
    return scripted(*route).value_or(json_answer(200, model_json(route->model)));
  }
  if (route->method == "countTokens") return count_tokens(*route, request);
  return generate(*route, request);
}

std::optional<Answer> GeminiApi::scripted(const Route& route) {
  const auto reply = script_.take({route.method, route.model, ""});
  if (!reply) return std::nullopt;
  CallInfo call;
  call.model = route.model;
  return generation_answer(*reply, call);
}

Answer GeminiApi::generate(const Route& route, const HttpRequest& request) {
  CallInfo call;
  call.stream = route.method == "streamGenerateContent";
  call.sse = call.stream && request.query_value("alt") == "sse";
  call.model = route.model;
  call.response_id = "standin-" + std::to_string(++answers_);
  call.latency_ms = options_.latency_ms;
  if (options_.blind) {
    call.user_turns = 1;
    call.last_user_text = "the body was not read";
  } else if (const auto fault = read_body(request.body, call)) {
    return error_answer(*fault, call.stream && !call.sse);
  }
  const auto reply = script_.take({route.method, route.model, call.last_user_text});
  return generation_answer(reply.value_or(Reply{}), call);
}

Answer GeminiApi::count_tokens(const Route& route, const HttpRequest& request) {
  std::optional<ApiError> fault;
  const json body = parse_body(request.body, fault);
  if (fault) return error_answer(*fault);
  std::size_t bytes = 0;
  if (const json* inner = field(body, "generateContentRequest")) {
    const json* name = field(*inner, "model");
    if (name == nullptr || *name != "models/" + route.model) {
      return error_answer({.message = "* CountTokensRequest.generate_content_request.model: model "
                                      "must be models/" +
                                      route.model + "\n"});
    }
    fault = find_fault(*inner, route.model);
    if (fault) return error_answer(*fault);
    bytes = prompt_bytes(*field(*inner, "contents"));
    if (const json* system = field(*inner, "systemInstruction")) bytes += prompt_bytes(*system);
  } else {
    const json* contents = field(body, "contents");
    fault = find_contents_fault(contents == nullptr ? json() : *contents, route.model);
    if (fault) return error_answer(*fault);
    bytes = prompt_bytes(*contents);
  }
  if (auto answer = scripted(route)) return *answer;
  const std::int64_t tokens = tokens_of(bytes);
  return json_answer(200, {{"totalTokens", tokens},
                           {"promptTokensDetails",
                            json::array({{{"modality", "TEXT"}, {"tokenCount", tokens}}})}});
}

Answer GeminiApi::list_models(const HttpRequest& request) const {
  bool has_size = false;
  bool has_token = false;
  const std::string size_text = request.query_value("pageSize", &has_size);
  const std::string token_text = request.query_value("pageToken", &has_token);
  const auto size = has_size ? parse_number(size_text) : 50;
  const auto start = has_token && !token_text.empty() ? parse_number(token_text) : 0;
  if (!size || *size < 0) return error_answer({.message = "Invalid value at 'page_size'."});
  if (!start || *start < 0 || *start > std::ssize(kModels)) {
    return error_answer({.message = "Invalid page token."});
  }
  const std::int64_t end =
      std::min<std::int64_t>(std::ssize(kModels), *start + (*size == 0 ? 50 : *size));
  json answer = {{"models", json::array()}};
  for (std::int64_t i = *start; i < end; ++i) {
    answer["models"].push_back(model_json(kModels[static_cast<std::size_t>(i)]));
  }
  if (end < std::ssize(kModels)) answer["nextPageToken"] = std::to_string(end);
  return json_answer(200, answer);
}

}  // namespace twinchat::testing
