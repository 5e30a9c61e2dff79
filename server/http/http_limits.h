// What one client may ask of the server. Every budget here is enforced before cpp-httplib or a
// handler sees a byte of the request.
#pragma once

#include <chrono>
#include <cstddef>

namespace twinchat::server {

struct HttpLimits {
  // Longest request line without its CRLF; a longer one is answered 414. Default 8 KiB.
  size_t request_line_bytes = 8 * 1024;

  // All header lines together, CRLFs included; more is answered 431. Default 16 KiB.
  size_t header_bytes = 16 * 1024;

  // Number of header fields; more is answered 431. Default 100.
  size_t header_count = 100;

  // Body after chunked framing is taken off; a larger one is answered 413. Default 64 KiB.
  size_t body_bytes = 64 * 1024;

  // Time from the first byte of a request to its last. Absolute: bytes that trickle in do not
  // extend it. Then 408 and the connection is closed. Default 10 s.
  std::chrono::milliseconds request_time{10'000};

  // Time from the first byte of a TLS handshake to its end; then the connection is closed. Default
  // 10 s.
  std::chrono::milliseconds handshake_time{10'000};

  // TLS handshakes under way at once. One more ends the one that has been going on for the longest:
  // clients that do not finish lose their place to those who do. Each holds some 50 KiB. Default
  // 1024.
  size_t handshakes = 1024;

  // How long a connection may wait for its next (or first) request. Default 75 s, longer than the
  // 60 s for which common proxies keep their side.
  std::chrono::milliseconds idle_time{75'000};

  // An answer whose client takes less than 64 KiB (and not all) of what waits for it in this time
  // is given up and the connection closed. Default 30 s.
  std::chrono::milliseconds write_time{30'000};

  // After an answer that closes the connection, how long what the client still sends is read and
  // thrown away, so that the answer is not lost to a reset. Default 2 s.
  std::chrono::milliseconds linger_time{2'000};

  // Bytes thrown away in that time before the connection is reset after all. Default 1 MiB.
  size_t linger_bytes = 1024 * 1024;

  // Bytes of a streamed answer that may wait for a slow client before the stream is given up.
  // Default 1 MiB.
  size_t stream_backlog_bytes = 1024 * 1024;

  // Bytes of requests not yet with a worker, held for all connections together. The connection that
  // would exceed it is answered 503; requests that arrive in one piece of a few KiB are taken all
  // the same. Default 12 MiB.
  size_t unfinished_bytes = 12 * 1024 * 1024;

  // Bytes of answers that clients have not taken, for all connections together. Beyond it an answer
  // that its client does not take is given up, and the connection reset, unless it is the only one,
  // small, or less than an equal share. Default 8 MiB.
  size_t unsent_bytes = 8 * 1024 * 1024;

  // Connections open at once; 0 takes the soft limit of open files less a reserve of 1/8 (at least
  // 64) for everything else the process opens. At the limit the connection that has been found
  // idle is closed for the new one; with none idle the new one is answered 503. Default 0.
  size_t connections = 0;
};

}  // namespace twinchat::server
