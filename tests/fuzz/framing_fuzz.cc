// However requests are cut on their way they are the same requests, and none is larger than
// allowed or carries what another reader could take for the end of something.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/framing.h"
#include "require.h"

namespace {

using twinchat::server::FramedRequest;
using twinchat::server::HttpLimits;
using twinchat::server::RequestParser;

using Status = RequestParser::Status;

bool is_clean(std::string_view text) {
  for (const char c : text) {
    if (c == '\0' || c == '\r' || c == '\n') return false;
  }
  return true;
}

std::string described(const FramedRequest& request, const HttpLimits& limits) {
  require(!request.method.empty() && !request.target.empty());
  require(request.target.front() == '/' || request.target == "*");
  require(is_clean(request.method) && is_clean(request.target));
  require(request.body.size() <= limits.body_bytes);
  require(request.fields.size() <= limits.header_count);
  std::string text(request.method);
  text.append(" ").append(request.target);
  for (const FramedRequest::Field& field : request.fields) {
    require(!field.name.empty() && is_clean(field.name) && is_clean(field.value));
    text.append("\n").append(field.name).append(":").append(field.value);
  }
  text.append(request.http_1_0 ? "\n1.0" : "\n1.1").append(request.keep_alive ? " keep" : " close");
  return text.append("\n\n").append(request.body);
}

struct Read {
  std::vector<std::string> requests;
  Status last = Status::kIdle;
  int error = 0;
  std::string head;
};

// Takes all requests from `bytes`, given in pieces of the sizes that `cuts` names in turn.
Read read(std::string_view bytes, const HttpLimits& limits, const std::vector<std::size_t>& cuts) {
  Read read;
  RequestParser parser(limits);
  for (std::size_t i = 0; !bytes.empty(); ++i) {
    std::string_view piece = bytes.substr(0, cuts[i % cuts.size()]);
    bytes.remove_prefix(piece.size());
    while (!piece.empty()) {
      const std::size_t taken = parser.feed(piece);
      require(taken <= piece.size());
      piece.remove_prefix(taken);
      parser.take_expect_continue();
      if (parser.status() == Status::kComplete) {
        read.requests.push_back(described(*parser.take(), limits));
        require(parser.status() == Status::kIdle && parser.buffered() == 0);
      } else if (parser.status() == Status::kError) {
        require(parser.error().status >= 400 && *parser.error().reason != '\0');
        read.error = parser.error().status;
        piece = bytes = {};
      } else {
        require(piece.empty());  // nothing is left while it wants more
      }
    }
  }
  read.last = parser.status();
  const auto head = parser.head();
  read.head.append(head.method).append(" ").append(head.target);
  for (const auto& field : head.fields) read.head.append(field.name).append(field.value);
  parser.reset();
  require(parser.buffered() == 0);
  return read;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::size_t first = 1 + data[0] % 16u;
  const std::size_t second = 1 + data[1];
  HttpLimits limits;
  // Small ones now and then, so that inputs of libFuzzer's size meet them.
  if (data[2] % 2 == 1) {
    limits.request_line_bytes = 64;
    limits.header_bytes = 256;
    limits.header_count = 4;
    limits.body_bytes = 32;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 3, size - 3);
  const Read whole = read(bytes, limits, {size});
  for (const auto& cuts : std::vector<std::vector<std::size_t>>{{1}, {first, second}}) {
    const Read cut = read(bytes, limits, cuts);
    require(cut.requests == whole.requests && cut.last == whole.last && cut.error == whole.error);
    if (whole.last != Status::kError) require(cut.head == whole.head);
  }
  return 0;
}
