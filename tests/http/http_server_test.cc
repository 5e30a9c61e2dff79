#include "http/http_server.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "catch.h"
#include "http/worker_pool.h"
#include "http_client.h"
#include "running_server.h"
#include "wait.h"

using namespace twinchat::server;
using namespace twinchat::testing;
using namespace std::chrono_literals;

namespace {

// Replies that handlers have deferred, for the test to answer.
class Deferred {
 public:
  void add(std::shared_ptr<Reply> reply) {
    std::unique_lock lock(mutex_);
    replies_.push_back(std::move(reply));
    added_.notify_all();
  }
  std::shared_ptr<Reply> next() {
    std::unique_lock lock(mutex_);
    REQUIRE(added_.wait_for(lock, 60s, [this] { return !replies_.empty(); }));
    std::shared_ptr<Reply> reply = std::move(replies_.front());
    replies_.pop_front();
    return reply;
  }
  Handler handler() {
    return [this](Exchange& exchange) { add(exchange.defer()); };
  }

 private:
  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<std::shared_ptr<Reply>> replies_;
};

httplib::Response text(std::string body, int status = 200) {
  httplib::Response response;
  response.status = status;
  response.set_content(body, "text/plain");
  return response;
}

}  // namespace

TEST_CASE("A handler sees the request and its answer goes out") {
  std::string seen;
  RunningServer server([&](Exchange& exchange) {
    const httplib::Request& request = exchange.request();
    seen = request.method + "|" + std::string(exchange.path()) + "|" +
           request.get_param_value("q") + "|" + request.get_header_value("X-Test") + "|" +
           request.remote_addr + "|" + exchange.client_address() + "|" +
           std::string(exchange.body());
    exchange.response().status = 201;
    exchange.response().set_header("X-Answer", "2");
    exchange.response().set_content("made", "text/plain");
  });
  HttpClient client(server.url());
  const HttpResponse response = client.post_json("/a%20b?q=x+y", "{}", {{"X-Test", "1"}});
  CHECK(seen == "POST|/a b|x y|1|127.0.0.1|127.0.0.1|{}");
  CHECK(response.status == 201);
  CHECK(response.header("x-answer") == "2");
  CHECK(response.header("content-type") == "text/plain");
  CHECK(response.header("date").has_value());
  CHECK_FALSE(response.header("connection").has_value());
  CHECK(response.body == "made");
}

TEST_CASE("A connection is kept for the next request") {
  RunningServer server(echo);
  HttpClient client(server.url());
  for (int i = 0; i < 500; ++i) {
    const std::string path = "/" + std::to_string(i);
    CHECK(client.get(path).body == "GET " + path + "\n");
  }
  CHECK(client.connections_made() == 1);
  CHECK(server->stats().requests == 500);
  CHECK(server->stats().accepted == 1);
}

TEST_CASE("A client that asks for it has its connection closed after the answer") {
  RunningServer server(echo);
  HttpClient client(server.url());
  const HttpResponse response = client.get("/", {{"Connection", "close"}});
  CHECK(response.header("connection") == "close");
  CHECK(client.get("/").status == 200);
  CHECK(client.connections_made() == 2);
}

TEST_CASE("HTTP/1.0 clients are answered in their way") {
  RunningServer server(echo);
  HttpClient client(server.url());
  client.send_raw("GET / HTTP/1.0\r\n\r\n");
  CHECK_THAT(receive_all(client), Catch::Contains("\r\nConnection: close\r\n"));

  HttpClient kept(server.url());
  for (int i = 0; i < 2; ++i) {
    kept.send_raw("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(kept.receive_response().header("connection") == "keep-alive");
  }
}

TEST_CASE("HEAD has the head that GET would have") {
  RunningServer server(echo);
  HttpClient client(server.url());
  const HttpResponse response = client.request("HEAD", "/abc");
  CHECK(response.status == 200);
  CHECK(response.header("content-length") == "10");
  CHECK(response.body == "");
  CHECK(client.get("/").status == 200);
  CHECK(client.connections_made() == 1);
}

TEST_CASE("Answers without a body say so by their status") {
  RunningServer server([](Exchange& exchange) {
    exchange.response().status = exchange.path() == "/204" ? 204 : 304;
    exchange.response().set_content("not to be sent", "text/plain");
  });
  HttpClient client(server.url());
  CHECK_FALSE(client.get("/204").header("content-length").has_value());
  CHECK(client.get("/304").body == "");
  CHECK(client.connections_made() == 1);
}

TEST_CASE("Any method reaches the handler") {
  RunningServer server(echo);
  HttpClient client(server.url());
  for (const std::string method : {"PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "X-OWN"}) {
    CHECK(client.request(method, "/p").body == method + " /p\n");
  }
}

TEST_CASE("A response cannot break the framing of its answer") {
  RunningServer server([](Exchange& exchange) {
    httplib::Response& response = exchange.response();
    response.headers.emplace("X-Bad", "a\r\nSet-Cookie: b=c");
    response.headers.emplace("X-Bad2\r\nSet-Cookie", "b=c");
    response.headers.emplace("Content-Length", "1");
    response.headers.emplace("Transfer-Encoding", "chunked");
    response.headers.emplace("Connection", "close");
    response.headers.emplace("X-Good", "yes");
    response.set_content("hello", "text/plain");
  });
  HttpClient client(server.url());
  for (int i = 0; i < 2; ++i) {
    const HttpResponse response = client.get("/");
    CHECK(response.body == "hello");
    CHECK(response.header("x-good") == "yes");
    CHECK_FALSE(response.header("x-bad").has_value());
    CHECK_FALSE(response.header("set-cookie").has_value());
    CHECK_FALSE(response.header("transfer-encoding").has_value());
  }
  CHECK(client.connections_made() == 1);
}

TEST_CASE("An exception that leaves a handler is told to the log, not to the client") {
  std::mutex mutex;
  std::vector<std::string> log;
  HttpServerOptions options;
  options.log = [&](std::string_view what) {
    std::unique_lock lock(mutex);
    log.emplace_back(what);
  };
  {
    RunningServer server(
        [](Exchange& exchange) {
          exchange.response().set_header("X-Half", "done");
          if (exchange.path() == "/deferred") exchange.defer();
          if (exchange.path() == "/int") throw 1;
          throw std::runtime_error("secret");
        },
        options);
    HttpClient client(server.url());
    for (const std::string path : {"/", "/int", "/deferred"}) {
      const HttpResponse response = client.get(path);
      CHECK(response.status == 500);
      CHECK(response.body == "{\"detail\":\"Internal server error.\"}");
      CHECK(response.header("content-type") == "application/json");
      CHECK_FALSE(response.header("exception_what").has_value());
      CHECK_FALSE(response.header("x-half").has_value());
    }
    CHECK(client.connections_made() == 1);
    CHECK(server->stats().handler_failures == 3);
  }
  CHECK(std::count(log.begin(), log.end(), "secret") == 2);
}

TEST_CASE("A content provider is refused rather than half supported") {
  RunningServer server([](Exchange& exchange) {
    exchange.response().set_content_provider(
        5, "text/plain", [](size_t, size_t, httplib::DataSink&) { return true; });
  });
  HttpClient client(server.url());
  CHECK(client.get("/").status == 500);
}

TEST_CASE("The answers of the server itself can be made by its owner") {
  HttpServerOptions options;
  options.error_answer = [](const ErrorCause& cause) {
    httplib::Response response;
    response.status = cause.status;
    response.set_header("X-Frame-Options", "DENY");
    response.set_content(std::string(cause.detail), "text/plain");
    return response;
  };
  RunningServer server([](Exchange&) { throw std::runtime_error("x"); }, options);
  HttpClient client(server.url());
  CHECK(client.get("/").header("x-frame-options") == "DENY");
  client.send_raw("nonsense\r\n\r\n");
  const HttpResponse response = client.receive_response();
  CHECK(response.status == 400);
  CHECK(response.header("x-frame-options") == "DENY");
  CHECK(response.header("connection") == "close");
}

TEST_CASE("Whoever makes an error's answer is told what could be read of the request") {
  HttpServerOptions options;
  options.limits.body_bytes = 10;
  options.limits.request_line_bytes = 100;
  options.limits.header_count = 3;
  options.limits.request_time = 300ms;
  options.error_answer = [](const ErrorCause& cause) {
    std::string seen(cause.head.method);
    seen.append(" ").append(cause.head.target);
    for (const FramedRequest::Field& field : cause.head.fields) {
      seen.append(" ").append(field.name).append("=").append(field.value);
    }
    return text(seen + " from " + std::string(cause.client_address), cause.status);
  };
  RunningServer server(echo, options);
  const auto told = [&](const std::string& bytes) {
    HttpClient client(server.url());
    client.send_raw(bytes);
    const HttpResponse response = client.receive_response();
    return std::to_string(response.status) + " " + response.body;
  };
  CHECK(told("nonsense\r\n\r\n") == "400   from 127.0.0.1");
  CHECK(told("GET /" + std::string(200, 'a')) == "414   from 127.0.0.1");
  CHECK(told("GET /a?b HTTP/1.1\r\nHost: h\r\nOrigin: o\r\nbad line\r\n\r\n") ==
        "400 GET /a?b Host=h Origin=o from 127.0.0.1");
  CHECK(told("GET /a HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n") ==
        "431 GET /a A=1 B=2 C=3 from 127.0.0.1");
  const std::string post = "POST /p HTTP/1.1\r\nHost: h\r\nOrigin: o\r\n";
  CHECK(told(post + "Content-Length: 11\r\n\r\n") ==
        "413 POST /p Host=h Origin=o Content-Length=11 from 127.0.0.1");
  CHECK(told(post + "Transfer-Encoding: chunked\r\n\r\nb\r\n") ==
        "413 POST /p Host=h Origin=o from 127.0.0.1");
  CHECK(told(post) == "408 POST /p Host=h Origin=o from 127.0.0.1");
  CHECK(told(post + "Content-Length: 5\r\n\r\nab") == "408 POST /p Host=h Origin=o from 127.0.0.1");
}

TEST_CASE("A large answer arrives whole") {
  std::string body(20'000'000, 'a');
  for (size_t i = 0; i < body.size(); i += 997) body[i] = static_cast<char>('b' + i % 20);
  RunningServer server([&](Exchange& exchange) { exchange.response().body = body; });
  HttpClient client(server.url());
  for (int i = 0; i < 2; ++i) CHECK(client.get("/").body == body);
  CHECK(client.connections_made() == 1);
}

TEST_CASE("Pipelined requests are answered in their order") {
  RunningServer server([](Exchange& exchange) {
    if (exchange.path() == "/0") std::this_thread::sleep_for(20ms);
    echo(exchange);
  });
  HttpClient client(server.url());
  std::string bytes;
  for (int i = 0; i < 200; ++i) {
    bytes += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy";
  }
  client.send_raw(bytes);
  for (int i = 0; i < 200; ++i) {
    REQUIRE(client.receive_response().body == "POST /" + std::to_string(i) + "\nxy");
  }
}

TEST_CASE("A client that waits for 100 Continue gets it") {
  RunningServer server(echo);
  HttpClient client(server.url());
  client.send_raw(
      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CHECK(client.receive_raw() == "HTTP/1.1 100 Continue\r\n\r\n");
  client.send_raw("ab");
  CHECK(client.receive_response().body == "POST /\nab");
}

// ---- deferred answers ----

TEST_CASE("A deferred answer comes from any thread and holds no worker") {
  Deferred deferred;
  HttpServerOptions options;
  options.max_workers = 2;
  RunningServer server(deferred.handler(), options);
  std::vector<std::unique_ptr<HttpClient>> clients;
  std::vector<std::shared_ptr<Reply>> replies;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<HttpClient>(server.url()));
    clients.back()->send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    replies.push_back(deferred.next());
  }
  for (size_t i = 0; i < replies.size(); ++i) {
    CHECK_FALSE(replies[i]->closed());
    replies[i]->send(text(std::to_string(i)));
    replies[i]->send(text("a second answer is ignored"));
    CHECK_FALSE(replies[i]->begin_stream(text("")));
  }
  for (size_t i = 0; i < clients.size(); ++i) {
    CHECK(clients[i]->receive_response().body == std::to_string(i));
  }
}

TEST_CASE("A reply that is dropped without an answer is a 500") {
  Deferred deferred;
  RunningServer server(deferred.handler());
  HttpClient client(server.url());
  client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  deferred.next().reset();
  CHECK(client.receive_response().status == 500);
}

TEST_CASE("What is posted runs on a worker") {
  Deferred deferred;
  RunningServer server(deferred.handler());
  HttpClient client(server.url());
  client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto here = std::this_thread::get_id();
  server->post([reply = deferred.next(), here] {
    reply->send(text(std::this_thread::get_id() == here ? "same thread" : "worker"));
  });
  CHECK(client.receive_response().body == "worker");
}

TEST_CASE("Pipelined requests wait for a deferred answer") {
  Deferred deferred;
  RunningServer server([&](Exchange& exchange) {
    if (exchange.path() == "/slow") return deferred.add(exchange.defer());
    echo(exchange);
  });
  HttpClient client(server.url());
  client.send_raw("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /fast HTTP/1.1\r\nHost: a\r\n\r\n");
  std::shared_ptr<Reply> reply = deferred.next();
  client.send_raw("GET /late HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(server->stats().requests == 1);
  reply->send(text("slow"));
  CHECK(client.receive_response().body == "slow");
  CHECK(client.receive_response().body == "GET /fast\n");
  CHECK(client.receive_response().body == "GET /late\n");
}

TEST_CASE("A half-closed client gets its answer") {
  Deferred deferred;
  RunningServer server(deferred.handler());
  HttpClient client(server.url());
  client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client.shutdown_write();
  std::shared_ptr<Reply> reply = deferred.next();
  CHECK_FALSE(reply->closed());
  reply->send(text("answer"));
  CHECK(client.receive_response().body == "answer");
  CHECK(client.closed_by_peer());
}

TEST_CASE("A client that resets its connection is noticed before the answer") {
  Deferred deferred;
  RunningServer server(deferred.handler());
  HttpClient client(server.url());
  client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::shared_ptr<Reply> reply = deferred.next();
  std::atomic<int> closed{0};
  reply->on_close([&] { ++closed; });
  CHECK(closed == 0);
  client.reset();
  CHECK(eventually([&] { return closed == 1; }));
  CHECK(reply->closed());
  reply->send(text("too late"));

  // Told at once when it has happened already.
  std::atomic<bool> told{false};
  HttpClient second(server.url());
  second.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::shared_ptr<Reply> second_reply = deferred.next();
  second.reset();
  CHECK(eventually([&] { return second_reply->closed(); }));
  second_reply->on_close([&] { told = true; });
  CHECK(eventually([&] { return told.load(); }));
  CHECK(closed == 1);
  // Whatever was tried before.
  told = false;
  CHECK_FALSE(second_reply->begin_stream(text("")));
  second_reply->on_close([&] { told = true; });
  CHECK(eventually([&] { return told.load(); }));
  CHECK(server->stats().client_gone == 2);
}

TEST_CASE("The close function is not called after the answer, and may own the reply") {
  Deferred deferred;
  std::atomic<int> closed{0};
  std::weak_ptr<Reply> watched;
  {
    RunningServer server(deferred.handler());
    HttpClient client(server.url());
    client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    std::shared_ptr<Reply> reply = deferred.next();
    watched = reply;
    reply->on_close([&closed, reply] { ++closed; });
    reply->send(text("answer"));
    CHECK(client.receive_response().body == "answer");
    client.reset();
    CHECK(eventually([&] { return server->stats().connections_open == 0; }));
  }
  CHECK(closed == 0);
  CHECK(watched.expired());
}

// ---- streams ----

TEST_CASE("A stream arrives piece by piece and leaves the connection usable") {
  Deferred deferred;
  RunningServer server(deferred.handler());
  HttpClient client(server.url());
  for (int round = 0; round < 2; ++round) {
    client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    std::shared_ptr<Reply> reply = deferred.next();
    REQUIRE(reply->begin_stream(text("not used")));
    CHECK(client.receive_raw().find("Transfer-Encoding: chunked") != std::string::npos);
    CHECK(reply->write("one"));
    CHECK(client.receive_raw() == "3\r\none\r\n");
    CHECK(reply->write(""));
    CHECK(reply->write(std::string(26, 'x')));
    CHECK(client.receive_raw() == "1a\r\n" + std::string(26, 'x') + "\r\n");
    reply->end();
    CHECK(client.receive_raw() == "0\r\n\r\n");
    CHECK_FALSE(reply->write("more"));
    reply->send(text("ignored"));
  }
  CHECK(client.connections_made() == 1);
}

TEST_CASE("A stream to an HTTP/1.0 client ends with its connection") {
  Deferred deferred;
  RunningServer server(deferred.handler());
  HttpClient client(server.url());
  client.send_raw("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  std::shared_ptr<Reply> reply = deferred.next();
  REQUIRE(reply->begin_stream(text("")));
  reply->write("one");
  reply->write("two");
  reply->end();
  const std::string all = receive_all(client);
  CHECK(all.find("chunked") == std::string::npos);
  CHECK(all.substr(all.size() - 10) == "\r\n\r\nonetwo");
}

TEST_CASE("HEAD of a stream has its head alone") {
  Deferred deferred;
  RunningServer server(deferred.handler());
  HttpClient client(server.url());
  client.send_raw("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  for (int i = 0; i < 2; ++i) {
    std::shared_ptr<Reply> reply = deferred.next();
    CHECK_FALSE(reply->begin_stream(text("")));
    CHECK_FALSE(reply->write("x"));
    reply->end();
    CHECK(client.receive_response(true).status == 200);
  }
}

TEST_CASE("A stream whose client went away ends, and the close function is called once") {
  Deferred deferred;
  RunningServer server(deferred.handler());
  HttpClient client(server.url());
  client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::shared_ptr<Reply> reply = deferred.next();
  std::atomic<int> closed{0};
  reply->on_close([&] { ++closed; });
  REQUIRE(reply->begin_stream(text("")));
  CHECK(reply->write("one"));
  client.close();
  CHECK(eventually([&] { return !reply->write("another"); }));
  CHECK(eventually([&] { return closed == 1; }));
  CHECK(reply->closed());
  reply->end();
}

TEST_CASE("A stream that its client does not read is given up at its budget") {
  Deferred deferred;
  RunningServer server(deferred.handler());
  HttpClient client(server.url());
  client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::shared_ptr<Reply> reply = deferred.next();
  REQUIRE(reply->begin_stream(text("")));
  const std::string piece(64 * 1024, 'x');
  size_t written = 0;
  while (reply->write(piece)) {
    written += piece.size();
    REQUIRE(written < 100'000'000);
  }
  CHECK(written > 512 * 1024);
  CHECK(eventually([&] { return server->stats().connections_open == 0; }));
  CHECK(server.rejected(RejectReason::kBacklog) == 1);
}

TEST_CASE("A stream that is dropped before its end does not look complete") {
  Deferred deferred;
  RunningServer server(deferred.handler());
  HttpClient client(server.url());
  client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::shared_ptr<Reply> reply = deferred.next();
  REQUIRE(reply->begin_stream(text("")));
  reply->write("one");
  reply.reset();
  CHECK_THROWS_AS(client.receive_response(), HttpError);
}

TEST_CASE("Streams and answers on many connections at once do not get mixed up") {
  WorkerPool streams({.min_workers = 3});
  HttpServerOptions options;
  options.min_workers = 4;
  RunningServer server(
      [&](Exchange& exchange) {
        const std::string path(exchange.path());
        std::shared_ptr<Reply> reply = exchange.defer();
        if (path.size() % 2 == 0) return reply->send(text(path));
        streams.submit([path, reply] {
          reply->on_close([] {});
          if (!reply->begin_stream(text(""))) return;
          for (char c : path) reply->write(std::string(1, c));
          reply->end();
        });
      },
      options);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      HttpClient client(server.url());
      for (int i = 0; i < 100; ++i) {
        const std::string path = "/" + std::to_string(t) + std::string(static_cast<size_t>(i), 'x');
        if (client.get(path).body != path) ++wrong;
      }
      if (client.connections_made() != 1) ++wrong;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

// ---- listening and stopping ----

TEST_CASE("A second server on the port is refused") {
  RunningServer first(echo);
  HttpServerOptions options;
  options.port = first->port();
  HttpServer second(options, echo);
  try {
    second.listen();
    FAIL("the port was shared");
  } catch (const std::system_error& error) {
    CHECK(error.code() == std::errc::address_in_use);
    CHECK_THAT(error.what(), Catch::Contains("127.0.0.1:" + std::to_string(first->port())));
  }
}

TEST_CASE("A host that is none is a clear error") {
  HttpServerOptions options;
  options.host = "host.invalid";
  HttpServer server(options, echo);
  CHECK_THROWS_WITH(server.listen(), Catch::Contains("host.invalid"));
}

TEST_CASE("A port can be taken again right after a stop") {
  int port = 0;
  for (int i = 0; i < 3; ++i) {
    HttpServerOptions options;
    options.port = port;
    RunningServer server(echo, options);
    port = server->port();
    HttpClient client(server.url());
    CHECK(client.get("/", {{"Connection", "close"}}).status == 200);
  }
}

TEST_CASE("All addresses are listened on when no host is given") {
  HttpServerOptions options;
  options.host = "";
  RunningServer server(
      [](Exchange& exchange) { exchange.response().body = exchange.client_address(); }, options);
  HttpClient client(server.url());
  CHECK(client.get("/").body == "127.0.0.1");
}

TEST_CASE("A stop before run() makes it return") {
  HttpServer server({}, echo);
  server.listen();
  server.stop(60s);
  server.run();
  CHECK(server.draining());
}

TEST_CASE("A stop does not wait for idle connections") {
  RunningServer server(echo);
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<HttpClient>(server.url()));
    if (i % 2 == 0) {
      clients.back()->get("/");
    } else {
      clients.back()->connect();
    }
  }
  CHECK_FALSE(server->draining());
  server.stop_and_wait(std::chrono::hours(1));
  for (auto& client : clients) CHECK(client->closed_by_peer());
  HttpClient late(server.url());
  CHECK_THROWS_AS(late.get("/"), HttpError);
}

TEST_CASE("A stop lets requests in flight have their answers") {
  Deferred deferred;
  RunningServer server([&](Exchange& exchange) {
    if (exchange.path() == "/rest") return echo(exchange);
    deferred.add(exchange.defer());
  });
  HttpClient whole(server.url());
  HttpClient stream(server.url());
  HttpClient half(server.url());
  whole.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::shared_ptr<Reply> whole_reply = deferred.next();
  stream.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::shared_ptr<Reply> stream_reply = deferred.next();
  REQUIRE(stream_reply->begin_stream(text("")));
  half.send_raw("POST /rest HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  CHECK(eventually([&] { return server->stats().unfinished_bytes > 0; }));

  server->stop(std::chrono::hours(1));
  CHECK(server->draining());
  HttpClient late(server.url());
  CHECK(eventually([&] {
    try {
      late.connect();
      return false;
    } catch (const HttpError&) {
      return true;
    }
  }));

  half.send_raw("cd");
  const HttpResponse rest = half.receive_response();
  CHECK(rest.body == "POST /rest\nabcd");
  CHECK(rest.header("connection") == "close");
  whole_reply->send(text("whole"));
  const HttpResponse answer = whole.receive_response();
  CHECK(answer.body == "whole");
  CHECK(answer.header("connection") == "close");
  stream_reply->write("str");
  stream_reply->write("eam");
  stream_reply->end();
  CHECK(stream.receive_response().body == "stream");
  server.wait();
}

TEST_CASE("A stop closes what is not answered by its deadline") {
  Deferred deferred;
  std::shared_ptr<Reply> reply;
  std::atomic<int> closed{0};
  {
    RunningServer server(deferred.handler());
    HttpClient client(server.url());
    client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    reply = deferred.next();
    reply->on_close([&] { ++closed; });
    server->stop(std::chrono::hours(1));
    server->stop(50ms);
    server.wait();
    CHECK(client.closed_by_peer());
    CHECK(eventually([&] { return closed == 1; }));
    CHECK(reply->closed());
  }
  reply->send(text("the server is gone"));
  std::atomic<bool> told{false};
  CHECK_FALSE(reply->begin_stream(text("")));
  reply->on_close([&] { told = true; });
  CHECK_FALSE(told);
  CHECK(closed == 1);
}
