// How often who may ask, whose address counts, and how the server takes its leave.

#include <algorithm>
#include <csignal>
#include <set>

#include "catch.h"
#include "chat_server.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

constexpr std::string_view kCreate = "/api/chat/sessions/create_session/";
constexpr std::string_view kGet = "/api/chat/sessions/get_session/?session_id=";
constexpr std::string_view kUpdate = "/api/chat/sessions/update_user_details/";

HttpHeaders from(const std::string& forwarded_for) {
  return {{"X-Forwarded-For", forwarded_for}};
}

void check_throttled(const HttpResponse& response, const std::string& policy) {
  CHECK(response.status == 429);
  const int wait = std::stoi(response.header("retry-after").value_or("0"));
  CHECK(wait >= 1);
  CHECK(wait <= 3600);
  const std::string detail = json_of(response).at("detail");
  CHECK(detail.find("Too many requests") == 0);
  CHECK(response.header("ratelimit-policy") == policy);
  const std::string name = policy.substr(0, policy.find(';'));
  CHECK(response.header("ratelimit").value_or("").starts_with(name + ";r=0;t="));
  CHECK(response.header("x-content-type-options") == "nosniff");
}

TEST_CASE("Beyond the burst an address has to wait, and what it did not ask for goes on") {
  const ChatServer server({.env = {{"CHAT_RATE_LIMITS", "create.address=3/h"}}});
  std::string id;
  for (int i = 0; i < 3; ++i) id = server.new_session();
  const HttpResponse response = server.post(kCreate, "{}", {{"Origin", "http://localhost:3000"}});
  check_throttled(response, "\"create-address\";q=3;w=3600");
  CHECK(response.header("access-control-allow-origin") == "http://localhost:3000");
  const std::string exposed = response.header("access-control-expose-headers").value_or("");
  for (const char* name : {"Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id"}) {
    CHECK(exposed.find(name) != std::string::npos);
  }
  CHECK(server.get(std::string(kGet) + id).status == 200);
  CHECK(server.ask(id, "Hi").status == 200);
  CHECK(server.get("/livez").status == 200);
}

TEST_CASE("A session that asks too often has to wait, another one does not") {
  ChatServer server({.env = {{"CHAT_RATE_LIMITS", "message.session=2/h, lookup.session=2/h"}}});
  const std::string one = server.new_session();
  const std::string two = server.new_session();
  CHECK(server.ask(one, "1").status == 200);
  CHECK(server.ask(one, "2").status == 200);
  check_throttled(server.ask(one, "3"), "\"message-session\";q=2;w=3600");
  check_throttled(
      server.post("/api/chat/message/stream/", Json{{"session_id", one}, {"message", "4"}}.dump()),
      "\"message-session\";q=2;w=3600");
  CHECK(server.gemini().stats().calls == 2);
  CHECK(server.ask(two, "1").status == 200);
  CHECK(server.said(one).size() == 4);
  CHECK(server.post(kUpdate, Json{{"session_id", one}, {"user_details", Json::object()}}.dump())
            .status == 200);
  check_throttled(server.get(std::string(kGet) + one), "\"lookup-session\";q=2;w=3600");
  CHECK(server.said(two).size() == 2);
}

TEST_CASE("Who asks for sessions that are not there has to wait with further lookups") {
  const ChatServer server({.env = {{"CHAT_RATE_LIMITS", "miss.address=3/h"}}});
  const std::string id = server.new_session();
  CHECK(server.get(std::string(kGet) + "guess").status == 404);
  CHECK(server.ask("guess", "Hi").status == 404);
  CHECK(server.post(kUpdate, R"({"session_id":"guess","user_details":{}})").status == 404);
  const HttpResponse known = server.get(std::string(kGet) + id);
  const HttpResponse unknown = server.get(std::string(kGet) + "guess");
  check_throttled(known, "\"miss-address\";q=3;w=3600");
  check_throttled(unknown, "\"miss-address\";q=3;w=3600");
  CHECK(server.ask(id, "Hi").status == 200);
}

TEST_CASE("Behind a trusted proxy each client is counted by itself, whatever it claims") {
  const ChatServer server({.env = {{"CHAT_RATE_LIMITS", "create.address=1/h"},
                                   {"TRUSTED_PROXIES", "127.0.0.0/8, 10.0.0.0/8"}}});
  const auto create = [&](HttpHeaders headers) {
    return server.post(kCreate, "{}", std::move(headers)).status;
  };
  CHECK(create(from("192.0.2.1")) == 201);
  CHECK(create(from("192.0.2.1")) == 429);
  CHECK(create(from("192.0.2.2")) == 201);
  CHECK(create(from("192.0.2.99, 192.0.2.1")) == 429);
  CHECK(create(from("192.0.2.1, 10.1.1.1")) == 429);
  CHECK(create({{"X-Forwarded-For", "192.0.2.98"}, {"X-Forwarded-For", "192.0.2.1"}}) == 429);
  CHECK(create(from("2001:db8::1")) == 201);
  CHECK(create(from("2001:db8::ffff")) == 429);
  CHECK(create(from("2001:db8:0:1::1")) == 201);
}

TEST_CASE("X-Forwarded-For from anybody else is ignored") {
  const ChatServer server(
      {.env = {{"CHAT_RATE_LIMITS", "create.address=1/h"}, {"TRUSTED_PROXIES", "10.0.0.0/8"}}});
  CHECK(server.post(kCreate, "{}", from("192.0.2.1")).status == 201);
  CHECK(server.post(kCreate, "{}", from("192.0.2.2")).status == 429);
  CHECK(server.post(kCreate, "{}", from("10.0.0.1")).status == 429);
}

TEST_CASE("off turns the limits off, and what is said of limits is checked") {
  const ChatServer server({.env = {{"CHAT_RATE_LIMITS", "off"}}});
  const std::string id = server.new_session();
  for (int i = 0; i < 30; ++i) CHECK(server.get(std::string(kGet) + "guess").status == 404);
  for (int i = 0; i < 30; ++i) CHECK(server.ask(id, "Hi").status == 200);
  CHECK_THROWS_WITH(ChatServer({.env = {{"CHAT_RATE_LIMITS", "often"}}}),
                    Catch::Contains("CHAT_RATE_LIMITS in the environment is not usable"));
  CHECK_THROWS_WITH(ChatServer({.env = {{"TRUSTED_PROXIES", "proxy.example"}}}),
                    Catch::Contains("TRUSTED_PROXIES in the environment is not usable"));
}

TEST_CASE("Without a setting one visitor is held to twenty messages at once") {
  const ChatServer server({.env = {{"CHAT_RATE_LIMITS", ""}}});
  const std::string id = server.new_session();
  std::set<int> seen;
  // A slow machine earns one more message every three seconds.
  for (int i = 0; i < 200 && !seen.contains(429); ++i) seen.insert(server.ask(id, "Hi").status);
  CHECK(seen == std::set<int>{200, 429});
}

TEST_CASE("A server that is about to stop is not ready, and serves until the delay has passed") {
  ChatServer server({.env = {{"DRAIN_DELAY", "600"}}});
  const std::string id = server.new_session();
  CHECK(server.get("/readyz").status == 200);
  server.process().signal(SIGTERM);
  CHECK(eventually([&] { return server.get("/readyz").status == 503; }));
  CHECK(server.get("/readyz").body == R"({"status":"draining"})");
  CHECK(server.get("/livez").status == 200);
  CHECK(server.ask(id, "Still there?").status == 200);
  // The second signal does not wait.
  CHECK(server.stop(SIGTERM) == 0);
}

TEST_CASE("After the delay the server stops by itself") {
  ChatServer server({.env = {{"DRAIN_DELAY", "0.3"}}});
  server.process().signal(SIGTERM);
  CHECK(server.process().wait_exit() == 0);
}

std::vector<int> waits(const ChatServer& server, const std::string& body, int count) {
  std::vector<int> seconds;
  for (int i = 0; i < count; ++i) {
    const HttpResponse response = server.post(kCreate, body);
    REQUIRE(response.status == 429);
    seconds.push_back(std::stoi(response.header("retry-after").value_or("0")));
  }
  return seconds;
}

TEST_CASE("Who is turned away with all others is told a time by chance, who is alone is not") {
  const ChatServer all({.env = {{"CHAT_RATE_LIMITS", "create.address=off, create.all=1/h"}}});
  all.new_session();
  const std::vector<int> spread = waits(all, "{}", 20);
  CHECK(*std::max_element(spread.begin(), spread.end()) -
            *std::min_element(spread.begin(), spread.end()) >
        10);
  for (const int wait : spread) {
    CHECK(wait > 3'500);
    CHECK(wait <= 3'600 + 300);
  }
  const ChatServer alone({.env = {{"CHAT_RATE_LIMITS", "create.address=1/h"}}});
  alone.new_session();
  for (const int wait : waits(alone, "{}", 20)) CHECK(wait <= 3'600);
}

TEST_CASE(
    "When the tokens of the day are used up messages are 429 until midnight, also after a crash") {
  ChatServer server({.env = {{"CHAT_DAILY_TOKENS", "100"}}});
  const std::string id = server.new_session();
  const Json usage = {{"promptTokenCount", 40},
                      {"candidatesTokenCount", 10},
                      {"thoughtsTokenCount", 10},
                      {"totalTokenCount", 60}};
  server.gemini().script(
      {{{"text", "One."}, {"usage", usage}}, {{"text", "Two."}, {"usage", usage}}});
  const HttpHeaders key{{"Idempotency-Key", "k"}};
  CHECK(server.ask(id, "First", key).status == 200);
  CHECK(server.ask(id, "Second").status == 200);  // the count is at 60 when it begins
  const std::vector<std::string> said = server.said(id);
  const auto check_refused = [&] {
    const HttpResponse refused = server.ask(id, "Third");
    CHECK(refused.status == 429);
    const Json body = json_of(refused);
    CHECK(body.at("code") == "daily_tokens");
    CHECK_FALSE(body.at("error").get<std::string>().empty());
    const int wait = std::stoi(refused.header("retry-after").value_or("0"));
    CHECK(wait >= 1);
    CHECK(wait <= 24 * 60 * 60 + 300);
    const auto events = events_of(server
                                      .post("/api/chat/message/stream/",
                                            Json{{"session_id", id}, {"message", "Third"}}.dump())
                                      .body);
    CHECK(events.back().event == "error");
    CHECK(events.back().data.at("http_status") == 429);
    CHECK(events.back().data.at("code") == "daily_tokens");
    CHECK(server.said(id) == said);
    // What needs no model goes on.
    CHECK(server.ask(id, "First", key).header("idempotent-replayed") == "true");
    CHECK(server.get("/readyz").status == 200);
    CHECK_FALSE(server.new_session().empty());
  };
  check_refused();
  server.restart(SIGKILL);
  check_refused();
  server.restart(SIGTERM);
  check_refused();
  CHECK(server.gemini().stats().calls == 2);
}

TEST_CASE("A request id goes through to the answer and the log, with the session's hash") {
  ChatServer server;
  const std::string id = server.new_session();
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const HttpResponse kept = server.ask(id, "Hi",
                                       {{"X-Request-Id", "My-request_1.2"},
                                        {"traceparent", "00-" + trace + "-00f067aa0ba902b7-01"}});
  CHECK(kept.header("x-request-id") == "My-request_1.2");
  const HttpResponse replaced = server.get(std::string(kGet) + id, {{"X-Request-Id", "not good"}});
  const std::string made = replaced.header("x-request-id").value_or("");
  CHECK(made.size() == 32);
  CHECK(server.get("/api/nothing").header("x-request-id").value_or("").size() == 32);
  server.stop(SIGTERM);

  const std::string log = server.log();
  const auto line_of = [&](const std::string& part) {
    const std::size_t at = log.find(part);
    REQUIRE(at != std::string::npos);
    const std::size_t begin = log.rfind('\n', at) + 1;
    return log.substr(begin, log.find('\n', at) - begin);
  };
  const auto session_in = [](const std::string& line) {
    const std::size_t at = line.find(" session=");
    REQUIRE(at != std::string::npos);
    return line.substr(at + 9, 16);
  };
  const std::string message = line_of(" request=My-request_1.2");
  CHECK(message.find("POST /api/chat/message/ 200") != std::string::npos);
  CHECK(message.find(" trace=" + trace) != std::string::npos);
  CHECK(session_in(message) == session_in(line_of(" request=" + made)));
  CHECK(log.find(id) == std::string::npos);
  CHECK(log.find("not good") == std::string::npos);
}

}  // namespace
}  // namespace twinchat::testing
