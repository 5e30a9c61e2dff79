// The program: settings, start, end, and what is left after a crash.

#include <csignal>
#include <fstream>
#include <thread>

#include "catch.h"
#include "chat_server.h"
#include "ended.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

Environment demo() {
  return {{"DEBUG", "True"}, {"DATABASE_URL", "memory:"}};
}

std::string url_of(Process& process) {
  const auto line = process.wait_for_line("serving on http://");
  REQUIRE(line);
  const std::size_t begin = line->find("http://");
  return line->substr(begin, line->find("/ ", begin) - begin);
}

TEST_CASE("The program tells its version and its commands") {
  const TempDir folder;
  const Ended version = run({"--version"}, {}, folder.path());
  CHECK(version.status == 0);
  CHECK(version.output.starts_with("twinchat-server "));
  const Ended help = run({"serve", "--help"}, {}, folder.path());
  CHECK(help.status == 0);
  CHECK(help.output.find("--gemini-model") != std::string::npos);
  CHECK(help.output.find("--gemini-api-key") == std::string::npos);
  CHECK(help.output.find("--secret-key") == std::string::npos);
  CHECK(run({}, {}, folder.path()).status == 2);
  CHECK(run({"serve", "--no-such-flag"}, {}, folder.path()).status == 2);
}

TEST_CASE("A server that may not start says why in one sentence") {
  const TempDir folder;
  write_file(folder / "bad.env", "DEBUG=True\nGEMINI_API_KEY=\"sesame\n");
  struct Case {
    std::vector<std::string> arguments;
    Environment environment;
    std::string part;
  };
  const std::vector<Case> cases = {
      {{"serve"}, {}, "SECRET_KEY is missing"},
      {{"serve"},
       {{"SECRET_KEY", "your-secret-key-here-sesame-sesame-0123456789"}},
       "SECRET_KEY is a placeholder"},
      {{"serve"}, {{"SECRET_KEY", kSecretKey}}, "GEMINI_API_KEY is missing"},
      {{"serve"},
       {{"SECRET_KEY", kSecretKey}, {"GEMINI_API_KEY", "your-gemini-api-key-here"}},
       "GEMINI_API_KEY is missing"},
      {{"serve"}, {{"DEBUG", "sesame"}}, "DEBUG in the environment is not usable"},
      {{"serve", "--port", "sesame"}, {{"DEBUG", "1"}}, "PORT on the command line is not usable"},
      {{"serve"},
       {{"DEBUG", "1"}, {"DATABASE_URL", "mysql://root:sesame@db/x"}},
       "DATABASE_URL in the environment is not usable"},
      {{"serve", "--env-file", "bad.env"}, {}, "bad.env line 2: the quote is never closed"},
      {{"serve", "--env-file", "absent.env"}, {}, "absent.env cannot be read"},
      {{"serve"},
       {{"DEBUG", "1"}, {"SECRET_KEY_FILE", "absent"}},
       "names a file that cannot be read"},
      {{"serve"},
       {{"DEBUG", "1"}, {"GEMINI_API_KEY", "k"}, {"GEMINI_BASE_URL", "http://example.com"}},
       "twinchat-server: "},
      {{"check"}, {}, "SECRET_KEY is missing"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.part);
    const Ended ended = run(c.arguments, c.environment, folder.path());
    CHECK(ended.status == 2);
    CHECK(ended.errors.find(c.part) != std::string::npos);
    CHECK(ended.errors.find("sesame") == std::string::npos);
    CHECK(std::count(ended.errors.begin(), ended.errors.end(), '\n') == 1);
  }
}

TEST_CASE("A database that cannot be used ends the start, and is left as it was") {
  const TempDir folder;
  const std::string text = "This is no database, but somebody's notes. " + std::string(8192, 'x');
  write_file(folder / "notes.db", text);
  const Environment environment = {{"DEBUG", "1"}, {"DATABASE_URL", "sqlite:///notes.db"}};
  for (const char* command : {"serve", "migrate", "check"}) {
    const Ended ended = run({command}, environment, folder.path());
    CHECK(ended.status == 1);
    CHECK(ended.errors.find("twinchat-server: ") != std::string::npos);
  }
  std::ifstream file(folder / "notes.db", std::ios::binary);
  CHECK(std::string{std::istreambuf_iterator<char>(file), {}} == text);
}

TEST_CASE("A port that is taken is said so") {
  const ChatServer server;
  const TempDir folder;
  const std::string port = server.base_url().substr(server.base_url().rfind(':') + 1);
  const Ended ended = run({"serve", "--port", port}, demo(), folder.path());
  CHECK(ended.status == 1);
  CHECK(ended.errors.find("127.0.0.1:" + port) != std::string::npos);
}

TEST_CASE("Settings come from .env in the working folder, and unknown ones are warned of") {
  const TempDir folder;
  write_file(folder / ".env",
             "DEBUG=True\nSECRET_KEY=your-secret-key-here\n"
             "GEMINI_API_KEY=your-gemini-api-key-here\nALLOWED_HOSTS=localhost,127.0.0.1\n"
             "PORT=0\nGEMINI_MODLE=x\n");
  const auto process = start_program({"serve"}, {}, folder.path());
  const std::string url = url_of(*process);
  CHECK(process->wait_for_line("DEBUG is on"));
  CHECK(process->errors().find("there is no setting GEMINI_MODLE") != std::string::npos);
  CHECK(process->errors().find("offline demo model") != std::string::npos);
  CHECK(HttpClient(url).get("/livez").status == 200);
  CHECK(std::filesystem::exists(folder / "twinchat.db"));
}

TEST_CASE("Without a key the demo answers, streams, and says what it is") {
  const TempDir folder;
  const auto process = start_program({"serve", "--port", "0"}, demo(), folder.path());
  HttpClient client(url_of(*process));
  const std::string id =
      json_of(client.post_json("/api/chat/sessions/create_session/", "{}"))["session_id"];
  const std::string question =
      Json{{"session_id", id}, {"message", "How can I reverse diabetes?"}}.dump();
  const std::string answer =
      json_of(client.post_json("/api/chat/message/", question))["bot_response"];
  CHECK(answer.find("Type 2 diabetes") == 0);
  CHECK(answer.find("offline demo") != std::string::npos);
  const auto events = events_of(client.post_json("/api/chat/message/stream/", question).body);
  CHECK(events.size() > 20);
  CHECK(events.back().data["bot_response"] == answer);
}

TEST_CASE("check judges without making anything, migrate makes") {
  const TempDir folder;
  Ended ended = run({"check"}, {{"DEBUG", "1"}}, folder.path());
  CHECK(ended.status == 0);
  CHECK(ended.output.find("is not there yet") != std::string::npos);
  CHECK(std::filesystem::is_empty(folder.path()));
  ended = run({"migrate"}, {}, folder.path());
  CHECK(ended.status == 0);
  CHECK(ended.output == "sqlite:///twinchat.db is ready.\n");
  ended = run({"check"}, {{"DEBUG", "1"}}, folder.path());
  CHECK(ended.status == 0);
  CHECK(ended.output.find("sqlite:///twinchat.db is ready") != std::string::npos);
}

TEST_CASE("A signal ends the server once the messages under way have their answers") {
  const int signal = GENERATE(SIGTERM, SIGINT);
  ChatServer server;
  const std::string id = server.new_session();
  server.gemini().script({{"text", "In time."}, {"latency_ms", 400}});
  HttpResponse response;
  std::thread asking([&] { response = server.ask(id, "Hi"); });
  CHECK(eventually([&] { return server.gemini().stats().in_flight == 1; }));
  CHECK(server.stop(signal) == 0);
  asking.join();
  CHECK(response.status == 200);
  CHECK(json_of(response)["bot_response"] == "In time.");
  CHECK(server.turns(id).at(0).status == TurnStatus::kComplete);
}

TEST_CASE("A second signal waits for no answer, and what was cancelled is stored so", "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  server.gemini().script({{"hang", true}});
  HttpClient client(server.base_url());
  const std::string text = Json{{"session_id", id}, {"message", "Hi"}}.dump();
  client.send_raw(
      "POST /api/chat/message/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
      "application/json\r\nContent-Length: " +
      std::to_string(text.size()) + "\r\n\r\n" + text);
  CHECK(eventually([&] { return server.gemini().stats().in_flight == 1; }));
  server.process().signal(SIGTERM);
  server.process().signal(SIGINT);
  CHECK(server.process().wait_exit() == 0);
  CHECK(server.turns(id).at(0).status == TurnStatus::kCancelled);
}

TEST_CASE("The end of the time for shutting down ends what is left") {
  ChatServer server({.env = {{"SHUTDOWN_TIMEOUT", "0.2"}}});
  const std::string id = server.new_session();
  server.gemini().script({{"chunks", {"a", "b"}}, {"chunk_ms", 60'000}});
  HttpClient client(server.base_url());
  const std::string text = Json{{"session_id", id}, {"message", "Hi"}}.dump();
  client.send_raw(
      "POST /api/chat/message/stream/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
      "application/json\r\nContent-Length: " +
      std::to_string(text.size()) + "\r\n\r\n" + text);
  std::string seen;
  while (seen.find("\"a\"") == std::string::npos) seen += client.receive_raw();
  CHECK(server.stop(SIGTERM) == 0);
  const auto turns = server.turns(id);
  REQUIRE(turns.size() == 1);
  CHECK(turns[0].status == TurnStatus::kCancelled);
  CHECK(turns[0].text() == "a");
}

TEST_CASE("kill -9 in the middle of a message loses nothing, and the next message works",
          "[storage]") {
  ChatServer server;
  const std::string id = server.new_session();
  CHECK(server.ask(id, "Before").status == 200);
  server.gemini().script({{"hang", true}});
  HttpClient client(server.base_url());
  const std::string text =
      Json{{"session_id", id}, {"message", "During"}, {"client_message_id", "m-2"}}.dump();
  client.send_raw(
      "POST /api/chat/message/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
      "application/json\r\nContent-Length: " +
      std::to_string(text.size()) + "\r\n\r\n" + text);
  CHECK(eventually([&] { return server.gemini().stats().in_flight == 1; }));
  server.restart(SIGKILL);

  CHECK(server.said(id) == std::vector<std::string>{"u:Before", "b:Echo 1: Before", "u:During"});
  CHECK(server.turns(id).at(1).status == TurnStatus::kInterrupted);
  server.gemini().reset();
  CHECK(json_of(server.ask(id, "After"))["bot_response"] == "Echo 2: After");
  const HttpResponse retried = server.post("/api/chat/message/", text);
  CHECK(retried.status == 200);
  CHECK(json_of(retried)["user_message"] == "During");
  const auto said = server.said(id);
  CHECK(std::count(said.begin(), said.end(), "u:During") == 1);
  CHECK(server.turns(id).at(1).status == TurnStatus::kComplete);
}

TEST_CASE("What was acknowledged outlives kill -9 under load", "[storage]") {
  ChatServer server;
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(server.new_session());
  std::vector<std::atomic<int>> acknowledged(ids.size());
  std::vector<std::thread> visitors;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    visitors.emplace_back([&, i] {
      try {
        HttpClient client(server.base_url());
        for (int turn = 1;; ++turn) {
          const std::string question =
              Json{{"session_id", ids[i]}, {"message", "q" + std::to_string(turn)}}.dump();
          if (client.post_json("/api/chat/message/", question).status != 200) return;
          acknowledged[i] = turn;
        }
      } catch (const HttpError&) {
        // The server is gone.
      }
    });
  }
  CHECK(eventually([&] { return acknowledged[0] >= 5; }));
  server.process().kill();
  for (std::thread& visitor : visitors) visitor.join();
  server.restart(SIGKILL);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto said = server.said(ids[i]);
    const std::size_t answered = static_cast<std::size_t>(acknowledged[i].load());
    REQUIRE(said.size() >= 2 * answered);
    for (std::size_t turn = 0; turn < answered; ++turn) {
      CHECK(said[2 * turn] == "u:q" + std::to_string(turn + 1));
      CHECK(said[2 * turn + 1].starts_with("b:Echo "));
    }
    CHECK(server.ask(ids[i], "Again").status == 200);
  }
}

TEST_CASE("The log holds no secret, no visitor's words or details, and no session's id",
          "[storage]") {
  ChatServer server({.env = {{"LOG_LEVEL", "trace"}, {"CHAT_HEARTBEAT", "0.1"}}});
  const std::string id = json_of(server.post(
      "/api/chat/sessions/create_session/",
      R"({"user_details":{"name":"Visitorname","email":"visitor@mail.example","phone":"5550199"}})"))
      ["session_id"];
  server.gemini().script({{{"text", "Modelwords"}},
                          {{"error", {{"code", 500}, {"message", "Upstreamwords"}}}},
                          {{"chunks", {"Modelwords", "x"}}, {"cut_after_bytes", 150}}});
  server.ask(id, "Visitorwords");
  server.ask(id, "Visitorwords", {{"Idempotency-Key", "Keywords"}});
  server.post("/api/chat/message/stream/",
              Json{{"session_id", id}, {"message", "Visitorwords"}}.dump());
  server.get("/api/chat/sessions/get_session/?session_id=" + id);
  server.get("/api/chat/sessions/" + id + "/");
  server.get("/Visitorwords?x=Visitorwords", {{"Cookie", "Visitorwords"}});
  server.post("/api/chat/message/", "{\"Visitorwords");
  server.post("/api/chat/message/", "{}", {{"Host", "Visitorwords"}});
  server.post("/api/chat/sessions/update_user_details/",
              R"({"session_id":"Visitorwords","user_details":{"email":"Visitorwords"}})");
  HttpClient raw(server.base_url());
  raw.send_raw("GET /Visitorwords HTTP/9.9\r\nVisitorwords\r\n\r\n");
  CHECK(raw.closed_by_peer());
  server.stop(SIGTERM);

  const std::string log = server.log();
  CHECK(log.find("/api/chat/message/ 200") != std::string::npos);
  CHECK(log.find("/api/chat/message/ 502") != std::string::npos);
  for (const std::string& secret :
       {std::string("isitorwords"), std::string("Visitorname"), std::string("visitor@mail"),
        std::string("5550199"), std::string("Modelwords"), std::string("Upstreamwords"),
        std::string("Keywords"), id, kSecretKey, kGeminiKey}) {
    CAPTURE(secret);
    CHECK(log.find(secret) == std::string::npos);
  }
}

}  // namespace
}  // namespace twinchat::testing
