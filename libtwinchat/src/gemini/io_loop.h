#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "twinchat/model.h"

namespace twinchat::gemini {

// One HTTP request that is to be sent.
struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;         // "Name: value"
  std::shared_ptr<const std::string> body;  // sent as a POST
  Timeouts timeouts;
};

// How a transfer ended. A transfer that was aborted by its owner reports nothing.
struct TransferEnd {
  enum class Kind {
    kComplete,  // the whole answer came, whatever its status
    kTimeout,   // a limit ran out: `stage`
    kFailed,    // the network: `reason`, one of DNS, CONNECT, TLS, CERTIFICATE, CONNECTION_LOST
  };
  Kind kind = Kind::kComplete;
  const char* stage = "";  // "connect", "first byte", "idle" or "total"
  const char* reason = "";
  std::string diagnostic;  // for a log: the transport's own words, no URL and no header
};

// Receives one answer. All functions are called on the loop's thread; any of them may abort its own
// transfer.
class TransferHandler {
 public:
  virtual ~TransferHandler() = default;
  // Once, before the body; `retry_after` is that header's value.
  virtual void on_head(int status, std::string_view retry_after) = 0;
  virtual void on_body(std::string_view bytes) = 0;
  // Once, last.
  virtual void on_end(const TransferEnd& end) = 0;
};

// The thread on which all calls live: its clock, its timers, its transfers. The real one is
// CurlLoop; tests put one in its place that makes time and the network up.
//
// Thread safety: post() may be called from anywhere, everything else on the loop's own thread.
class IoLoop {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using TimerId = std::uint64_t;     // never 0
  using TransferId = std::uint64_t;  // never 0

  virtual ~IoLoop() = default;

  virtual TimePoint now() const = 0;
  // Runs `task` on the loop's thread soon.
  virtual void post(std::function<void()> task) = 0;
  // Runs `task` at `when`, unless it is cancelled before.
  virtual TimerId at(TimePoint when, std::function<void()> task) = 0;
  virtual void cancel(TimerId timer) = 0;
  // Sends a request. `handler` is kept until on_end, or until the transfer is aborted.
  virtual TransferId send(HttpRequest request, std::shared_ptr<TransferHandler> handler) = 0;
  // Ends a transfer at once and without a word to its handler. Does nothing when it has ended.
  virtual void abort(TransferId transfer) = 0;
};

}  // namespace twinchat::gemini
