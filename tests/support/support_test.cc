#include <sys/socket.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "catch.h"
#include "http_client.h"
#include "process.h"
#include "standin.h"
#include "temp_dir.h"
#include "wait.h"

using nlohmann::json;
using namespace twinchat::testing;

namespace {

using Headers = HttpHeaders;

const Headers kKey = {{"x-goog-api-key", "test-key"}};
const std::string kModel = "/v1beta/models/gemini-3.5-flash-lite";

json user(const std::string& text) {
  return {{"role", "user"}, {"parts", {{{"text", text}}}}};
}
json model(const std::string& text) {
  return {{"role", "model"}, {"parts", {{{"text", text}}}}};
}
json ask(const std::string& text) {
  return {{"contents", json::array({user(text)})}};
}

HttpResponse generate(HttpClient& client, const json& body, const std::string& path = kModel) {
  return client.post_json(path + ":generateContent", body.dump(), kKey);
}

std::string text_of(const HttpResponse& response) {
  return json::parse(response.body)["candidates"][0]["content"]["parts"][0]["text"];
}

HttpResponse stream(HttpClient& client, const json& body, const std::string& path = kModel) {
  return client.post_json(path + ":streamGenerateContent?alt=sse", body.dump(), kKey);
}

// The events of a well-formed CRLF stream.
std::vector<json> events_of(const std::string& body) {
  std::vector<json> events;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = body.find("\r\n\r\n", begin)) != std::string::npos;
       begin = end + 4) {
    const std::string event = body.substr(begin, end - begin);
    REQUIRE(event.starts_with("data: "));
    events.push_back(json::parse(event.substr(6)));
  }
  REQUIRE(begin == body.size());
  return events;
}

std::string fault_of(HttpClient& client, const json& body, const std::string& path = kModel) {
  const HttpResponse response = generate(client, body, path);
  REQUIRE(response.status == 400);
  const json error = json::parse(response.body)["error"];
  CHECK(error["status"] == "INVALID_ARGUMENT");
  return error["message"];
}

json with_config(const json& config) {
  json body = ask("hi");
  body["generationConfig"] = config;
  return body;
}

}  // namespace

TEST_CASE("a child's outputs, environment, folder, input and exit status are seen") {
  const TempDir dir;
  Process child({"/bin/sh", "-c", "read word; echo \"$word $NAME\"; pwd; echo oops >&2; exit 3"},
                {.env = {{"NAME", "value"}}, .cwd = dir.path(), .input = "hello\n"});
  CHECK(child.wait_exit() == 3);
  CHECK(child.output() == "hello value\n" + std::filesystem::canonical(dir.path()).string() + "\n");
  CHECK(child.errors() == "oops\n");
  CHECK_FALSE(child.running());
}

TEST_CASE("a child can be waited for by a line and ended by a signal") {
  Process child({"/bin/sh", "-c", "echo ready to go; exec sleep 600"});
  CHECK(child.wait_for_line("ready") == "ready to go");
  CHECK(child.wait_for_line("never", std::chrono::milliseconds(10)) == std::nullopt);
  CHECK(child.running());
  child.terminate();
  CHECK(child.wait_exit() == 128 + SIGTERM);
}

TEST_CASE("waiting for a line ends when the child does") {
  Process child({"/bin/sh", "-c", "echo something else"});
  CHECK(child.wait_for_line("ready", std::chrono::minutes(10)) == std::nullopt);
}

TEST_CASE("a program that is not there ends with 127 and says so") {
  Process child({"/no/such/program"});
  CHECK(child.wait_exit() == 127);
  CHECK(child.errors() == "exec: No such file or directory\n");
}

TEST_CASE("a temporary folder goes with its files") {
  std::filesystem::path path;
  {
    const TempDir dir;
    path = dir.path();
    std::ofstream(dir / "file") << "x";
    CHECK(std::filesystem::exists(path / "file"));
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("the client keeps its connection and counts the ones it makes") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  CHECK(generate(client, ask("one")).status == 200);
  CHECK(generate(client, ask("two")).status == 200);
  CHECK(client.connections_made() == 1);
  standin.script({{"close_idle", true}});
  CHECK(generate(client, ask("three")).status == 200);
  CHECK(client.closed_by_peer());
  client.close();
  CHECK(generate(client, ask("four")).status == 200);
  CHECK(client.connections_made() == 2);
}

TEST_CASE("the client tells an answer that was cut off from a whole one") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  for (const char* cut : {"fin", "rst"}) {
    standin.script({{"cut_after_bytes", 20}, {"cut", cut}});
    CHECK_THROWS_AS(generate(client, ask("hi")), HttpError);
    standin.script({{"cut_after_bytes", 20}, {"cut", cut}});
    CHECK_THROWS_AS(stream(client, ask("hi")), HttpError);
    standin.script({{"cut_before_head", true}, {"cut", cut}});
    CHECK_THROWS_AS(stream(client, ask("hi")), HttpError);
  }
  CHECK(standin.stats().aborted == 0);
}

TEST_CASE("the answer names the turn and the words, and counts tokens") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  const json contents = {user("first"), model("answer"), user("secönd")};
  const HttpResponse response = generate(client, {{"contents", contents}});
  REQUIRE(response.status == 200);
  CHECK(text_of(response) == "Echo 2: secönd");
  const json body = json::parse(response.body);
  CHECK(body["candidates"][0]["finishReason"] == "STOP");
  CHECK(body["modelVersion"] == "gemini-3.5-flash-lite");
  CHECK(body["usageMetadata"]["promptTokenCount"] == 5);      // 5 + 6 + 7 bytes
  CHECK(body["usageMetadata"]["candidatesTokenCount"] == 4);  // 15 bytes
  CHECK(body["usageMetadata"]["totalTokenCount"] == 9);
  const json again = json::parse(generate(client, {{"contents", contents}}).body);
  CHECK(again["responseId"] != body["responseId"]);
}

TEST_CASE("a stream carries the same words in several events with running totals") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  const std::string question = "grüße aus Köln";
  const HttpResponse response = stream(client, ask(question));
  REQUIRE(response.status == 200);
  CHECK(response.header("content-type") == "text/event-stream");
  const std::vector<json> events = events_of(response.body);
  REQUIRE(events.size() > 1);
  std::string text;
  int last_total = 0;
  for (const json& event : events) {
    const bool last = &event == &events.back();
    const json& candidate = event["candidates"][0];
    const json& part = candidate["content"]["parts"][0];
    text += part["text"];
    CHECK(candidate.contains("finishReason") == last);
    CHECK(part.contains("thoughtSignature") == last);
    CHECK(event["usageMetadata"]["totalTokenCount"] >= last_total);
    last_total = event["usageMetadata"]["totalTokenCount"];
  }
  CHECK(text == "Echo 1: " + question);
}

TEST_CASE("without alt=sse a stream is one JSON array") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  const std::string target = kModel + ":streamGenerateContent";
  const json whole = json::parse(client.post_json(target, ask("hello").dump(), kKey).body);
  REQUIRE(whole.is_array());
  CHECK(whole.size() > 1);
  standin.script({{"chunks", {"a", "b"}}, {"error_after_chunks", 1}});
  const json failed = json::parse(client.post_json(target, ask("hello").dump(), kKey).body);
  REQUIRE(failed.size() == 2);
  CHECK(failed[1]["error"]["code"] == 503);
}

TEST_CASE("maxOutputTokens cuts the answer and says so") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  const HttpResponse response = generate(client, with_config({{"maxOutputTokens", 2}}));
  CHECK(text_of(response) == "Echo 1: ");
  CHECK(json::parse(response.body)["candidates"][0]["finishReason"] == "MAX_TOKENS");
}

TEST_CASE("requests the Gemini API would refuse are refused") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  using Catch::Matchers::Contains;
  const json call = {{"functionCall", {{"name", "f"}, {"args", json::object()}}}};
  const json response = {{"functionResponse", {{"name", "f"}, {"response", {{"result", 1}}}}}};
  const json call_turn = {{"role", "model"}, {"parts", {call}}};
  const json response_turn = {{"role", "user"}, {"parts", {response}}};
  const auto contents = [](std::vector<json> turns) { return json{{"contents", turns}}; };

  CHECK_THAT(fault_of(client, json::object()), Contains("contents is not specified"));
  CHECK_THAT(fault_of(client, contents({{{"role", "user"}, {"parts", json::array()}}})),
             Contains("must not be empty"));
  CHECK_THAT(fault_of(client, contents({{{"role", "user"}, {"parts", {{{"thought", true}}}}}})),
             Contains("required oneof field 'data'"));
  CHECK_THAT(fault_of(client, contents({{{"role", "bot"}, {"parts", {{{"text", "x"}}}}}})),
             Contains("valid role"));
  json unknown = ask("hi");
  unknown["sytemInstruction"] = json::object();
  CHECK_THAT(fault_of(client, unknown), Contains("Unknown name \"sytemInstruction\""));
  CHECK_THAT(fault_of(client, with_config({{"maxTokens", 5}})),
             Contains("Unknown name \"maxTokens\" at 'generation_config'"));
  CHECK_THAT(fault_of(client, with_config({{"temperature", 2.5}})), Contains("range"));
  CHECK_THAT(fault_of(client, with_config({{"stopSequences", {"1", "2", "3", "4", "5", "6"}}})),
             Contains("stop sequences"));
  CHECK_THAT(fault_of(client, with_config({{"thinkingConfig",
                                            {{"thinkingBudget", 1}, {"thinkingLevel", "LOW"}}}})),
             Contains("only one of thinking budget"));
  CHECK_THAT(fault_of(client, with_config({{"thinkingConfig", {{"thinkingLevel", "LOW"}}}}),
                      "/v1beta/models/gemini-2.5-flash"),
             Contains("not supported"));
  CHECK_THAT(fault_of(client, contents({user("a"), model("b")})),
             Contains("ending with a model turn"));
  CHECK_THAT(fault_of(client, contents({user("a"), call_turn, response_turn})),
             Contains("thought_signature"));
  CHECK_THAT(fault_of(client, contents({user("a"), response_turn})), Contains("immediately after"));
  CHECK_THAT(fault_of(client, contents({user("a"), call_turn, user("b")}),
                      "/v1beta/models/gemini-2.5-flash"),
             Contains("number of function response parts"));
  CHECK(generate(client, contents({user("a"), call_turn, response_turn}),
                 "/v1beta/models/gemini-2.5-flash")
            .status == 200);
  CHECK(generate(client, contents({user("a"), model("b")}), "/v1beta/models/gemini-2.5-flash")
            .status == 200);
  CHECK_THAT(
      json::parse(client.post_json(kModel + ":generateContent", "{", kKey).body)["error"]["message"]
          .get<std::string>(),
      Contains("Invalid JSON payload"));
}

TEST_CASE("a thought signature is refused by another model than the one that made it") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  const json answer = json::parse(generate(client, ask("hi")).body)["candidates"][0]["content"];
  REQUIRE(answer["parts"][0].contains("thoughtSignature"));
  const json body = {{"contents", {user("hi"), answer, user("more")}}};
  CHECK(text_of(generate(client, body)) == "Echo 2: more");
  CHECK(fault_of(client, body, "/v1beta/models/gemini-3.6-flash") ==
        "Corrupted thought signature.");
}

TEST_CASE("a call wants exactly one good credential and a model that exists") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  const auto status = [&](const Headers& headers, const std::string& query = "") {
    return client.post_json(kModel + ":generateContent" + query, ask("hi").dump(), headers).status;
  };
  CHECK(status({}) == 403);
  CHECK(status(kKey) == 200);
  CHECK(status({}, "?key=test-key") == 200);
  CHECK(status({{"Authorization", "Bearer token"}}) == 200);
  CHECK(status(kKey, "?key=test-key") == 400);
  CHECK(status({{"x-goog-api-key", "k"}, {"Authorization", "Bearer token"}}) == 400);
  const HttpResponse bad = client.post_json(kModel + ":generateContent", ask("hi").dump(),
                                            {{"x-goog-api-key", "bad-key"}});
  CHECK(bad.status == 400);
  CHECK(json::parse(bad.body)["error"]["details"][0]["reason"] == "API_KEY_INVALID");
  const HttpResponse gone = generate(client, ask("hi"), "/v1beta/models/gemini-1.5-flash");
  CHECK(gone.status == 404);
  CHECK(json::parse(gone.body)["error"]["status"] == "NOT_FOUND");
}

TEST_CASE("path prefixes, versions and Vertex paths lead to the model") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  for (const std::string path :
       {"/v1/models/gemini-2.5-pro", "/gateway/gemini/v1beta/models/gemini-2.5-pro",
        "/v1beta1/projects/p/locations/global/publishers/google/models/gemini-2.5-pro"}) {
    CHECK(text_of(generate(client, ask("hi"), path)) == "Echo 1: hi");
  }
  CHECK(generate(client, ask("hi"), "/models/gemini-2.5-pro").status == 404);
}

TEST_CASE("the list of models comes in pages") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  std::vector<std::string> names;
  std::string token;
  do {
    const json page =
        json::parse(client.get("/v1beta/models?pageSize=3&pageToken=" + token, kKey).body);
    CHECK(page["models"].size() <= 3);
    for (const json& model : page["models"]) names.push_back(model["name"]);
    token = page.value("nextPageToken", "");
  } while (!token.empty());
  CHECK(names.size() > 3);
  const json one = json::parse(client.get("/v1beta/" + names.back(), kKey).body);
  CHECK(one["name"] == names.back());
}

TEST_CASE("replies are taken in order by the first call that matches") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  standin.script({{{"match", {{"text_contains", "two"}}}, {"text", "for two"}},
                  {{"match", {{"stream", true}}}, {"text", "for a stream"}},
                  {{"match", {{"model", "gemini-3.8-flash"}}}, {"text", "for 3.8"}},
                  {{"times", 2}, {"text", "twice"}},
                  {{"times", 0}, {"text", "for ever"}}});
  CHECK(text_of(generate(client, ask("one"))) == "twice");
  CHECK(text_of(generate(client, ask("number two"))) == "for two");
  CHECK(text_of(generate(client, ask("one"), "/v1beta/models/gemini-3.8-flash")) == "for 3.8");
  CHECK(text_of(generate(client, ask("number two"))) == "twice");
  CHECK(text_of(generate(client, ask("one"))) == "for ever");
  CHECK(text_of(generate(client, ask("one"))) == "for ever");
  CHECK(events_of(stream(client, ask("one")).body)[0]["modelVersion"] == "gemini-3.5-flash-lite");
  CHECK(standin.stats().pending_replies == 1);
  standin.reset();
  CHECK(text_of(generate(client, ask("one"))) == "Echo 1: one");
}

TEST_CASE("a script with a mistake in it is refused with the field's name") {
  GeminiStandIn standin;
  CHECK_THROWS_WITH(standin.script({{"tekst", "x"}}), Catch::Matchers::Contains("tekst"));
  CHECK_THROWS_WITH(standin.script({{"chunks", "x"}}), Catch::Matchers::Contains("chunks"));
  CHECK(standin.stats().pending_replies == 0);
}

TEST_CASE("scripted errors come with their status, details and headers") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  const json details = {
      {{"@type", "type.googleapis.com/google.rpc.RetryInfo"}, {"retryDelay", "2s"}}};
  standin.script({{{"error", {{"code", 503}, {"message", "busy"}, {"details", details}}},
                   {"headers", {{"X-Extra", "yes"}}}},
                  {{"status", 502}, {"raw", "<html>"}, {"content_type", "text/html"}}});
  const HttpResponse busy = stream(client, ask("hi"));
  CHECK(busy.status == 503);
  CHECK(busy.header("x-extra") == "yes");
  const json error = json::parse(busy.body)["error"];
  CHECK(error["status"] == "UNAVAILABLE");
  CHECK(error["details"] == details);
  const HttpResponse page = stream(client, ask("hi"));
  CHECK(page.status == 502);
  CHECK(page.header("content-type") == "text/html");
  CHECK(page.body == "<html>");
}

TEST_CASE("the bytes of a stream can be shaped") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  const json event = {{"n", 1}};
  const json base = {{"events", {event, event}}};
  const auto body = [&](json extra) {
    extra.update(base);
    standin.script(extra);
    return stream(client, ask("hi")).body;
  };
  CHECK(body(json::object()) == "data: {\"n\":1}\r\n\r\ndata: {\"n\":1}\r\n\r\n");
  CHECK(body({{"line_end", "lf"}, {"no_final_blank", true}}) ==
        "data: {\"n\":1}\n\ndata: {\"n\":1}\n");
  CHECK(body({{"line_end", "cr"}, {"bom", true}}) ==
        "\xEF\xBB\xBF"
        "data: {\"n\":1}\r\rdata: {\"n\":1}\r\r");
  CHECK(body({{"done_sentinel", true}}) ==
        "data: {\"n\":1}\r\n\r\ndata: {\"n\":1}\r\n\r\ndata: [DONE]\r\n\r\n");
  CHECK(body({{"comments", true}, {"line_end", "lf"}, {"error_after_chunks", 1}})
            .starts_with(": keep-alive\n\nevent: message\nid: 0\n: inside\ndata: {\"n\":1}\n\n"
                         "data: {\"error\":"));
  CHECK(body({{"error_after_chunks", 1}, {"error_shape", "bare"}})
            .starts_with("data: {\"n\":1}\r\n\r\n{\n  \"error\": {\n"));
  CHECK(body({{"error_after_chunks", 1}, {"error_shape", "array"}})
            .starts_with("data: {\"n\":1}\r\n\r\n[\n  {\n"));
  CHECK(body({{"split", 3}}) == body(json::object()));
}

TEST_CASE("a split body is sent in pieces of its own") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  standin.script({{"raw", "abcdefgh"}, {"split", 3}});
  client.send_raw("POST " + kModel +
                  ":streamGenerateContent?alt=sse HTTP/1.1\r\nHost: x\r\nx-goog-api-key: k\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n");
  const std::string body = ask("hi").dump();
  client.send_raw("1\r\n" + body.substr(0, 1) + "\r\n");
  std::string size(1, "0123456789abcdef"[(body.size() - 1) / 16]);
  size += "0123456789abcdef"[(body.size() - 1) % 16];
  client.send_raw(size + "\r\n" + body.substr(1) + "\r\n0\r\n\r\n");
  std::string received;
  while (received.find("0\r\n\r\n") == std::string::npos) received += client.receive_raw();
  CHECK(received.substr(received.find("\r\n\r\n") + 4) ==
        "3\r\nabc\r\n3\r\ndef\r\n2\r\ngh\r\n0\r\n\r\n");
}

TEST_CASE("calls are recorded with their headers, body and connection") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  generate(client, ask("one"));
  stream(client, ask("two"));
  HttpClient other(standin.base_url());
  other.get("/v1beta/models?pageSize=1", kKey);
  const json calls = standin.requests();
  REQUIRE(calls.size() == 3);
  CHECK(calls[0]["method"] == "POST");
  CHECK(calls[0]["path"] == kModel + ":generateContent");
  CHECK(calls[0]["headers"]["x-goog-api-key"] == "test-key");
  CHECK(calls[0]["body"] == ask("one"));
  CHECK(calls[1]["query"] == "alt=sse");
  CHECK(calls[0]["connection"] == calls[1]["connection"]);
  CHECK(calls[1]["connection"] != calls[2]["connection"]);
  CHECK(calls[0]["arrival_ms"] <= calls[1]["arrival_ms"]);
  standin.reset();
  CHECK(standin.requests().empty());
}

TEST_CASE("calls that wait, and callers that go away, are counted") {
  GeminiStandIn standin;
  standin.script({{"hang", true}, {"times", 0}});
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<HttpClient>(standin.base_url()));
    const std::string body = ask("hi").dump();
    clients.back()->send_raw("POST " + kModel +
                             ":generateContent HTTP/1.1\r\nx-goog-api-key: k\r\n" +
                             "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  CHECK(eventually([&] { return standin.stats().in_flight == 3; }));
  CHECK(standin.stats().open_connections == 3);
  clients[0]->close();
  clients[1]->reset();
  CHECK(eventually([&] { return standin.stats().aborted == 2; }));
  const GeminiStandIn::Stats stats = standin.stats();
  CHECK(stats.in_flight == 1);
  CHECK(stats.max_in_flight == 3);
  CHECK(stats.open_connections == 1);
  CHECK(stats.connections_total == 3);
  CHECK(stats.calls == 3);
}

TEST_CASE("the head can come long before the body, and chunks apart from each other") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  standin.script({{"chunks", {"a", "b", "c"}}, {"after_head_ms", 1}, {"chunk_ms", 1}});
  int pieces = 0;
  std::string body;
  client.stream("POST", kModel + ":streamGenerateContent?alt=sse", kKey, ask("hi").dump(),
                [&](std::string_view piece) {
                  ++pieces;
                  body += piece;
                  return true;
                });
  CHECK(pieces >= 3);
  CHECK(events_of(body).size() == 3);
}

TEST_CASE("a reader of a stream can leave, and the stand-in sees it") {
  GeminiStandIn standin;
  HttpClient client(standin.base_url());
  standin.script({{"chunks", {"a", "b"}}, {"chunk_ms", 60000}});
  client.stream("POST", kModel + ":streamGenerateContent?alt=sse", kKey, ask("hi").dump(),
                [](std::string_view) { return false; });
  CHECK_FALSE(client.connected());
  CHECK(eventually([&] { return standin.stats().aborted == 1; }));
}

TEST_CASE("the stand-in ends at once on SIGTERM, also while calls wait") {
  GeminiStandIn standin({"--latency-ms", "600000"});
  HttpClient client(standin.base_url());
  auto call = std::async(std::launch::async, [&] {
    try {
      generate(client, ask("hi"));
      return false;
    } catch (const HttpError&) {
      return true;
    }
  });
  CHECK(eventually([&] { return standin.stats().in_flight == 1; }));
  standin.process().terminate();
  CHECK(standin.process().wait_exit() == 0);
  CHECK(call.get());
}

TEST_CASE("the stand-in speaks TLS when given a certificate") {
  const TempDir dir;
  const std::string certificate = (dir / "cert.pem").string();
  const std::string key = (dir / "key.pem").string();
  Process make({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate});
  REQUIRE(make.wait_exit() == 0);
  Process standin({TWINCHAT_GEMINI_STANDIN, "--tls-cert", certificate, "--tls-key", key});
  const auto line = standin.wait_for_line("listening on https://127.0.0.1:");
  REQUIRE(line.has_value());
  const std::string body = ask("over TLS").dump();
  Process client({"openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", certificate,
                  "-connect", "127.0.0.1:" + line->substr(line->rfind(':') + 1)},
                 {.input = "POST " + kModel + ":generateContent HTTP/1.1\r\nx-goog-api-key: k\r\n" +
                           "Connection: close\r\nContent-Length: " + std::to_string(body.size()) +
                           "\r\n\r\n" + body});
  REQUIRE(client.wait_exit().has_value());
  CHECK_THAT(client.output(), Catch::Matchers::Contains("Echo 1: over TLS"));
}
