// The program with a certificate, behind a proxy that has one, and under systemd.
#include <csignal>
#include <filesystem>
#include <fstream>

#include "admin_server.h"
#include "catch.h"
#include "chat_server.h"
#include "notify_socket.h"
#include "test_certificate.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

ChatServerOptions with(const TestCertificate& certificate,
                       std::map<std::string, std::string> more = {}) {
  ChatServerOptions options;
  options.env = std::move(more);
  options.env["TLS_CERTIFICATE"] = certificate.certificate_file();
  options.env["TLS_KEY"] = certificate.key_file();
  return options;
}

TEST_CASE("The whole chat works over the server's own TLS, streams too") {
  const TestCertificate certificate;
  ChatServer server(with(certificate, {{"SECURE_HSTS_SECONDS", "3600"}}));
  REQUIRE(server.base_url().starts_with("https://"));
  const std::string id = server.new_session();
  CHECK(server.ask(id, "How can I reverse diabetes?").status == 200);
  const HttpResponse stream = server.post("/api/chat/message/stream/",
                                          Json{{"session_id", id}, {"message", "And?"}}.dump());
  CHECK(stream.status == 200);
  const std::vector<StreamEvent> events = events_of(stream.body);
  REQUIRE(events.size() >= 3);
  CHECK(events.back().event == "done");
  CHECK(server.said(id).size() == 4);
  CHECK(server.get("/livez").header("strict-transport-security") == "max-age=3600");
  CHECK(server.metric("twinchat_tls_handshakes_total") >= 5);
  CHECK(server.metric("twinchat_tls_certificate_expiry_seconds") > 1e9);

  // Also what never came to a route.
  HttpClient broken(server.base_url());
  broken.send_raw("nonsense\r\n\r\n");
  const HttpResponse response = broken.receive_response();
  CHECK(response.status == 400);
  CHECK(response.header("strict-transport-security") == "max-age=3600");
  const std::string port = server.base_url().substr(server.base_url().rfind(':'));
  const HttpResponse plain = HttpClient("http://127.0.0.1" + port).get("/livez");
  CHECK(plain.status == 400);
  CHECK_FALSE(plain.header("strict-transport-security"));
  CHECK(server.stop(SIGTERM) == 0);
}

TEST_CASE("At SIGHUP the certificate is read again; one that is broken changes nothing") {
  const TestCertificate certificate("first");
  ChatServer server(with(certificate));
  const auto shown = [&] {
    HttpClient client(server.base_url());
    client.connect();
    return client.tls()->peer();
  };
  HttpClient old(server.base_url());
  CHECK(old.get("/livez").status == 200);
  certificate.renew("second");
  server.process().signal(SIGHUP);
  CHECK(eventually([&] { return shown() == "second"; }));
  CHECK(old.get("/livez").status == 200);
  CHECK(old.connections_made() == 1);

  std::ofstream(certificate.key_file(), std::ios::trunc) << "sesame";
  server.process().signal(SIGHUP);
  const auto line = server.process().wait_for_line("the earlier certificate stays in use");
  REQUIRE(line);
  CHECK(line->find(certificate.key_file()) != std::string::npos);
  CHECK(line->find("sesame") == std::string::npos);
  CHECK(shown() == "second");
}

TEST_CASE("Without a certificate SIGHUP does no harm") {
  ChatServer server;
  server.process().signal(SIGHUP);
  CHECK(server.process().wait_for_line("nothing to read again"));
  CHECK(server.get("/livez").status == 200);
}

TEST_CASE("A certificate that cannot be used ends the start with one sentence") {
  const TestCertificate certificate;
  const TempDir folder;
  const std::map<std::string, std::string> demo = {{"DEBUG", "True"}, {"DATABASE_URL", "memory:"}};
  const auto refused = [&](const std::string& cert, const std::string& key) {
    auto environment = demo;
    if (!cert.empty()) environment["TLS_CERTIFICATE"] = cert;
    if (!key.empty()) environment["TLS_KEY"] = key;
    const auto process = start_program({"serve", "--port", "0"}, environment, folder.path());
    CHECK(process->wait_exit() == 2);
    const std::string errors = process->errors();
    CHECK(std::count(errors.begin(), errors.end(), '\n') == 1);
    return errors;
  };
  CHECK_THAT(refused(certificate.certificate_file(), ""), Catch::Contains("belong together"));
  CHECK_THAT(refused("", certificate.key_file()), Catch::Contains("belong together"));
  CHECK_THAT(refused("absent.pem", certificate.key_file()), Catch::Contains("absent.pem"));
  CHECK_THAT(refused(certificate.key_file(), certificate.key_file()),
             Catch::Contains("TLS_CERTIFICATE, TLS_KEY: "));
}

TEST_CASE("Behind a proxy http is sent to https, and what is trusted decides which is which") {
  ChatServer server({.env = {{"SECURE_SSL_REDIRECT", "True"},
                             {"SECURE_HSTS_SECONDS", "60"},
                             {"SECURE_HSTS_INCLUDE_SUBDOMAINS", "1"},
                             {"SECURE_HSTS_PRELOAD", "1"},
                             {"SECURE_REFERRER_POLICY", "strict-origin"},
                             {"SECURE_REDIRECT_EXEMPT", "/api/chat/sessions/*"},
                             {"TRUSTED_PROXIES", "127.0.0.1"}}});
  const HttpHeaders https = {{"X-Forwarded-Proto", "https"}};
  const HttpResponse sent = server.get("/admin/?next=%2Fa", {{"Host", "localhost"}});
  CHECK(sent.status == 301);
  CHECK(sent.header("location") == "https://localhost/admin/?next=%2Fa");
  CHECK(sent.header("referrer-policy") == "no-referrer");
  const HttpResponse posted = server.post("/api/chat/message/", "{}", {{"Host", "localhost"}});
  CHECK(posted.status == 308);
  CHECK(posted.header("location") == "https://localhost/api/chat/message/");
  CHECK(posted.header("referrer-policy") == "strict-origin");
  CHECK_FALSE(posted.header("strict-transport-security"));

  const HttpResponse secure = server.post("/api/chat/message/", "{}", https);
  CHECK(secure.status == 400);
  CHECK(secure.header("strict-transport-security") == "max-age=60; includeSubDomains; preload");
  CHECK(server.get("/livez").status == 200);
  CHECK(server.get("/readyz/").status == 200);
  CHECK(server.post("/api/chat/sessions/create_session/", "{}").status == 201);
  // Nobody is sent to a host that is not ours.
  CHECK(server.get("/admin/", {{"Host", "evil.example"}}).status == 400);
  // Two fields are nobody's word.
  CHECK(server.get("/admin/", {{"X-Forwarded-Proto", "http"}, {"X-Forwarded-Proto", "https"}})
            .status == 301);
}

TEST_CASE("Whom nobody trusts is not believed to have come by https") {
  ChatServer server({.env = {{"SECURE_SSL_REDIRECT", "True"},
                             {"SECURE_SSL_HOST", "chat.example"},
                             {"SECURE_HSTS_SECONDS", "60"}}});
  const HttpResponse response = server.get("/x", {{"X-Forwarded-Proto", "https"}});
  CHECK(response.status == 301);
  CHECK(response.header("location") == "https://chat.example/x");
  CHECK_FALSE(response.header("strict-transport-security"));
}

TEST_CASE("systemd hears that the server is ready, alive, reloading and stopping") {
  const TempDir folder;
  static int number = 0;
  const std::string abstract =
      "@twinchat-test-" + std::to_string(getpid()) + "-" + std::to_string(++number);
  for (const std::string& name : {(folder / "notify").string(), abstract}) {
    CAPTURE(name);
    NotifySocket manager(name);
    ChatServer server(
        {.env = {{"NOTIFY_SOCKET", name}, {"WATCHDOG_USEC", "300000"}, {"DRAIN_DELAY", "0.3"}}});
    CHECK(eventually([&] { return manager.count("READY=1") == 1; }));
    CHECK(eventually([&] { return manager.count("WATCHDOG=1") >= 4; }));
    CHECK(manager.count("STATUS=*") >= 2);
    server.process().signal(SIGHUP);
    CHECK(eventually([&] { return manager.count("READY=1") == 2; }));
    CHECK(manager.count("RELOADING=1") == 1);
    CHECK(manager.count("MONOTONIC_USEC=*") == 1);
    const int alive = manager.count("WATCHDOG=1");
    CHECK(server.stop(SIGTERM) == 0);
    CHECK(manager.count("STOPPING=1") == 1);
    CHECK(manager.count("WATCHDOG=1") > alive);  // while it drained, too
    const std::vector<std::string> all = manager.received();
    for (const std::string& datagram : all) {
      CHECK(datagram.find(kSecretKey) == std::string::npos);
    }
  }
}

TEST_CASE("A watchdog of another process, and no socket, are nobody's business") {
  const TempDir folder;
  NotifySocket manager((folder / "notify").string());
  {
    ChatServer server({.env = {{"NOTIFY_SOCKET", manager.name()},
                               {"WATCHDOG_USEC", "200000"},
                               {"WATCHDOG_PID", "1"}}});
    CHECK(eventually([&] { return manager.count("STATUS=*") >= 1; }));
    CHECK(server.stop(SIGTERM) == 0);
    CHECK(manager.count("WATCHDOG=1") == 0);
    CHECK(manager.count("STOPPING=1") == 1);
  }
  ChatServer alone({.env = {{"NOTIFY_SOCKET", (folder / "absent").string()}}});
  CHECK(alone.get("/livez").status == 200);
}

TEST_CASE("Over https the admin's cookie is Secure on this machine, too") {
  const TestCertificate certificate;
  const auto cookie_of = [](ChatServerOptions options) {
    const ChatServer server(std::move(options));
    make_superuser(server, "boss");
    return AdminClient(server).log_in("boss").cookie();
  };
  CHECK_THAT(cookie_of(with(certificate)), Catch::StartsWith("__Host-twinchat_admin="));
  CHECK_THAT(cookie_of({.env = {{"SESSION_COOKIE_SECURE", "True"}}}),
             Catch::StartsWith("__Host-twinchat_admin="));
}

}  // namespace
}  // namespace twinchat::testing
