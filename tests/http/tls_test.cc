// TLS over real sockets: what is spoken, what is refused, and what hostile clients can hold.
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "http/http_server.h"
#include "http/tls_session.h"
#include "http_client.h"
#include "process.h"
#include "running_server.h"
#include "test_certificate.h"
#include "wait.h"

using namespace twinchat::server;
using namespace twinchat::testing;
using namespace std::chrono_literals;

namespace {

HttpServerOptions with_tls(std::shared_ptr<TlsContext> tls = test_tls()) {
  HttpServerOptions options;
  options.tls = std::move(tls);
  return options;
}

std::string plain_url(RunningServer& server) {
  return "http://127.0.0.1:" + std::to_string(server->port());
}

std::shared_ptr<TlsContext> context_of(const TestCertificate& certificate) {
  return std::make_shared<TlsContext>(certificate.certificate_file(), certificate.key_file());
}

std::string refusal_of(const std::string& certificate, const std::string& key) {
  try {
    TlsContext context(certificate, key);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "none";
}

// Why a client of that kind gets no connection; "none" when it gets one.
std::string refusal_of(RunningServer& server, const TlsClientOptions& options) {
  HttpClient client(server.url());
  client.set_tls(options);
  try {
    client.connect();
    client.get("/");
  } catch (const HttpError& error) {
    return error.what();
  }
  return "none";
}

// The first bytes of a client that begins a handshake.
std::string hello() {
  TlsClient client;
  client.handshake();
  return client.give();
}

struct Ran {
  int status;
  std::string output;
};

Ran run(std::vector<std::string> command, std::string input = {}) {
  Process process(std::move(command), {.input = std::move(input)});
  const int status = process.wait_exit().value_or(-1);
  return {status, process.output() + process.errors()};
}

}  // namespace

TEST_CASE("A greeting is told from plain HTTP and from noise by its first bytes") {
  CHECK(greeting_of("") == Greeting::kUnclear);
  CHECK(greeting_of("GET / HTT") == Greeting::kPlainHttp);
  CHECK(greeting_of("P") == Greeting::kPlainHttp);
  CHECK(greeting_of(std::string_view("\0", 1)) == Greeting::kForeign);
  CHECK(greeting_of("\x80\x2e\x01") == Greeting::kForeign);  // SSL 2
  CHECK(greeting_of("ssh-2.0") == Greeting::kForeign);
  const std::string real = hello();
  for (std::size_t size = 1; size < kGreetingBytes; ++size) {
    CHECK(greeting_of(std::string_view(real).substr(0, size)) == Greeting::kUnclear);
  }
  CHECK(greeting_of(std::string_view(real).substr(0, kGreetingBytes)) == Greeting::kHello);
  const std::string_view no_hello("\x16\x03\x01\x00\x20\x02\x00\x00\x10", 9);
  CHECK(greeting_of(no_hello) == Greeting::kForeign);
  const std::string_view huge("\x16\x03\x01\x40\x00\x01\x01\xff\xff", 9);
  CHECK(greeting_of(huge) == Greeting::kForeign);
}

TEST_CASE("TLS 1.3 and 1.2 are spoken, with forward secrecy, for http/1.1") {
  std::atomic<bool> secure{false};
  RunningServer server(
      [&](Exchange& exchange) {
        secure = exchange.secure();
        echo(exchange);
      },
      with_tls());
  HttpClient client(server.url());
  CHECK(client.post_json("/a", "{}").body == "POST /a\n{}");
  CHECK(secure);
  REQUIRE(client.tls());
  CHECK(client.tls()->version() == "TLSv1.3");
  CHECK(client.tls()->protocol() == "http/1.1");
  CHECK(client.get("/b").body == "GET /b\n");
  CHECK(client.connections_made() == 1);

  HttpClient older(server.url());
  older.set_tls({.newest_version = TLS1_2_VERSION, .weak = true, .protocols = ""});
  CHECK(older.get("/").status == 200);
  CHECK(older.tls()->version() == "TLSv1.2");
  CHECK(older.tls()->cipher().starts_with("ECDHE-"));
  CHECK(older.tls()->protocol() == "");
  CHECK(server->stats().tls_handshakes == 2);
}

TEST_CASE("Older versions, weak ciphers and other protocols are refused") {
  RunningServer server(echo, with_tls());
  CHECK_THAT(refusal_of(server, {.newest_version = TLS1_1_VERSION, .weak = true}),
             Catch::Contains("protocol version"));
  CHECK_THAT(refusal_of(server, {.newest_version = TLS1_VERSION, .weak = true}),
             Catch::Contains("protocol version"));
  CHECK_THAT(refusal_of(server, {.protocols = "\x02h2"}),
             Catch::Contains("no application protocol"));
  CHECK(refusal_of(server, {.protocols = "\x02h2\x08http/1.1"}) == "none");
  CHECK(eventually([&] { return server->stats().connections_open == 0; }));
  CHECK(server.rejected(RejectReason::kTlsFailed) == 3);
}

TEST_CASE("OpenSSL's and curl's own clients are served and refused alike") {
  const TestCertificate certificate("localhost");
  RunningServer server(echo, with_tls(context_of(certificate)));
  const std::string address = "127.0.0.1:" + std::to_string(server->port());
  const Ran curl = run({"curl", "-sS", "--cacert", certificate.certificate_file(),
                        "https://" + address + "/curl", "--http1.1"});
  CHECK(curl.output == "GET /curl\n");
  // It offers h2 first, and takes what there is.
  CHECK(run({"curl", "-sS", "-k", "https://" + address + "/2"}).output == "GET /2\n");
  CHECK(run({"curl", "-sS", "https://" + address + "/"}).status == 60);  // an unknown issuer
  CHECK(run({"curl", "-sS", "-k", "--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0",
             "https://" + address + "/"})
            .status == 35);

  const std::string request = "GET /s_client HTTP/1.0\r\n\r\n";
  const Ran openssl = run({"openssl", "s_client", "-quiet", "-connect", address, "-ign_eof",
                           "-CAfile", certificate.certificate_file(), "-verify_return_error"},
                          request);
  CHECK_THAT(openssl.output, Catch::Contains("GET /s_client"));
  CHECK_THAT(
      run({"openssl", "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-connect", address}, "")
          .output,
      Catch::Contains("protocol version"));
  CHECK_THAT(run({"openssl", "s_client", "-tls1_2", "-cipher", "AES128-SHA:AES256-GCM-SHA384",
                  "-connect", address},
                 "")
                 .output,
             Catch::Contains("handshake failure"));
}

TEST_CASE("Plain HTTP on the port of HTTPS is told so, and noise is not answered") {
  RunningServer server(echo, with_tls());
  HttpClient plain(plain_url(server));
  const HttpResponse response = plain.post_json("/", std::string(50'000, 'a'));
  CHECK(response.status == 400);
  CHECK_THAT(response.body, Catch::Contains("HTTPS"));
  CHECK(response.header("connection") == "close");

  for (const std::string& noise : {std::string("\x00\x01\x02", 3), std::string("\x80\x2e\x01"),
                                   std::string("hello, anybody there?\r\n"),
                                   std::string("\x16\x03\x01\x40\x00\x01\x01\xff\xff", 9)}) {
    HttpClient client(plain_url(server));
    client.send_raw(noise);
    CHECK(client.closed_by_peer());
  }
  CHECK(server.rejected(RejectReason::kTlsFailed) == 4);
  // A greeting that breaks off into noise.
  HttpClient half(plain_url(server));
  half.send_raw(hello().substr(0, 60) + std::string(600, 'x'));
  CHECK(half.closed_by_peer());
  CHECK(eventually([&] { return server->stats().connections_open == 0; }));
  CHECK(HttpClient(server.url()).get("/").status == 200);
}

TEST_CASE("A handshake byte by byte succeeds, and one that never ends has a deadline") {
  HttpServerOptions options = with_tls();
  RunningServer server(echo, options);
  HttpClient slow(plain_url(server));
  TlsClient tls;
  tls.handshake();
  for (const char byte : tls.give()) {
    slow.send_raw({&byte, 1});
    std::this_thread::yield();
  }
  while (!tls.handshake()) tls.take(slow.receive_raw());
  tls.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  for (const char byte : tls.give()) slow.send_raw({&byte, 1});
  std::string answer;
  while (answer.find("GET /slow\n") == std::string::npos) {
    tls.take(slow.receive_raw());
    answer += tls.read();
  }

  options.limits.handshake_time = 200ms;
  RunningServer strict(echo, options);
  const std::string greeting = hello();
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{8}, std::size_t{100}, greeting.size()}) {
    HttpClient client(plain_url(strict));
    client.send_raw(std::string_view(greeting).substr(0, size));
    CHECK(client.closed_by_peer());
  }
  CHECK(strict.rejected(RejectReason::kTlsTimeout) == 4);
  CHECK(eventually([&] { return strict->stats().connections_open == 0; }));
}

TEST_CASE("Handshakes that are not finished lose their places to those that are") {
  HttpServerOptions options = with_tls();
  options.limits.handshakes = 10;
  RunningServer server(echo, options);
  const std::string greeting = hello();
  std::vector<std::unique_ptr<HttpClient>> unfinished;
  for (int i = 0; i < 50; ++i) {
    unfinished.push_back(std::make_unique<HttpClient>(plain_url(server)));
    unfinished.back()->send_raw(greeting);
  }
  CHECK(eventually([&] { return server.rejected(RejectReason::kTlsTimeout) == 40; }));
  for (int i = 0; i < 20; ++i) CHECK(HttpClient(server.url()).get("/").status == 200);
  CHECK(unfinished.front()->closed_by_peer());
}

TEST_CASE(
    "A record that comes in part counts against the budget and has the deadline of a request") {
  HttpServerOptions options = with_tls();
  options.limits.request_time = 300ms;
  options.limits.unfinished_bytes = 100'000;
  RunningServer server(echo, options);
  std::vector<std::unique_ptr<HttpClient>> hoarders;
  // Beginning of a record of 16 KiB, for which OpenSSL makes room at once.
  for (int i = 0; i < 20; ++i) {
    hoarders.push_back(std::make_unique<HttpClient>(server.url()));
    hoarders.back()->connect();
    hoarders.back()->send_below(std::string_view("\x17\x03\x03\x40\x00zz", 7));
  }
  CHECK(eventually([&] { return server.rejected(RejectReason::kUnfinishedBudget) >= 14; }));
  CHECK(eventually([&] { return server->stats().connections_open == 0; }));
  CHECK(server.rejected(RejectReason::kRequestTimeout) >= 5);
  CHECK(server->stats().unfinished_bytes == 0);
}

TEST_CASE("A client gets new keys now and then, not all the time") {
  RunningServer server(echo, with_tls());
  HttpClient client(server.url());
  for (int i = 0; i < 10; ++i) {
    CHECK(client.get("/").status == 200);
    client.tls()->renew();
  }
  CHECK(client.connections_made() == 1);
  CHECK_THROWS_AS(
      [&] {
        for (int i = 0; i < 100; ++i) {
          client.tls()->renew();
          client.send_below(client.tls()->give());
        }
        client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client.receive_response();
      }(),
      HttpError);
}

TEST_CASE("A handshake is not repeated within a connection") {
  RunningServer server(echo, with_tls());
  HttpClient client(server.url());
  client.set_tls({.newest_version = TLS1_2_VERSION});
  CHECK(client.get("/").status == 200);
  client.tls()->renew();
  CHECK_THROWS_WITH(client.receive_raw(), Catch::Contains("no renegotiation"));
  CHECK(server->stats().tls_handshakes == 1);
}

TEST_CASE("A session is resumed by its ticket, until the certificate is loaded anew") {
  const std::shared_ptr<TlsContext> context = test_tls();
  RunningServer server(echo, with_tls(context));
  const auto connect_with = [&](TlsClient& tls) {
    HttpClient socket(plain_url(server));
    bool done = tls.handshake();
    socket.send_raw(tls.give());
    while (!done) {
      tls.take(socket.receive_raw());
      done = tls.handshake();
      socket.send_raw(tls.give());
    }
    tls.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    socket.send_raw(tls.give());
    std::string answer;
    while (answer.find("GET /\n") == std::string::npos) {
      tls.take(socket.receive_raw());
      answer += tls.read();
    }
  };
  TlsClient first;
  connect_with(first);
  CHECK_FALSE(first.resumed());
  const std::unique_ptr<TlsClient> second = first.successor();
  connect_with(*second);
  CHECK(second->resumed());
  context->reload();
  const std::unique_ptr<TlsClient> third = second->successor();
  connect_with(*third);
  CHECK_FALSE(third->resumed());
}

TEST_CASE("An announced end is an end, and an answer still goes to who announced it") {
  std::shared_ptr<Reply> reply;
  std::mutex mutex;
  RunningServer server(
      [&](Exchange& exchange) {
        std::unique_lock lock(mutex);
        reply = exchange.defer();
      },
      with_tls());
  HttpClient silent(server.url());
  silent.connect();
  silent.tls()->end();
  silent.send_below(silent.tls()->give());
  CHECK(silent.closed_by_peer());

  HttpClient client(server.url());
  client.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client.tls()->end();
  client.send_below(client.tls()->give());
  CHECK(eventually([&] {
    std::unique_lock lock(mutex);
    return reply != nullptr;
  }));
  httplib::Response response;
  response.body = "answer";
  reply->send(std::move(response));
  CHECK(client.receive_response().body == "answer");
}

TEST_CASE("The end of an HTTP/1.0 stream is announced, a stream that is broken off is not") {
  RunningServer server(
      [](Exchange& exchange) {
        const auto reply = exchange.defer();
        reply->begin_stream({});
        reply->write(std::string(700'000, 'a'));
        if (exchange.path() == "/whole") reply->end();
      },
      with_tls());
  HttpClient whole(server.url());
  whole.send_raw("GET /whole HTTP/1.0\r\n\r\n");
  CHECK(whole.receive_response().body.size() == 700'000);
  HttpClient broken(server.url());
  broken.send_raw("GET /broken HTTP/1.0\r\n\r\n");
  CHECK_THROWS_AS(receive_all(broken), HttpError);
}

TEST_CASE("An answer goes on whole to a client that reads it slowly") {
  std::string body(3'000'000, 'a');
  for (std::size_t i = 0; i < body.size(); i += 997) body[i] = static_cast<char>('b' + i % 20);
  RunningServer server([&](Exchange& exchange) { exchange.response().body = body; }, with_tls());
  HttpClient client(server.url());
  for (int i = 0; i < 2; ++i) {
    std::string seen;
    client.stream("GET", "/", {}, "", [&](std::string_view piece) {
      seen += piece;
      if (seen.size() < 500'000) std::this_thread::sleep_for(1ms);
      return true;
    });
    CHECK(seen == body);
  }
  CHECK(client.connections_made() == 1);
}

TEST_CASE("Certificates and keys that cannot be used are told apart, and no key is shown") {
  const TestCertificate one("one");
  const TestCertificate two("two");
  const TempDir folder;
  const std::string absent = (folder / "absent.pem").string();
  CHECK_THAT(refusal_of(absent, one.key_file()), Catch::Contains(absent));
  CHECK_THAT(refusal_of(one.certificate_file(), absent), Catch::Contains(absent));
  CHECK_THAT(refusal_of(one.certificate_file(), two.key_file()),
             Catch::Contains("is not that of the certificate"));
  const std::string rubbish = (folder / "rubbish.pem").string();
  std::ofstream(rubbish) << "-----BEGIN PRIVATE KEY-----\nsesame\n-----END PRIVATE KEY-----\n";
  CHECK_THAT(refusal_of(one.certificate_file(), rubbish),
             Catch::Contains(rubbish) && !Catch::Contains("sesame"));
  CHECK_THAT(refusal_of(rubbish, one.key_file()), Catch::Contains(rubbish));
  const std::string locked = (folder / "locked.pem").string();
  REQUIRE(run({"openssl", "pkey", "-in", one.key_file(), "-aes256", "-passout", "pass:x", "-out",
               locked})
              .status == 0);
  CHECK_THAT(refusal_of(one.certificate_file(), locked), Catch::Contains(locked));

  TlsContext context(one.certificate_file(), one.key_file());
  const auto left = context.expires() - std::chrono::system_clock::now();
  CHECK(left > 6 * 24h);
  CHECK(left < 8 * 24h);
}

TEST_CASE(
    "A certificate is renewed under load: no connection is lost, a broken file changes nothing") {
  const TestCertificate certificate("first");
  const std::shared_ptr<TlsContext> context = context_of(certificate);
  std::atomic<int> interrupts{0};
  HttpServerOptions options = with_tls(context);
  options.on_interrupt = [&] {
    context->reload();
    ++interrupts;
  };
  RunningServer server(echo, options);
  HttpClient old(server.url());
  CHECK(old.get("/").status == 200);
  CHECK(old.tls()->peer() == "first");

  std::atomic<bool> done{false};
  std::atomic<int> failures{0};
  std::vector<std::thread> load;
  for (int i = 0; i < 2; ++i) {
    load.emplace_back([&] {
      while (!done) {
        try {
          HttpClient client(server.url());
          for (int k = 0; k < 3; ++k) failures += client.get("/").status == 200 ? 0 : 1;
        } catch (const HttpError&) {
          ++failures;
        }
      }
    });
  }
  for (const std::string& name :
       {std::string("second"), std::string("third"), std::string("fourth")}) {
    certificate.renew(name);
    const int before = interrupts;
    server->interrupt();
    CHECK(eventually([&] { return interrupts > before; }));
    HttpClient fresh(server.url());
    CHECK(fresh.get("/").status == 200);
    CHECK(fresh.tls()->peer() == name);
  }
  std::ofstream(certificate.certificate_file(), std::ios::trunc) << "half a cert";
  CHECK_THROWS_AS(context->reload(), std::runtime_error);
  HttpClient after(server.url());
  CHECK(after.get("/").status == 200);
  CHECK(after.tls()->peer() == "fourth");
  done = true;
  for (std::thread& thread : load) thread.join();
  CHECK(failures == 0);
  CHECK(old.get("/").status == 200);
  CHECK(old.connections_made() == 1);
}

TEST_CASE("The loop beats while it goes round, and stops for a while when it is held up") {
  std::atomic<int> beats{0};
  HttpServerOptions options;
  options.beat = 10ms;
  options.on_beat = [&] { ++beats; };
  std::atomic<bool> held{false};
  options.on_interrupt = [&] {
    held = true;
    std::this_thread::sleep_for(200ms);
    held = false;
  };
  RunningServer server(echo, options);
  CHECK(eventually([&] { return beats >= 5; }));
  server->interrupt();
  CHECK(eventually([&] { return held.load(); }));
  const int before = beats;
  CHECK(eventually([&] { return !held; }));
  CHECK(beats <= before + 2);
  CHECK(eventually([&] { return beats > before + 1; }));
}
