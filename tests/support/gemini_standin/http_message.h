#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace twinchat::testing {

// One request as it came over the wire.
struct HttpRequest {
  std::string method;
  std::string path;                                          // percent-decoded, without the query
  std::string query;                                         // as it came, without the '?'
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  bool keep_alive = true;
  std::uint64_t connection_id = 0;
  double arrival_ms = 0;  // CLOCK_MONOTONIC, when the last byte of the request had come

  // The value of the first header with this lower-case name, or null. Lives as long as the request.
  const std::string* header(std::string_view lower_case_name) const;
  // The percent-decoded value of a query parameter; `found` tells absent from empty.
  std::string query_value(std::string_view name, bool* found = nullptr) const;
};

// Cuts HTTP/1.1 requests out of a stream of bytes; no I/O. Bodies come by Content-Length or
// chunked.
//
// Thread safety: none; one parser belongs to one connection.
class RequestParser {
 public:
  enum class Result { kNeedMore, kRequest, kBad, kTooLarge };

  void feed(std::string_view bytes) { buffer_.append(bytes); }
  // Moves the next complete request into `request`. After kBad or kTooLarge the parser is of no
  // further use: the caller answers and closes.
  Result next(HttpRequest& request);
  // True once per request whose head asked for "100 Continue" and whose body is still to come.
  bool take_expect_continue();

 private:
  Result parse_head(std::size_t end);
  Result parse_chunked(std::size_t& consumed);

  std::string buffer_;
  HttpRequest pending_;
  std::string chunked_body_;
  std::size_t scanned_ = 0;
  std::size_t body_start_ = 0;
  std::size_t content_length_ = 0;
  std::size_t chunk_position_ = 0;
  bool head_done_ = false;
  bool chunked_ = false;
  bool expect_continue_ = false;
};

std::string percent_decode(std::string_view text);

}  // namespace twinchat::testing
