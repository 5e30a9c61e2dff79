#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "admin_server.h"
#include "catch.h"
#include "chat_server.h"

namespace twinchat::testing {
namespace {

using Strings = std::set<std::string>;

// "GET /api/chat/sessions", with and without a slash at the end being one path.
std::string without_slash(std::string route) {
  if (!route.ends_with(" /") && route.ends_with('/')) route.pop_back();
  return route;
}

// Everything that the server serves.
Strings served(const ChatServer& server) {
  Strings routes;
  for (const std::string& route : served_routes(server)) routes.insert(without_slash(route));
  return routes;
}

// The same for everything that the document describes; `with_pages`: also what a build without
// pages does not have.
Strings described(const Json& document, bool with_pages) {
  Strings routes;
  for (const auto& [path, item] : document.at("paths").items()) {
    if (item.contains("servers")) continue;  // on a listener of its own
    for (std::string method : {"get", "put", "post", "delete", "patch"}) {
      const auto operation = item.find(method);
      if (operation == item.end()) continue;
      if (!with_pages && operation->at("tags") == Json::array({"Pages"})) continue;
      for (char& c : method) c = static_cast<char>(c - 'a' + 'A');
      routes.insert(without_slash(method + " " + pattern_of(path)));
    }
  }
  return routes;
}

TEST_CASE("Every route is in the OpenAPI document, and the document has no other", "[storage]") {
  const ChatServer server;
  const Json document = json_of(server.get("/api/openapi.json"));
  const Strings routes = served(server);
  CHECK(routes.size() > 50);
  CHECK(described(document, routes.contains("GET /admin")) == routes);
}

TEST_CASE("The OpenAPI document has the program's version and is asked for again by its ETag",
          "[storage]") {
  const ChatServer server;
  const HttpResponse response = server.get("/api/openapi.json/");
  const auto program = start_program({"--version"}, {}, server.folder());
  REQUIRE(program->wait_exit() == 0);
  const std::string version = json_of(response).at("info").at("version");
  CHECK(program->output() == "twinchat-server " + version + "\n");
  CHECK(response.header("cache-control") == "no-cache");
  const std::string etag = response.header("etag").value();
  const HttpResponse again = server.get("/api/openapi.json", {{"If-None-Match", etag}});
  CHECK(again.status == 304);
  CHECK(again.body.empty());
}

TEST_CASE("The OpenAPI document can be read by the pages of allowed origins, and by no others",
          "[storage]") {
  const ChatServer server({.env = {{"CORS_ALLOWED_ORIGINS", "https://example.com"}}});
  const auto allowed = [&](const char* origin) {
    return server.get("/api/openapi.json", {{"Origin", origin}})
        .header("access-control-allow-origin");
  };
  CHECK(allowed("https://example.com") == "https://example.com");
  CHECK(allowed("https://elsewhere.com") == std::nullopt);
}

TEST_CASE("The page of the API is held to the strictest policy and takes nothing from elsewhere",
          "[storage]") {
  const ChatServer server;
  if (!served(server).contains("GET /api/docs")) SUCCEED("a build without pages");
  for (const char* path : {"/api/docs", "/api/docs/"}) {
    const HttpResponse page = server.get(path, {{"Origin", "http://localhost:3000"}});
    if (page.status == 404) continue;
    CHECK(page.header("content-type") == "text/html; charset=utf-8");
    CHECK(page.header("content-security-policy")
              .value()
              .starts_with(
                  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                  "connect-src 'self';"));
    CHECK(page.header("access-control-allow-origin") == std::nullopt);
    CHECK(page.header("cache-control") == "no-cache");
    CHECK(page.body.find("//") == std::string::npos);
    const std::string etag = page.header("etag").value();
    CHECK(server.get(path, {{"If-None-Match", etag}}).status == 304);
  }
  CHECK(server.get("/api/docs/assets/none.js").status == 404);
}

// Answers that no other test looks at, for the comparison with the document.
TEST_CASE("Wrong parameters and bodies of the admin's routes are told as the document says",
          "[storage]") {
  const ChatServer server;
  make_superuser(server, "boss");
  AdminClient boss(server);
  boss.log_in("boss");
  const std::string id = server.new_session();
  const std::string session = "/api/admin/sessions/" + id + "/";
  for (const std::string& target :
       {std::string("/api/admin/messages/?sort=x"), std::string("/api/admin/users/?limit=0"),
        std::string("/api/admin/audit/?created=x"), std::string("/api/admin/export/leads/?leads=x"),
        std::string("/api/admin/export/sessions/?format=x"), session + "conversation/?limit=x",
        session + "events/?after=x", std::string("/api/chat/sessions/?page=x")}) {
    CAPTURE(target);
    const HttpResponse response = boss.get(target);
    CHECK(response.status == 400);
    CHECK(json_of(response).contains("detail"));
  }
  const Json wrong = {{"user_email", "wrong"}};
  CHECK(boss.patch(session, wrong).status == 400);
  CHECK(boss.post("/api/chat/sessions/", wrong).status == 400);
  const std::string chat = "/api/chat/sessions/" + id + "/";
  CHECK(boss.request("PUT", chat, wrong.dump()).status == 400);
  CHECK(boss.request("PATCH", chat, wrong.dump()).status == 400);
  const Json me = boss.read("/api/admin/me/");
  const std::string user =
      "/api/admin/users/" + std::to_string(me.at("user").at("id").get<int>()) + "/";
  CHECK(boss.read(user).at("username") == "boss");
  CHECK(boss.post(user + "password/", {{"password1", "a"}}).status == 400);
}

TEST_CASE("What the server answers is kept for the comparison with the document", "[storage]") {
  const char* const folder = std::getenv("TWINCHAT_ANSWERS");
  if (folder == nullptr) {
    SUCCEED("nothing is kept in this run");
    return;
  }
  const ChatServer server;
  const HttpResponse response = server.post("/api/chat/sessions/create_session/", "{}");
  std::string kept;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path());
    kept.append(std::istreambuf_iterator<char>(file), {});
  }
  const std::string id = json_of(response).at("session_id");
  CHECK(kept.find(id) != std::string::npos);
}

}  // namespace
}  // namespace twinchat::testing
