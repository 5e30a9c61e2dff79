// What the widget needs beside the chat: its settings, consent, feedback, pages of messages, stop.

#include <csignal>
#include <fstream>
#include <future>

#include "catch.h"
#include "chat_server.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

constexpr const char* kWidget = "/api/chat/widget/";
constexpr const char* kConsent = "/api/chat/sessions/consent/";
constexpr const char* kFeedback = "/api/chat/feedback/";
constexpr const char* kStop = "/api/chat/message/stop/";
constexpr const char* kStream = "/api/chat/message/stream/";
constexpr const char* kUnknown = "00000000-0000-4000-8000-000000000000";

std::string page_of(const std::string& id, const std::string& further = "") {
  return "/api/chat/sessions/messages/?session_id=" + id + further;
}

std::vector<std::string> contents(const Json& page) {
  std::vector<std::string> texts;
  for (const Json& message : page.at("messages")) texts.push_back(message.at("content"));
  return texts;
}

std::vector<Consent> consents(const ChatServer& server, const std::string& id) {
  return server.store()->consents(id);
}

// --- Settings

TEST_CASE("The widget's settings are there for anybody, may be kept for a minute, and have a tag",
          "[storage]") {
  ChatServer server;
  const HttpResponse response = server.get(kWidget, {{"Origin", "http://localhost:5173"}});
  CHECK(response.status == 200);
  CHECK(response.header("cache-control") == "public, max-age=60");
  CHECK(response.header("access-control-allow-origin") == "http://localhost:5173");
  CHECK(response.header("vary") == "Origin");
  const Json settings = json_of(response);
  CHECK(settings["texts"]["en"]["quick_actions"].size() == 4);
  CHECK(settings["texts"]["hi"]["quick_actions"].size() == 4);
  CHECK(settings["default_language"] == "en");
  CHECK(settings["consent"]["version"] == "1");
  CHECK(settings["feedback"] == true);
  CHECK(settings["max_message_length"] == 5000);

  const std::string tag = response.header("etag").value();
  const HttpResponse same = server.get(kWidget, {{"If-None-Match", tag}});
  CHECK(same.status == 304);
  CHECK(same.body.empty());
  CHECK(same.header("etag") == tag);
  CHECK(server.get(kWidget, {{"If-None-Match", "\"other\""}}).status == 200);
  CHECK(server.request("HEAD", kWidget).status == 200);
}

TEST_CASE("An operator's settings stand over those that are built in, inline or in a file",
          "[storage]") {
  const std::string text = R"({"texts": {"en": {"title": "Ask us"}}, "consent": null})";
  ChatServerOptions options;
  TempDir folder;
  if (GENERATE(false, true)) {
    std::ofstream(folder / "widget.json") << text;
    options.env = {{"CHAT_WIDGET_FILE", (folder / "widget.json").string()}};
  } else {
    options.env = {{"CHAT_WIDGET", text}};
  }
  ChatServer server(options);
  const Json settings = json_of(server.get(kWidget));
  CHECK(settings["texts"]["en"]["title"] == "Ask us");
  CHECK(settings["texts"]["en"].contains("welcome"));
  CHECK(settings["consent"].is_null());
}

TEST_CASE("Settings of the widget that would not do are told at the start, by their place",
          "[storage]") {
  const TempDir folder;
  const auto program = start_program(
      {"serve", "--port", "0"},
      {{"DEBUG", "True"}, {"CHAT_WIDGET", R"({"details": {"when": "later"}})"}}, folder.path());
  CHECK(program->wait_exit().value() != 0);
  CHECK(program->errors().find("CHAT_WIDGET in the environment is not usable: details.when: one of "
                               "before_first_answer, after_first_answer, never is expected.") !=
        std::string::npos);
}

// --- Consent

TEST_CASE("A consent is stored with the words that were shown, and its withdrawal with its time",
          "[storage]") {
  ChatServer server({.env = {{"CHAT_WIDGET", R"({"consent": {"version": "2026-11"}})"}}});
  const std::string id = server.new_session();
  const auto give = [&](const char* language) {
    return json_of(server.post(
        kConsent, Json{{"session_id", id}, {"version", "2026-11"}, {"language", language}}.dump()));
  };
  const Json given = give("en");
  CHECK(given["session_id"] == id);
  CHECK(given["version"] == "2026-11");
  CHECK(given["language"] == "en");
  give("hi");
  const Json texts = json_of(server.get(kWidget))["texts"];
  std::vector<Consent> stored = consents(server, id);
  REQUIRE(stored.size() == 2);
  CHECK(stored[0].text == texts["en"]["consent"].get<std::string>());
  CHECK(stored[1].text == texts["hi"]["consent"].get<std::string>());
  CHECK(stored[0].withdrawn_at == std::nullopt);

  const std::string withdraw = Json{{"session_id", id}, {"withdrawn", true}}.dump();
  const Json withdrawn = json_of(server.post(kConsent, withdraw));
  CHECK(withdrawn["session_id"] == id);
  CHECK(withdrawn["withdrawn"] == true);
  CHECK(withdrawn["withdrawn_at"].is_string());
  CHECK(json_of(server.post(kConsent, withdraw)) == withdrawn);
  stored = consents(server, id);
  CHECK(stored[0].withdrawn_at.has_value());
  CHECK(stored[1].withdrawn_at == stored[0].withdrawn_at);
  const Json never = json_of(server.post(
      kConsent, Json{{"session_id", server.new_session()}, {"withdrawn", true}}.dump()));
  CHECK(never["withdrawn"] == false);
  CHECK(never["withdrawn_at"].is_null());
}

TEST_CASE("A consent to what nobody asks for is refused by its fields", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  const auto refused = [&](const Json& body) {
    const HttpResponse response = server.post(kConsent, body.dump());
    CHECK(response.status == 400);
    return json_of(response);
  };
  CHECK(refused({{"session_id", id}, {"version", "0"}, {"language", "en"}}) ==
        Json{{"version", {"There is no consent of this version."}}});
  CHECK(refused({{"session_id", id}, {"version", "1"}, {"language", "fr"}}) ==
        Json{{"language", {"There is no text in this language."}}});
  const Json none = refused(Json::object());
  for (const char* field : {"session_id", "version", "language"}) {
    CHECK(none[field] == Json{"This field is required."});
  }
  CHECK(refused({{"session_id", id}, {"withdrawn", "yes"}})["withdrawn"] ==
        Json{"Must be a valid boolean."});
  const HttpResponse unknown = server.post(
      kConsent, Json{{"session_id", kUnknown}, {"version", "1"}, {"language", "en"}}.dump());
  CHECK(unknown.status == 404);
  CHECK(json_of(unknown) == Json{{"error", "Session not found"}});
  CHECK(consents(server, id).empty());
}

// --- Feedback, and messages in pages

TEST_CASE("Feedback on an answer is kept and taken back, and shown with the message", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  server.ask(id, "One");
  server.ask(id, "Two");
  const Json before = json_of(server.get(page_of(id)));
  REQUIRE(before["messages"].size() == 4);
  const Json answer = before["messages"][1];
  CHECK(answer["is_bot"] == true);
  CHECK(answer["status"] == "complete");
  CHECK(answer["feedback"].is_null());
  CHECK_FALSE(before["messages"][0].contains("feedback"));
  CHECK(before["before"].is_null());
  // What get_session shows has not changed.
  const Json shown = server.session(id)["messages"];
  CHECK(shown[1].size() == 4);
  CHECK(shown[1]["id"] == answer["id"]);

  for (const Json& value : {Json("up"), Json("down"), Json(nullptr)}) {
    const HttpResponse response = server.post(
        kFeedback, Json{{"session_id", id}, {"message_id", answer["id"]}, {"value", value}}.dump());
    CHECK(response.status == 200);
    CHECK(json_of(response) == Json{{"message_id", answer["id"]}, {"value", value}});
    CHECK(json_of(server.get(page_of(id)))["messages"][1]["feedback"] == value);
    CHECK(json_of(server.get(page_of(id)))["messages"][3]["feedback"].is_null());
  }
}

TEST_CASE("Feedback on what is no answer of the session is 404, and wrong fields are 400",
          "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  server.ask(id, "One");
  const Json messages = server.session(id)["messages"];
  const std::string other = server.new_session();
  const auto answer_to = [&](const Json& body) { return server.post(kFeedback, body.dump()); };
  for (const Json& message : {messages[0]["id"], Json(999)}) {
    const HttpResponse response =
        answer_to({{"session_id", id}, {"message_id", message}, {"value", "up"}});
    CHECK(response.status == 404);
    CHECK(json_of(response) == Json{{"error", "Message not found"}});
  }
  CHECK(answer_to({{"session_id", other}, {"message_id", messages[1]["id"]}, {"value", "up"}})
            .status == 404);
  const HttpResponse unknown =
      answer_to({{"session_id", kUnknown}, {"message_id", messages[1]["id"]}, {"value", "up"}});
  CHECK(json_of(unknown) == Json{{"error", "Session not found"}});

  CHECK(json_of(answer_to({{"session_id", id}, {"message_id", "one"}, {"value", "best"}})) ==
        Json{{"message_id", {"A valid integer is required."}}, {"value", {"Not a valid choice."}}});
  CHECK(json_of(answer_to({{"session_id", id}})) ==
        Json{{"message_id", {"This field is required."}}, {"value", {"This field is required."}}});
}

TEST_CASE("A long history comes in pages from its end, each with the way to the one before",
          "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  for (int i = 0; i < 5; ++i) server.ask(id, std::to_string(i));
  Json all = Json::array();
  std::string before;
  int pages = 0;
  while (true) {
    const Json page = json_of(server.get(page_of(id, "&limit=4" + before)));
    CHECK(page["messages"].size() == (pages < 2 ? 4 : 2));
    Json joined = page["messages"];
    for (const Json& message : all) joined.push_back(message);
    all = joined;
    ++pages;
    if (page["before"].is_null()) break;
    before = "&before=" + page["before"].get<std::string>();
  }
  CHECK(pages == 3);
  Json expected = server.session(id)["messages"];
  for (Json& message : expected) {
    if (!message["is_bot"]) continue;
    message["status"] = "complete";
    message["feedback"] = nullptr;
  }
  CHECK(all == expected);
  CHECK(json_of(server.get(page_of(id)))["messages"].size() == 10);
  // Exactly as many as there are: there is none before.
  CHECK(json_of(server.get(page_of(id, "&limit=10")))["before"].is_null());
  CHECK(contents(json_of(server.get(page_of(server.new_session())))).empty());
}

TEST_CASE("A page is asked for with a limit from 1 to 200 and a cursor of ours", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  for (const char* limit : {"0", "201", "-1", "x", "1.5", "99999999999999999999"}) {
    CAPTURE(limit);
    const HttpResponse response = server.get(page_of(id, std::string("&limit=") + limit));
    CHECK(response.status == 400);
    CHECK(json_of(response) == Json{{"limit", {"A number from 1 to 200 is expected."}}});
  }
  for (const char* before : {"0", "x", "-5"}) {
    CAPTURE(before);
    const HttpResponse response = server.get(page_of(id, std::string("&before=") + before));
    CHECK(response.status == 400);
    CHECK(json_of(response) == Json{{"before", {"Invalid cursor."}}});
  }
  CHECK(json_of(server.get("/api/chat/sessions/messages/")) ==
        Json{{"error", "session_id is required"}});
  CHECK(server.get(page_of(kUnknown)).status == 404);
}

// --- Stop

TEST_CASE(
    "An answer is stopped from outside: what was shown is stored, and the stream ends as ever",
    "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  const auto stop = [&](const Json& further = Json::object()) {
    Json body{{"session_id", id}};
    body.update(further);
    return json_of(server.post(kStop, body.dump()));
  };
  CHECK(stop() == Json{{"stopped", false}});
  server.gemini().script({{"chunks", {"What had ", "come"}}, {"chunk_ms", 60'000}});
  const bool with_key = GENERATE(false, true);
  auto stream = std::async(std::launch::async, [&] {
    Json body{{"session_id", id}, {"message", "Hi"}};
    if (with_key) body["client_message_id"] = "k";
    return events_of(server.post(kStream, body.dump()).body);
  });
  REQUIRE(eventually([&] { return server.gemini().stats().in_flight == 1; }));
  CHECK(stop({{"client_message_id", "other"}}) == Json{{"stopped", false}});
  CHECK(stop(with_key ? Json{{"client_message_id", "k"}} : Json::object()) ==
        Json{{"stopped", true}});
  const auto events = stream.get();
  CHECK(events.back().event == "done");
  CHECK(events.back().data["status"] == "cancelled");
  CHECK(eventually([&] { return server.gemini().stats().aborted == 1; }));
  CHECK(server.turns(id).at(0).status == TurnStatus::kCancelled);
  std::string shown;
  for (const StreamEvent& event : events) {
    if (event.event == "delta") shown += event.data["text"];
  }
  CHECK(events.back().data["bot_response"] == shown);
  CHECK(stop() == Json{{"stopped", false}});
  // The session goes on.
  server.gemini().reset();
  CHECK(server.ask(id, "Again").status == 200);
}

TEST_CASE("A message that is awaited in one piece is stopped, too", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  server.gemini().script({{"hang", true}});
  auto asked = std::async(std::launch::async, [&] { return server.ask(id, "Hi"); });
  REQUIRE(eventually([&] { return server.gemini().stats().in_flight == 1; }));
  CHECK(json_of(server.post(kStop, Json{{"session_id", id}}.dump())) == Json{{"stopped", true}});
  const HttpResponse response = asked.get();
  CHECK(response.status == 200);
  CHECK(json_of(response)["bot_response"] == "");
  CHECK(server.said(id) == std::vector<std::string>{"u:Hi"});
}

TEST_CASE("Stopping needs a session that is there", "[storage]") {
  ChatServer server;
  CHECK(server.post(kStop, Json{{"session_id", kUnknown}}.dump()).status == 404);
  CHECK(json_of(server.post(kStop, "{}")) == Json{{"session_id", {"This field is required."}}});
}

// --- Limits

TEST_CASE("The widget's routes count as lookups to the rate limits", "[storage]") {
  ChatServer server({.env = {{"CHAT_RATE_LIMITS", "lookup.session=1/h"}}});
  const auto route = GENERATE_COPY(as<std::string>{}, kConsent, kFeedback, kStop, "messages");
  CAPTURE(route);
  const std::string id = server.new_session();
  const auto ask = [&] {
    if (route == "messages") return server.get(page_of(id));
    return server.post(route, Json{{"session_id", id},
                                   {"version", "1"},
                                   {"language", "en"},
                                   {"message_id", 1},
                                   {"value", "up"}}
                                  .dump());
  };
  CHECK(ask().status != 429);
  const HttpResponse second = ask();
  CHECK(second.status == 429);
  CHECK(second.header("retry-after"));
}

TEST_CASE("Asking for the widget's settings counts, by address", "[storage]") {
  ChatServer server({.env = {{"CHAT_RATE_LIMITS", "lookup.address=2/h"}}});
  CHECK(server.get(kWidget).status == 200);
  CHECK(server.get(kWidget).status == 200);
  CHECK(server.get(kWidget).status == 429);
}

}  // namespace
}  // namespace twinchat::testing
