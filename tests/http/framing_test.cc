#include "http/framing.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "catch.h"

using namespace twinchat::server;

namespace {

using Status = RequestParser::Status;

// What came of the bytes, in a form that can be compared.
struct Outcome {
  Status status = Status::kIdle;
  int error = 0;
  size_t taken = 0;  // meaningful for a complete request
  std::string request = {};
  bool operator==(const Outcome&) const = default;
};

std::string describe(const FramedRequest& request) {
  std::string text = std::string(request.method) + " " + std::string(request.target) +
                     (request.http_1_0 ? " 1.0" : " 1.1") +
                     (request.keep_alive ? " keep" : " close") + "\n";
  for (const FramedRequest::Field& field : request.fields) {
    text.append(field.name).append("=").append(field.value).append("\n");
  }
  return text + "\n" + request.body;
}

// Feeds the pieces one after the other, as far as they are taken.
Outcome feed(const std::vector<std::string_view>& pieces, const HttpLimits& limits = {}) {
  RequestParser parser(limits);
  Outcome outcome;
  for (std::string_view piece : pieces) {
    const size_t used = parser.feed(piece);
    outcome.taken += used;
    if (used < piece.size()) break;
  }
  outcome.status = parser.status();
  if (outcome.status == Status::kError) {
    outcome.error = parser.error().status;
    outcome.taken = 0;
    CHECK(std::string_view(parser.error().reason) != "");
    parser.reset();
    CHECK(parser.buffered() == 0);
  } else if (outcome.status == Status::kComplete) {
    outcome.request = describe(*parser.take());
    CHECK(parser.status() == Status::kIdle);
    CHECK(parser.buffered() == 0);
  }
  return outcome;
}

// The outcome, after it was seen that no way to split the bytes changes it.
Outcome outcome_of(std::string_view bytes, const HttpLimits& limits = {}) {
  const Outcome whole = feed({bytes}, limits);
  for (size_t at = 1; at < bytes.size(); ++at) {
    const Outcome split = feed({bytes.substr(0, at), bytes.substr(at)}, limits);
    if (!(split == whole)) {
      FAIL_CHECK("split at " << at << ": status " << split.error << " instead of " << whole.error
                             << ", " << split.request << " instead of " << whole.request);
    }
  }
  std::vector<std::string_view> single;
  for (size_t at = 0; at < bytes.size(); ++at) single.push_back(bytes.substr(at, 1));
  CHECK(feed(single, limits) == whole);
  return whole;
}

int error_of(std::string_view bytes, const HttpLimits& limits = {}) {
  CAPTURE(bytes);
  const Outcome outcome = outcome_of(bytes, limits);
  CHECK(outcome.status == Status::kError);
  return outcome.error;
}

std::string request_of(std::string_view bytes, const HttpLimits& limits = {}) {
  CAPTURE(bytes);
  const Outcome outcome = outcome_of(bytes, limits);
  CHECK(outcome.status == Status::kComplete);
  CHECK(outcome.error == 0);
  CHECK(outcome.taken == bytes.size());
  return outcome.request;
}

std::string head(std::string_view fields) {
  return "POST /x HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

std::string chunked(std::string_view chunks) {
  return head("Transfer-Encoding: chunked\r\n") + std::string(chunks);
}

}  // namespace

TEST_CASE("A request without a body is complete at its empty line") {
  CHECK(request_of("GET /a?b=c HTTP/1.1\r\nHost: example.org:80\r\nX-A:  1 \t\r\nX-b:\r\n\r\n") ==
        "GET /a?b=c 1.1 keep\nHost=example.org:80\nX-A=1\nX-b=\n\n");
}

TEST_CASE("A request takes its bytes and leaves those of the next one") {
  const std::string first = head("Content-Length: 5\r\n") + "hello";
  const Outcome outcome = outcome_of(first + "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(outcome.status == Status::kComplete);
  CHECK(outcome.taken == first.size());
  CHECK(outcome.request == "POST /x 1.1 keep\nHost=a\n\nhello");
}

TEST_CASE("An unfinished request needs more") {
  for (std::string_view bytes : {"G", "GET / HTTP/1.1\r\nHost: a\r\n", "\r\n"}) {
    CHECK(outcome_of(bytes).status == Status::kNeedMore);
  }
  CHECK(outcome_of(head("Content-Length: 5\r\n") + "hell").status == Status::kNeedMore);
  CHECK(outcome_of(chunked("5\r\nhello\r\n")).status == Status::kNeedMore);
  CHECK(outcome_of(chunked("5\r\nhello\r\n0\r\n")).status == Status::kNeedMore);
}

TEST_CASE("Chunks are put together") {
  CHECK(request_of(chunked("5\r\nhello\r\n0\r\n\r\n")) == "POST /x 1.1 keep\nHost=a\n\nhello");
  CHECK(request_of(chunked("1;a=\"b\"\r\nh\r\n00B\r\nello there!\r\n0;last\r\n\r\n")) ==
        "POST /x 1.1 keep\nHost=a\n\nhello there!");
  CHECK(request_of(head("transfer-encoding: Chunked\r\n") + "0\r\n\r\n") ==
        "POST /x 1.1 keep\nHost=a\n\n");
}

TEST_CASE("Chunk sizes that two readers could take differently are refused") {
  for (std::string_view size : {"-2", "+2", "0x2", "", " 2", "2 ", "2 ;a", "g", "2,", "100000000",
                                "FFFFFFFFFFFFFFFF", "000000002", "2;a\x01", "2;\x7f"}) {
    CHECK(error_of(chunked(std::string(size) + "\r\nab\r\n0\r\n\r\n")) == 400);
  }
  CHECK(error_of(chunked("2\nab\r\n0\r\n\r\n")) == 400);
  CHECK(error_of(chunked("2\r\nabc\r\n0\r\n\r\n")) == 400);
  CHECK(error_of(chunked("2\r\nab\n0\r\n\r\n")) == 400);
  CHECK(error_of(chunked("2;" + std::string(300, 'x') + "\r\nab\r\n0\r\n\r\n")) == 400);
}

TEST_CASE("Many chunks with extensions are refused before they cost much") {
  std::string chunks;
  for (int i = 0; i < 20; ++i) chunks += "1;" + std::string(200, 'x') + "\r\na\r\n";
  CHECK(error_of(chunked(chunks)) == 400);
}

TEST_CASE("Trailers are read and dropped") {
  CHECK(request_of(chunked("1\r\na\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nHost: b\r\n\r\n")) ==
        "POST /x 1.1 keep\nHost=a\n\na");
  CHECK(error_of(chunked("0\r\nno colon\r\n\r\n")) == 400);
  CHECK(error_of(chunked("0\r\nX: a\x01\r\n\r\n")) == 400);
  CHECK(error_of(chunked("0\r\n X: a\r\n\r\n")) == 400);
  CHECK(error_of(chunked("0\r\nX: a\n\r\n")) == 400);
  CHECK(error_of(chunked("0\r\nX: " + std::string(5000, 'a') + "\r\n\r\n")) == 431);
  std::string many = "0\r\n";
  for (int i = 0; i < 40; ++i) many += "X: a\r\n";
  CHECK(error_of(chunked(many + "\r\n")) == 431);
}

TEST_CASE("A Content-Length is one number of digits") {
  for (std::string_view value : {"-1", "+1", "1 1", "0x1", "1,1", "", "1a", "99999999999999999999",
                                 "18446744073709551617", "1\t2"}) {
    CHECK(error_of(head("Content-Length: " + std::string(value) + "\r\n") + "a") == 400);
  }
  CHECK(error_of(head("Content-Length: 1\r\nContent-Length: 1\r\n") + "a") == 400);
  CHECK(error_of(head("Content-Length: 1\r\ncontent-length: 2\r\n") + "a") == 400);
  CHECK(request_of(head("Content-Length: 0\r\n")) == "POST /x 1.1 keep\nHost=a\n\n");
  CHECK(request_of(head("Content-Length: 0001\r\n") + "a") == "POST /x 1.1 keep\nHost=a\n\na");
}

TEST_CASE("A length said in two ways is refused") {
  CHECK(error_of(head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n") == 400);
  CHECK(error_of(head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n") == 400);
  CHECK(error_of(head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")) == 400);
  for (std::string_view coding : {"gzip, chunked", "identity", "chunked, chunked", "xchunked",
                                  "chunked;q=1", "", "\"chunked\"", "gzip"}) {
    CHECK(error_of(head("Transfer-Encoding: " + std::string(coding) + "\r\n")) == 400);
  }
  CHECK(error_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 400);
}

TEST_CASE("Compressed bodies are refused") {
  CHECK(error_of(head("Content-Encoding: gzip\r\nContent-Length: 1\r\n") + "a") == 415);
  CHECK(error_of(head("content-encoding: deflate, br\r\n")) == 415);
  CHECK(request_of(head("Content-Encoding: Identity\r\n")) ==
        "POST /x 1.1 keep\nHost=a\nContent-Encoding=Identity\n\n");
}

TEST_CASE("Budgets are kept to the byte") {
  const HttpLimits limits{
      .request_line_bytes = 40, .header_bytes = 60, .header_count = 3, .body_bytes = 10};
  const auto line = [](size_t size) {
    return "GET /" + std::string(size - 14, 'a') + " HTTP/1.1\r\n";
  };
  CHECK(outcome_of(line(40) + "Host: a\r\n\r\n", limits).status == Status::kComplete);
  CHECK(error_of(line(41) + "Host: a\r\n\r\n", limits) == 414);
  CHECK(error_of(std::string(100, 'A'), limits) == 414);

  const auto fields = [](size_t size) {
    return "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(size - 16, 'a') + "\r\n\r\n";
  };
  CHECK(outcome_of(fields(60), limits).status == Status::kComplete);
  CHECK(error_of(fields(61), limits) == 431);
  CHECK(error_of("GET / HTTP/1.1\r\n" + std::string(100, 'A'), limits) == 431);

  CHECK(outcome_of("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\n\r\n", limits).status ==
        Status::kComplete);
  CHECK(error_of("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\nA: b\r\n\r\n", limits) == 431);

  CHECK(outcome_of(head("Content-Length: 10\r\n") + "0123456789", limits).status ==
        Status::kComplete);
  CHECK(error_of(head("Content-Length: 11\r\n"), limits) == 413);
  CHECK(error_of(head("Content-Length: 999999999999999999\r\n")) == 413);
  CHECK(outcome_of("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "a\r\n0123456789\r\n0\r\n\r\n",
                   HttpLimits{.body_bytes = 10})
            .status == Status::kComplete);
  CHECK(error_of(chunked("a\r\n0123456789\r\n1\r\n"), HttpLimits{.body_bytes = 10}) == 413);
  CHECK(error_of(chunked("FFFFFFFF\r\n")) == 413);
}

TEST_CASE("A malformed request line is refused") {
  for (std::string_view line : {"GET /",
                                "GET / HTTP/1.1 ",
                                "GET  / HTTP/1.1",
                                "GET /a b HTTP/1.1",
                                " GET / HTTP/1.1",
                                "GET / HTTP/1",
                                "GET / http/1.1",
                                "GET / HTTP/1.10",
                                "GET / HTTP/x.1",
                                "GE(T / HTTP/1.1",
                                "GET /\x01 HTTP/1.1",
                                "GET /\x80 HTTP/1.1",
                                "GET /#a HTTP/1.1",
                                "GET\t/ HTTP/1.1",
                                "GET a HTTP/1.1",
                                "GET * HTTP/1.1",
                                "GET /a\rb HTTP/1.1",
                                "GET ftp://a/ HTTP/1.1",
                                "GET http:/// HTTP/1.1",
                                "GET http://u@b/ HTTP/1.1",
                                "AMETHODLONGERTHANANYBODYEVERMEANT / HTTP/1.1"}) {
    CHECK(error_of(std::string(line) + "\r\nHost: a\r\n\r\n") == 400);
  }
  CHECK(error_of(std::string_view("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 29)) == 400);
  CHECK(error_of("GET / HTTP/1.1\nHost: a\r\n\r\n") == 400);
  CHECK(error_of("GET /\r\n\r\n") == 400);
  CHECK(error_of("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
  CHECK(error_of("\x16\x03\x01\x02") == 400);
  CHECK(error_of("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n") == 501);
}

TEST_CASE("One empty line before a request is forgiven") {
  CHECK(request_of("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") == "GET / 1.1 keep\nHost=a\n\n");
}

TEST_CASE("Other versions are refused") {
  for (std::string_view version : {"HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3.0"}) {
    CHECK(error_of("GET / " + std::string(version) + "\r\nHost: a\r\n\r\n") == 505);
  }
}

TEST_CASE("Malformed header fields are refused") {
  for (std::string_view field : {"X : a", " X: a", "\tX: a", "X", ": a", "X(: a", "X: a\x01z",
                                 "X: a\x7fz", "X: a\rb", "X: a\r\n folded", "X y: a", "X\x80: a"}) {
    CHECK(error_of(head(std::string(field) + "\r\n")) == 400);
  }
  CHECK(error_of(head(std::string_view("X: a\0b\r\n", 8))) == 400);
  CHECK(error_of(head("X: a\n")) == 400);
  CHECK(request_of(head("X: a\xc3\xa4\tb\r\n")) == "POST /x 1.1 keep\nHost=a\nX=a\xc3\xa4\tb\n\n");
}

TEST_CASE("Values of fields stay as they were sent") {
  CHECK(request_of(head("X: a%0d%0aSet-Cookie:%20b\r\n")) ==
        "POST /x 1.1 keep\nHost=a\nX=a%0d%0aSet-Cookie:%20b\n\n");
}

TEST_CASE("HTTP/1.1 needs exactly one Host, HTTP/1.0 at most one") {
  CHECK(error_of("GET / HTTP/1.1\r\n\r\n") == 400);
  CHECK(error_of("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n") == 400);
  CHECK(error_of("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n") == 400);
  for (std::string_view host : {"a b", "a/b", "a@b", "a?b", "a,b", "a\\b", "a#b", "<a>"}) {
    CHECK(error_of("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n") == 400);
  }
  CHECK(request_of("GET / HTTP/1.0\r\n\r\n") == "GET / 1.0 close\n\n");
  CHECK(request_of("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n") ==
        "GET / 1.1 keep\nHost=[::1]:80\n\n");
}

TEST_CASE("An absolute target is cut down to its path, and its authority is the host") {
  CHECK(request_of("GET http://b:81/p?q HTTP/1.1\r\nHost: a\r\n\r\n") ==
        "GET /p?q 1.1 keep\nHost=b:81\n\n");
  CHECK(request_of("GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n") == "GET / 1.1 keep\nHost=b\n\n");
  CHECK(request_of("GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n") == "GET /?q 1.1 keep\nHost=b\n\n");
  CHECK(request_of("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n") == "OPTIONS * 1.1 keep\nHost=a\n\n");
}

TEST_CASE("The client says whether the connection is kept") {
  const auto kept = [](std::string_view version, std::string_view connection) {
    return request_of("GET / HTTP/" + std::string(version) +
                      "\r\nHost: a\r\nConnection: " + std::string(connection) + "\r\n\r\n")
               .find(" keep") != std::string::npos;
  };
  CHECK(kept("1.1", "keep-alive"));
  CHECK(kept("1.1", ""));
  CHECK(kept("1.1", "Upgrade, HTTP2-Settings"));
  CHECK_FALSE(kept("1.1", "Close"));
  CHECK_FALSE(kept("1.1", "x ,close"));
  CHECK_FALSE(kept("1.0", "x"));
  CHECK(kept("1.0", "Keep-Alive"));
}

TEST_CASE("Fields about the connection and forged addresses do not reach the handler") {
  CHECK(request_of(head("REMOTE_ADDR: 6.6.6.6\r\nremote_port: 1\r\nLOCAL_ADDR: a\r\n"
                        "Local_Port: 2\r\nUpgrade: h2c\r\nHTTP2-Settings: a\r\nTE: trailers\r\n"
                        "Trailer: X\r\nKeep-Alive: 1\r\nProxy-Connection: a\r\nX-Real: 1\r\n")) ==
        "POST /x 1.1 keep\nHost=a\nX-Real=1\n\n");
}

TEST_CASE("A client that expects 100 Continue is answered once, if it waits for it") {
  const HttpLimits limits;
  RequestParser waiting{limits};
  waiting.feed(head("Expect: 100-Continue\r\nContent-Length: 2\r\n"));
  CHECK(waiting.take_expect_continue());
  CHECK_FALSE(waiting.take_expect_continue());
  waiting.feed("ab");
  CHECK(waiting.status() == Status::kComplete);

  RequestParser hurried{limits};
  hurried.feed(head("Expect: 100-continue\r\nContent-Length: 2\r\n") + "a");
  CHECK_FALSE(hurried.take_expect_continue());

  RequestParser old{limits};
  old.feed("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CHECK_FALSE(old.take_expect_continue());

  CHECK(error_of(head("Expect: something\r\n")) == 417);
}

TEST_CASE("A parser takes one request after the other and holds nothing between them") {
  const HttpLimits limits;
  RequestParser parser(limits);
  CHECK(parser.buffered() == 0);
  for (int i = 0; i < 3; ++i) {
    parser.feed(head("Content-Length: 3\r\n") + "a");
    CHECK(parser.buffered() > 0);
    CHECK(parser.feed("bcdef") == 2);
    CHECK(parser.feed("more") == 0);
    CHECK(parser.take()->body == "abc");
    CHECK(parser.buffered() == 0);
  }
  parser.feed("nonsense\r\n");
  CHECK(parser.status() == Status::kError);
  CHECK(parser.feed("more") == 0);
  parser.reset();
  CHECK(parser.status() == Status::kIdle);
}
