// Answers as Server-Sent Events.

#include "catch.h"
#include "chat_server.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

constexpr const char* kStream = "/api/chat/message/stream/";

std::string body(const std::string& session_id, const std::string& text = "Hi") {
  return Json{{"session_id", session_id}, {"message", text}}.dump();
}

std::string joined_deltas(const std::vector<StreamEvent>& events) {
  std::string text;
  for (const StreamEvent& event : events) {
    if (event.event == "delta") text += event.data.at("text");
  }
  return text;
}

TEST_CASE("A streamed answer is session, deltas, done", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  server.gemini().script({{"chunks", {"Heal ", "the root\n", "cause."}}, {"chunk_ms", 10}});
  const HttpResponse response =
      server.post(kStream, body(id), {{"Origin", "http://localhost:5173"}});
  CHECK(response.status == 200);
  CHECK(response.header("content-type") == "text/event-stream");
  CHECK(response.header("cache-control") == "no-store");
  CHECK(response.header("x-accel-buffering") == "no");
  CHECK(response.header("access-control-allow-origin") == "http://localhost:5173");

  const auto events = events_of(response.body);
  REQUIRE(events.size() >= 3);
  for (std::size_t i = 0; i < events.size(); ++i) CHECK(events[i].id == std::to_string(i + 1));
  CHECK(events.front().event == "session");
  CHECK(events.front().data == Json{{"session_id", id}});
  CHECK(joined_deltas(events) == "Heal the root\ncause.");
  CHECK(events.back().event == "done");
  const Json& done = events.back().data;
  CHECK(done["user_message"] == "Hi");
  CHECK(done["bot_response"] == "Heal the root\ncause.");
  CHECK(done["session_id"] == id);
  CHECK(done["status"] == "complete");
  CHECK(done["usage"]["prompt_tokens"].get<int>() > 0);
  CHECK(done["usage"]["output_tokens"].get<int>() > 0);
  CHECK(done["timestamp"] == server.session(id)["messages"][1]["created_at"]);
  CHECK(server.said(id) == std::vector<std::string>{"u:Hi", "b:Heal the root\ncause."});
  CHECK(server.gemini().requests()[0]["path"] ==
        "/v1beta/models/gemini-3.5-flash-lite:streamGenerateContent");
}

TEST_CASE("The first words are there before the last ones are made", "[storage]") {
  ChatServer server;
  server.gemini().script({{"chunks", {"first", "second"}}, {"chunk_ms", 60'000}});
  std::string seen;
  HttpClient client(server.base_url());
  client.stream("POST", kStream, {{"Content-Type", "application/json"}}, body(server.new_session()),
                [&](std::string_view piece) {
                  seen += piece;
                  return seen.find("first") == std::string::npos;
                });
  CHECK(seen.find("event: delta\ndata: {\"text\":\"first\"}") != std::string::npos);
  CHECK(seen.find("second") == std::string::npos);
}

TEST_CASE("A refusal comes as an answer, and the deltas add up to it", "[storage]") {
  ChatServer server({.env = {{"CHAT_REFUSAL", "No."}}});
  server.gemini().script({{"block_reason", "SAFETY"}});
  const auto events = events_of(server.post(kStream, body(server.new_session())).body);
  CHECK(joined_deltas(events) == "No.");
  CHECK(events.back().event == "done");
  CHECK(events.back().data["status"] == "blocked");
  CHECK(events.back().data["bot_response"] == "No.");
}

TEST_CASE("A failing model ends the stream with an error that says when to come back",
          "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  server.gemini().script({{"error", {{"code", 503}, {"message", "sesame"}}}});
  HttpResponse response = server.post(kStream, body(id));
  CHECK(response.status == 200);
  auto events = events_of(response.body);
  REQUIRE(events.size() == 2);
  CHECK(events[1].event == "error");
  CHECK(events[1].data["error"].get<std::string>().starts_with(
      "Failed to get response from Gemini: "));
  CHECK(events[1].data["retry_after"].get<int>() >= 1);
  CHECK(events[1].data["http_status"] == 503);
  CHECK(response.body.find("sesame") == std::string::npos);

  server.gemini().script({{"error", {{"code", 500}}}});
  events = events_of(server.post(kStream, body(id)).body);
  CHECK(events.back().event == "error");
  CHECK_FALSE(events.back().data.contains("retry_after"));
  CHECK(events_of(server.post(kStream, body(id)).body).back().event == "done");
}

TEST_CASE("An answer that breaks off is kept as far as it came", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  server.gemini().script({{"chunks", {"Half of ", "it"}}, {"error_after_chunks", 1}});
  const auto events = events_of(server.post(kStream, body(id)).body);
  CHECK(joined_deltas(events) == "Half of ");
  CHECK(events.back().event == "done");
  CHECK(events.back().data["status"] == "truncated");
  CHECK(server.said(id).back() == "b:Half of ");
}

TEST_CASE("A replayed message is streamed from the store", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  const HttpHeaders key = {{"Idempotency-Key", "k"}};
  const auto first = events_of(server.post(kStream, body(id), key).body);
  const auto second = events_of(server.post(kStream, body(id), key).body);
  CHECK(joined_deltas(second) == joined_deltas(first));
  CHECK(second.back().data["bot_response"] == first.back().data["bot_response"]);
  CHECK(server.gemini().stats().calls == 1);
}

TEST_CASE("A silent stream is kept alive by comments") {
  ChatServer server({.env = {{"CHAT_HEARTBEAT", "0.1"}}});
  server.gemini().script({{"text", "At last."}, {"latency_ms", 1500}});
  const HttpResponse response = server.post(kStream, body(server.new_session()));
  CHECK(response.body.find("\n\n: ping\n\n") != std::string::npos);
  CHECK(events_of(response.body).back().data["bot_response"] == "At last.");
}

TEST_CASE("A client that leaves a stream cancels the model's call, and what had come is stored",
          "[storage]") {
  ChatServer server({.env = {{"CHAT_HEARTBEAT", "0.1"}}});
  const std::string id = server.new_session();
  server.gemini().script({{"chunks", {"What had ", "come"}}, {"chunk_ms", 60'000}});
  HttpClient client(server.base_url());
  std::string seen;
  client.stream("POST", kStream, {{"Content-Type", "application/json"}}, body(id),
                [&](std::string_view piece) {
                  seen += piece;
                  return seen.find("What had") == std::string::npos;
                });
  CHECK(eventually([&] { return server.gemini().stats().aborted == 1; }));
  CHECK(eventually([&] { return server.said(id).size() == 2; }));
  CHECK(server.said(id) == std::vector<std::string>{"u:Hi", "b:What had "});
  const auto turns = server.turns(id);
  REQUIRE(turns.size() == 1);
  CHECK(turns[0].status == TurnStatus::kCancelled);
  server.gemini().reset();
  CHECK(server.ask(id, "Again").status == 200);
  CHECK(server.gemini().requests()[0]["body"]["contents"].size() == 1);
}

TEST_CASE("A client that leaves before the first word cancels the call, too", "[storage]") {
  ChatServer server({.env = {{"CHAT_HEARTBEAT", "0.1"}}});
  const std::string id = server.new_session();
  server.gemini().script({{"hang", true}});
  HttpClient client(server.base_url());
  client.stream("POST", kStream, {{"Content-Type", "application/json"}}, body(id),
                [&](std::string_view) { return server.gemini().stats().in_flight == 0; });
  CHECK(eventually([&] { return server.gemini().stats().aborted == 1; }));
  CHECK(eventually([&] {
    const auto turns = server.turns(id);
    return turns.size() == 1 && turns[0].status == TurnStatus::kCancelled;
  }));
  CHECK(server.said(id) == std::vector<std::string>{"u:Hi"});
}

TEST_CASE("A reader that does not read stops the model") {
  ChatServer server({.env = {{"CHAT_HEARTBEAT", "0.1"}}});
  const std::string id = server.new_session();
  // 6 MB: beyond what sockets and the server hold for a slow reader, below what a model's answer
  // may have; and slowly enough that the server is done with most of it before the model is.
  server.gemini().script(
      {{"chunks", std::vector<std::string>(400, std::string(16'000, 'x'))}, {"chunk_ms", 30}});
  HttpClient client(server.base_url());
  const std::string text = body(id);
  client.send_raw(
      "POST /api/chat/message/stream/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
      "application/json\r\nContent-Length: " +
      std::to_string(text.size()) + "\r\n\r\n" + text);
  CHECK(eventually([&] { return server.gemini().stats().aborted == 1; }));
  CHECK(eventually([&] {
    const auto turns = server.turns(id);
    return turns.size() == 1 && turns[0].status == TurnStatus::kCancelled;
  }));
}

}  // namespace
}  // namespace twinchat::testing
