#include "metrics/metrics_server.h"

#include <utility>

namespace twinchat::server {
namespace {

HttpServerOptions options(const std::string& host, int port) {
  HttpServerOptions options;
  options.host = host;
  options.port = port;
  options.min_workers = 1;
  options.max_workers = 2;
  options.limits.connections = 16;
  return options;
}

void answer(Exchange& exchange, const std::function<std::string()>& text) {
  httplib::Response& response = exchange.response();
  const std::string& method = exchange.request().method;
  response.set_header("X-Content-Type-Options", "nosniff");
  if (exchange.path() != "/metrics") {
    response.status = 404;
  } else if (method != "GET" && method != "HEAD") {
    response.status = 405;
    response.set_header("Allow", "GET, HEAD");
  } else {
    response.set_content(text(), "text/plain; version=0.0.4; charset=utf-8");
  }
}

}  // namespace

MetricsServer::MetricsServer(const std::string& host, int port, std::function<std::string()> text)
    : http_(options(host, port),
            [text = std::move(text)](Exchange& exchange) { answer(exchange, text); }) {
  http_.listen();
  thread_ = std::thread([this] { http_.run(); });
}

MetricsServer::~MetricsServer() {
  http_.stop(std::chrono::milliseconds(0));
  thread_.join();
}

}  // namespace twinchat::server
