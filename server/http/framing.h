// Where one HTTP/1 request ends and the next begins. Pure: bytes in, request or error out, no I/O.
//
// Stricter than RFC 9112 allows wherever two readers of the same bytes could disagree (request
// smuggling): anything ambiguous is an error, after which the connection must be closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/http_limits.h"

namespace twinchat::server {

// One complete request. The views point into the object itself, which therefore neither moves nor
// copies. Thread safety: none; it belongs to one thread at a time.
class FramedRequest {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  FramedRequest() = default;
  FramedRequest(const FramedRequest&) = delete;
  FramedRequest& operator=(const FramedRequest&) = delete;

  std::string_view method;

  // Origin form ("/path?query") or "*". An absolute-form target has been cut down to its path and
  // query, and its authority has replaced the value of Host.
  std::string_view target;

  // The fields as they came, undecoded and in order, less those that speak of this connection and
  // are dealt with here (Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding,
  // Content-Length, TE, Trailer, Upgrade, HTTP2-Settings, Expect) and less the names under which
  // cpp-httplib hands out the addresses of the connection (REMOTE_ADDR, REMOTE_PORT, LOCAL_ADDR,
  // LOCAL_PORT), which a client has no business to send.
  std::vector<Field> fields;

  // Complete and without chunk framing.
  std::string body;

  bool http_1_0 = false;

  // Whether the client wants the connection kept after the answer.
  bool keep_alive = true;

  // Bytes of memory held.
  size_t memory() const {
    return sizeof *this + head_.capacity() + body.capacity() + fields.capacity() * sizeof(Field);
  }

 private:
  friend class RequestParser;
  std::string head_;
  std::string rewritten_target_;
};

// The head of a request as far as it could be read: all of it, or what came before it broke off or
// went wrong. What is said of FramedRequest's members holds here, except that an unfinished head's
// target is as it was sent and its fields are all there. The views are the parser's or the
// request's.
//
// Thread safety: a plain value.
struct RequestHead {
  std::string_view method = {};
  std::string_view target = {};
  std::vector<FramedRequest::Field> fields = {};

  // The value of the first field of that name, which is given in lower case; empty for none.
  std::string_view field(std::string_view lower_case_name) const;
};

// Incremental parser for the requests of one connection, one after the other. Between requests it
// owns no memory. The result does not depend on how the bytes are split.
//
// Thread safety: none; it belongs to its connection's event loop.
class RequestParser {
 public:
  enum class Status { kIdle, kNeedMore, kComplete, kError };

  struct Error {
    int status = 0;           // HTTP status to answer with
    const char* reason = "";  // fixed text, fit for the client
  };

  // `limits` must outlive the parser.
  explicit RequestParser(const HttpLimits& limits) : limits_(&limits) {}

  // Takes bytes until the request is complete or wrong, or the bytes are used up, and returns how
  // many were taken; what is left belongs to the next request. Takes nothing while the status is
  // kComplete or kError.
  size_t feed(std::string_view bytes);

  // kIdle before the first byte of a request, kComplete until take().
  Status status() const { return status_; }

  // What is wrong, once the status is kError.
  const Error& error() const { return error_; }

  // What was read of the head, also when the status is kError; empty between requests. The views
  // hold until the next call of feed(), take() or reset().
  RequestHead head() const;

  // Once true, when the client waits for "100 Continue" before it sends the body. Asking clears it.
  bool take_expect_continue();

  // The complete request; the parser is then ready for the next. Requires kComplete.
  std::unique_ptr<FramedRequest> take();

  // Throws away an unfinished or wrong request and its memory. A wrong one keeps its head until
  // then.
  void reset();

  // Bytes held for the request under way.
  size_t buffered() const;

 private:
  enum class Stage { kRequestLine, kFields, kBody, kChunkSize, kChunkData, kChunkEnd, kTrailers };

  // A field by offsets: the head still grows, and moves, while it is read.
  struct Span {
    uint32_t name;
    uint32_t name_size;
    uint32_t value;
    uint32_t value_size;
  };

  // Everything a request under way needs; freed between requests.
  struct Work {
    std::unique_ptr<FramedRequest> request = std::make_unique<FramedRequest>();
    std::vector<Span> spans;
    std::string line;  // chunk-size and trailer lines, CRLF included
    Stage stage = Stage::kRequestLine;
    size_t line_start = 0;  // of the line under way, in the head
    size_t fields_start = 0;
    uint32_t target = 0;
    uint32_t target_size = 0;
    uint32_t method_size = 0;
    uint64_t remaining = 0;  // of the body or the chunk
    size_t extension_bytes = 0;
    size_t trailer_bytes = 0;
    size_t trailer_count = 0;
    bool chunked = false;
    bool blank_line_seen = false;
    bool expect_continue = false;
  };

  size_t feed_head(std::string_view bytes);
  size_t feed_body(std::string_view bytes);
  size_t feed_chunk_line(std::string_view bytes);
  size_t feed_chunk_end(std::string_view bytes);
  void request_line(std::string_view line);
  void field_line(std::string_view line);
  void head_complete();
  bool target_form();
  void chunk_size_line(std::string_view line);
  void trailer_line(std::string_view line);
  void fail(int status, const char* reason);
  void complete();

  const HttpLimits* limits_;
  std::unique_ptr<Work> work_;
  Error error_;
  Status status_ = Status::kIdle;
};

}  // namespace twinchat::server
