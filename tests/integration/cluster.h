#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "chat_server.h"
#include "http_client.h"
#include "postgres_server.h"
#include "process.h"
#include "standin.h"
#include "temp_dir.h"

namespace twinchat::testing {

// Several server programs over one PostgreSQL database, which they reach through a pgbouncer in
// transaction mode, behind haproxy, which asks each for /readyz and hands the requests out in turn.
// All on free ports of the loopback interface; the destructor ends them.
//
// Thread safety: the const functions may be called from any thread, also while the others run.
class Cluster {
 public:
  // `env` is set over the environment that makes the servers work with the stand-in. Throws
  // std::runtime_error with a log when one of them does not come up.
  explicit Cluster(std::size_t servers, std::map<std::string, std::string> env = {});

  // Of the load balancer.
  const std::string& url() const { return url_; }
  // Of one server.
  const std::string& server_url(std::size_t n) const { return base_urls_[n]; }
  // Where that server's log lines say how many requests it answered with this path.
  int requests(std::size_t n, const std::string& path) const;
  std::string log(std::size_t n) const;

  // Ends one with that signal; its exit status.
  int stop(std::size_t n, int signal);
  // Starts it again where the load balancer looks for it, and waits until that has seen it.
  void start(std::size_t n);

  GeminiStandIn& gemini() { return gemini_; }
  const PostgresDatabase& database() const { return database_; }

 private:
  void run(std::size_t n);
  void start_balancer();

  TempDir folder_;
  GeminiStandIn gemini_;
  PostgresDatabase database_;
  std::map<std::string, std::string> environment_;
  std::vector<std::uint16_t> ports_;
  std::vector<std::string> base_urls_;
  std::vector<std::unique_ptr<Process>> servers_;
  std::vector<std::string> earlier_logs_;
  std::unique_ptr<Process> balancer_;
  std::string url_;
};

}  // namespace twinchat::testing
