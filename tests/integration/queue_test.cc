// More messages at once than places: the short queue in front of the model.

#include <csignal>
#include <future>
#include <thread>

#include "../contract/sqlite_file.h"
#include "catch.h"
#include "chat_server.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

constexpr std::string_view kMessage = "/api/chat/message/";
constexpr std::string_view kStream = "/api/chat/message/stream/";

std::string body(const std::string& session_id, const std::string& text) {
  return Json{{"session_id", session_id}, {"message", text}}.dump();
}

double shed(const ChatServer& server, const std::string& reason) {
  return server.metric("twinchat_shed_total{reason=\"" + reason + "\"}");
}

bool queued(const ChatServer& server, int count) {
  return eventually([&] { return server.metric("twinchat_llm_queue_depth") == count; });
}

// A message under way on a connection of its own.
class Asking {
 public:
  Asking(const ChatServer& server, std::string_view target, const std::string& text)
      : client_(std::make_unique<HttpClient>(server.base_url())) {
    const std::string json = body(server.new_session(), text);
    client_->send_raw("POST " + std::string(target) +
                      " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                      "Content-Length: " +
                      std::to_string(json.size()) + "\r\n\r\n" + json);
  }

  HttpClient& client() { return *client_; }
  HttpResponse answer() { return client_->receive_response(); }

 private:
  std::unique_ptr<HttpClient> client_;
};

// Has the only place until it is let go.
class Holder {
 public:
  explicit Holder(ChatServer& server) {
    server.gemini().script({{"hang", true}});
    asking_ = std::make_unique<Asking>(server, kStream, "Hold");
    REQUIRE(eventually([&] { return server.gemini().stats().in_flight == 1; }));
  }
  // A client of a stream that goes away stops the model.
  void let_go() { asking_->client().reset(); }

 private:
  std::unique_ptr<Asking> asking_;
};

// What the visitors said to the model, in the order in which it was asked.
std::vector<std::string> asked(ChatServer& server) {
  std::vector<std::string> texts;
  for (const auto& request : server.gemini().requests()) {
    texts.push_back(request.at("body").at("contents").back().at("parts").at(0).at("text"));
  }
  return texts;
}

TEST_CASE("Messages beyond the places wait for their turn in the order they came") {
  ChatServer server({.env = {{"CHAT_MAX_IN_FLIGHT", "1"}, {"CHAT_QUEUE_WAIT", "600"}}});
  Holder holder(server);
  std::vector<Asking> waiting;
  for (int i = 1; i <= 3; ++i) {
    waiting.emplace_back(server, i == 2 ? kStream : kMessage, std::to_string(i));
    REQUIRE(queued(server, i));
  }
  // Everything else goes on meanwhile.
  CHECK(server.get("/livez").status == 200);
  CHECK(server.get("/readyz").status == 200);
  const std::string id = server.new_session();
  CHECK(server.said(id).empty());
  CHECK(server
            .post("/api/chat/sessions/update_user_details/",
                  Json{{"session_id", id}, {"user_details", {{"name", "Jane"}}}}.dump())
            .status == 200);
  holder.let_go();
  for (Asking& asking : waiting) CHECK(asking.answer().status == 200);
  CHECK(asked(server) == std::vector<std::string>{"Hold", "1", "2", "3"});
  CHECK(server.gemini().stats().max_in_flight == 1);
  CHECK(queued(server, 0));
}

TEST_CASE(
    "Whoever has waited for too long gets 503, also in place of a stream, and nothing stays") {
  ChatServer server({.env = {{"CHAT_MAX_IN_FLIGHT", "1"}, {"CHAT_QUEUE_WAIT", "0.1"}}});
  Holder holder(server);
  const std::string id = server.new_session();
  for (const std::string_view target : {kMessage, kStream}) {
    const HttpResponse response = server.post(target, body(id, "Hi"));
    CHECK(response.status == 503);
    CHECK(std::stoi(response.header("retry-after").value_or("0")) >= 1);
    CHECK(json_of(response).contains("error"));
  }
  CHECK(server.said(id).empty());
  CHECK(shed(server, "queue_wait") == 2);
  holder.let_go();
  CHECK(eventually([&] { return server.ask(id, "Again").status == 200; }));
}

TEST_CASE("One more than may wait gets 503 at once") {
  ChatServer server(
      {.env = {{"CHAT_MAX_IN_FLIGHT", "1"}, {"CHAT_MAX_QUEUED", "1"}, {"CHAT_QUEUE_WAIT", "600"}}});
  Holder holder(server);
  Asking waits(server, kMessage, "Waits");
  REQUIRE(queued(server, 1));
  const HttpResponse response = server.ask(server.new_session(), "Too many");
  CHECK(response.status == 503);
  CHECK(response.header("retry-after"));
  CHECK(shed(server, "queue_full") == 1);
  holder.let_go();
  CHECK(waits.answer().status == 200);
  CHECK(asked(server) == std::vector<std::string>{"Hold", "Waits"});
}

TEST_CASE("A visitor who leaves while waiting gives up the turn to the next") {
  ChatServer server(
      {.env = {{"CHAT_MAX_IN_FLIGHT", "1"}, {"CHAT_MAX_QUEUED", "2"}, {"CHAT_QUEUE_WAIT", "600"}}});
  Holder holder(server);
  SECTION("at once when the connection breaks") {
    for (const std::string_view target : {kMessage, kStream}) {
      Asking leaves(server, target, "Leaves");
      REQUIRE(queued(server, 1));
      leaves.client().reset();
      CHECK(queued(server, 0));
    }
    CHECK(shed(server, "client_gone") == 2);
    holder.let_go();
  }
  SECTION("when it comes, if the connection was merely closed") {
    Asking leaves(server, kMessage, "Leaves");
    REQUIRE(queued(server, 1));
    Asking stays(server, kMessage, "Stays");
    REQUIRE(queued(server, 2));
    leaves.client().shutdown_write();
    // Seen once another connection has been served after it.
    CHECK(server.get("/livez").status == 200);
    holder.let_go();
    CHECK(stays.answer().status == 200);
    // Who still listens is told.
    CHECK(leaves.answer().status == 503);
    CHECK(asked(server) == std::vector<std::string>{"Hold", "Stays"});
    CHECK(shed(server, "client_gone") == 1);
  }
  CHECK(eventually([&] { return server.ask(server.new_session(), "Next").status == 200; }));
}

TEST_CASE("A server that goes down answers those who wait 503, and those under way in full") {
  ChatServer server({.env = {{"CHAT_MAX_IN_FLIGHT", "1"}, {"CHAT_QUEUE_WAIT", "600"}}});
  Holder holder(server);
  Asking waits(server, kMessage, "Waits");
  REQUIRE(queued(server, 1));
  server.process().signal(SIGTERM);
  const HttpResponse response = waits.answer();
  CHECK(response.status == 503);
  CHECK(response.header("retry-after"));
  CHECK(shed(server, "draining") == 1);
  holder.let_go();
  CHECK(server.process().wait_exit() == 0);
}

TEST_CASE("The time that a message waits is taken from its own") {
  const TempDir folder;
  const std::filesystem::path database = folder / "chat.db";
  ChatServer server({.env = {{"CHAT_MAX_IN_FLIGHT", "1"},
                             {"CHAT_QUEUE_WAIT", "600"},
                             {"CHAT_TIMEOUT", "100"},
                             {"DATABASE_URL", "sqlite:///" + database.string()}}});
  Holder holder(server);
  Asking waits(server, kMessage, "Waits");
  REQUIRE(queued(server, 1));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  holder.let_go();
  CHECK(waits.answer().status == 200);
  // A turn may be pending for its time and a minute.
  SqliteFile file(database);
  const double seconds =
      std::stod(file.value("SELECT (julianday(expires_at) - julianday(created_at)) * 86400 "
                           "FROM twinchat_turn ORDER BY id DESC LIMIT 1"));
  CHECK(seconds > 100);
  CHECK(seconds < 159.6);
}

TEST_CASE("Many more than there are places are all answered when there is time") {
  ChatServer server({.env = {{"CHAT_MAX_IN_FLIGHT", "4"}, {"CHAT_QUEUE_WAIT", "600"}}});
  server.gemini().script({{"text", "Hello"}, {"latency_ms", 20}, {"times", 0}});
  std::vector<Asking> all;
  for (int i = 0; i < 60; ++i) all.emplace_back(server, i % 2 ? kStream : kMessage, "Hi");
  for (Asking& asking : all) CHECK(asking.answer().status == 200);
  CHECK(server.gemini().stats().calls == 60);
  CHECK(server.gemini().stats().max_in_flight <= 4);
  CHECK(queued(server, 0));
}

}  // namespace
}  // namespace twinchat::testing
