#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "gemini/io_loop.h"

namespace twinchat::gemini {

// How the network is used, for all transfers of a loop.
struct CurlLoopOptions {
  std::size_t max_connections = 1'024;
  std::string proxy = {};
  std::string ca_file = {};
};

// The IoLoop on libcurl's multi interface: one thread, socket callbacks over epoll, connections
// kept alive and shared, HTTP/2 multiplexed where the server offers it. TLS is verified, redirects
// are not followed. The one place where libcurl is used.
//
// Owned through a shared_ptr that its thread holds too. stop() ends the thread: from
// another thread it waits for it (never for the network), from the loop's own thread the thread
// ends when the current task returns.
//
// Thread safety: as IoLoop; stop() may be called from any thread, once.
class CurlLoop : public IoLoop {
 public:
  static std::shared_ptr<CurlLoop> start(const CurlLoopOptions& options);

  // Runs what has been posted before, then drops everything that is left.
  virtual void stop() = 0;
};

// Whether requests may go to this URL: https anywhere, http to a loopback address only, no user
// or password in it.
bool is_allowed_url(const std::string& url);

// Of the libcurl that is loaded, "7.88.1".
std::string libcurl_version();

}  // namespace twinchat::gemini
