#include "chat_server.h"

#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "catch.h"
#include "twinchat/sqlite_store.h"

namespace twinchat::testing {

std::unique_ptr<Process> start_program(std::vector<std::string> arguments,
                                       std::map<std::string, std::string> environment,
                                       const std::filesystem::path& folder, std::string input) {
  arguments.insert(arguments.begin(), TWINCHAT_SERVER);
  ProcessOptions options;
  options.clear_env = true;
  options.cwd = folder;
  options.input = std::move(input);
  // The reports of sanitizers, when the build has them, are for whoever runs the tests.
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) environment.emplace(name, value);
  }
  options.env.assign(environment.begin(), environment.end());
  return std::make_unique<Process>(std::move(arguments), std::move(options));
}

ChatServer::ChatServer(ChatServerOptions options) {
  environment_ = {{"SECRET_KEY", kSecretKey},
                  {"GEMINI_API_KEY", kGeminiKey},
                  {"GEMINI_BASE_URL", gemini_.base_url()},
                  {"GEMINI_MAX_ATTEMPTS", "1"},
                  {"DATABASE_URL", "sqlite:///chat.db"},
                  {"METRICS_ADDRESS", "127.0.0.1:0"},
                  {"CHAT_RATE_LIMITS", "off"}};
#ifdef TWINCHAT_TEST_POSTGRES
  const char* const database = std::getenv("TWINCHAT_TEST_DATABASE");
  if (database != nullptr && std::string_view(database) == "postgres") {
    postgres_.emplace(PostgresDatabase::Kind::kReused);
    environment_["DATABASE_URL"] = postgres_->bouncer_url();
  }
#endif
  for (auto& [name, value] : options.env) environment_[name] = value;
  std::erase_if(environment_, [](const auto& entry) { return entry.second.empty(); });
  start();
}

void ChatServer::start() {
  process_ = start_program({"serve", "--port", "0"}, environment_, folder_.path());
  // The URL in the line with `part` in it, up to `end`.
  const auto url = [this](std::string_view part, std::string_view end) {
    const auto line = process_->wait_for_line(part);
    if (!line) throw std::runtime_error("the server did not start:\n" + process_->errors());
    const std::size_t begin = line->find("http");
    return line->substr(begin, line->find(end, begin) - begin);
  };
  base_url_ = url("serving on http", "/ ");
  const auto metrics = environment_.find("METRICS_ADDRESS");
  if (metrics != environment_.end() && metrics->second != "off") {
    metrics_url_ = url("metrics at http", "/metrics");
  }
}

int ChatServer::stop(int signal) {
  process_->signal(signal);
  return process_->wait_exit().value();
}

void ChatServer::restart(int signal) {
  stop(signal);
  earlier_log_ = log();
  start();
}

HttpResponse ChatServer::get(std::string_view target, HttpHeaders headers) const {
  return HttpClient(base_url_).get(target, std::move(headers));
}

HttpResponse ChatServer::post(std::string_view target, std::string_view json,
                              HttpHeaders headers) const {
  return HttpClient(base_url_).post_json(target, json, std::move(headers));
}

HttpResponse ChatServer::request(std::string_view method, std::string_view target,
                                 HttpHeaders headers, std::string_view body) const {
  return HttpClient(base_url_).request(method, target, std::move(headers), body);
}

double ChatServer::metric(std::string_view series) const {
  const std::string text = "\n" + HttpClient(metrics_url_).get("/metrics").body;
  const std::string line = "\n" + std::string(series) + " ";
  const std::size_t at = text.find(line);
  return at == std::string::npos ? 0 : std::stod(text.substr(at + line.size()));
}

std::string ChatServer::new_session() const {
  return json_of(post("/api/chat/sessions/create_session/", "{}")).at("session_id");
}

HttpResponse ChatServer::ask(const std::string& session_id, const std::string& text,
                             HttpHeaders headers) const {
  return post("/api/chat/message/", Json{{"session_id", session_id}, {"message", text}}.dump(),
              std::move(headers));
}

Json ChatServer::session(const std::string& session_id) const {
  const HttpResponse response = get("/api/chat/sessions/get_session/?session_id=" + session_id);
  if (response.status != 200) throw std::runtime_error("no session:\n" + response.body);
  return json_of(response);
}

std::vector<std::string> ChatServer::said(const std::string& session_id) const {
  std::vector<std::string> lines;
  const Json shown = session(session_id);
  for (const Json& message : shown.at("messages")) {
    lines.push_back((message.at("is_bot").get<bool>() ? "b:" : "u:") +
                    message.at("content").get<std::string>());
  }
  return lines;
}

std::shared_ptr<Store> ChatServer::store() const {
  if (database_url() != "sqlite:///chat.db") return open_store(database_url());
  return open_sqlite_store(folder_ / "chat.db", {.create = false});
}

std::vector<Turn> ChatServer::turns(const std::string& session_id) const {
  return store()->turns(session_id, 100);
}

std::vector<std::string> served_routes(const ChatServer& server) {
  const auto program = start_program({"routes"}, {{"DEBUG", "True"}}, server.folder());
  REQUIRE(program->wait_exit() == 0);
  std::vector<std::string> routes;
  std::string lines = program->output();
  for (std::size_t end = 0; (end = lines.find('\n')) != std::string::npos;) {
    routes.push_back(lines.substr(0, end));
    lines.erase(0, end + 1);
  }
  return routes;
}

std::string pattern_of(std::string path) {
  for (std::size_t at = 0; (at = path.find('{', at)) != std::string::npos; ++at) {
    path.erase(at + 1, path.find('}', at) - at - 1);
  }
  return path;
}

std::vector<StreamEvent> events_of(std::string_view body) {
  std::vector<StreamEvent> events;
  while (!body.empty()) {
    const std::size_t end = body.find("\n\n");
    if (end == std::string_view::npos) throw std::runtime_error("an event without its end");
    std::string_view block = body.substr(0, end + 1);
    body.remove_prefix(end + 2);
    if (block.starts_with(':')) continue;
    StreamEvent event;
    while (!block.empty()) {
      const std::string line(block.substr(0, block.find('\n')));
      block.remove_prefix(line.size() + 1);
      if (line.starts_with("id: ")) {
        event.id = line.substr(4);
      } else if (line.starts_with("event: ")) {
        event.event = line.substr(7);
      } else if (line.starts_with("data: ")) {
        event.data = Json::parse(line.substr(6));
      } else {
        throw std::runtime_error("no line of an event: " + line);
      }
    }
    events.push_back(std::move(event));
  }
  return events;
}

Json json_of(const HttpResponse& response) {
  if (response.header("content-type") != "application/json") {
    throw std::runtime_error("no JSON, status " + std::to_string(response.status) + ":\n" +
                             response.body);
  }
  return Json::parse(response.body);
}

}  // namespace twinchat::testing
