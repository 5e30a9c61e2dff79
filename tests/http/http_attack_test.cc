// Clients that mean no good, over real sockets.
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "http/http_server.h"
#include "http_client.h"
#include "running_server.h"
#include "wait.h"

using namespace twinchat::server;
using namespace twinchat::testing;
using namespace std::chrono_literals;

namespace {

int status_of(const std::string& answer) {
  return answer.substr(0, 9) == "HTTP/1.1 " ? std::stoi(answer.substr(9, 3)) : 0;
}

// Sends the bytes and returns the status of the one answer, after which the connection must end.
int status_then_closed(RunningServer& server, std::string_view bytes) {
  HttpClient client(server.url());
  client.send_raw(bytes);
  const std::string answer = receive_all(client);
  CHECK_THAT(answer, Catch::Contains("\r\nConnection: close\r\n"));
  CHECK_THAT(answer, Catch::Contains("\r\nContent-Type: application/json\r\n"));
  CHECK_THAT(answer, Catch::Contains("\r\n\r\n{\"detail\":\"") && Catch::EndsWith("\"}"));
  CHECK(answer.find("HTTP/1.1", 1) == std::string::npos);
  return status_of(answer);
}

// Sends pieces until the server has had enough, at most `most` bytes; returns the bytes sent.
size_t flood(HttpClient& client, std::string_view piece, size_t most) {
  size_t sent = 0;
  try {
    while (sent < most) {
      client.send_raw(piece);
      sent += piece.size();
    }
  } catch (const HttpError&) {
  }
  return sent;
}

// Paths that reached the handler.
class Seen {
 public:
  Handler handler() {
    return [this](Exchange& exchange) {
      {
        std::unique_lock lock(mutex_);
        paths_.emplace_back(exchange.path());
      }
      echo(exchange);
    };
  }
  std::vector<std::string> paths() {
    std::unique_lock lock(mutex_);
    return paths_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> paths_;
};

constexpr std::string_view kGet = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

}  // namespace

TEST_CASE("Requests that could be read in two ways are refused and the connection closed") {
  Seen seen;
  RunningServer server(seen.handler());
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  const std::string after(kGet);
  CHECK(status_then_closed(
            server, post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na" + after) == 400);
  CHECK(status_then_closed(server, post +
                                       "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                                       "0\r\n\r\n" +
                                       after) == 400);
  CHECK(status_then_closed(server, post + "Transfer-Encoding: chunked\r\n\r\n-2\r\n" + after) ==
        400);
  CHECK(status_then_closed(server, post + "Transfer-Encoding: xchunked\r\n\r\n" + after) == 400);
  CHECK(status_then_closed(server, post + "X: a\nContent-Length: 30\r\n\r\n" + after) == 400);
  CHECK(status_then_closed(server, post + "Content-Length : 30\r\n\r\n" + after) == 400);
  CHECK(status_then_closed(server, post + "X: a\r\n Content-Length: 30\r\n\r\n" + after) == 400);
  CHECK(status_then_closed(server, "GET / HTTP/1.1\r\n\r\n" + after) == 400);
  CHECK(status_then_closed(
            server, post + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na" + after) == 415);
  CHECK(status_then_closed(server, post + "Expect: x\r\nContent-Length: 1\r\n\r\na" + after) ==
        417);
  CHECK(status_then_closed(server, "GET / HTTP/3.0\r\nHost: a\r\n\r\n" + after) == 505);
  CHECK(seen.paths().empty());
  CHECK(server.rejected(RejectReason::kMalformed) == 10);
  CHECK(server.rejected(RejectReason::kEncoding) == 1);
}

TEST_CASE("A body that comes late is still the body, never the next request") {
  Seen seen;
  RunningServer server(seen.handler());
  HttpClient client(server.url());
  client.send_raw("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                  std::to_string(kGet.size()) + "\r\n\r\n");
  std::this_thread::sleep_for(300ms);
  client.send_raw(kGet);
  CHECK(client.receive_response().body == "POST /refused\n" + std::string(kGet));
  CHECK(client.get("/next").body == "GET /next\n");
  CHECK(seen.paths() == std::vector<std::string>{"/refused", "/next"});
}

TEST_CASE("The body of a GET is not the next request") {
  Seen seen;
  RunningServer server(seen.handler());
  HttpClient client(server.url());
  client.send_raw("GET /file HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                  std::to_string(kGet.size()) + "\r\n\r\n" + std::string(kGet));
  CHECK(client.receive_response().status == 200);
  CHECK(client.get("/next").status == 200);
  CHECK(seen.paths() == std::vector<std::string>{"/file", "/next"});
}

TEST_CASE("A flood of headers is cut early") {
  RunningServer server(echo);
  HttpClient many(server.url());
  many.send_raw("GET / HTTP/1.1\r\nHost: a\r\n");
  CHECK(flood(many, "X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 60'000'000) < 60'000'000);

  HttpClient one(server.url());
  one.send_raw("GET / HTTP/1.1\r\nHost: a\r\nX: ");
  CHECK(flood(one, std::string(10'000, 'a'), 60'000'000) < 60'000'000);

  HttpClient line(server.url());
  line.send_raw("GET /");
  CHECK(flood(line, std::string(10'000, 'a'), 60'000'000) < 60'000'000);

  CHECK(server.rejected(RejectReason::kHeadersTooLarge) == 2);
  CHECK(server.rejected(RejectReason::kLineTooLong) == 1);
  CHECK(HttpClient(server.url()).get("/").status == 200);
}

TEST_CASE("A client that still sends can read why it was refused") {
  RunningServer server(echo);
  const std::string host = " HTTP/1.1\r\nHost: a\r\n";
  const std::string filler(200'000, 'a');
  CHECK(status_then_closed(server, "GET /" + filler) == 414);
  CHECK(status_then_closed(server, "GET /" + host + "X: " + filler) == 431);
  CHECK(status_then_closed(server, "POST /" + host + "Content-Length: 200000\r\n\r\n" + filler) ==
        413);
  CHECK(status_then_closed(server, "POST /" + host + "Transfer-Encoding: chunked\r\n\r\n30d40\r\n" +
                                       filler) == 413);
  std::string fields;
  for (int i = 0; i < 101; ++i) fields += "X: a\r\n";
  CHECK(status_then_closed(server, "GET /" + host + fields + "\r\n" + filler) == 431);
}

TEST_CASE("A chunked body without end is cut at the limit") {
  RunningServer server(echo);
  HttpClient client(server.url());
  client.send_raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "1000\r\n" + std::string(4096, 'a') + "\r\n";
  CHECK(flood(client, chunk, 100'000'000) < 100'000'000);
  CHECK(server.rejected(RejectReason::kBodyTooLarge) == 1);
}

TEST_CASE("Forged headers do not reach the handler") {
  RunningServer server([](Exchange& exchange) {
    std::string text = exchange.client_address() + " " + exchange.request().remote_addr;
    for (const auto& [name, value] : exchange.request().headers) {
      text += " " + name + "=" + value;
    }
    exchange.response().body = text;
    // A handler that copies a value into its answer must not open a second one.
    exchange.response().set_header("X-Copy", exchange.request().get_header_value("X-Copied"));
  });
  HttpClient client(server.url());
  client.send_raw(
      "POST / HTTP/1.1\r\nREMOTE_ADDR: 6.6.6.6\r\nRemote_Addr: 6.6.6.6\r\nLOCAL_PORT: 1\r\n"
      "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
  CHECK(client.receive_response().body == "127.0.0.1 127.0.0.1 Host=a");

  const HttpResponse response =
      client.get("/", {{"X-Copied", "a%0d%0aSet-Cookie: b=c%0D%0A%0D%0Abody"}});
  CHECK(response.header("x-copy") == "a%0d%0aSet-Cookie: b=c%0D%0A%0D%0Abody");
  CHECK_FALSE(response.header("set-cookie").has_value());
}

TEST_CASE("Any path up to the limit of the request line reaches the handler") {
  RunningServer server([](Exchange& exchange) {
    exchange.response().body = std::to_string(exchange.path().size());
  });
  HttpClient client(server.url());
  CHECK(client.get("/" + std::string(8000, 'a')).body == "8001");
  CHECK(client.get("/" + std::string(1000, '/')).body == "1001");
  CHECK(client.get("/%00%0d%0a%ff").body == "5");
  CHECK(client.get("/a?" + std::string(4000, '&')).body == "2");
  CHECK(client.get("/a?" + std::string(4000, '=')).body == "2");
  CHECK(client.get("/%").status == 200);
  CHECK(client.get("/%u0041%zz%4").status == 200);
  CHECK(client.get("/", {{"Range", "bytes=0-1,-,x"}}).body == "1");
  CHECK(client.connections_made() == 1);
}

TEST_CASE("A request that trickles in is given up at its deadline") {
  HttpServerOptions options;
  options.limits.request_time = 300ms;
  RunningServer server(echo, options);
  for (const std::string start :
       {"", "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100\r\n"}) {
    HttpClient client(server.url());
    client.send_raw(start + "X");
    const bool answered = eventually([&] {
      try {
        client.send_raw("X");
      } catch (const HttpError&) {
      }
      return server->stats().connections_open == 0 ||
             server.rejected(RejectReason::kRequestTimeout) > 0;
    });
    CHECK(answered);
    CHECK(status_of(receive_all(client)) == 408);
    CHECK(server.rejected(RejectReason::kRequestTimeout) > 0);
  }
  CHECK(server.rejected(RejectReason::kRequestTimeout) == 4);
}

TEST_CASE("Clients that trickle take no worker from the others") {
  HttpServerOptions options;
  options.max_workers = 2;
  RunningServer server(echo, options);
  std::vector<std::unique_ptr<HttpClient>> slow;
  for (int i = 0; i < 300; ++i) {
    slow.push_back(std::make_unique<HttpClient>(server.url()));
    slow.back()->send_raw(i % 2 == 0 ? "GET / HT"
                                     : "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12");
  }
  HttpClient client(server.url());
  for (int i = 0; i < 50; ++i) CHECK(client.get("/").status == 200);
  for (size_t i = 0; i < slow.size(); ++i) {
    slow[i]->send_raw(i % 2 == 0 ? "TP/1.1\r\nHost: a\r\n\r\n" : "345");
    CHECK(slow[i]->receive_response().status == 200);
  }
}

TEST_CASE("An idle connection is closed after its time, in silence") {
  HttpServerOptions options;
  options.limits.idle_time = 200ms;
  RunningServer server(echo, options);
  HttpClient silent(server.url());
  silent.connect();
  CHECK(silent.receive_raw() == "");
  HttpClient client(server.url());
  CHECK(client.get("/").status == 200);
  CHECK(client.receive_raw() == "");
  CHECK(eventually([&] { return server->stats().connections_open == 0; }));
}

TEST_CASE("Thousands of silent connections do not keep others out") {
  HttpServerOptions options;
  RunningServer server(echo, options);
  std::vector<std::unique_ptr<HttpClient>> silent;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const size_t count = std::min<size_t>(3000, files.rlim_cur / 2 - 100);
  for (size_t i = 0; i < count; ++i) {
    silent.push_back(std::make_unique<HttpClient>(server.url()));
    silent.back()->connect();
  }
  CHECK(eventually([&] { return server->stats().connections_open == count; }));
  CHECK(server->stats().unfinished_bytes == 0);
  CHECK(server->stats().workers <= 4);
  HttpClient client(server.url());
  for (int i = 0; i < 100; ++i) CHECK(client.get("/").status == 200);
}

TEST_CASE("At the limit of connections an idle one makes room for a new one") {
  HttpServerOptions options;
  options.limits.connections = 10;
  RunningServer server(echo, options);
  std::vector<std::unique_ptr<HttpClient>> silent;
  for (int i = 0; i < 25; ++i) {
    silent.push_back(std::make_unique<HttpClient>(server.url()));
    silent.back()->connect();
  }
  HttpClient client(server.url());
  CHECK(client.get("/").status == 200);
  CHECK(server->stats().connections_open == 10);
  CHECK(server->stats().idle_shed == 16);
}

TEST_CASE("At the limit of connections, all of them busy, a new one is told so", "[plain]") {
  std::mutex mutex;
  std::vector<std::shared_ptr<Reply>> replies;
  HttpServerOptions options;
  options.limits.connections = 3;
  RunningServer server(
      [&](Exchange& exchange) {
        std::unique_lock lock(mutex);
        replies.push_back(exchange.defer());
      },
      options);
  std::vector<std::unique_ptr<HttpClient>> busy;
  for (int i = 0; i < 3; ++i) {
    busy.push_back(std::make_unique<HttpClient>(server.url()));
    busy.back()->send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  CHECK(eventually([&] { return server->stats().requests == 3; }));
  HttpClient client(server.url());
  client.connect();
  CHECK(status_of(receive_all(client)) == 503);
  CHECK(server.rejected(RejectReason::kTooManyConnections) == 1);
}

TEST_CASE("Unfinished requests have a budget in all, and small whole ones are served beyond it") {
  HttpServerOptions options;
  options.limits.unfinished_bytes = 200'000;
  RunningServer server(echo, options);
  std::vector<std::unique_ptr<HttpClient>> hoarders;
  const std::string most(60'000, 'a');
  for (int i = 0; i < 10; ++i) {
    hoarders.push_back(std::make_unique<HttpClient>(server.url()));
    hoarders.back()->send_raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60001\r\n\r\n" + most);
  }
  CHECK(eventually([&] { return server.rejected(RejectReason::kUnfinishedBudget) >= 7; }));
  CHECK(server->stats().unfinished_bytes <= 200'000);
  CHECK(HttpClient(server.url()).post_json("/", "{}").status == 200);
}

TEST_CASE("A client that never reads its answer is given up") {
  HttpServerOptions options;
  options.limits.write_time = 200ms;
  const std::string body(32'000'000, 'a');
  RunningServer server([&](Exchange& exchange) { exchange.response().body = body; }, options);
  HttpClient client(server.url());
  client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(eventually([&] { return server.rejected(RejectReason::kWriteTimeout) == 1; }));
  CHECK(eventually([&] { return server->stats().connections_open == 0; }));
}

TEST_CASE("Answers that nobody takes have a budget in all, and small ones are kept beyond it") {
  HttpServerOptions options;
  options.limits.unsent_bytes = 40'000'000;
  RunningServer server(
      [](Exchange& exchange) {
        exchange.response().body.assign(exchange.path() == "/small" ? 100 : 15'000'000, 'a');
      },
      options);
  // What the sockets' own buffers hold does not count; of each answer more is left than they take.
  std::vector<std::unique_ptr<HttpClient>> silent;
  for (int i = 0; i < 12; ++i) {
    silent.push_back(std::make_unique<HttpClient>(server.url()));
    silent.back()->send_raw("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  CHECK(eventually([&] {
    const HttpServerStats stats = server->stats();
    return stats.requests == 12 && server.rejected(RejectReason::kUnsentBudget) >= 8;
  }));
  CHECK(server->stats().unsent_bytes <= 40'000'000);
  CHECK(HttpClient(server.url()).get("/small").status == 200);
  silent.clear();
  CHECK(eventually([&] { return server->stats().unsent_bytes == 0; }));
  CHECK(HttpClient(server.url()).get("/large").body.size() == 15'000'000);
}

TEST_CASE("A client that sends requests and reads no answers stops being read") {
  RunningServer server([](Exchange& exchange) { exchange.response().body.assign(100'000, 'a'); });
  HttpClient client(server.url());
  std::atomic<bool> done{false};
  std::thread sender([&] {
    flood(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 100'000'000);
    done = true;
  });
  HttpClient other(server.url());
  for (int i = 0; i < 20; ++i) CHECK(other.get("/").status == 200);
  CHECK_FALSE(done);
  CHECK(server->stats().unfinished_bytes < 100'000);
  server.stop_and_wait(0ms);
  sender.join();
}

TEST_CASE("Connections that come and go at once leave nothing behind") {
  RunningServer server(echo);
  for (int i = 0; i < 500; ++i) {
    HttpClient client(server.url());
    client.connect();
    if (i % 3 == 1) client.send_raw("GET / HTTP/1.1\r\nHo");
    if (i % 3 == 2) client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    if (i % 2 == 0) {
      client.reset();
    } else {
      client.close();
    }
  }
  CHECK(eventually([&] { return server->stats().connections_open == 0; }));
  CHECK(eventually([&] { return server->stats().unfinished_bytes == 0; }));
  CHECK(HttpClient(server.url()).get("/").status == 200);
}

TEST_CASE("A server that runs out of descriptors turns clients away and recovers", "[plain]") {
  RunningServer server(echo);
  HttpClient before(server.url());
  CHECK(before.get("/").status == 200);

  // The client's descriptor is made before the process has none left, its connection after.
  rlimit files{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
  std::vector<int> taken;
  rlimit few = files;
  few.rlim_cur = 400;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) taken.push_back(fd);
  ::close(taken.back());
  taken.pop_back();

  HttpClient refused(server.url());
  int status = 0;
  try {
    refused.connect();
    status = refused.receive_response().status;
  } catch (const HttpError&) {
  }
  CHECK(before.get("/").status == 200);

  for (int fd : taken) ::close(fd);
  ::setrlimit(RLIMIT_NOFILE, &files);
  CHECK(status == 503);
  CHECK(server.rejected(RejectReason::kTooManyConnections) == 1);
  HttpClient after(server.url());
  CHECK(after.get("/").status == 200);
}

TEST_CASE("A server without even a spare descriptor serves those who waited as soon as it can",
          "[plain]") {
  RunningServer server(echo);
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(client >= 0);
  rlimit files{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
  rlimit none = files;
  none.rlim_cur = 3;  // fewer than are open: nothing can be opened whatever is closed
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);

  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(server->port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int connected = ::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address);
  const std::string_view request = "GET / HTTP/1.0\r\n\r\n";
  const ssize_t sent = ::send(client, request.data(), request.size(), MSG_NOSIGNAL);
  std::this_thread::sleep_for(50ms);
  const uint64_t accepted_meanwhile = server->stats().accepted;
  ::setrlimit(RLIMIT_NOFILE, &files);

  CHECK(connected == 0);
  CHECK(sent == static_cast<ssize_t>(request.size()));
  CHECK(accepted_meanwhile == 0);
  std::string answer(1000, ' ');
  const ssize_t size = ::recv(client, answer.data(), answer.size(), 0);
  CHECK(size > 0);
  CHECK(status_of(answer) == 200);
  ::close(client);
}
