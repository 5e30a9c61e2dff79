// What /metrics says, where, and what it never says.

#include <csignal>
#include <map>
#include <regex>
#include <set>

#include "catch.h"
#include "chat_server.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

// Series as they stand in the text, "name{label=\"value\",...}", with their values.
using Series = std::map<std::string, double>;

// Reads the text format strictly: any line that Prometheus would not take fails the test, as do a
// family without HELP and TYPE or in two places, a series that comes twice, and buckets that do not
// add up.
Series parse(const std::string& text) {
  static const std::regex kHelp("# HELP ([a-z_]+) [^\\\\]+");
  static const std::regex kType("# TYPE ([a-z_]+) (counter|gauge|histogram)");
  static const std::regex kSample(
      "([a-z_]+)(\\{[a-z_]+=\"[^\"\\\\\n]*\"(?:,[a-z_]+=\"[^\"\\\\\n]*\")*\\})? "
      "([0-9.e+-]+|\\+Inf|NaN)");
  Series series;
  std::set<std::string> families;
  std::string helped;
  std::string family;
  std::string type;
  std::map<std::string, double> last_bucket;
  REQUIRE(text.ends_with('\n'));
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    INFO(line);
    std::smatch match;
    if (std::regex_match(line, match, kHelp)) {
      helped = match[1];
      CHECK(families.insert(helped).second);
    } else if (std::regex_match(line, match, kType)) {
      family = match[1];
      type = match[2];
      CHECK(family == helped);
      CHECK((type == "counter") == family.ends_with("_total"));
    } else {
      REQUIRE(std::regex_match(line, match, kSample));
      const std::string name = match[1];
      const double value = std::stod(match[3]);
      if (type == "histogram") {
        CHECK((name == family + "_bucket" || name == family + "_count" || name == family + "_sum"));
      } else {
        CHECK(name == family);
      }
      if (type != "gauge") CHECK(value >= 0);
      CHECK(series.emplace(name + match[2].str(), value).second);
      if (name == family + "_bucket") {
        const std::string labels = match[2];
        const std::string others = labels.substr(0, labels.find(",le="));
        CHECK(value >= last_bucket[others]);
        last_bucket[others] = value;
        if (labels.find("le=\"+Inf\"") != std::string::npos) {
          last_bucket.erase(others);
          CHECK(series.at(family + "_count" + others + (others.ends_with('}') ? "" : "}")) ==
                value);
        }
      }
    }
  }
  CHECK(last_bucket.empty());
  return series;
}

Series metrics_of(const ChatServer& server) {
  const HttpResponse response = HttpClient(server.metrics_url()).get("/metrics");
  REQUIRE(response.status == 200);
  CHECK(response.header("content-type").value_or("").starts_with("text/plain; version=0.0.4"));
  return parse(response.body);
}

// The value; 0 for a series that is not there (yet).
double value(const Series& series, const std::string& name) {
  const auto found = series.find(name);
  return found == series.end() ? 0 : found->second;
}

std::string requests(const std::string& method, const std::string& route, int status) {
  return "http_server_request_duration_seconds_count{http_request_method=\"" + method +
         "\",http_response_status_code=\"" + std::to_string(status) + "\",http_route=\"" + route +
         "\"}";
}

// The labels of a model's series; those of a failure with its code.
std::string of_model(const std::string& model, const std::string& error = "") {
  return std::string("{") + (error.empty() ? "" : "error_type=\"" + error + "\",") +
         "gen_ai_operation_name=\"generate_content\",gen_ai_provider_name=\"gcp.gemini\","
         "gen_ai_request_model=\"" +
         model + "\"}";
}

std::string calls(const std::string& error = "") {
  return "gen_ai_client_operation_duration_seconds_count" + of_model("the-model", error);
}

const std::string kFirstChunks =
    "gen_ai_client_operation_time_to_first_chunk_seconds_count" + of_model("the-model");

std::string store_calls(const std::string& operation) {
  return "db_client_operation_duration_seconds_count{db_operation_name=\"" + operation + "\"}";
}

TEST_CASE("Each request, model call and store call is counted once, under its route's name") {
  ChatServer server({.env = {{"GEMINI_MODEL", "the-model"}}});
  Series seen = metrics_of(server);
  CHECK(value(seen, "twinchat_build_info{version=\"0.1.0\"}") == 1);
  for (const char* name : {"process_resident_memory_bytes", "process_start_time_seconds",
                           "process_cpu_seconds_total", "twinchat_wal_bytes"}) {
    INFO(name);
    CHECK(value(seen, name) > 0);
  }
  CHECK(value(seen, "twinchat_breaker_state{model=\"the-model\"}") == 0);

  const std::string id = server.new_session();
  server.gemini().script({{{"text", "Hello"},
                           {"usage",
                            {{"promptTokenCount", 20},
                             {"cachedContentTokenCount", 5},
                             {"candidatesTokenCount", 7},
                             {"thoughtsTokenCount", 3},
                             {"totalTokenCount", 30}}}},
                          {{"text", "Streamed"}},
                          {{"status", 503}}});
  CHECK(server.ask(id, "One").status == 200);
  CHECK(
      server.post("/api/chat/message/stream/", Json{{"session_id", id}, {"message", "Two"}}.dump())
          .status == 200);
  CHECK(server.ask(id, "Three").status == 503);
  CHECK(server.get("/api/chat/sessions/get_session/?session_id=" + id).status == 200);
  CHECK(server.request("BREW", "/api/chat/message").status == 405);
  CHECK(server.get("/api/chat/sessions/secret-in-the-path/").status == 401);
  CHECK(server.get("/secret-elsewhere").status == 404);
  HttpClient broken(server.base_url());
  broken.send_raw("POST /api/chat/message/ HTTP/1.1\r\nHost: x\r\nContent-Length: no\r\n\r\n");
  CHECK(broken.receive_response().status == 400);

  // The stream's count comes after its last byte.
  CHECK(eventually([&] {
    seen = metrics_of(server);
    return value(seen, requests("POST", "/api/chat/message/stream/", 200)) == 1 &&
           value(seen, "http_server_active_requests") == 0;
  }));
  CHECK(value(seen, requests("POST", "/api/chat/sessions/create_session/", 201)) == 1);
  CHECK(value(seen, requests("POST", "/api/chat/message/", 200)) == 1);
  CHECK(value(seen, requests("POST", "/api/chat/message/", 503)) == 1);
  CHECK(value(seen, requests("POST", "/api/chat/message/", 400)) == 1);
  CHECK(value(seen, requests("GET", "/api/chat/sessions/get_session/", 200)) == 1);
  CHECK(value(seen, requests("_OTHER", "/api/chat/message/", 405)) == 1);
  CHECK(value(seen, requests("GET", "/api/chat/sessions/{}/", 401)) == 1);
  CHECK(value(seen, requests("GET", "(none)", 404)) == 1);
  CHECK(value(seen, "twinchat_http_rejected_total{reason=\"malformed\"}") == 1);

  CHECK(value(seen, calls()) == 2);
  CHECK(value(seen, calls("UNAVAILABLE")) == 1);
  CHECK(value(seen, kFirstChunks) == 1);
  CHECK(value(seen, "twinchat_llm_inflight") == 0);
  CHECK(value(seen, store_calls("create_session")) == 1);
  CHECK(value(seen, store_calls("begin_turn")) == 3);
  CHECK(value(seen, store_calls("finish_turn")) == 3);

  // The stand-in counts the streamed answer's tokens in its own way: what it said is stored.
  Usage used;
  for (const Turn& turn : server.turns(id)) {
    used.prompt_tokens += turn.usage.prompt_tokens;
    used.cached_tokens += turn.usage.cached_tokens;
    used.output_tokens += turn.usage.output_tokens;
    used.thought_tokens += turn.usage.thought_tokens;
  }
  CHECK(used.thought_tokens >= 3);
  CHECK(used.cached_tokens >= 5);
  const auto tokens = [&](const std::string& kind) {
    return static_cast<std::int64_t>(value(
        seen, "gen_ai_client_inference_usage_" + kind + "_tokens_total" + of_model("the-model")));
  };
  CHECK(tokens("input") == used.prompt_tokens);
  CHECK(tokens("output") == used.output_tokens + used.thought_tokens);
  CHECK(tokens("cache_read_input") == used.cached_tokens);
  CHECK(tokens("reasoning_output") == used.thought_tokens);
}

#ifdef TWINCHAT_TEST_POSTGRES
TEST_CASE("The connections to PostgreSQL are counted, and the log does not tell the password") {
  const PostgresDatabase database(PostgresDatabase::Kind::kReused);
  ChatServer server({.env = {{"DATABASE_URL", database.url()}, {"DATABASE_POOL_SIZE", "3"}}});
  CHECK(server.ask(server.new_session(), "Hello").status == 200);
  const Series seen = metrics_of(server);
  CHECK(value(seen, "db_client_connection_max") == 3);
  CHECK(value(seen, "twinchat_db_connections_opened_total") > 0);
  CHECK(value(seen, "db_client_connection_count{db_client_connection_state=\"used\"}") +
            value(seen, "db_client_connection_count{db_client_connection_state=\"idle\"}") >
        0);
  CHECK(value(seen, "db_client_connection_timeouts_total") == 0);
  server.stop(SIGTERM);
  CHECK(server.log().find("with database postgresql://127.0.0.1:") != std::string::npos);
  CHECK(server.log().find(kPostgresPassword) == std::string::npos);
}
#endif

TEST_CASE("Metrics are not on the visitors' port, and nothing that visitors sent is in them") {
  ChatServer server;
  CHECK(server.get("/metrics").status == 404);
  CHECK(server.get("/metrics/").status == 404);
  const std::string id = server.new_session();
  const std::string update = "/api/chat/sessions/update_user_details/";
  CHECK(server.ask(id, "my-secret-sorrow", {{"X-Request-Id", "my-request"}}).status == 200);
  CHECK(
      server
          .post(
              update,
              Json{{"session_id", id}, {"user_details", {{"email", "jane@secret.example"}}}}.dump())
          .status == 200);
  server.get("/" + id + "/my-secret-path?my-secret-query");
  server.request("MYSECRET", "/api/chat/message/");
  const std::string text = HttpClient(server.metrics_url()).get("/metrics").body;
  for (const std::string& secret :
       {id, std::string("secret"), std::string("SECRET"), std::string("jane"),
        std::string("my-request"), kSecretKey, kGeminiKey, std::string("127.0.0.1")}) {
    INFO(secret);
    CHECK(text.find(secret) == std::string::npos);
  }
  // Nor is the chat on the metrics' port.
  CHECK(HttpClient(server.metrics_url()).get("/livez").status == 404);
  CHECK(HttpClient(server.metrics_url()).get("/api/chat/sessions/get_session/").status == 404);
  CHECK(HttpClient(server.metrics_url()).request("POST", "/metrics").status == 405);
  CHECK(HttpClient(server.metrics_url()).request("HEAD", "/metrics").status == 200);
}

TEST_CASE("What is under way is shown while it is") {
  ChatServer server;
  const std::string id = server.new_session();
  server.gemini().script({{{"text", "Late"}, {"latency_ms", 600'000}}});
  HttpClient waiting(server.base_url());
  const std::string body = Json{{"session_id", id}, {"message", "Hi"}}.dump();
  waiting.send_raw(
      "POST /api/chat/message/stream/ HTTP/1.1\r\nHost: localhost\r\n"
      "Content-Type: application/json\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body);
  CHECK(eventually([&] {
    const Series seen = metrics_of(server);
    return value(seen, "twinchat_llm_inflight") == 1 &&
           value(seen, "http_server_active_requests") == 1 &&
           value(seen, "twinchat_http_open_connections") >= 1;
  }));
  waiting.close();
  CHECK(eventually([&] {
    const Series seen = metrics_of(server);
    return value(seen, "twinchat_llm_inflight") == 0 &&
           value(seen, "http_server_active_requests") == 0;
  }));
}

TEST_CASE("A session counts as a lead when it first has an e-mail address or a telephone number",
          "[storage]") {
  ChatServer server;
  const auto leads = [&] { return value(metrics_of(server), "twinchat_leads_total"); };
  const std::string id = server.new_session();
  const auto update = [&](const Json& details) {
    CHECK(server
              .post("/api/chat/sessions/update_user_details/",
                    Json{{"session_id", id}, {"user_details", details}}.dump())
              .status == 200);
  };
  update({{"name", "Jane"}, {"email", ""}});
  CHECK(leads() == 0);
  update({{"email", "jane@example.com"}});
  CHECK(leads() == 1);
  update({{"phone", "+123"}, {"email", "jane@example.org"}});
  CHECK(leads() == 1);
  CHECK(server.post("/api/chat/sessions/create_session/", R"({"user_details":{"phone":"+456"}})")
            .status == 201);
  CHECK(leads() == 2);
  CHECK(server
            .post("/api/chat/message/", Json{{"session_id", server.new_session()},
                                             {"message", "Hi"},
                                             {"user_details", {{"email", "joe@example.com"}}}}
                                            .dump())
            .status == 200);
  CHECK(leads() == 3);
}

TEST_CASE("A model that is left alone shows, and so does the one that is asked in its place") {
  ChatServer server({.env = {{"GEMINI_MODEL", "the-model"}, {"GEMINI_FALLBACK_MODELS", "other"}}});
  Json replies = Json::array();
  for (int i = 0; i < 20; ++i) {
    replies.push_back({{"status", 503}});
    replies.push_back({{"text", "From the other"}});
  }
  server.gemini().script(replies);
  const std::string id = server.new_session();
  for (int i = 0; i < 20; ++i) CHECK(server.ask(id, "Hi").status == 200);
  const Series seen = metrics_of(server);
  CHECK(value(seen, "twinchat_breaker_state{model=\"the-model\"}") == 1);
  CHECK(value(seen, "twinchat_breaker_state{model=\"other\"}") == 0);
  CHECK(value(seen, "gen_ai_client_operation_duration_seconds_count" + of_model("other")) == 20);
  CHECK(value(seen, calls()) == 0);
}

TEST_CASE("An address for the metrics that is taken stops a server only when somebody named it") {
  const ChatServer first;
  const std::string taken = first.metrics_url().substr(std::string("http://").size());
  const TempDir folder;
  std::map<std::string, std::string> env = {{"DEBUG", "True"}, {"DATABASE_URL", "memory:"}};
  env["METRICS_ADDRESS"] = taken;
  const auto refused = start_program({"serve", "--port", "0"}, env, folder.path());
  CHECK(refused->wait_exit() == 1);
  CHECK(refused->errors().find(taken.substr(taken.find(':') + 1)) != std::string::npos);

  env["METRICS_ADDRESS"] = "off";
  const auto without = start_program({"serve", "--port", "0"}, env, folder.path());
  CHECK(without->wait_for_line("serving on http://"));
  without->signal(SIGTERM);
  CHECK(without->wait_exit() == 0);
  CHECK(without->errors().find("metrics") == std::string::npos);

  // Two with the default: at most one of them has it, both serve.
  env.erase("METRICS_ADDRESS");
  const auto one = start_program({"serve", "--port", "0"}, env, folder.path());
  const auto two = start_program({"serve", "--port", "0"}, env, folder.path());
  for (Process* process : {one.get(), two.get()}) {
    CHECK(process->wait_for_line("metrics"));
  }
  for (Process* process : {one.get(), two.get()}) {
    process->signal(SIGTERM);
    CHECK(process->wait_exit() == 0);
  }
  CHECK((one->errors() + two->errors()).find("no /metrics: ") != std::string::npos);

  for (const char* bad : {"9464", ":9464", "127.0.0.1", "::1:9464", "[127.0.0.1]:1", "a:70000"}) {
    INFO(bad);
    env["METRICS_ADDRESS"] = bad;
    const auto misled = start_program({"serve", "--port", "0"}, env, folder.path());
    CHECK(misled->wait_exit() == 2);
    CHECK(misled->errors().find("METRICS_ADDRESS in the environment is not usable") !=
          std::string::npos);
  }
}

}  // namespace
}  // namespace twinchat::testing
