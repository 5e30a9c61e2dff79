#include "http/http_server.h"

#include <sys/eventfd.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "http/connection.h"
#include "http/event_loop.h"
#include "http/httplib_adapter.h"
#include "http/server_core.h"

namespace twinchat::server {
namespace {

httplib::Response default_error(const ErrorCause& cause) {
  httplib::Response response;
  response.status = cause.status;
  response.set_content("{\"detail\":\"" + std::string(cause.detail) + "\"}", "application/json");
  return response;
}

}  // namespace

const char* name_of(RejectReason reason) {
  switch (reason) {
    case RejectReason::kMalformed:
      return "malformed";
    case RejectReason::kLineTooLong:
      return "line_too_long";
    case RejectReason::kHeadersTooLarge:
      return "headers_too_large";
    case RejectReason::kBodyTooLarge:
      return "body_too_large";
    case RejectReason::kEncoding:
      return "encoding";
    case RejectReason::kRequestTimeout:
      return "request_timeout";
    case RejectReason::kWriteTimeout:
      return "write_timeout";
    case RejectReason::kBacklog:
      return "backlog";
    case RejectReason::kTooManyConnections:
      return "too_many_connections";
    case RejectReason::kUnfinishedBudget:
      return "unfinished_budget";
    case RejectReason::kUnsentBudget:
      return "unsent_budget";
    case RejectReason::kTlsFailed:
      return "tls_failed";
    case RejectReason::kTlsTimeout:
      return "tls_timeout";
    case RejectReason::kCount:
      break;
  }
  return "";
}

// ---- what the parts share ----

ServerCore::ServerCore(const HttpLimits& the_limits, ErrorAnswer the_error_answer, Log the_log,
                       WorkerPoolOptions pool_options, std::shared_ptr<TlsContext> the_tls)
    : limits(the_limits),
      error_answer(std::move(the_error_answer)),
      log(std::move(the_log)),
      tls(std::move(the_tls)),
      wake_fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      pool(std::move(pool_options)) {
  if (!wake_fd) throw std::system_error(errno, std::generic_category(), "eventfd");
}

httplib::Response ServerCore::make_error(const ErrorCause& cause) const {
  if (!error_answer) return default_error(cause);
  try {
    return error_answer(cause);
  } catch (const std::exception& error) {
    report(error.what());
  } catch (...) {
    report("unknown exception while an error answer was made");
  }
  return default_error(cause);
}

void ServerCore::report(std::string_view what) const noexcept {
  try {
    if (log) log(what);
  } catch (...) {  // a log that fails cannot be told of
  }
}

void ServerCore::wake(std::shared_ptr<Connection> connection) {
  bool first = false;
  {
    std::unique_lock lock(woken_mutex);
    first = woken.empty();
    woken.push_back(std::move(connection));
  }
  if (first) wake();
}

void ServerCore::wake() noexcept {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_fd.get(), &one, sizeof one);
}

void ServerCore::take_woken(std::vector<std::shared_ptr<Connection>>& into) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t size = ::read(wake_fd.get(), &count, sizeof count);
  std::unique_lock lock(woken_mutex);
  into.swap(woken);
}

void ServerCore::run(std::function<void()> function) {
  // submit() leaves the job alone when it refuses it.
  std::vector<WorkerPool::Job> jobs;
  jobs.push_back(std::move(function));
  if (!pool.submit(jobs)) jobs.front()();
}

// ---- the server ----

class HttpServer::Impl {
 public:
  Impl(HttpServerOptions options, Handler handler)
      : options_(std::move(options)),
        handler_(std::move(handler)),
        core_(std::make_shared<ServerCore>(
            options_.limits, options_.error_answer, options_.log,
            WorkerPoolOptions{.min_workers = options_.min_workers,
                              .max_workers = std::max(options_.min_workers, options_.max_workers),
                              .on_escaped_exception = options_.log},
            options_.tls)),
        loop_(core_, {.dispatch = [this](auto& connections) { dispatch(connections); },
                      .on_drain = options_.on_drain,
                      .on_interrupt = options_.on_interrupt,
                      .on_beat = options_.on_beat,
                      .beat = options_.beat}) {}

  ~Impl() {
    core_->pool.shutdown();
    // Connections own the core; those it was left with would keep each other alive.
    std::vector<std::shared_ptr<Connection>> woken;
    core_->take_woken(woken);
  }

  void listen() { loop_.listen(options_.host, options_.port); }

  ServerCore& core() { return *core_; }
  EventLoop& loop() { return loop_; }

 private:
  void dispatch(std::vector<std::shared_ptr<Connection>>& connections) {
    for (std::shared_ptr<Connection>& connection : connections) {
      jobs_.push_back([this, connection = std::move(connection)] { serve(connection); });
    }
    core_->pool.submit(jobs_);
  }

  // On a worker.
  void serve(const std::shared_ptr<Connection>& connection) {
    const std::unique_ptr<FramedRequest> framed = connection->take_request();
    if (framed == nullptr) return;  // closed meanwhile
    const bool understood =
        adapter_.process(*framed, connection->client_address(),
                         [&](const httplib::Request& request, httplib::Response& response) {
                           Exchange exchange(connection, request, framed->body, response);
                           try {
                             handler_(exchange);
                           } catch (const std::exception& error) {
                             return failed(exchange, *connection, error.what());
                           } catch (...) {
                             return failed(exchange, *connection, "unknown exception");
                           }
                           if (!exchange.deferred()) connection->answer(std::move(response));
                         });
    if (!understood) {
      connection->answer(core_->make_error(
          {.status = 400,
           .detail = "Malformed request line.",
           .head = {.method = framed->method, .target = framed->target, .fields = framed->fields},
           .client_address = connection->client_address(),
           .secure = connection->secure()}));
    }
  }

  // A deferred exchange is answered when its reply is dropped, unless somebody still has it.
  void failed(Exchange& exchange, Connection& connection, std::string_view what) {
    if (exchange.deferred()) {
      core_->report(what);
    } else {
      connection.answer_failed(what);
    }
  }

  const HttpServerOptions options_;
  const Handler handler_;
  HttplibAdapter adapter_;
  const std::shared_ptr<ServerCore> core_;
  EventLoop loop_;
  std::vector<WorkerPool::Job> jobs_;  // of dispatch()
};

HttpServer::HttpServer(HttpServerOptions options, Handler handler)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(handler))) {}

HttpServer::~HttpServer() = default;

void HttpServer::listen() {
  impl_->listen();
}

int HttpServer::port() const {
  return impl_->loop().port();
}

void HttpServer::run() {
  impl_->loop().run();
}

void HttpServer::stop(std::chrono::milliseconds drain) noexcept {
  impl_->loop().stop(drain);
}

void HttpServer::interrupt() noexcept {
  impl_->core().interrupted.store(true);
  impl_->core().wake();
}

bool HttpServer::draining() const {
  return impl_->core().draining.load();
}

void HttpServer::post(std::function<void()> function) {
  impl_->core().run(std::move(function));
}

HttpServerStats HttpServer::stats() const {
  const ServerCore& core = impl_->core();
  const HttpCounters& counters = core.counters;
  HttpServerStats stats;
  stats.accepted = counters.accepted.load(std::memory_order_relaxed);
  stats.requests = counters.requests.load(std::memory_order_relaxed);
  stats.handler_failures = counters.handler_failures.load(std::memory_order_relaxed);
  stats.client_gone = counters.client_gone.load(std::memory_order_relaxed);
  stats.tls_handshakes = counters.tls_handshakes.load(std::memory_order_relaxed);
  stats.idle_shed = counters.idle_shed.load(std::memory_order_relaxed);
  for (size_t i = 0; i < static_cast<size_t>(RejectReason::kCount); ++i) {
    stats.rejected[i] = counters.rejected_by_reason[i].load(std::memory_order_relaxed);
  }
  stats.connections_open = counters.connections_open.load(std::memory_order_relaxed);
  stats.unfinished_bytes = core.unfinished_bytes.load(std::memory_order_relaxed);
  stats.unsent_bytes = core.unsent_bytes.load(std::memory_order_relaxed);
  stats.workers = core.pool.workers();
  stats.queued = core.pool.queued();
  return stats;
}

size_t raise_open_file_limit(size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t target = std::min<rlim_t>(limit.rlim_max, wanted);
  if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < target) {
    limit.rlim_cur = target;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return static_cast<size_t>(limit.rlim_cur);
}

}  // namespace twinchat::server
