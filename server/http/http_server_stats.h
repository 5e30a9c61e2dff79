// What the HTTP server counts.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace twinchat::server {

// Why a request or a connection was turned away without a handler having been called.
enum class RejectReason {
  kMalformed,           // 400, 417, 501, 505
  kLineTooLong,         // 414
  kHeadersTooLarge,     // 431
  kBodyTooLarge,        // 413
  kEncoding,            // 415
  kRequestTimeout,      // 408
  kWriteTimeout,        // the client did not take its answer
  kBacklog,             // the client did not take its stream
  kTooManyConnections,  // 503, or no descriptor left
  kUnfinishedBudget,    // 503, too many unfinished requests in all
  kUnsentBudget,        // the client did not take its answer, and too many others did not, either
  kTlsFailed,           // no TLS, or none that this server speaks
  kTlsTimeout,          // the handshake took too long, or others needed its place
  kCount,
};

// The label of the reason in /metrics: lower case, underscores.
const char* name_of(RejectReason reason);

// A snapshot. Counters only grow; gauges are the present.
struct HttpServerStats {
  uint64_t accepted = 0;
  uint64_t requests = 0;          // complete ones, handed to the handler
  uint64_t handler_failures = 0;  // handlers that threw or dropped their reply: 500
  uint64_t client_gone = 0;       // answers whose client went away before they ended
  uint64_t idle_shed = 0;         // idle connections closed to make room for new ones
  uint64_t rejected[static_cast<size_t>(RejectReason::kCount)] = {};

  uint64_t tls_handshakes = 0;  // that succeeded

  size_t connections_open = 0;
  size_t unfinished_bytes = 0;
  size_t unsent_bytes = 0;
  size_t workers = 0;
  size_t queued = 0;  // complete requests and posted work that wait for a worker
};

// The counters behind the snapshot.
struct HttpCounters {
  void rejected(RejectReason reason) {
    rejected_by_reason[static_cast<size_t>(reason)].fetch_add(1, std::memory_order_relaxed);
  }

  std::atomic<uint64_t> accepted{0};
  std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> handler_failures{0};
  std::atomic<uint64_t> client_gone{0};
  std::atomic<uint64_t> idle_shed{0};
  std::atomic<uint64_t> tls_handshakes{0};
  std::atomic<uint64_t> rejected_by_reason[static_cast<size_t>(RejectReason::kCount)] = {};
  std::atomic<size_t> connections_open{0};
};

}  // namespace twinchat::server
