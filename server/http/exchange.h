// One request and the answer to it, as a handler sees them.
#pragma once

#include <httplib.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "http/reply.h"

namespace twinchat::server {

class Connection;

// Lives for one call of the handler. What request(), path(), body() and client_address() return is
// gone when the handler returns; a handler that defers its answer copies what it needs later.
//
// Thread safety: none; it belongs to the worker that called the handler.
class Exchange {
 public:
  Exchange(std::shared_ptr<Connection> connection, const httplib::Request& request,
           std::string_view body, httplib::Response& response);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Method, path, query parameters and header fields. The values of the fields are as they were
  // sent (nothing is percent-decoded); fields about the connection are not among them, nor is the
  // body.
  const httplib::Request& request() const { return request_; }

  // Percent-decoded and without the query: any byte may be in it.
  std::string_view path() const { return request_.path; }

  // Complete, whatever way it was sent.
  std::string_view body() const { return body_; }

  // Of the TCP peer, without port: "192.0.2.1", "2001:db8::1". An IPv4 client on an IPv6 socket
  // shows its IPv4 address.
  const std::string& client_address() const;

  // Whether it came by TLS.
  bool secure() const;

  // The answer that goes out when the handler returns, unless it deferred. 200 and empty to begin
  // with.
  httplib::Response& response() { return response_; }

  // Takes the answer out of this call: the worker is given back when the handler returns, and the
  // answer comes through the Reply. Calling it again gives the same Reply.
  std::shared_ptr<Reply> defer();

  bool deferred() const { return reply_ != nullptr; }

 private:
  const std::shared_ptr<Connection> connection_;
  const httplib::Request& request_;
  const std::string_view body_;
  httplib::Response& response_;
  std::shared_ptr<Reply> reply_;
};

// Called on a worker, once for every complete request, on several workers at once. May block. An
// exception that leaves it becomes a 500 with nothing of the exception in it.
using Handler = std::function<void(Exchange&)>;

}  // namespace twinchat::server
