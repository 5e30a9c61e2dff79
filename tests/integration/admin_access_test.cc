// Who gets into the admin, and how far: log-ins, cookies, CSRF, tokens, permissions.

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "../contract/sqlite_file.h"
#include "admin_server.h"
#include "catch.h"

namespace twinchat::testing {
namespace {

using Strings = std::vector<std::string>;

const std::string kMe = "/api/admin/me/";
const std::string kLogin = "/api/admin/login/";

Json credentials(const std::string& name, const std::string& password = kPassword) {
  return {{"username", name}, {"password", password}};
}

TEST_CASE("An operator logs in, is known by the cookie, and logs out") {
  const ChatServer server;
  make_superuser(server, "boss");
  AdminClient client(server);
  CHECK(client.read(kMe) == Json{{"user", nullptr}, {"csrf_token", nullptr}});
  CHECK(client.get("/api/admin/sessions/").status == 401);

  const HttpResponse in = client.post(kLogin, credentials("boss"));
  REQUIRE(in.status == 200);
  const std::string cookie = in.header("set-cookie").value();
  CHECK(cookie.starts_with("twinchat_admin="));
  CHECK(cookie.find("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict") != std::string::npos);
  CHECK(cookie.find("Secure") == std::string::npos);
  client.take(in);
  const Json me = client.read(kMe);
  CHECK(me.at("user").at("username") == "boss");
  CHECK(me.at("user").at("is_superuser") == true);
  CHECK(me.at("user").at("permissions").size() == 8);
  CHECK(me.at("csrf_token") == client.csrf());
  CHECK(client.get("/api/admin/sessions/").status == 200);
  // The token itself is nowhere in the database.
  const std::string token = client.cookie().substr(client.cookie().find('=') + 1);
  CHECK(token.size() >= 43);
  CHECK(SqliteFile(server.folder() / "chat.db")
            .value("SELECT count(*) FROM twinchat_login WHERE token_hash LIKE '%" + token + "%'") ==
        "0");

  const HttpResponse out = client.post("/api/admin/logout/");
  CHECK(out.status == 204);
  CHECK(out.header("set-cookie").value().find("Max-Age=0") != std::string::npos);
  CHECK(client.get("/api/admin/sessions/").status == 401);
  CHECK(client.read(kMe).at("user").is_null());
}

TEST_CASE("Behind a proxy that speaks https the cookie is for https alone") {
  ChatServerOptions options;
  options.env["TRUSTED_PROXIES"] = "127.0.0.1";
  options.env["ALLOWED_HOSTS"] = "chat.example.com,127.0.0.1";
  const ChatServer server(options);
  make_superuser(server, "boss");
  const std::string body = credentials("boss").dump();
  const auto cookie_for = [&](HttpHeaders headers) {
    return server.post(kLogin, body, std::move(headers)).header("set-cookie").value();
  };
  for (const std::string& cookie :
       {cookie_for({{"Host", "chat.example.com"}}), cookie_for({{"X-Forwarded-Proto", "https"}})}) {
    CHECK(cookie.starts_with("__Host-twinchat_admin="));
    CHECK(cookie.find("; Secure") != std::string::npos);
    CHECK(cookie.find("Domain") == std::string::npos);
  }
  CHECK(cookie_for({}).starts_with("twinchat_admin="));
}

TEST_CASE("Every failed log-in gets the same words") {
  const ChatServer server;
  make_superuser(server, "boss");
  const AdminClient boss = AdminClient(server).log_in("boss");
  make_staff(boss, "gone", {});
  const Json gone = boss.read("/api/admin/users/?q=gone").at("results").at(0);
  const std::string path = "/api/admin/users/" + std::to_string(gone.at("id").get<int>());
  REQUIRE(boss.patch(path, {{"is_active", false}}).status == 200);
  make_staff(boss, "visitor", {});
  const Json visitor = boss.read("/api/admin/users/?q=visitor").at("results").at(0);
  REQUIRE(boss.patch("/api/admin/users/" + std::to_string(visitor.at("id").get<int>()),
                     {{"is_staff", false}})
              .status == 200);
  std::set<std::string> answers;
  for (const Json& body : {credentials("boss", "wrong password"), credentials("nobody"),
                           credentials("gone"), credentials("visitor"), credentials("BOSS")}) {
    const HttpResponse response = server.post(kLogin, body.dump());
    CHECK(response.status == 400);
    CHECK_FALSE(response.header("set-cookie"));
    answers.insert(response.body);
  }
  CHECK(answers.size() == 1);
  const Json missing = json_of(server.post(kLogin, "{}"));
  CHECK(missing == Json{{"username", {"This field is required."}}});
  CHECK(server.post(kLogin, "username=boss", {{"Content-Type", "text/plain"}}).status == 415);

  const Json log = boss.read("/api/admin/audit/?action=login_failed");
  CHECK(log.at("results").size() == 5);
  CHECK(log.at("results").at(0).at("user") == "");  // whatever was typed may be a password
  CHECK(log.at("results").at(4).at("user") == "boss");
  CHECK(log.at("results").at(4).at("address") == "127.0.0.1");
}

TEST_CASE("Who guesses has to wait, also when the server is started anew, and others do not") {
  ChatServerOptions options;
  options.env["TRUSTED_PROXIES"] = "127.0.0.1";
  ChatServer server(options);
  make_superuser(server, "boss");
  const auto attempt = [&](const std::string& password, const std::string& address) {
    return server.post(kLogin, credentials("boss", password).dump(),
                       {{"X-Forwarded-For", address}});
  };
  HttpResponse last;
  for (int i = 0; i < 6 && last.status != 429; ++i) last = attempt("guess", "192.0.2.1");
  CHECK(last.status == 429);
  CHECK(std::stoi(last.header("retry-after").value()) >= 1);
  CHECK(attempt(kPassword, "192.0.2.1").status == 429);  // nor is the right one tried
  SqliteFile(server.folder() / "chat.db")
      .exec(
          "UPDATE twinchat_login_failure SET until = strftime('%Y-%m-%d %H:%M:%f', 'now', '+10 "
          "minutes') WHERE failures > 2");
  server.restart(SIGTERM);
  CHECK(attempt(kPassword, "192.0.2.1").status == 429);
  CHECK(attempt(kPassword, "192.0.2.2").status == 200);
  CHECK(attempt(kPassword, "2001:db8::1").status == 200);
}

TEST_CASE("A log-in is of no use to pages of others") {
  const ChatServer server;
  make_superuser(server, "boss");
  const AdminClient client = AdminClient(server).log_in("boss");
  const std::string host = server.base_url().substr(7);
  const auto post = [&](HttpHeaders headers) {
    headers.emplace_back("Cookie", client.cookie());
    headers.emplace_back("Content-Type", "application/json");
    return server.request("POST", "/api/admin/sessions/", headers, "{}");
  };
  const std::pair<std::string, std::string> token{"X-CSRFToken", client.csrf()};
  CHECK(post({token}).status == 201);
  CHECK(post({token, {"Origin", "http://" + host}}).status == 201);
  CHECK(post({token, {"Sec-Fetch-Site", "same-origin"}}).status == 201);
  const std::vector<HttpHeaders> refused{
      {},
      {{"X-CSRFToken", ""}},
      {{"X-CSRFToken", client.csrf() + "x"}},
      {token, {"Origin", "http://localhost:3000"}},  // may use the chat's API, not this
      {token, {"Origin", "null"}},
      {token, {"Origin", "http://" + host + ".evil.example"}},
      {token, {"Sec-Fetch-Site", "same-site"}},
      {token, {"Sec-Fetch-Site", "cross-site"}}};
  for (const HttpHeaders& headers : refused) {
    const HttpResponse response = post(headers);
    CHECK(response.status == 403);
    CHECK(json_of(response).at("code") == "csrf");
  }
  // Neither can they log somebody in, or read anything.
  CHECK(server.post(kLogin, credentials("boss").dump(), {{"Origin", "http://localhost:3000"}})
            .status == 403);
  const HttpResponse read =
      server.get(kMe, {{"Cookie", client.cookie()}, {"Origin", "http://localhost:3000"}});
  CHECK_FALSE(read.header("access-control-allow-origin"));
  CHECK(read.header("cache-control") == "no-store");
  CHECK(read.header("referrer-policy") == "no-referrer");
  CHECK(read.header("content-security-policy").value().find("default-src 'none'") == 0);
  const HttpResponse preflight = server.request(
      "OPTIONS", "/api/admin/sessions/",
      {{"Origin", "http://localhost:3000"}, {"Access-Control-Request-Method", "POST"}});
  CHECK_FALSE(preflight.header("access-control-allow-origin"));
}

TEST_CASE("A log-in that is idle, old or not a log-in at all lets nobody in") {
  const ChatServer server;
  make_superuser(server, "boss");
  const auto file = server.folder() / "chat.db";
  const auto logged_in_after = [&](const std::string& sql) {
    const AdminClient client = AdminClient(server).log_in("boss");
    CHECK(client.get("/api/admin/overview/").status == 200);
    SqliteFile(file).exec(sql);
    return client.get("/api/admin/overview/").status;
  };
  CHECK(logged_in_after("UPDATE twinchat_login SET seen_at = strftime('%Y-%m-%d %H:%M:%f', 'now', "
                        "'-31 minutes')") == 401);
  CHECK(logged_in_after("UPDATE twinchat_login SET expires_at = strftime('%Y-%m-%d %H:%M:%f', "
                        "'now', '-1 second')") == 401);
  CHECK(logged_in_after("UPDATE auth_user SET is_active = 0") == 401);
  SqliteFile(file).exec("UPDATE auth_user SET is_active = 1");
  CHECK(logged_in_after("UPDATE auth_user SET is_staff = 0") == 401);
  SqliteFile(file).exec("UPDATE auth_user SET is_staff = 1");
  CHECK(logged_in_after("UPDATE twinchat_login SET seen_at = strftime('%Y-%m-%d %H:%M:%f', 'now', "
                        "'-29 minutes')") == 200);
  for (const char* cookie : {"twinchat_admin=", "twinchat_admin=x", "twinchat_admin"}) {
    CHECK(server.get("/api/admin/overview/", {{"Cookie", cookie}}).status == 401);
  }
}

TEST_CASE("A new password ends the other log-ins, and all that is wrong with it is said",
          "[storage]") {
  const ChatServer server;
  make_superuser(server, "boss");
  AdminClient here = AdminClient(server).log_in("boss");
  const AdminClient elsewhere = AdminClient(server).log_in("boss");
  const std::string path = "/api/admin/password/";
  const auto passwords = [](const std::string& old, const std::string& one,
                            const std::string& two) {
    return Json{{"old_password", old}, {"new_password1", one}, {"new_password2", two}};
  };
  CHECK(json_of(here.post(path, passwords("wrong", "1234567", "1234567"))) ==
        Json{{"new_password2",
              {"This password is too short. It must contain at least 8 characters.",
               "This password is too common.", "This password is entirely numeric."}},
             {"old_password",
              {"Your old password was entered incorrectly. Please enter it again."}}});
  CHECK(here.post(path, passwords(kPassword, "other horse battery", "other horse")).status == 400);
  CHECK(elsewhere.get("/api/admin/overview/").status == 200);

  const std::string before = here.cookie();
  const HttpResponse response =
      here.post(path, passwords(kPassword, "other horse battery", "other horse battery"));
  INFO(response.body);
  REQUIRE(response.status == 200);
  here.take(response);
  CHECK(here.cookie() != before);
  CHECK(here.get("/api/admin/overview/").status == 200);
  CHECK(elsewhere.get("/api/admin/overview/").status == 401);
  CHECK(server.get("/api/admin/overview/", {{"Cookie", before}}).status == 401);
  CHECK(server.post(kLogin, credentials("boss").dump()).status == 400);
  const AdminClient again = AdminClient(server).log_in("boss", "other horse battery");
  CHECK(here.post("/api/admin/logout-everywhere/").status == 204);
  CHECK(again.get("/api/admin/overview/").status == 401);
}

TEST_CASE("A script gets in with a token and can do what its user can, but for tokens",
          "[storage]") {
  const ChatServer server;
  make_superuser(server, "boss");
  const AdminClient boss = AdminClient(server).log_in("boss");
  make_staff(boss, "reader", {"view_chatsession"});
  const AdminClient reader = AdminClient(server).log_in("reader");
  CHECK(reader.post("/api/admin/tokens/", {{"name", "crm"}, {"days", 0}}).status == 400);
  const HttpResponse made = reader.post("/api/admin/tokens/", {{"name", "crm"}, {"days", 30}});
  REQUIRE(made.status == 201);
  const std::string secret = json_of(made).at("token");
  CHECK(secret.starts_with("tca_"));
  AdminClient script(server);
  script.use_token(secret);
  CHECK(script.read(kMe).at("user").at("username") == "reader");
  CHECK(script.get("/api/admin/sessions/").status == 200);
  CHECK(script.get("/api/admin/messages/").status == 403);
  CHECK(script.post("/api/admin/tokens/", {{"name", "more"}}).status == 403);
  CHECK(script.post("/api/admin/password/").status == 403);
  const Json listed = reader.read("/api/admin/tokens/").at("results");
  REQUIRE(listed.size() == 1);
  CHECK_FALSE(listed[0].contains("token"));
  CHECK_FALSE(listed[0].at("last_used_at").is_null());
  const std::string path = "/api/admin/tokens/" + std::to_string(listed[0].at("id").get<int>());
  CHECK(boss.remove(path).status == 404);
  CHECK(reader.remove(path).status == 204);
  CHECK(script.get("/api/admin/sessions/").status == 401);
  CHECK(server.get("/api/admin/sessions/", {{"Authorization", "Bearer "}}).status == 401);
}

TEST_CASE("Superusers look after users", "[storage]") {
  const ChatServer server;
  make_superuser(server, "boss");
  const AdminClient boss = AdminClient(server).log_in("boss");
  const std::string users = "/api/admin/users/";
  const Json bad = json_of(boss.post(users, {{"username", "no good"},
                                             {"password1", "johnjohn1"},
                                             {"password2", "johnjohn2"},
                                             {"permissions", {"chat.everything"}}}));
  CHECK(bad.contains("username"));
  CHECK(bad.contains("permissions"));
  CHECK(bad.at("password2") == Json{"The two password fields didn\xE2\x80\x99t match."});
  CHECK(json_of(boss.post(
            users, {{"username", "boss"}, {"password1", kPassword}, {"password2", kPassword}})) ==
        Json{{"username", {"A user with that username already exists."}}});
  make_staff(boss, "jane", {"view_message"});
  const Json jane = boss.read(users + "?q=jan").at("results").at(0);
  CHECK(jane.at("is_staff") == true);
  CHECK(jane.at("last_login").is_null());
  CHECK_FALSE(jane.contains("password"));
  const std::string path = users + std::to_string(jane.at("id").get<int>()) + "/";
  const AdminClient client = AdminClient(server).log_in("jane");
  CHECK(client.get(users).status == 403);
  const Json after = json_of(boss.patch(path, {{"permissions", {"chat.view_chatsession"}}}));
  CHECK(after.at("permissions") == Json{"chat.view_chatsession"});
  CHECK(client.get("/api/admin/sessions/").status == 200);
  CHECK(boss.post(path + "password/",
                  {{"password1", "another horse battery"}, {"password2", "another horse battery"}})
            .status == 204);
  CHECK(client.get("/api/admin/sessions/").status == 401);
  AdminClient(server).log_in("jane", "another horse battery");
  const Json me = boss.read(kMe);
  const std::string self = users + std::to_string(me.at("user").at("id").get<int>());
  CHECK(boss.patch(self, {{"is_superuser", false}}).status == 400);
  CHECK(boss.remove(self).status == 400);
  CHECK(boss.remove(path).status == 204);
  CHECK(boss.get(path).status == 404);
}

// --- Every route, every kind of visitor

// Least permissions to use a route; empty for any staff.
using Permissions = std::set<std::string>;
const Permissions kAnybody{"anybody"};
const Permissions kBoss{"superuser"};
const Permissions kViewAll{"view_chatsession", "view_message"};
const Permissions kDeleteAll{"delete_chatsession", "delete_message"};

const std::map<std::string, Permissions>& wanted() {
  static const std::map<std::string, Permissions> table{
      {"POST /api/admin/login/", kAnybody},
      {"GET /api/admin/me/", kAnybody},
      {"POST /api/admin/logout/", {}},
      {"POST /api/admin/logout-everywhere/", {}},
      {"POST /api/admin/password/", {}},
      {"GET /api/admin/users/", kBoss},
      {"POST /api/admin/users/", kBoss},
      {"GET /api/admin/users/{}/", kBoss},
      {"PATCH /api/admin/users/{}/", kBoss},
      {"DELETE /api/admin/users/{}/", kBoss},
      {"POST /api/admin/users/{}/password/", kBoss},
      {"GET /api/admin/tokens/", {}},
      {"POST /api/admin/tokens/", {}},
      {"DELETE /api/admin/tokens/{}/", {}},
      {"GET /api/admin/audit/", kBoss},
      {"GET /api/admin/overview/", {}},
      {"GET /api/admin/statistics/", kViewAll},
      {"GET /api/admin/sessions/", {"view_chatsession"}},
      {"POST /api/admin/sessions/", {"add_chatsession"}},
      {"GET /api/admin/sessions/facets/", {"view_chatsession"}},
      {"POST /api/admin/sessions/delete/", kDeleteAll},
      {"GET /api/admin/sessions/{}/", {"view_chatsession"}},
      {"PATCH /api/admin/sessions/{}/", {"change_chatsession"}},
      {"DELETE /api/admin/sessions/{}/", kDeleteAll},
      {"GET /api/admin/sessions/{}/conversation/", kViewAll},
      {"GET /api/admin/sessions/{}/events/", kViewAll},
      {"GET /api/admin/sessions/{}/history/", {"view_chatsession"}},
      {"GET /api/admin/messages/", {"view_message"}},
      {"POST /api/admin/messages/", {"add_message"}},
      {"GET /api/admin/messages/facets/", {"view_message"}},
      {"POST /api/admin/messages/delete/", {"delete_message"}},
      {"GET /api/admin/messages/{}/", {"view_message"}},
      {"PATCH /api/admin/messages/{}/", {"change_message"}},
      {"DELETE /api/admin/messages/{}/", {"delete_message"}},
      {"GET /api/admin/turns/", kViewAll},
      {"GET /api/admin/person/", kViewAll},
      {"POST /api/admin/person/preview/", kViewAll},
      {"POST /api/admin/person/erase/", kDeleteAll},
      {"GET /api/admin/export/sessions/", {"view_chatsession"}},
      {"GET /api/admin/export/leads/", {"view_chatsession"}},
      {"GET /api/admin/export/messages/", {"view_message"}},
      {"GET /api/chat/sessions/", kViewAll},
      {"POST /api/chat/sessions/", {"add_chatsession"}},
      {"GET /api/chat/sessions/{}/", kViewAll},
      {"PUT /api/chat/sessions/{}/", {"change_chatsession"}},
      {"PATCH /api/chat/sessions/{}/", {"change_chatsession"}},
      {"DELETE /api/chat/sessions/{}/", kDeleteAll},
      // What visitors use, and machines.
      {"POST /api/chat/sessions/create_session/", kAnybody},
      {"GET /api/chat/sessions/get_session/", kAnybody},
      {"POST /api/chat/sessions/update_user_details/", kAnybody},
      {"POST /api/chat/message/", kAnybody},
      {"POST /api/chat/message/stream/", kAnybody},
      {"POST /api/chat/message/stop/", kAnybody},
      {"GET /api/chat/widget/", kAnybody},
      {"POST /api/chat/sessions/consent/", kAnybody},
      {"GET /api/chat/sessions/messages/", kAnybody},
      {"POST /api/chat/feedback/", kAnybody},
      {"GET /livez/", kAnybody},
      {"GET /readyz/", kAnybody},
      {"GET /admin/", kAnybody},
      {"GET /api/openapi.json/", kAnybody},
      {"GET /api/docs/", kAnybody},
      {"GET /", kAnybody},
      {"GET /icon.svg/", kAnybody},
      {"GET /widget.js/", kAnybody},
  };
  return table;
}

bool is_of_us(const std::string& route) {
  return route.find("/api/admin/") != std::string::npos || route.ends_with("/api/chat/sessions/") ||
         route.ends_with("/api/chat/sessions/{}/");
}

TEST_CASE("The OpenAPI document says of every operator's route what it needs") {
  const ChatServer server;
  const Json document = json_of(server.get("/api/openapi.json"));
  std::size_t compared = 0;
  for (const auto& [path, item] : document.at("paths").items()) {
    for (std::string method : {"get", "put", "post", "delete", "patch"}) {
      const auto operation = item.find(method);
      if (operation == item.end()) continue;
      for (char& c : method) c = static_cast<char>(c - 'a' + 'A');
      const std::string route = method + " " + pattern_of(path);
      if (!is_of_us(route)) continue;
      INFO(route);
      ++compared;
      Permissions needs;
      const Json& ways = operation->at("security");
      if (ways.empty() || ways.front().empty()) needs = kAnybody;
      for (std::string name : operation->value("x-permissions", Json::array())) {
        if (name.starts_with("chat.")) name.erase(0, 5);
        needs.insert(name);
      }
      CHECK(wanted().at(route) == needs);
    }
  }
  CHECK(compared > 40);
}

TEST_CASE("Every route lets in whom it is for, and nobody else") {
  const ChatServer server;
  make_superuser(server, "boss");
  const AdminClient boss = AdminClient(server).log_in("boss");
  const Permissions viewing{"view_chatsession", "view_message"};
  Permissions editing{"add_chatsession", "add_message", "change_chatsession", "change_message"};
  make_staff(boss, "viewer", {viewing.begin(), viewing.end()});
  make_staff(boss, "editor", {editing.begin(), editing.end()});
  make_staff(boss, "nothing", {});
  struct Actor {
    std::string name;
    Permissions may;
    std::function<AdminClient()> make;
  };
  const std::string session = server.new_session();
  const std::vector<Actor> actors{
      {"anonymous", {}, [&] { return AdminClient(server); }},
      // Who knows a session's id is no operator for that.
      {"visitor", {}, [&] { return AdminClient(server).use_token(session); }},
      {"nothing", {}, [&] { return AdminClient(server).log_in("nothing"); }},
      {"viewer", viewing, [&] { return AdminClient(server).log_in("viewer"); }},
      {"editor", editing, [&] { return AdminClient(server).log_in("editor"); }},
      {"boss", {}, [&] { return AdminClient(server).log_in("boss"); }},
  };

  const Strings routes = served_routes(server);
  CHECK(routes.size() > 40);
  for (const std::string& route : routes) {
    INFO(route << " has no line in the table above");
    CHECK(wanted().contains(route));
  }

  for (const Actor& actor : actors) {
    const bool staff = actor.name != "anonymous" && actor.name != "visitor";
    AdminClient client = actor.make();
    for (const std::string& route : routes) {
      if (!is_of_us(route) || !wanted().contains(route)) continue;
      const Permissions& needs = wanted().at(route);
      if (needs == kAnybody) continue;
      const std::string method = route.substr(0, route.find(' '));
      std::string path = route.substr(method.size() + 1);
      // There is no such object: who gets that far hears 404.
      if (const std::size_t hole = path.find("{}"); hole != std::string::npos) {
        path.replace(hole, 2, "123456789");
      }
      const bool allowed =
          actor.name == "boss" ||
          (staff && needs != kBoss &&
           std::includes(actor.may.begin(), actor.may.end(), needs.begin(), needs.end()));
      INFO(actor.name << ": " << route);
      const HttpResponse response =
          client.request(method, path, method == "GET" || method == "DELETE" ? "" : "{}");
      if (allowed) {
        CHECK(response.status != 401);
        CHECK(response.status != 403);
        CHECK(response.status < 500);
      } else {
        CHECK(response.status == (staff ? 403 : 401));
      }
      if (path.find("/logout") != std::string::npos && allowed) client = actor.make();
    }
  }
}

TEST_CASE("The commands make a superuser and change a password") {
  const ChatServer server;
  make_superuser(server, "boss");
  const auto run = [&](Strings arguments, const std::string& input,
                       std::map<std::string, std::string> environment = {}) {
    environment["DATABASE_URL"] = "sqlite:///chat.db";
    const auto program = start_program(std::move(arguments), environment, server.folder(), input);
    const int status = program->wait_exit().value();
    return std::pair(status, program->output());
  };
  CHECK(run({"createsuperuser", "--no-input"}, "").first == 1);
  CHECK(run({"createsuperuser", "--no-input", "--username", "boss"}, "",
            {{"DJANGO_SUPERUSER_PASSWORD", kPassword}})
            .first == 1);
  CHECK(run({"createsuperuser", "--no-input"}, "",
            {{"DJANGO_SUPERUSER_USERNAME", "second"},
             {"DJANGO_SUPERUSER_EMAIL", "second@example.com"},
             {"DJANGO_SUPERUSER_PASSWORD", kPassword}})
            .first == 0);
  AdminClient(server).log_in("second");
  const auto [status, output] =
      run({"createsuperuser"},
          "bad name\nthird\nnobody\nthird@example.com\n1234\n1234\nn\nx y z\nx y\n" + kPassword +
              "\n" + kPassword + "\n");
  CHECK(status == 0);
  CHECK(output.find("Enter a valid username.") != std::string::npos);
  CHECK(output.find("Enter a valid email address.") != std::string::npos);
  CHECK(output.find("This password is too short.") != std::string::npos);
  CHECK(output.find("Your passwords didn't match.") != std::string::npos);
  CHECK(output.find(kPassword) == std::string::npos);
  const AdminClient third = AdminClient(server).log_in("third");
  CHECK(run({"changepassword", "third"}, "other horse battery\nother horse battery\n").first == 0);
  CHECK(third.get("/api/admin/overview/").status == 401);
  AdminClient(server).log_in("third", "other horse battery");
  CHECK(run({"changepassword", "nobody"}, "").first == 1);
}

}  // namespace
}  // namespace twinchat::testing
