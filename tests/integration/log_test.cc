// The log: its two forms, and a standard error that nobody reads.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <map>
#include <sstream>
#include <vector>

#include "catch.h"
#include "chat_server.h"

namespace twinchat::testing {
namespace {

constexpr const char* kMessage = "/api/chat/message/";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// The lines about requests, by request id. Fails the test for a line that is no JSON object.
std::map<std::string, Json> requests_in(const std::string& log) {
  std::map<std::string, Json> requests;
  for (const std::string& line : lines_of(log)) {
    CAPTURE(line);
    const Json object = Json::parse(line, nullptr, false);
    REQUIRE(object.is_object());
    CHECK(object.at("time").get<std::string>().size() == 24);
    CHECK(object.at("time").get<std::string>().ends_with('Z'));
    CHECK_FALSE(object.at("level").get<std::string>().empty());
    if (!object.contains("request_id")) {
      CHECK_FALSE(object.at("message").get<std::string>().empty());
      continue;
    }
    requests[object["request_id"]] = object;
  }
  return requests;
}

TEST_CASE("In the JSON form every line is an object, and one about a request says all of it") {
  ChatServer server({.env = {{"LOG_FORMAT", "json"}, {"TRUSTED_PROXIES", "127.0.0.1"}}});
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const std::string id = server.new_session();
  const auto headers = [](const std::string& name) {
    return HttpHeaders{{"X-Request-Id", name}, {"X-Forwarded-For", "203.0.113.7"}};
  };
  HttpHeaders traced = headers("asked");
  traced.emplace_back("traceparent", "00-" + trace + "-00f067aa0ba902b7-01");
  const HttpResponse answer = server.ask(id, "Hi", traced);
  const HttpResponse streamed =
      server.post("/api/chat/message/stream/", Json{{"session_id", id}, {"message", "Hi"}}.dump(),
                  headers("streamed"));
  server.request("HEAD", "/livez", headers("head"));
  server.request("BREW", "/api/chat/pot/", {{"X-Request-Id", "brew"}});
  server.gemini().script({{{"error", {{"code", 500}, {"message", "no"}}}}});
  CHECK(server.ask(id, "Hi", headers("failed")).status == 502);
  server.stop(SIGTERM);

  const auto requests = requests_in(server.log());
  const Json& asked = requests.at("asked");
  CHECK(asked.at("level") == "info");
  CHECK(asked.at("trace_id") == trace);
  CHECK(asked.at("method") == "POST");
  CHECK(asked.at("route") == kMessage);
  CHECK(asked.at("status") == 200);
  CHECK(asked.at("duration_ms").get<double>() > 0);
  CHECK(asked.at("bytes") == answer.body.size());
  CHECK(asked.at("session").get<std::string>().size() == 16);
  CHECK(asked.at("client").get<std::string>().size() == 16);

  const Json& stream = requests.at("streamed");
  CHECK(stream.at("bytes") == streamed.body.size());
  CHECK(stream.at("session") == asked.at("session"));
  CHECK(stream.at("client") == asked.at("client"));
  CHECK_FALSE(stream.contains("trace_id"));
  CHECK(requests.at("head").at("bytes") == 0);
  CHECK_FALSE(requests.at("head").contains("session"));
  CHECK(requests.at("brew").at("method") == "_OTHER");
  CHECK(requests.at("brew").at("client") != asked.at("client"));
  CHECK(requests.at("failed").at("level") == "warning");
}

TEST_CASE("Neither form of the log holds what a client wrote") {
  const std::string format = GENERATE("text", "json");
  ChatServer server({.env = {{"LOG_LEVEL", "trace"}, {"LOG_FORMAT", format}}});
  const std::string id = server.new_session();
  server.gemini().script({{{"text", "Modelwords"}}});
  server.ask(id, "Visitorwords", {{"Idempotency-Key", "Visitorwords"}});
  server.get("/Visitorwords/?Visitorwords=Visitorwords", {{"User-Agent", "Visitorwords"}});
  server.get("/api/chat/sessions/get_session/?session_id=Visitorwords");
  server.get("/api/chat/sessions/" + id + "/");
  server.request("VISITORWORDS", kMessage, {{"X-Request-Id", "Visitorwords Visitorwords"}});
  server.get("/livez", {{"X-Forwarded-For", "Visitorwords"}, {"traceparent", "Visitorwords"}});
  server.post(kMessage, "{\"Visitorwords\": Visitorwords");
  HttpClient broken(server.base_url());
  broken.send_raw(
      "VISITORWORDS /Visitorwords HTTP/1.1\r\nHost: Visitorwords\r\nVisitorwords\r\n\r\n");
  CHECK(broken.receive_response().status == 400);
  server.stop(SIGTERM);

  const std::string log = server.log();
  CHECK(log.find("_OTHER") != std::string::npos);
  for (const std::string& word :
       {std::string("isitorwords"), std::string("VISITORWORDS"), std::string("Modelwords"), id,
        std::string("127.0.0.1 "), kSecretKey, kGeminiKey}) {
    CAPTURE(word, log);
    CHECK(log.find(word) == std::string::npos);
  }
}

TEST_CASE("What is wrong with the settings is told in the form of the log") {
  TempDir folder;
  const auto json = start_program({"serve"}, {{"LOG_FORMAT", "json"}}, folder.path());
  CHECK(json->wait_exit() == 2);
  const Json told = Json::parse(json->errors());
  CHECK(told.at("level") == "critical");
  CHECK(told.at("message").get<std::string>().find("SECRET_KEY") != std::string::npos);
  const auto text = start_program({"serve"}, {{"LOG_FORMAT", "xml"}}, folder.path());
  CHECK(text->wait_exit() == 2);
  CHECK(text->errors().starts_with("twinchat-server: LOG_FORMAT in the environment"));
}

// A server whose standard error is a pipe that this test reads, or does not.
class UnreadServer {
 public:
  UnreadServer() {
    const std::string pipe = (folder_ / "log").string();
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    fd_ = open(pipe.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(fd_ >= 0);
    process_ = std::make_unique<Process>(
        std::vector<std::string>{"/bin/sh", "-c", "exec \"$0\" serve --port 0 2>log",
                                 TWINCHAT_SERVER},
        ProcessOptions{.env = {{"DEBUG", "True"},
                               {"METRICS_ADDRESS", "off"},
                               {"LOG_FORMAT", "json"},
                               {"DATABASE_URL", "memory:"},
                               {"CHAT_RATE_LIMITS", "off"}},
                       .cwd = folder_.path()});
    std::size_t at = std::string::npos;
    while ((at = text_.find("serving on http://")) == std::string::npos ||
           text_.find('\n', at) == std::string::npos) {
      read_some();
    }
    const std::size_t begin = text_.find("http://", at);
    base_url_ = text_.substr(begin, text_.find("/ ", begin) - begin);
  }
  ~UnreadServer() { close(fd_); }

  void read_some() {
    std::array<char, 65536> buffer;
    const ssize_t count = read(fd_, buffer.data(), buffer.size());
    REQUIRE(count > 0);
    text_.append(buffer.data(), static_cast<std::size_t>(count));
  }
  const std::string& text() const { return text_; }
  const std::string& base_url() const { return base_url_; }
  Process& process() { return *process_; }

 private:
  TempDir folder_;
  int fd_ = -1;
  std::string text_;
  std::string base_url_;
  std::unique_ptr<Process> process_;
};

TEST_CASE(
    "Requests are answered though nobody reads the log, and every line lost is accounted for") {
  UnreadServer server;
  // More than the pipe and what may wait for it hold.
  constexpr int kRequests = 14'000;
  {
    HttpClient client(server.base_url());
    for (int i = 0; i < kRequests; ++i) REQUIRE(client.get("/livez").status == 200);
  }
  // Now somebody comes to read.
  CHECK(HttpClient(server.base_url()).get("/livez", {{"X-Request-Id", "last"}}).status == 200);
  int told = 0;
  int lost = 0;
  std::size_t at = 0;
  while (lost == 0 || (told + lost < kRequests + 1)) {
    const std::size_t end = server.text().find('\n', at);
    if (end == std::string::npos) {
      server.read_some();
      continue;
    }
    const Json line = Json::parse(server.text().substr(at, end - at));
    at = end + 1;
    if (line.contains("request_id")) {
      ++told;
    } else if (const std::string message = line.at("message");
               message.find("of the log were lost here") != std::string::npos ||
               message.find("of the log was lost here") != std::string::npos) {
      CHECK(line.at("level") == "warning");
      lost += std::stoi(message);
    }
  }
  CHECK(told + lost == kRequests + 1);
  // Once it is read again, nothing is lost any more.
  CHECK(HttpClient(server.base_url()).get("/livez", {{"X-Request-Id", "afterwards"}}).status ==
        200);
  while (server.text().find("afterwards") == std::string::npos) server.read_some();
}

TEST_CASE("The server ends though nobody reads its log") {
  UnreadServer server;
  {
    HttpClient client(server.base_url());
    for (int i = 0; i < 2'000; ++i) REQUIRE(client.get("/livez").status == 200);
  }
  server.process().signal(SIGTERM);
  CHECK(server.process().wait_exit() == 0);
}

}  // namespace
}  // namespace twinchat::testing
