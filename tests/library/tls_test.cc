#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "catch.h"
#include "fixture.h"
#include "process.h"
#include "temp_dir.h"
#include "wait.h"

using namespace std::chrono_literals;
using twinchat::Error;
using twinchat::ErrorCode;
using twinchat::GeminiOptions;
using twinchat::GenerateRequest;
using twinchat::ModelAnswer;
using twinchat::testing::eventually;
using twinchat::testing::GeminiStandIn;
using twinchat::testing::options_for;
using twinchat::testing::Process;
using twinchat::testing::TempDir;

namespace {

GenerateRequest ask(std::string text) {
  return {.contents = {twinchat::text_content(twinchat::Role::kUser, std::move(text))}};
}

// An authority of the test's own, and a certificate of its for 127.0.0.1 and one for another name.
class Certificates {
 public:
  Certificates() {
    std::ofstream(file("config"))
        << "[req]\ndistinguished_name=name\nprompt=no\n[name]\nCN=test\n"
           "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
           "[here]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=IP:127.0.0.1\n"
           "[elsewhere]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:elsewhere."
           "example\n";
    make("ca", {});
    const std::vector<std::string> issuer{"-CA", file("ca.pem"), "-CAkey", file("ca.key")};
    make("here", issuer);
    make("elsewhere", issuer);
  }

  // "ca.pem", "here.pem", "here.key", "elsewhere.pem", "elsewhere.key".
  std::string file(const std::string& name) const { return (folder_ / name).string(); }

  std::vector<std::string> standin_arguments(const std::string& name) const {
    return {"--tls-cert", file(name + ".pem"), "--tls-key", file(name + ".key")};
  }

 private:
  void make(const std::string& name, const std::vector<std::string>& issuer) {
    std::vector<std::string> command{"openssl",      "req",
                                     "-x509",        "-config",
                                     file("config"), "-newkey",
                                     "rsa:2048",     "-nodes",
                                     "-days",        "2",
                                     "-keyout",      file(name + ".key"),
                                     "-out",         file(name + ".pem"),
                                     "-extensions",  name};
    command.insert(command.end(), issuer.begin(), issuer.end());
    Process openssl(command);
    if (openssl.wait_exit() != 0) throw std::runtime_error("openssl: " + openssl.errors());
  }

  TempDir folder_;
};

const Certificates& certificates() {
  static const Certificates all;
  return all;
}

Error error_of(twinchat::Model& model) {
  try {
    model.generate(ask("q"), {});
  } catch (const Error& error) {
    return error;
  }
  FAIL("no Error was thrown");
  throw std::logic_error("unreachable");
}

// A listening socket on a free loopback port.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (fd_ < 0 || bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(fd_, 16) != 0 ||
        getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no loopback port");
    }
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int fd() const { return fd_; }
  int port() const { return port_; }

 private:
  int fd_;
  int port_ = 0;
};

// An HTTP proxy for one connection, through CONNECT: it keeps every byte that it carries to the
// server.
class Tunnel {
 public:
  explicit Tunnel(int target_port) : target_port_(target_port) {
    thread_ = std::thread([this] { run(); });
  }
  ~Tunnel() {
    stop_ = true;
    wait_for_end();
  }
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(listener_.port()); }

  // Waits until the client is gone. The two below are known then.
  void wait_for_end() {
    if (thread_.joinable()) thread_.join();
  }
  // What the client said to the proxy, and to the server through it.
  const std::string& head() const { return head_; }
  const std::string& carried() const { return carried_; }

 private:
  bool wait_for(int fd) const {
    pollfd polled{fd, POLLIN, 0};
    while (!stop_) {
      if (poll(&polled, 1, 20) > 0) return true;
    }
    return false;
  }

  void run() {
    if (!wait_for(listener_.fd())) return;
    const int client = accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
    char byte = 0;
    while (!head_.ends_with("\r\n\r\n") && wait_for(client) && recv(client, &byte, 1, 0) == 1) {
      head_ += byte;
    }
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(target_port_));
    if (connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      const std::string_view hello = "HTTP/1.1 200 Connection established\r\n\r\n";
      send(client, hello.data(), hello.size(), MSG_NOSIGNAL);
      carry(client, server);
    }
    close(server);
    close(client);
  }

  void carry(int client, int server) {
    std::array<char, 16'384> buffer;
    std::array<pollfd, 2> ends{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
    while (!stop_) {
      if (poll(ends.data(), ends.size(), 20) <= 0) continue;
      for (const pollfd& end : ends) {
        if (end.revents == 0) continue;
        const ssize_t count = recv(end.fd, buffer.data(), buffer.size(), 0);
        if (count <= 0) return;
        const auto size = static_cast<std::size_t>(count);
        if (end.fd == client) carried_.append(buffer.data(), size);
        send(end.fd == client ? server : client, buffer.data(), size, MSG_NOSIGNAL);
      }
    }
  }

  const int target_port_;
  Listener listener_;
  std::atomic<bool> stop_{false};
  std::string head_;     // the thread's own while it runs
  std::string carried_;  // likewise
  std::thread thread_;
};

int port_of(const std::string& url) {
  return std::stoi(url.substr(url.rfind(':') + 1));
}

// The connections to this loopback port that are established.
int connections_to(int port) {
  std::ifstream table("/proc/self/net/tcp");
  std::ostringstream wanted;
  wanted << "0100007F:" << std::hex << std::uppercase << port;
  // The kernel may list one connection twice while others come and go.
  std::set<std::string> clients;
  std::string line;
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string number, local, remote, state;
    fields >> number >> local >> remote >> state;
    if (remote == wanted.str() && state == "01") clients.insert(local);
  }
  return static_cast<int>(clients.size());
}

#ifdef TWINCHAT_NGHTTPX
// nghttpx in front of a stand-in: TLS with HTTP/2 to its clients.
class Http2Front {
 public:
  explicit Http2Front(const GeminiStandIn& standin) {
    // nghttpx cannot choose a port itself; another program may take the one we found.
    for (int attempt = 0; attempt < 5; ++attempt) {
      const int port = Listener().port();
      nghttpx_.emplace(std::vector<std::string>{
          TWINCHAT_NGHTTPX, "--conf=/dev/null", "--single-process", "--no-ocsp",
          "--frontend=127.0.0.1," + std::to_string(port),
          "--backend=127.0.0.1," + std::to_string(port_of(standin.base_url())),
          certificates().file("here.key"), certificates().file("here.pem")});
      if (nghttpx_->wait_for_line("Listening on 127.0.0.1:" + std::to_string(port))) {
        port_ = port;
        return;
      }
    }
    throw std::runtime_error("nghttpx did not start: " + nghttpx_->errors());
  }

  int port() const { return port_; }
  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_); }

 private:
  std::optional<Process> nghttpx_;
  int port_ = 0;
};
#endif

}  // namespace

TEST_CASE("A server whose authority is named is asked over TLS") {
  GeminiStandIn standin(certificates().standin_arguments("here"));
  auto options = options_for(standin);
  options.ca_file = certificates().file("ca.pem");
  const auto model = twinchat::make_gemini_model(options);
  CHECK(twinchat::visible_text(model->generate(ask("hello"), {}).content) == "Echo 1: hello");
  std::string shown;
  const auto streamed = model->generate(ask("hello"), {.on_text = [&](std::string_view piece) {
                                          shown += piece;
                                          return true;
                                        }});
  CHECK(shown == "Echo 1: hello");
  CHECK_FALSE(streamed.interruption);
}

TEST_CASE(
    "A server with a certificate that cannot be trusted is refused once, and not asked again") {
  std::string name = "here";
  std::string authority;
  SECTION("of an authority that nobody named") {}
  SECTION("of another authority than the one that was named") {
    authority = certificates().file("elsewhere.pem");
  }
  SECTION("for another name") {
    name = "elsewhere";
    authority = certificates().file("ca.pem");
  }
  GeminiStandIn standin(certificates().standin_arguments(name));
  auto options = options_for(standin);
  options.ca_file = authority;
  const auto model = twinchat::make_gemini_model(options);
  const Error error = error_of(*model);
  CHECK(error.code() == ErrorCode::kUnavailable);
  CHECK(error.details().reason == "CERTIFICATE");
  CHECK_FALSE(error.details().retryable);
  CHECK(error.details().attempts == 1);
}

TEST_CASE("The limit for connecting holds for the TLS handshake too") {
  GeminiStandIn standin;  // waits for a line of HTTP and says nothing to a handshake
  auto options = options_for(standin);
  options.base_url = "https" + options.base_url.substr(4);
  options.timeouts.connect = 200ms;
  options.retry.max_attempts = 1;
  const auto model = twinchat::make_gemini_model(options);
  const Error error = error_of(*model);
  CHECK(error.code() == ErrorCode::kDeadlineExceeded);
  CHECK(error.details().stage == "connect");
}

TEST_CASE("A proxy is asked for the server's address when that needs no TLS") {
  GeminiStandIn standin;
  auto options = options_for(standin);
  options.proxy = options.base_url;
  options.base_url = "http://127.0.0.1:1";  // nobody is there: only the proxy can have answered
  const auto model = twinchat::make_gemini_model(options);
  CHECK(twinchat::visible_text(model->generate(ask("hello"), {}).content) == "Echo 1: hello");
  CHECK(standin.requests().back()["headers"]["host"] == "127.0.0.1:1");
}

TEST_CASE("Through a proxy TLS reaches to the server, and the proxy sees neither key nor words") {
  GeminiStandIn standin(certificates().standin_arguments("here"));
  auto options = options_for(standin);
  options.api_key = "canary-key";
  options.ca_file = certificates().file("ca.pem");
  Tunnel tunnel(port_of(standin.base_url()));
  options.proxy = tunnel.url();
  options.base_url = "https://127.0.0.1:1";  // the tunnel leads to the stand-in all the same
  auto model = twinchat::make_gemini_model(options);
  CHECK(twinchat::visible_text(model->generate(ask("canary words"), {}).content) ==
        "Echo 1: canary words");
  model.reset();
  tunnel.wait_for_end();
  CHECK(tunnel.head().starts_with("CONNECT 127.0.0.1:1 HTTP/1.1\r\n"));
  CHECK(tunnel.head().find("canary") == std::string::npos);
  CHECK(tunnel.carried().size() > 200);
  CHECK(tunnel.carried().find("canary") == std::string::npos);
}

TEST_CASE("A proxy that is not there is an error of connecting") {
  GeminiStandIn standin;
  auto options = options_for(standin);
  options.proxy = "http://127.0.0.1:1";
  options.retry.max_attempts = 1;
  const auto model = twinchat::make_gemini_model(options);
  CHECK(error_of(*model).details().reason == "CONNECT");
  CHECK(standin.stats().calls == 0);
}

#ifdef TWINCHAT_NGHTTPX
namespace {

// Asks so many questions at once through HTTP/2, each answered with an echo, and gives the number
// of connections that this took at most.
int ask_at_once(int calls, const std::string& padding, bool streamed) {
  GeminiStandIn standin({"--latency-ms", "500"});
  const Http2Front front(standin);
  auto options = options_for(standin);
  options.base_url = front.url();
  options.ca_file = certificates().file("ca.pem");
  const auto count = static_cast<std::size_t>(calls);
  std::vector<std::string> shown(count);
  std::vector<std::string> answers(count);
  std::atomic<int> ended{0};
  const auto model = twinchat::make_gemini_model(options);
  const auto question = [&padding](std::size_t i) {
    return "question " + std::to_string(i) + padding;
  };
  for (std::size_t i = 0; i < count; ++i) {
    twinchat::CallOptions call;
    if (streamed) {
      call.on_text = [&shown, i](std::string_view piece) {
        shown[i] += piece;
        return true;
      };
    }
    model->start(ask(question(i)), std::move(call), [&, i](twinchat::Result<ModelAnswer> answer) {
      if (answer.ok() && !answer.value().interruption) {
        answers[i] = twinchat::visible_text(answer.value().content);
      }
      ++ended;
    });
  }
  int most = 0;
  REQUIRE(eventually([&] {
    most = std::max(most, connections_to(front.port()));
    return ended == calls;
  }));
  CHECK(standin.stats().max_in_flight > 4);
  for (std::size_t i = 0; i < count; ++i) {
    CHECK((answers[i] == "Echo 1: " + question(i)));
    CHECK((shown[i] == (streamed ? answers[i] : "")));
  }
  return most;
}

}  // namespace
#endif

TEST_CASE("Where the server offers HTTP/2, a hundred calls at once share a few connections") {
#ifdef TWINCHAT_NGHTTPX
  const bool streamed = GENERATE(false, true);
  CAPTURE(streamed);
  const int most = ask_at_once(100, "", streamed);
  CHECK(most >= 1);
  CHECK(most <= 4);
#else
  WARN("not tested: CMake found no nghttpx (Debian: nghttp2-proxy)");
#endif
}

TEST_CASE("Long answers that share an HTTP/2 connection all come to their ends") {
#ifdef TWINCHAT_NGHTTPX
  const bool streamed = GENERATE(false, true);
  CAPTURE(streamed);
  ask_at_once(50, std::string(30'000, 'x'), streamed);
#else
  WARN("not tested: CMake found no nghttpx (Debian: nghttp2-proxy)");
#endif
}
