// The HTTP server: an event loop in front of cpp-httplib's request processing.
//
//   HttpServer server({.host = "127.0.0.1", .port = 8000}, [](Exchange& exchange) {
//     exchange.response().set_content("hello\n", "text/plain");
//   });
//   server.listen();
//   server.run();
//
// Connections that wait, for their next request or for the rest of one, cost no thread: one thread
// reads and frames requests under the budgets of HttpLimits and hands complete ones to workers.
// cpp-httplib parses the request line there and the handler fills an httplib::Response; routing is
// the handler's. What a client sends beyond its request is the next request, in order, or an error;
// what a handler does not look at never becomes a request. HTTP/1.0 and 1.1, plain or, with a
// TlsContext, over TLS under the same budgets; HTTP/2 and compression belong to a proxy in front.
#pragma once

#include <httplib.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "http/exchange.h"
#include "http/framing.h"
#include "http/http_limits.h"
#include "http/http_server_stats.h"
#include "http/tls_context.h"

namespace twinchat::server {

// What there is to say about an answer that no handler makes.
struct ErrorCause {
  int status = 500;
  // Fixed text, fit for the client.
  std::string_view detail = {};
  // What could be read of the request. Empty when it has long been handed over (a handler failed)
  // or nothing of it came (too many connections).
  RequestHead head = {};
  // Of the TCP peer; empty where it is not known.
  std::string_view client_address = {};
  // The request came over TLS.
  bool secure = false;
  // When the first bytes of the request came.
  std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
};

struct HttpServerOptions {
  // Address or name to listen on; the first address it resolves to is taken. "" is every address,
  // IPv4 and IPv6 where there is IPv6. Default "127.0.0.1".
  std::string host = "127.0.0.1";

  // 0 takes any free port; port() tells which. Default 0.
  int port = 0;

  // Budgets and deadlines of clients.
  HttpLimits limits = {};

  // Workers kept when there is nothing to do. Default 2.
  size_t min_workers = 2;

  // Workers at most. A handler that blocks holds one; a deferred answer holds none. Default 128.
  size_t max_workers = 128;

  // The certificate to speak TLS with; null speaks plain HTTP. A request that comes plain all the
  // same is answered 400. May be reloaded while the server runs. Default null.
  std::shared_ptr<TlsContext> tls = {};

  // Makes the answers that no handler makes: a request that could not be read, too much load, a
  // handler that failed. Called once for each of them, on any thread, with a connection's lock
  // held; must be quick. Status and detail must be used; header fields may be added. Default
  // {"detail": ...}.
  std::function<httplib::Response(const ErrorCause& cause)> error_answer = {};

  // Called once when stop() has been heard, on the thread of run(); must be quick and not throw.
  // Handlers may have it end what merely waits. Default: nobody is told.
  std::function<void()> on_drain = {};

  // Called after interrupt(), once for any number of calls that come together, on the thread of
  // run(); must be quick and not throw. Default: nothing happens.
  std::function<void()> on_interrupt = {};

  // Called again and again while run() goes round, on its thread, about every `beat`; must be quick
  // and not throw. When it stays away the event loop hangs. Default: nobody is told.
  std::function<void()> on_beat = {};
  std::chrono::milliseconds beat{10'000};

  // Told what only the operator may know, for example what() of an exception that left a handler.
  // Called on any thread. Default: nobody is told.
  std::function<void(std::string_view)> log = {};
};

// Thread safety: listen() first, then run() on one thread; everything else may be called from any
// thread meanwhile. The destructor requires that run() has returned; it waits for the workers.
class HttpServer {
 public:
  HttpServer(HttpServerOptions options, Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Binds and listens; clients may connect from here on and are served once run() is called.
  // Throws std::system_error that names the address, with EADDRINUSE when another process, or
  // another server in this one, has the port: it is never shared.
  void listen();

  // The port that was bound; 0 before listen().
  int port() const;

  // Serves until stop(); the calling thread is the event loop. On return every connection is
  // closed; handlers that were running may still be.
  void run();

  // Stops accepting, closes idle connections, lets requests in flight have their answers for up to
  // `drain` from now, then closes what is left and makes run() return. Further calls can only
  // shorten the time. Async-signal-safe.
  void stop(std::chrono::milliseconds drain) noexcept;

  // Has on_interrupt called: the way out of a signal handler. Async-signal-safe.
  void interrupt() noexcept;

  // Whether stop() was called.
  bool draining() const;

  // Runs the function on a worker: the way back for an answer that was awaited on a thread that
  // must not block. After the server has gone down it runs on the calling thread.
  void post(std::function<void()> function);

  HttpServerStats stats() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

// Raises the soft limit of open files of this process to its hard limit, at most `wanted`; returns
// the limit that holds. A server for thousands of connections needs it: the usual soft limit is
// 1024.
size_t raise_open_file_limit(size_t wanted);

}  // namespace twinchat::server
