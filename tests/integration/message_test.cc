// Messages and their answers, with the model standing in.

#include <algorithm>
#include <future>

#include <csignal>

#include "catch.h"
#include "chat_server.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

constexpr const char* kMessage = "/api/chat/message/";
const std::string kUnknownUuid = "123e4567-e89b-42d3-a456-426614174000";

std::string body(const std::string& session_id, const std::string& text) {
  return Json{{"session_id", session_id}, {"message", text}}.dump();
}

TEST_CASE("A message is answered and both are in the history", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  const Json before = server.session(id);
  server.gemini().script({{"text", "By healing the root cause."}});
  const HttpResponse response = server.ask(id, " \t\xE3\x80\x80How can I reverse diabetes?\n ");
  CHECK(response.status == 200);
  const Json answer = json_of(response);
  std::vector<std::string> keys;
  for (const auto& [key, value] : answer.items()) keys.push_back(key);
  CHECK(keys ==
        std::vector<std::string>{"user_message", "bot_response", "timestamp", "session_id"});
  CHECK(answer["user_message"] == "How can I reverse diabetes?");
  CHECK(answer["bot_response"] == "By healing the root cause.");
  CHECK(answer["session_id"] == id);
  CHECK(answer["timestamp"].get<std::string>().back() == 'Z');

  const Json after = server.session(id);
  CHECK(after["updated_at"].get<std::string>() > before["updated_at"].get<std::string>());
  REQUIRE(after["messages"].size() == 2);
  CHECK(server.said(id) ==
        std::vector<std::string>{"u:How can I reverse diabetes?", "b:By healing the root cause."});
  const Json& first = after["messages"][0];
  keys.clear();
  for (const auto& [key, value] : first.items()) keys.push_back(key);
  CHECK(keys == std::vector<std::string>{"id", "content", "is_bot", "created_at"});
  CHECK(first["id"] < after["messages"][1]["id"]);
}

TEST_CASE("The second question carries the first turn, and the prompt stands apart", "[storage]") {
  ChatServer server({.env = {{"CHAT_SYSTEM_PROMPT", "You are the test's assistant."}}});
  const std::string id = server.new_session();
  server.gemini().script({{"text", "First answer."}});
  CHECK(server.ask(id, "First question").status == 200);
  CHECK(server.ask(id, "Second question").status == 200);

  const auto calls = server.gemini().requests();
  REQUIRE(calls.size() == 2);
  for (const auto& call : calls) {
    CHECK(call["path"] == "/v1beta/models/gemini-3.5-flash-lite:generateContent");
    CHECK(call["headers"]["x-goog-api-key"] == kGeminiKey);
    CHECK(call["query"].get<std::string>().find(kGeminiKey) == std::string::npos);
    CHECK(call["body"]["systemInstruction"]["parts"][0]["text"] == "You are the test's assistant.");
    CHECK(call["body"]["generationConfig"]["maxOutputTokens"] == 8192);
  }
  CHECK(calls[0]["body"]["contents"].size() == 1);
  const auto& contents = calls[1]["body"]["contents"];
  REQUIRE(contents.size() == 3);
  CHECK(contents[0]["role"] == "user");
  CHECK(contents[0]["parts"][0]["text"] == "First question");
  CHECK(contents[1]["role"] == "model");
  CHECK(contents[1]["parts"][0]["text"] == "First answer.");
  CHECK(contents[2]["role"] == "user");
  CHECK(contents[2]["parts"][0]["text"] == "Second question");
}

TEST_CASE("The newest turns are sent, not the oldest", "[storage]") {
  ChatServer server({.env = {{"CHAT_HISTORY_TURNS", "2"}}});
  const std::string id = server.new_session();
  for (int i = 1; i <= 6; ++i) CHECK(server.ask(id, "q" + std::to_string(i)).status == 200);
  const auto contents = server.gemini().requests().back()["body"]["contents"];
  REQUIRE(contents.size() >= 3);
  REQUIRE(contents.size() <= 5);
  CHECK(contents.back()["parts"][0]["text"] == "q6");
  CHECK(contents[contents.size() - 3]["parts"][0]["text"] == "q5");
}

TEST_CASE("The model, its version and how it answers are settings", "[storage]") {
  ChatServer server(
      {.env = {{"GEMINI_MODEL", "gemini-2.5-flash"},
               {"GEMINI_API_VERSION", "v1"},
               {"GEMINI_TEMPERATURE", "0.25"},
               {"GEMINI_THINKING_BUDGET", "0"},
               {"GEMINI_MAX_OUTPUT_TOKENS", "99"},
               {"GEMINI_SAFETY_SETTINGS", "HARM_CATEGORY_HARASSMENT=BLOCK_ONLY_HIGH"}}});
  CHECK(server.ask(server.new_session(), "Hi").status == 200);
  const auto calls = server.gemini().requests();
  REQUIRE(calls.size() == 1);
  CHECK(calls[0]["path"] == "/v1/models/gemini-2.5-flash:generateContent");
  const auto& sent = calls[0]["body"];
  CHECK(sent["generationConfig"]["temperature"] == 0.25);
  CHECK(sent["generationConfig"]["maxOutputTokens"] == 99);
  CHECK(sent["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 0);
  CHECK(sent["safetySettings"][0]["threshold"] == "BLOCK_ONLY_HIGH");
}

TEST_CASE("Fields that would not do are refused all at once, and nothing is stored or asked",
          "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", R"({"session_id":["This field is required."],"message":["This field is required."]})"},
      {"{}", R"({"session_id":["This field is required."],"message":["This field is required."]})"},
      {body("", "  "),
       R"({"session_id":["This field may not be blank."],"message":["This field may not be blank."]})"},
      {R"({"session_id":null,"message":null})",
       R"({"session_id":["This field may not be null."],"message":["This field may not be null."]})"},
      {R"({"session_id":[],"message":true})",
       R"({"session_id":["Not a valid string."],"message":["Not a valid string."]})"},
      {body(id, std::string(5001, 'x')),
       R"({"message":["Ensure this field has no more than 5000 characters."]})"},
      {body(std::string(256, 'x'), "Hi"),
       R"({"session_id":["Ensure this field has no more than 255 characters."]})"},
      {body(id, std::string("a\0b", 3)), R"({"message":["Null characters are not allowed."]})"},
      {R"({"session_id":")" + id + R"(","message":"Hi","user_details":null})",
       R"({"user_details":["Expected a dictionary."]})"},
      {R"({"session_id":")" + id + R"(","user_details":{"email":"x"}})",
       R"({"message":["This field is required."],"user_details":{"email":["Enter a valid email address."]}})"},
      {"[]", R"({"non_field_errors":["Invalid data. Expected a dictionary, but got list."]})"},
      {"\"x\"", R"({"non_field_errors":["Invalid data. Expected a dictionary, but got str."]})"},
      {"5", R"({"non_field_errors":["Invalid data. Expected a dictionary, but got int."]})"},
      {"true", R"({"non_field_errors":["Invalid data. Expected a dictionary, but got bool."]})"},
      {"0.5", R"({"non_field_errors":["Invalid data. Expected a dictionary, but got float."]})"},
      {"null", R"({"non_field_errors":["No data provided"]})"},
  };
  for (const char* target : {kMessage, "/api/chat/message/stream/"}) {
    for (const auto& [sent, answer] : cases) {
      CAPTURE(target, sent.substr(0, 100));
      const HttpResponse response = server.post(target, sent);
      CHECK(response.status == 400);
      CHECK(response.header("content-type") == "application/json");
      CHECK(response.body == answer);
    }
  }
  CHECK(server.said(id).empty());
  CHECK(server.gemini().requests().empty());
}

TEST_CASE("A message may be a number, and as long as 5000 characters of any kind", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  const HttpResponse number =
      server.post(kMessage, R"({"message":5,"session_id":")" + id + R"("})");
  CHECK(json_of(number)["user_message"] == "5");
  std::string long_text;
  for (int i = 0; i < 5000; ++i) long_text += "\xE0\xA4\xA8";
  const HttpResponse longest = server.ask(id, long_text);
  CHECK(longest.status == 200);
  CHECK(json_of(longest)["user_message"] == long_text);
}

TEST_CASE("Details come along with a message key by key", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  const auto ask_with = [&](const std::string& details) {
    const HttpResponse response = server.post(kMessage, R"({"message":"Hi","session_id":")" + id +
                                                            R"(","user_details":)" + details + "}");
    CHECK(response.status == 200);
    return server.session(id);
  };
  Json session = ask_with(R"({"name":"Jane","email":"j@example.com"})");
  CHECK(session["user_name"] == "Jane");
  session = ask_with(R"({"name":null,"phone":"12"})");
  CHECK(session["user_name"].is_null());
  CHECK(session["user_email"] == "j@example.com");
  CHECK(session["user_phone"] == "12");
  CHECK(ask_with("{}")["user_email"] == "j@example.com");
}

TEST_CASE("A message to an unknown session creates it when its id is a UUID", "[storage]") {
  ChatServer server;
  CHECK(server.ask(kUnknownUuid, "Hi").status == 200);
  CHECK(server.said(kUnknownUuid).size() == 2);
  for (const char* id : {"1", "guessable", "123e4567-e89b-42d3-a456-42661417400"}) {
    CAPTURE(id);
    for (const char* target : {kMessage, "/api/chat/message/stream/"}) {
      const HttpResponse response = server.post(target, body(id, "Hi"));
      CHECK(response.status == 404);
      CHECK(response.body == R"({"error":"Session not found"})");
    }
  }
}

TEST_CASE("Creation by message can be turned off", "[storage]") {
  ChatServer server({.env = {{"CHAT_CREATE_UNKNOWN_SESSIONS", "false"}}});
  for (const char* target : {kMessage, "/api/chat/message/stream/"}) {
    const HttpResponse response = server.post(target, body(kUnknownUuid, "Hi"));
    CHECK(response.status == 404);
    CHECK(response.body == R"({"error":"Session not found"})");
  }
  CHECK(server.gemini().requests().empty());
}

TEST_CASE("An answer cut short, in several parts, or with thoughts is an answer", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  server.gemini().script({{{"text", "Cut sho"}, {"finish_reason", "MAX_TOKENS"}},
                          {{"chunks", {"One, ", "two."}}},
                          {{"text", "Said."}, {"thought", "Hmm."}}});
  CHECK(json_of(server.ask(id, "a"))["bot_response"] == "Cut sho");
  CHECK(json_of(server.ask(id, "b"))["bot_response"] == "One, two.");
  CHECK(json_of(server.ask(id, "c"))["bot_response"] == "Said.");
  const auto turns = server.turns(id);
  REQUIRE(turns.size() == 3);
  CHECK(turns[0].status == TurnStatus::kTruncated);
  CHECK(turns[1].status == TurnStatus::kComplete);
}

TEST_CASE("What the model refuses is answered with the configured sentence", "[storage]") {
  ChatServer server({.env = {{"CHAT_REFUSAL", "Let us talk about something else."}}});
  const std::string id = server.new_session();
  server.gemini().script({{{"block_reason", "PROHIBITED_CONTENT"}},
                          {{"text", "Half an ans"}, {"finish_reason", "SAFETY"}}});
  for (const char* question : {"a", "b"}) {
    const HttpResponse response = server.ask(id, question);
    CHECK(response.status == 200);
    CHECK(json_of(response)["bot_response"] == "Let us talk about something else.");
  }
  for (const Turn& turn : server.turns(id)) CHECK(turn.status == TurnStatus::kBlocked);
}

TEST_CASE(
    "A failing model is 502, 503 or 504, says nothing of the upstream's, and can be asked again",
    "[storage]") {
  ChatServer server({.env = {{"GEMINI_FIRST_BYTE_TIMEOUT", "0.3"}, {"CHAT_TIMEOUT", "20"}}});
  struct Failure {
    nlohmann::json reply;
    int status;
    bool retry_after;
  };
  const std::vector<Failure> failures = {
      {{{"error", {{"code", 500}, {"message", "sesame"}}}}, 502, false},
      {{{"error", {{"code", 403}, {"message", "sesame"}}}}, 502, false},
      {{{"error", {{"code", 404}, {"message", "sesame"}}}}, 502, false},
      {{{"error", {{"code", 400}, {"message", "sesame"}}}}, 502, false},
      {{{"error", {{"code", 503}, {"message", "sesame"}}}}, 503, true},
      {{{"error", {{"code", 429}, {"message", "sesame"}}}}, 503, true},
      {{{"raw", "sesame"}}, 502, false},
      {{{"cut_before_head", true}, {"times", 4}}, 502, false},
      {{{"hang", true}}, 504, false},
      {{{"text", ""}, {"times", 10}}, 502, false},
  };
  for (const Failure& failure : failures) {
    CAPTURE(failure.reply.dump());
    const std::string id = server.new_session();
    server.gemini().reset();
    server.gemini().script(failure.reply);
    const HttpResponse response = server.ask(id, "Hello");
    CHECK(response.status == failure.status);
    CHECK(response.header("retry-after").has_value() == failure.retry_after);
    const std::string error = json_of(response).at("error");
    CHECK(error.starts_with("Failed to get response from Gemini: "));
    for (const std::string& secret :
         {std::string("sesame"), kGeminiKey, id, server.gemini().base_url()}) {
      CHECK(response.body.find(secret) == std::string::npos);
    }
    server.gemini().reset();
    CHECK(server.ask(id, "Again").status == 200);
    CHECK(server.said(id).size() == 3);
    CHECK(server.gemini().requests()[0]["body"]["contents"].size() == 1);
  }
  CHECK(server.stop(SIGTERM) == 0);  // all of the log is there
  CHECK(server.log().find("sesame") == std::string::npos);
}

TEST_CASE("How long the upstream wants to be left alone is passed on", "[storage]") {
  ChatServer server;
  server.gemini().script(
      {{"error",
        {{"code", 429},
         {"details",
          {{{"@type", "type.googleapis.com/google.rpc.RetryInfo"}, {"retryDelay", "37s"}}}}}}});
  const HttpResponse response = server.ask(server.new_session(), "Hi");
  CHECK(response.status == 503);
  // Or a little later, so that not everybody who was told so comes at once.
  const int wait = std::stoi(response.header("retry-after").value_or("0"));
  CHECK(wait >= 37);
  CHECK(wait <= 37 + 18);
}

TEST_CASE("A model that cannot be reached is 502", "[storage]") {
  ChatServer server({.env = {{"GEMINI_BASE_URL", "http://127.0.0.1:9"}}});
  const std::string id = server.new_session();
  CHECK(server.ask(id, "Hi").status == 502);
  CHECK(server.said(id) == std::vector<std::string>{"u:Hi"});
}

TEST_CASE("A failure that passes is not seen", "[storage]") {
  ChatServer server({.env = {{"GEMINI_MAX_ATTEMPTS", "3"}}});
  server.gemini().script({{{"error", {{"code", 503}}}}, {{"error", {{"code", 503}}}}});
  CHECK(server.ask(server.new_session(), "Hi").status == 200);
  CHECK(server.gemini().stats().calls == 3);
}

TEST_CASE("The same key gives the same answer and asks nothing twice", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  const HttpResponse first = server.ask(id, "Hi", {{"Idempotency-Key", "\"k-1\""}});
  CHECK_FALSE(first.header("idempotent-replayed"));
  const HttpResponse second = server.ask(id, "Hi", {{"Idempotency-Key", "k-1"}});
  CHECK(second.status == 200);
  CHECK(second.header("idempotent-replayed") == "true");
  CHECK(second.body == first.body);
  const HttpResponse by_field = server.post(
      kMessage, Json{{"session_id", id}, {"message", "Hi"}, {"client_message_id", "k-1"}}.dump());
  CHECK(by_field.body == first.body);
  CHECK(server.gemini().stats().calls == 1);
  CHECK(server.said(id).size() == 2);

  const HttpResponse other_text = server.ask(id, "Bye", {{"Idempotency-Key", "k-1"}});
  CHECK(other_text.status == 422);
  CHECK(json_of(other_text).contains("error"));
  CHECK(server.ask(id, "Hi", {{"Idempotency-Key", "\"open"}}).status == 400);
  CHECK(server.ask(id, "Hi", {{"Idempotency-Key", std::string(256, 'k')}}).status == 400);
  CHECK(server.ask(server.new_session(), "Bye", {{"Idempotency-Key", "k-1"}}).status == 200);
}

TEST_CASE("A retry under the same key goes on where the first try failed", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  server.gemini().script({{"error", {{"code", 500}}}});
  CHECK(server.ask(id, "Hi", {{"Idempotency-Key", "k"}}).status == 502);
  CHECK(server.ask(id, "Hi", {{"Idempotency-Key", "k"}}).status == 200);
  CHECK(server.said(id) == std::vector<std::string>{"u:Hi", "b:Echo 1: Hi"});
}

TEST_CASE("A retry that overtakes its first try is 409, and later gets its answer", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  server.gemini().script({{"text", "Once."}, {"latency_ms", 3000}});
  auto first = std::async(std::launch::async, [&] {
    return server.ask(id, "Hi", {{"Idempotency-Key", "k"}});
  });
  CHECK(eventually([&] { return server.gemini().stats().in_flight == 1; }));
  const HttpResponse early = server.ask(id, "Hi", {{"Idempotency-Key", "k"}});
  CHECK(early.status == 409);
  CHECK(early.header("retry-after") == "1");
  CHECK(server.ask(id, "Bye", {{"Idempotency-Key", "k"}}).status == 422);
  const HttpResponse answer = first.get();
  CHECK(answer.status == 200);
  const HttpResponse second = server.ask(id, "Hi", {{"Idempotency-Key", "k"}});
  CHECK(second.status == 200);
  CHECK(second.header("idempotent-replayed") == "true");
  CHECK(second.body == answer.body);
  CHECK(server.gemini().stats().calls == 1);
  CHECK(server.said(id) == std::vector<std::string>{"u:Hi", "b:Once."});
}

TEST_CASE("A client that goes away does not stop its message", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  server.gemini().script({{"text", "Still here."}, {"latency_ms", 300}});
  HttpClient client(server.base_url());
  const std::string text = body(id, "Hi");
  client.send_raw(
      "POST /api/chat/message/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
      "application/json\r\nContent-Length: " +
      std::to_string(text.size()) + "\r\n\r\n" + text);
  CHECK(eventually([&] { return server.gemini().stats().in_flight == 1; }));
  client.reset();
  CHECK(eventually([&] { return server.said(id).size() == 2; }));
  CHECK(server.said(id).back() == "b:Still here.");
}

TEST_CASE("More messages at once than allowed are 503, and everything else goes on", "[storage]") {
  ChatServer server({.env = {{"CHAT_MAX_IN_FLIGHT", "2"}, {"CHAT_MAX_QUEUED", "0"}}});
  server.gemini().script({{"latency_ms", 60'000}, {"times", 2}});
  std::vector<std::unique_ptr<HttpClient>> waiting;
  for (int i = 0; i < 2; ++i) {
    const std::string text = body(server.new_session(), "Hi");
    waiting.push_back(std::make_unique<HttpClient>(server.base_url()));
    waiting.back()->send_raw(
        "POST /api/chat/message/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        "application/json\r\nContent-Length: " +
        std::to_string(text.size()) + "\r\n\r\n" + text);
  }
  CHECK(eventually([&] { return server.gemini().stats().in_flight == 2; }));
  const std::string id = server.new_session();
  for (const char* target : {kMessage, "/api/chat/message/stream/"}) {
    const HttpResponse response = server.post(target, body(id, "Hi"));
    CHECK(response.status == 503);
    CHECK(response.header("retry-after"));
    CHECK(json_of(response).contains("error"));
  }
  CHECK(server.said(id).empty());
  CHECK(server.get("/readyz").status == 200);
  CHECK(server.stop(SIGKILL) == 128 + SIGKILL);
}

TEST_CASE("Messages of many sessions at once are all answered, each in its own session",
          "[storage]") {
  ChatServer server;
  constexpr int kSessions = 24;
  std::vector<std::future<bool>> all;
  for (int i = 0; i < kSessions; ++i) {
    all.push_back(std::async(std::launch::async, [&server, i] {
      HttpClient client(server.base_url());
      const std::string id =
          Json::parse(client.post_json("/api/chat/sessions/create_session/", "{}").body)
              .at("session_id");
      for (int turn = 1; turn <= 3; ++turn) {
        const std::string text = "s" + std::to_string(i) + "t" + std::to_string(turn);
        const HttpResponse response = client.post_json(kMessage, body(id, text));
        if (response.status != 200) return false;
        const std::string expected = "Echo " + std::to_string(turn) + ": " + text;
        if (Json::parse(response.body).at("bot_response") != expected) return false;
      }
      return true;
    }));
  }
  for (auto& one : all) CHECK(one.get());
}

}  // namespace
}  // namespace twinchat::testing
