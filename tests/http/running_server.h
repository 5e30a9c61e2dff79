#pragma once

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "http/http_server.h"
#include "http_client.h"

namespace twinchat::testing {

// A server of its own for one test, on a free port, running until the end of the scope.
class RunningServer {
 public:
  explicit RunningServer(server::Handler handler, server::HttpServerOptions options = {})
      : server_(std::move(options), std::move(handler)) {
    server_.listen();
    thread_ = std::thread([this] { server_.run(); });
  }
  ~RunningServer() { stop_and_wait(std::chrono::milliseconds(0)); }
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

  server::HttpServer& operator*() { return server_; }
  server::HttpServer* operator->() { return &server_; }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }

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
