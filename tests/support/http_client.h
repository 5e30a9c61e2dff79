#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tls_client.h"

namespace twinchat::testing {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpResponse {
  int status = 0;
  HttpHeaders headers = {};  // names in lower case, values as they came
  std::string body = {};     // with the chunked coding taken off

  // The value of the first header of this lower-case name.
  std::optional<std::string> header(std::string_view lower_case_name) const;
};

// The connection broke, the peer broke HTTP, or nothing came within the time limit.
struct HttpError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What a request asked, for the record of answers (answer_record.h).
struct RecordedRequest {
  std::string method = {};  // empty: not known
  std::string target = {};
  std::string body = {};
};

// An HTTP/1.1 client over one socket, plain or with TLS, written for the tests so that what they
// see does not pass through the code under test or the server's HTTP library. It never retries and
// never follows a redirect. The connection is kept between requests while the server allows.
//
// Thread safety: none; one client per thread.
class HttpClient {
 public:
  // `base_url` is like "http://127.0.0.1:8000"; a path in it is left out. Does not connect yet.
  // With https any certificate is taken, and an end that was not announced is an HttpError. `limit`
  // bounds every single wait for the peer.
  explicit HttpClient(std::string_view base_url,
                      std::chrono::milliseconds limit = std::chrono::seconds(60));
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Sends the request, on a new connection when there is none, and waits for the whole answer.
  // Host is added unless given, and Content-Length when there is a body or the method takes one,
  // unless it or Transfer-Encoding is given. Throws HttpError.
  HttpResponse request(std::string_view method, std::string_view target, HttpHeaders headers = {},
                       std::string_view body = {});
  HttpResponse get(std::string_view target, HttpHeaders headers = {}) {
    return request("GET", target, std::move(headers));
  }
  HttpResponse post_json(std::string_view target, std::string_view json, HttpHeaders headers = {});

  // As request(), but the body goes to `on_body` piece by piece as it comes and is not kept. When
  // `on_body` returns false the connection is closed and the response so far is returned.
  HttpResponse stream(std::string_view method, std::string_view target, HttpHeaders headers,
                      std::string_view body, const std::function<bool(std::string_view)>& on_body);

  // For hostile tests: bytes as they are. send_raw() connects when there is no connection.
  void connect();
  void send_raw(std::string_view bytes);
  // The bytes as they are, whatever the scheme.
  void send_below(std::string_view bytes);
  // Up to 64 KiB as soon as something is there; empty at the end of the connection. Throws
  // HttpError when nothing came within the limit or the connection was reset.
  std::string receive_raw();
  // Reads one response to a request that went out by send_raw().
  HttpResponse receive_response(bool head_request = false);
  // True when the peer ends or resets the connection within `limit`; bytes that come before are
  // thrown away.
  bool closed_by_peer(std::chrono::milliseconds limit = std::chrono::seconds(30));
  void shutdown_write();
  void close();
  // Closes with a reset.
  void reset();

  bool connected() const { return socket_ >= 0; }
  // How many connections this client has made so far: 1 after any number of kept-alive requests.
  int connections_made() const { return connections_made_; }
  // What is known of TLS; null without it, or while not connected.
  TlsClient* tls() const { return tls_.get(); }
  // How the next connections use it.
  void set_tls(const TlsClientOptions& options) { tls_options_ = options; }

 private:
  bool fill();
  bool receive(std::string& into);
  void shake_hands();
  std::string take_line();
  void note_request(std::string_view bytes);
  // As read_answer(), and the answer is kept for the record.
  HttpResponse read_response(bool head_request,
                             const std::function<bool(std::string_view)>& on_body);
  HttpResponse read_answer(bool head_request, const std::function<bool(std::string_view)>& on_body);

  std::string host_;
  bool secure_ = false;
  TlsClientOptions tls_options_;
  std::unique_ptr<TlsClient> tls_;
  std::uint16_t port_ = 80;
  std::chrono::milliseconds limit_;
  int socket_ = -1;
  int connections_made_ = 0;
  std::string buffer_;  // received, not yet used
  RecordedRequest asked_;
};

}  // namespace twinchat::testing
