// The one place that knows which cpp-httplib this is: runs its request processing on a request that
// is already complete, over memory instead of a socket.
//
// cpp-httplib gets the request line and a Host line; that is all of the client's bytes its parser
// ever sees. The fields are put into httplib::Request as the framing found them, because
// cpp-httplib percent-decodes values (CVE-2026-45372), merges forged REMOTE_ADDR fields
// (CVE-2025-66570) and, by version, trailers. The answer is taken out of httplib::Response by the
// caller; what cpp-httplib would write has no use here: an answer awaited elsewhere and a stream
// are written after process_request() has returned, and one writer serves all three.
#pragma once

#include <httplib.h>

#include <functional>
#include <string>

#include "http/framing.h"

namespace twinchat::server {

// Thread safety: process() may run on any number of threads at once.
class HttplibAdapter : private httplib::Server {
 public:
  using Dispatch = std::function<void(const httplib::Request&, httplib::Response&)>;

  HttplibAdapter();

  // Calls `dispatch` once, inside cpp-httplib, and returns true; false if cpp-httplib refused the
  // request line. `dispatch` must not throw.
  bool process(const FramedRequest& framed, const std::string& client_address,
               const Dispatch& dispatch);

  // Whether the response asks cpp-httplib to pull its body from a callback.
  static bool has_content_provider(const httplib::Response& response) {
    return static_cast<bool>(response.content_provider_);
  }
};

}  // namespace twinchat::server
