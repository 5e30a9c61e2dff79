#pragma once

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "http/http_server.h"
#include "http_client.h"
#include "test_certificate.h"

namespace twinchat::testing {

// The certificate of all tests that do not care for theirs.
inline std::shared_ptr<server::TlsContext> test_tls() {
  static const TestCertificate certificate;
  return std::make_shared<server::TlsContext>(certificate.certificate_file(),
                                              certificate.key_file());
}

// With TWINCHAT_TEST_TLS in the environment all tests go through TLS.
inline server::HttpServerOptions with_tls_if_asked(server::HttpServerOptions options) {
  if (!options.tls && std::getenv("TWINCHAT_TEST_TLS") != nullptr) options.tls = test_tls();
  return options;
}

// A server of its own for one test, on a free port, running until the end of the scope.
class RunningServer {
 public:
  explicit RunningServer(server::Handler handler, server::HttpServerOptions options = {})
      : RunningServer(std::move(handler), with_tls_if_asked(std::move(options)), 0) {}
  ~RunningServer() { stop_and_wait(std::chrono::milliseconds(0)); }
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

  server::HttpServer& operator*() { return server_; }
  server::HttpServer* operator->() { return &server_; }

  std::string url() const {
    return (secure_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(server_.port());
  }

  void stop_and_wait(std::chrono::milliseconds drain) {
    server_.stop(drain);
    wait();
  }
  void wait() {
    if (thread_.joinable()) thread_.join();
  }

  uint64_t rejected(server::RejectReason reason) const {
    return server_.stats().rejected[static_cast<size_t>(reason)];
  }

 private:
  RunningServer(server::Handler handler, server::HttpServerOptions options, int)
      : secure_(options.tls != nullptr), server_(std::move(options), std::move(handler)) {
    server_.listen();
    thread_ = std::thread([this] { server_.run(); });
  }

  const bool secure_;
  server::HttpServer server_;
  std::thread thread_;
};

// Answers with what it was asked, so that a test can see what reached the handler.
inline void echo(server::Exchange& exchange) {
  const httplib::Request& request = exchange.request();
  std::string text = request.method + " " + std::string(exchange.path());
  for (const auto& [name, value] : request.params) text += "?" + name + "=" + value;
  exchange.response().set_content(text + "\n" + std::string(exchange.body()), "text/plain");
}

// Everything that comes until the server ends the connection. Throws HttpError if it resets it.
inline std::string receive_all(HttpClient& client) {
  std::string all;
  for (std::string part = client.receive_raw(); !part.empty(); part = client.receive_raw()) {
    all += part;
  }
  return all;
}

}  // namespace twinchat::testing
