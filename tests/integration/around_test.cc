// What holds for every route: paths, methods, bodies, hosts, origins, header fields.

#include <csignal>

#include "catch.h"
#include "chat_server.h"

namespace twinchat::testing {
namespace {

constexpr const char* kCreate = "/api/chat/sessions/create_session/";
constexpr const char* kGet = "/api/chat/sessions/get_session/";
constexpr const char* kMessage = "/api/chat/message/";

std::string detail_of(const HttpResponse& response) {
  return json_of(response).at("detail");
}

bool has_cors(const HttpResponse& response) {
  for (const auto& [name, value] : response.headers) {
    if (name.starts_with("access-control-")) return true;
  }
  return false;
}

TEST_CASE("Every path works with and without its trailing slash") {
  const ChatServer server;
  const std::string id = server.new_session();
  CHECK(server.post("/api/chat/sessions/create_session", "{}").status == 201);
  CHECK(server.get("/api/chat/sessions/get_session?session_id=" + id).status == 200);
  CHECK(server.post("/api/chat/sessions/update_user_details", R"({"session_id":")" + id + R"("})")
            .status == 200);
  const std::string question = R"({"message":"Hi","session_id":")" + id + R"("})";
  CHECK(server.post("/api/chat/message", question).status == 200);
  CHECK(server.post("/api/chat/message/stream", question).status == 200);
}

TEST_CASE("What only an operator may do is 401 for everybody else") {
  const ChatServer server;
  const std::string one = "/api/chat/sessions/" + server.new_session() + "/";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"GET", "/api/chat/sessions/"},
      {"POST", "/api/chat/sessions/"},
      {"GET", "/api/chat/sessions"},
      {"GET", one},
      {"PUT", one},
      {"PATCH", one},
      {"DELETE", one},
      {"GET", "/api/chat/sessions/unknown/"}};
  for (const auto& [method, target] : cases) {
    CAPTURE(method, target);
    const HttpResponse response = server.request(method, target);
    CHECK(response.status == 401);
    CHECK(response.body == R"({"detail":"Authentication credentials were not provided."})");
    CHECK(response.header("www-authenticate"));
  }
}

TEST_CASE("A wrong method is 405 and is told the right ones") {
  const ChatServer server;
  const std::vector<std::array<std::string, 3>> cases = {
      {"GET", kMessage, "POST, OPTIONS"},   {"PUT", kMessage, "POST, OPTIONS"},
      {"DELETE", kCreate, "POST, OPTIONS"}, {"POST", kGet, "GET, HEAD, OPTIONS"},
      {"HEAD", kMessage, "POST, OPTIONS"},  {"GET", "/api/chat/message/stream/", "POST, OPTIONS"}};
  for (const auto& [method, target, allow] : cases) {
    CAPTURE(method, target);
    const HttpResponse response = server.request(method, target);
    CHECK(response.status == 405);
    CHECK(response.header("allow") == allow);
    if (method != "HEAD") {
      CHECK(response.body == "{\"detail\":\"Method \\\"" + method + "\\\" not allowed.\"}");
    }
  }
}

TEST_CASE("A method nobody knows is refused without a trace") {
  const ChatServer server;
  for (const char* method : {"TRACE", "BREW"}) {
    const HttpResponse response = server.request(method, kMessage, {{"X-Secret", "sesame"}});
    CAPTURE(method);
    CHECK((response.status == 405 || response.status == 501 || response.status == 400));
    CHECK(response.body.find("sesame") == std::string::npos);
  }
}

TEST_CASE("OPTIONS without a preflight says what is allowed") {
  const ChatServer server;
  const HttpResponse response = server.request("OPTIONS", kGet);
  CHECK(response.status == 200);
  CHECK(response.header("allow") == "GET, HEAD, OPTIONS");
}

TEST_CASE("HEAD is GET without the body") {
  const ChatServer server;
  const std::string target = std::string(kGet) + "?session_id=" + server.new_session();
  const HttpResponse get = server.get(target);
  const HttpResponse head = server.request("HEAD", target);
  CHECK(head.status == 200);
  CHECK(head.body.empty());
  CHECK(head.header("content-length") == get.header("content-length"));
  CHECK(server.request("HEAD", kGet).status == 400);
}

TEST_CASE("An unknown path under /api/ is 404 in JSON") {
  const ChatServer server;
  for (const char* target : {"/api/", "/api/chat/", "/api/chat/nothing/", "/api/chat/message/x/",
                             "/api/chat/sessions/a/b/", "/api/chat//message/"}) {
    CAPTURE(target);
    const HttpResponse response = server.get(target);
    CHECK(response.status == 404);
    CHECK(response.body == R"({"detail":"Not found."})");
  }
  CHECK(server.get("/nothing").status == 404);
}

TEST_CASE("A body that does not call itself JSON is 415") {
  const ChatServer server;
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded",
                           "multipart/form-data; boundary=x", "text/json"}) {
    CAPTURE(type);
    const HttpResponse response =
        server.request("POST", kMessage, {{"Content-Type", type}}, "session_id=1&message=x");
    CHECK(response.status == 415);
    CHECK(detail_of(response) ==
          "Unsupported media type \"" + std::string(type) + "\" in request.");
  }
  CHECK(server.request("POST", kMessage, {}, "{}").status == 415);
  const HttpResponse parameters =
      server.request("POST", kCreate, {{"Content-Type", "Application/JSON; Charset=UTF-8"}}, "{}");
  CHECK(parameters.status == 201);
}

TEST_CASE("A body that is not JSON is 400 everywhere, and the connection goes on") {
  const ChatServer server;
  HttpClient client(server.base_url());
  for (const char* target : {kCreate, kMessage, "/api/chat/message/stream/",
                             "/api/chat/sessions/update_user_details/"}) {
    for (const std::string& body :
         {std::string("{"), std::string("\xEF\xBB\xBF{}"), std::string("{\"message\":NaN}"),
          std::string("{\"message\":\"\xFF\"}"), std::string("{\"message\":\"\\ud800\"}"),
          std::string(30'000, '['), std::string("sesame")}) {
      CAPTURE(target, body.substr(0, 40));
      const HttpResponse response = client.post_json(target, body);
      CHECK(response.status == 400);
      CHECK(detail_of(response).starts_with("JSON parse error - "));
      CHECK(response.body.find("sesame") == std::string::npos);
    }
  }
  CHECK(client.connections_made() == 1);
}

TEST_CASE("A body beyond the limit is 413") {
  const ChatServer server;
  const std::string padding(65'536, ' ');
  const HttpResponse response = server.post(kCreate, "{}" + padding);
  CHECK(response.status == 413);
  CHECK(response.header("x-content-type-options") == "nosniff");
  CHECK_FALSE(detail_of(response).empty());
  CHECK(server.post(kCreate, "{}" + padding.substr(2)).status == 201);
  const ChatServer small({.env = {{"MAX_BODY_BYTES", "1024"}}});
  CHECK(small.post(kCreate, "{}" + std::string(1023, ' ')).status == 413);
}

TEST_CASE("Every answer carries the header fields that protect a browser") {
  const ChatServer server;
  const std::vector<HttpResponse> answers = {
      server.post(kCreate, "{}"),
      server.get(kGet),
      server.get("/nothing"),
      server.get("/api/nothing/"),
      server.get("/livez"),
      server.request("DELETE", kMessage),
      server.request("OPTIONS", kMessage),
      server.request("POST", kMessage, {{"Content-Type", "text/plain"}}, "x"),
      server.get("/api/chat/sessions/"),
      server.get(kGet, {{"Host", "evil.example"}}),
      server.post("/api/chat/message/stream/",
                  R"({"message":"Hi","session_id":")" + server.new_session() + R"("})")};
  for (const HttpResponse& answer : answers) {
    CAPTURE(answer.status, answer.body);
    CHECK(answer.header("x-content-type-options") == "nosniff");
    CHECK(answer.header("x-frame-options") == "DENY");
    CHECK(answer.header("referrer-policy") == "same-origin");
    CHECK(answer.header("cross-origin-opener-policy") == "same-origin");
  }
}

TEST_CASE("Only the allowed hosts are served, on any port and in any case") {
  const ChatServer server;
  for (const char* host : {"localhost", "localhost:1234", "LOCALHOST.", "127.0.0.1:8000"}) {
    CAPTURE(host);
    CHECK(server.post(kCreate, "{}", {{"Host", host}}).status == 201);
  }
  for (const char* host : {"evil.example", "localhost.evil.example", "127.0.0.2", "[::1]"}) {
    CAPTURE(host);
    const HttpResponse response = server.post(kCreate, "{}", {{"Host", host}});
    CHECK(response.status == 400);
    CHECK(response.body.find(host) == std::string::npos);
  }
  const ChatServer named({.env = {{"ALLOWED_HOSTS", ".example.com"}}});
  CHECK(named.post(kCreate, "{}", {{"Host", "chat.example.com"}}).status == 201);
  CHECK(named.post(kCreate, "{}", {{"Host", "example.com:80"}}).status == 201);
  CHECK(named.post(kCreate, "{}", {{"Host", "localhost"}}).status == 400);
  const ChatServer all({.env = {{"ALLOWED_HOSTS", "*"}}});
  CHECK(all.post(kCreate, "{}", {{"Host", "anything.example"}}).status == 201);
}

TEST_CASE("An allowed origin may read every answer, errors included") {
  const ChatServer server;
  for (const char* origin :
       {"http://localhost:8080", "http://localhost:5173", "http://localhost:3000",
        "http://localhost:8000", "http://127.0.0.1:8080", "http://127.0.0.1:5173",
        "http://127.0.0.1:3000", "http://127.0.0.1:8000"}) {
    CAPTURE(origin);
    for (const HttpResponse& response :
         {server.post(kCreate, "{}", {{"Origin", origin}}), server.get(kGet, {{"Origin", origin}}),
          server.get("/api/nothing/", {{"Origin", origin}}),
          server.request("DELETE", kMessage, {{"Origin", origin}})}) {
      CHECK(response.header("access-control-allow-origin") == origin);
      CHECK(response.header("vary") == "Origin");
      CHECK_FALSE(response.header("access-control-allow-credentials"));
      CHECK_FALSE(response.header("access-control-allow-methods"));
    }
  }
}

TEST_CASE("Another origin is served, but its scripts may not read the answer") {
  const ChatServer server;
  for (const char* origin : {"http://localhost:9999", "https://localhost:3000", "http://localhost",
                             "null", "http://localhost:3000.evil.example", "http://evil.example"}) {
    CAPTURE(origin);
    const HttpResponse response = server.post(kCreate, "{}", {{"Origin", origin}});
    CHECK(response.status == 201);
    CHECK_FALSE(has_cors(response));
  }
  CHECK_FALSE(has_cors(server.post(kCreate, "{}")));
}

TEST_CASE("A preflight of an allowed origin is told what may be sent") {
  const ChatServer server;
  const auto preflight = [&](const std::string& origin, const std::string& target) {
    return server.request("OPTIONS", target,
                          {{"Origin", origin},
                           {"Access-Control-Request-Method", "POST"},
                           {"Access-Control-Request-Headers", "content-type"}});
  };
  const HttpResponse allowed = preflight("http://localhost:5173", kMessage);
  CHECK(allowed.status == 200);
  CHECK(allowed.body.empty());
  CHECK(allowed.header("access-control-allow-origin") == "http://localhost:5173");
  CHECK(allowed.header("access-control-allow-methods") == "DELETE, GET, OPTIONS, PATCH, POST, PUT");
  CHECK(allowed.header("access-control-allow-headers") ==
        "accept, authorization, content-type, user-agent, x-csrftoken, x-requested-with, "
        "idempotency-key, last-event-id");
  CHECK(allowed.header("access-control-max-age") == "86400");
  CHECK(allowed.header("vary") == "Origin");
  const HttpResponse other = preflight("http://evil.example", kMessage);
  CHECK(other.status == 200);
  CHECK_FALSE(has_cors(other));
}

TEST_CASE("The allowed origins are a setting") {
  const ChatServer server({.env = {{"CORS_ALLOWED_ORIGINS", "https://chat.example.com"}}});
  CHECK(has_cors(server.post(kCreate, "{}", {{"Origin", "https://chat.example.com"}})));
  CHECK_FALSE(has_cors(server.post(kCreate, "{}", {{"Origin", "http://localhost:3000"}})));
}

TEST_CASE("What never comes to a route is answered and logged like everything else") {
  ChatServer server;
  struct Broken {
    int status;
    std::string line;
    std::string fields;
  };
  const std::string post = "POST /api/chat/message/ HTTP/1.1";
  const std::vector<Broken> all = {
      {413, post, "Content-Length: 70000\r\n\r\n"},
      {431, post, "X-Long: " + std::string(17'000, 'x') + "\r\n\r\n"},
      {400, post, "Content-Length: nonsense\r\n\r\n"},
      {415, post, "Content-Encoding: gzip\r\n\r\n"},
  };
  for (const Broken& broken : all) {
    CAPTURE(broken.status);
    const std::string id = "broken-" + std::to_string(broken.status);
    HttpClient client(server.base_url());
    client.send_raw(broken.line + "\r\nHost: localhost\r\nOrigin: http://localhost:3000\r\n" +
                    "X-Request-Id: " + id + "\r\n" + broken.fields);
    const HttpResponse response = client.receive_response();
    CHECK(response.status == broken.status);
    CHECK(response.header("access-control-allow-origin") == "http://localhost:3000");
    CHECK(response.header("x-request-id") == id);
    CHECK(response.header("cache-control") == "no-store");
    CHECK(response.header("x-frame-options") == "DENY");
    CHECK(json_of(response).contains("detail"));
  }
  // Where no origin could be read, or none that is allowed, there is nothing to allow.
  HttpClient unread(server.base_url());
  unread.send_raw("Secretwords /" + std::string(9'000, 'a') + " HTTP/1.1\r\n\r\n");
  const HttpResponse too_long = unread.receive_response();
  CHECK(too_long.status == 414);
  CHECK_FALSE(has_cors(too_long));
  CHECK(too_long.header("x-request-id").value_or("").size() == 32);
  HttpClient foreign(server.base_url());
  foreign.send_raw(
      "Secretwords /api/chat/message/ HTTP/1.1\r\nHost: localhost\r\n"
      "Origin: http://evil.example\r\nContent-Length: x\r\n\r\n");
  const HttpResponse refused = foreign.receive_response();
  CHECK(refused.status == 400);
  CHECK_FALSE(has_cors(refused));

  server.stop(SIGTERM);
  const std::string log = server.log();
  for (const Broken& broken : all) {
    const std::string id = "broken-" + std::to_string(broken.status);
    const std::size_t at = log.find(" request=" + id);
    CAPTURE(broken.status);
    REQUIRE(at != std::string::npos);
    const std::size_t begin = log.rfind('\n', at) + 1;
    CHECK(log.substr(begin, at - begin)
              .find("POST /api/chat/message/ " + std::to_string(broken.status)) !=
          std::string::npos);
  }
  CHECK(log.find(" - (none) 414") != std::string::npos);
  CHECK(log.find("Secretwords") == std::string::npos);
}

TEST_CASE("The server says that it lives and that it is ready", "[storage]") {
  const ChatServer server;
  CHECK(server.get("/livez").status == 200);
  CHECK(server.get("/readyz").body == R"({"status":"ok"})");
}

}  // namespace
}  // namespace twinchat::testing
