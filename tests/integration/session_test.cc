// Creating, reading and changing sessions, as api-contract has it.

#include <regex>
#include <set>

#include "catch.h"
#include "chat_server.h"

namespace twinchat::testing {
namespace {

constexpr const char* kCreate = "/api/chat/sessions/create_session/";
constexpr const char* kGet = "/api/chat/sessions/get_session/";
constexpr const char* kUpdate = "/api/chat/sessions/update_user_details/";

const std::regex kTime(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)");
const std::regex kUuid4("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

struct Case {
  std::string body;
  int status;
  std::string answer;  // of a refusal
};

TEST_CASE("A session is created with details, some of them, or none", "[storage]") {
  const ChatServer server;
  const Json full = json_of(server.post(
      kCreate,
      R"({"user_details":{"name":" Jane ","email":"jane@example.com","phone":"+1234567890"}})"));
  CHECK(keys_of(full) == std::vector<std::string>{"id", "session_id", "user_name", "user_email",
                                                  "user_phone", "messages", "created_at",
                                                  "updated_at"});
  CHECK(full["id"].is_number_integer());
  CHECK(std::regex_match(full["session_id"].get<std::string>(), kUuid4));
  CHECK(full["user_name"] == "Jane");
  CHECK(full["user_email"] == "jane@example.com");
  CHECK(full["user_phone"] == "+1234567890");
  CHECK(full["messages"] == Json::array());
  CHECK(std::regex_match(full["created_at"].get<std::string>(), kTime));
  CHECK(std::regex_match(full["updated_at"].get<std::string>(), kTime));

  for (const char* body :
       {"", "{}", R"({"user_details":{}})", R"({"user_details":{"name":null}})"}) {
    CAPTURE(body);
    const HttpResponse response = server.post(kCreate, body);
    CHECK(response.status == 201);
    const Json session = json_of(response);
    CHECK(session["user_name"].is_null());
    CHECK(session["user_email"].is_null());
    CHECK(session["user_phone"].is_null());
  }
  CHECK(server.request("POST", kCreate).status == 201);
}

TEST_CASE("A session's id is the server's own, whatever the client sends", "[storage]") {
  const ChatServer server;
  std::set<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    const Json session = json_of(server.post(
        kCreate, R"({"session_id":"mine","id":99,"else":{"a":[1]},"user_details":{"id":5}})"));
    CHECK(std::regex_match(session["session_id"].get<std::string>(), kUuid4));
    CHECK(session["id"] != 99);
    ids.insert(session["session_id"]);
  }
  CHECK(ids.size() == 3);
}

TEST_CASE("Details that would not do are refused with a message a field", "[storage]") {
  const ChatServer server;
  const std::vector<Case> cases = {
      {R"({"user_details":null})", 400, R"({"user_details":["Expected a dictionary."]})"},
      {R"({"user_details":"x"})", 400, R"({"user_details":["Expected a dictionary."]})"},
      {R"({"user_details":[1]})", 400, R"({"user_details":["Expected a dictionary."]})"},
      {R"({"user_details":{"email":"nobody"}})", 400,
       R"({"user_details":{"email":["Enter a valid email address."]}})"},
      {R"({"user_details":{"name":true,"phone":{}}})", 400,
       R"({"user_details":{"name":["Not a valid string."],"phone":["Not a valid string."]}})"},
      {R"({"user_details":{"name":")" + std::string(255, 'n') + R"("}})", 201, ""},
      {R"({"user_details":{"phone":")" + std::string(20, '1') + R"("}})", 201, ""},
      {R"({"user_details":{"phone":4915112345678,"name":"","email":""}})", 201, ""},
      {R"([])", 400,
       R"({"non_field_errors":["Invalid data. Expected a dictionary, but got list."]})"},
      {R"("x")", 400,
       R"({"non_field_errors":["Invalid data. Expected a dictionary, but got str."]})"},
      {R"(1)", 400,
       R"({"non_field_errors":["Invalid data. Expected a dictionary, but got int."]})"},
      {R"(null)", 400, R"({"non_field_errors":["No data provided"]})"},
  };
  const std::string id = server.new_session();
  for (const Case& c : cases) {
    CAPTURE(c.body);
    const HttpResponse created = server.post(kCreate, c.body);
    CHECK(created.status == c.status);
    if (c.status == 400) CHECK(created.body == c.answer);
    if (c.status == 201 || c.body.front() != '{') continue;
    std::string with_id = c.body;
    with_id.insert(1, R"("session_id":")" + id + R"(",)");
    const HttpResponse updated = server.post(kUpdate, with_id);
    CHECK(updated.status == 400);
    CHECK(updated.body == c.answer);
  }
  const auto too_long = [&](const std::string& field, const std::string& value) {
    const Json body = {{"user_details", {{field, value}}}};
    const HttpResponse response = server.post(kCreate, body.dump());
    CHECK(response.status == 400);
    const Json messages = json_of(response).at("user_details").at(field);
    CHECK(messages.is_array());
    CHECK(messages.at(0).is_string());
  };
  too_long("name", std::string(256, 'n'));
  too_long("phone", std::string(21, '1'));
  too_long("email", std::string(250, 'e') + "@example.com");
}

TEST_CASE("A session is read by the id in the query", "[storage]") {
  const ChatServer server;
  const Json session =
      json_of(server.post(kCreate, R"({"user_details":{"name":"Zo\u00eb \ud83d\ude00"}})"));
  const std::string id = session["session_id"];
  const std::string get = std::string(kGet) + "?session_id=";

  const HttpResponse found = server.get(get + id);
  CHECK(found.status == 200);
  CHECK(json_of(found) == session);
  CHECK(found.body.find("Zo\xC3\xAB \xF0\x9F\x98\x80") != std::string::npos);
  CHECK(server.get(get + "other&session_id=" + id).status == 200);

  for (const std::string& target : {std::string(kGet), std::string(kGet) + "?session_id=",
                                    get + id + "&session_id=", std::string(kGet) + "?x=1"}) {
    CAPTURE(target);
    const HttpResponse response = server.get(target);
    CHECK(response.status == 400);
    CHECK(response.body == R"({"error":"session_id is required"})");
  }
  for (const std::string& unknown :
       {std::string("nobody"), "%20" + id, id + "%20", id + "&session_id=nobody",
        std::string("123e4567-e89b-42d3-a456-426614174000"), std::string(300, 'x'),
        std::string("%00"), std::string("%FF"), std::string("%27%20OR%201=1")}) {
    CAPTURE(unknown);
    const HttpResponse response = server.get(get + unknown);
    CHECK(response.status == 404);
    CHECK(response.body == R"({"error":"Session not found"})");
  }
}

TEST_CASE("Details are changed key by key", "[storage]") {
  const ChatServer server;
  const Json before = json_of(server.post(
      kCreate, R"({"user_details":{"name":"Jane","email":"j@example.com","phone":"1"}})"));
  const std::string id = before["session_id"];
  const auto update = [&](const std::string& details) {
    const HttpResponse response =
        server.post(kUpdate, R"({"session_id":")" + id + R"(","user_details":)" + details + "}");
    CHECK(response.status == 200);
    return json_of(response);
  };
  Json after = update(R"({"name":" Janet ","phone":null})");
  CHECK(after["user_name"] == "Janet");
  CHECK(after["user_email"] == "j@example.com");
  CHECK(after["user_phone"].is_null());
  CHECK(after["created_at"] == before["created_at"]);
  CHECK(after["updated_at"].get<std::string>() > before["updated_at"].get<std::string>());
  CHECK(after == server.session(id));

  after = update(R"({"email":""})");
  CHECK(after["user_email"] == "");
  after = update("{}");
  CHECK(after["user_name"] == "Janet");

  const HttpResponse without = server.post(kUpdate, R"({"session_id":")" + id + R"("})");
  CHECK(without.status == 200);
  CHECK(json_of(without)["user_name"] == "Janet");
}

TEST_CASE("Details of an unknown session are 404 before they are judged", "[storage]") {
  const ChatServer server;
  for (const char* body :
       {"{}", R"({"user_details":{"email":"nobody"}})", R"({"session_id":"x","user_details":null})",
        R"({"session_id":null})", R"({"session_id":["x"]})", R"({"session_id":5})", ""}) {
    CAPTURE(body);
    const HttpResponse response = server.post(kUpdate, body);
    CHECK(response.status == 404);
    CHECK(response.body == R"({"error":"Session not found"})");
  }
}

}  // namespace
}  // namespace twinchat::testing
