#pragma once

#include <functional>
#include <string>
#include <thread>

#include "http/http_server.h"

namespace twinchat::server {

// Answers GET /metrics on an address of its own, away from the visitors.
//
// Thread safety: for one thread; `text` is called on threads of this server's.
class MetricsServer {
 public:
  // std::system_error when the address cannot be had.
  MetricsServer(const std::string& host, int port, std::function<std::string()> text);
  // Breaks off what is being answered.
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  int port() const { return http_.port(); }

 private:
  HttpServer http_;
  std::thread thread_;
};

}  // namespace twinchat::server
