#include "cluster.h"

#include <fmt/format.h>

#include <fstream>
#include <stdexcept>
#include <utility>

#include "wait.h"

namespace twinchat::testing {
namespace {

// What an operator would write, with short times. `redispatch` and `retries` are for connections
// that could not be made; a request that was sent is never sent again by haproxy.
constexpr char kBalancer[] = R"(global
  maxconn 4096
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout check 10s
  option redispatch
  retries 3
frontend all
  bind 127.0.0.1:{}
  default_backend chat
backend chat
  balance roundrobin
  option httpchk GET /readyz
  http-check send hdr Host localhost
  default-server check inter 100ms fastinter 100ms downinter 100ms rise 1 fall 1
)";

}  // namespace

Cluster::Cluster(std::size_t servers, std::map<std::string, std::string> env)
    : database_(PostgresDatabase::Kind::kNew) {
  environment_ = {{"SECRET_KEY", kSecretKey},
                  {"GEMINI_API_KEY", kGeminiKey},
                  {"GEMINI_BASE_URL", gemini_.base_url()},
                  {"GEMINI_MAX_ATTEMPTS", "1"},
                  {"DATABASE_URL", database_.bouncer_url()},
                  {"METRICS_ADDRESS", "off"},
                  {"TRUSTED_PROXIES", "127.0.0.1"},
                  {"DRAIN_DELAY", "0.5"},
                  {"CHAT_RATE_LIMITS", "off"}};
  for (auto& [name, value] : env) environment_[name] = value;
  ports_.resize(servers);
  base_urls_.resize(servers);
  servers_.resize(servers);
  earlier_logs_.resize(servers);
  for (std::size_t n = 0; n < servers; ++n) {
    ports_[n] = free_port();
    run(n);
  }
  start_balancer();
}

void Cluster::run(std::size_t n) {
  servers_[n] =
      start_program({"serve", "--port", std::to_string(ports_[n])}, environment_, folder_.path());
  if (!servers_[n]->wait_for_line("serving on http://")) {
    throw std::runtime_error("a server did not start:\n" + servers_[n]->errors());
  }
  base_urls_[n] = fmt::format("http://127.0.0.1:{}", ports_[n]);
}

void Cluster::start_balancer() {
  const std::uint16_t port = free_port();
  const auto file = folder_ / "haproxy.cfg";
  std::ofstream config(file);
  config << fmt::format(kBalancer, port);
  for (std::size_t n = 0; n < ports_.size(); ++n) {
    config << fmt::format("  server s{} 127.0.0.1:{}\n", n, ports_[n]);
  }
  config.close();
  balancer_ = std::make_unique<Process>(
      std::vector<std::string>{TWINCHAT_HAPROXY, "-db", "-f", file.string()});
  url_ = fmt::format("http://127.0.0.1:{}", port);
  const bool up = eventually([&] {
    try {
      return HttpClient(url_).get("/readyz").status == 200;
    } catch (const HttpError&) {
      return false;
    }
  });
  if (!up) throw std::runtime_error("haproxy did not start:\n" + balancer_->errors());
}

std::string Cluster::log(std::size_t n) const {
  return earlier_logs_[n] + servers_[n]->output() + servers_[n]->errors();
}

int Cluster::requests(std::size_t n, const std::string& path) const {
  const std::string text = log(n);
  int count = 0;
  for (std::size_t at = text.find(path); at != std::string::npos; at = text.find(path, at + 1)) {
    ++count;
  }
  return count;
}

int Cluster::stop(std::size_t n, int signal) {
  servers_[n]->signal(signal);
  return servers_[n]->wait_exit().value();
}

void Cluster::start(std::size_t n) {
  earlier_logs_[n] = log(n);
  run(n);
}

}  // namespace twinchat::testing
