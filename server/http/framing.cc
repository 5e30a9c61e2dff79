#include "http/framing.h"

#include <algorithm>
#include <array>
#include <utility>

namespace twinchat::server {
namespace {

// Bounds nobody has a reason to change; each far above what honest clients send.
constexpr size_t kMaxMethod = 32;
constexpr size_t kMaxChunkLine = 256;
constexpr size_t kMaxChunkDigits = 8;
constexpr size_t kMaxExtensionBytes = 1024;
constexpr size_t kMaxTrailerBytes = 4 * 1024;
constexpr size_t kMaxTrailerCount = 32;

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<size_t>(c)] = true;
  for (int c = '0'; c <= '9'; ++c) table[static_cast<size_t>(c)] = true;
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kToken = make_token_table();

bool is_token_char(char c) {
  return kToken[static_cast<unsigned char>(c)];
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Visible characters, blanks and the bytes above ASCII; no control characters, no DEL.
bool is_field_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    auto u = static_cast<unsigned char>(c);
    return c == '\t' || (u >= 0x20 && u != 0x7f);
  });
}

bool is_visible_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// `b` is in lower case.
bool equals(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == y; });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// host[:port], as far as nobody can take it for something else.
bool is_authority(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') ||
           std::string_view("-._~:[]!$&'()*+;=%").find(c) != std::string_view::npos;
  });
}

// Fields that end with this connection or that cpp-httplib fills in itself.
bool is_dropped(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "connection",  "keep-alive",  "proxy-connection", "transfer-encoding", "content-length",
      "te",          "trailer",     "upgrade",          "http2-settings",    "expect",
      "remote_addr", "remote_port", "local_addr",       "local_port"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [name](std::string_view dropped) { return equals(name, dropped); });
}

// Calls f for every element of a comma-separated list.
template <class F>
void for_each_element(std::string_view list, F f) {
  while (!list.empty()) {
    size_t comma = list.find(',');
    f(trim(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

void RequestParser::fail(int status, const char* reason) {
  error_ = {status, reason};
  status_ = Status::kError;
}

void RequestParser::complete() {
  status_ = Status::kComplete;
}

void RequestParser::reset() {
  work_.reset();
  status_ = Status::kIdle;
}

std::unique_ptr<FramedRequest> RequestParser::take() {
  std::unique_ptr<FramedRequest> request = std::move(work_->request);
  reset();
  return request;
}

bool RequestParser::take_expect_continue() {
  return work_ != nullptr && std::exchange(work_->expect_continue, false);
}

size_t RequestParser::buffered() const {
  if (work_ == nullptr) return 0;
  return sizeof(Work) + work_->request->memory() + work_->spans.capacity() * sizeof(Span);
}

std::string_view RequestHead::field(std::string_view lower_case_name) const {
  for (const FramedRequest::Field& field : fields) {
    if (equals(field.name, lower_case_name)) return field.value;
  }
  return {};
}

RequestHead RequestParser::head() const {
  RequestHead head;
  if (work_ == nullptr) return head;
  const FramedRequest& request = *work_->request;
  const std::string_view text = request.head_;
  head.method = text.substr(0, work_->method_size);
  head.target =
      request.target.empty() ? text.substr(work_->target, work_->target_size) : request.target;
  head.fields = request.fields;
  if (work_->spans.empty()) return head;
  head.fields.clear();
  for (const Span& span : work_->spans) {
    head.fields.push_back(
        {text.substr(span.name, span.name_size), text.substr(span.value, span.value_size)});
  }
  return head;
}

size_t RequestParser::feed(std::string_view bytes) {
  size_t used = 0;
  while (used < bytes.size() && (status_ == Status::kIdle || status_ == Status::kNeedMore)) {
    if (work_ == nullptr) {
      work_ = std::make_unique<Work>();
      status_ = Status::kNeedMore;
    }
    std::string_view rest = bytes.substr(used);
    switch (work_->stage) {
      case Stage::kRequestLine:
      case Stage::kFields:
        used += feed_head(rest);
        break;
      case Stage::kBody:
      case Stage::kChunkData:
        used += feed_body(rest);
        break;
      case Stage::kChunkSize:
      case Stage::kTrailers:
        used += feed_chunk_line(rest);
        break;
      case Stage::kChunkEnd:
        used += feed_chunk_end(rest);
        break;
    }
  }
  return used;
}

size_t RequestParser::feed_head(std::string_view bytes) {
  Work& work = *work_;
  std::string& head = work.request->head_;
  const bool first_line = work.stage == Stage::kRequestLine;

  // A TLS greeting or other noise is told from a request by its first byte.
  if (first_line && head.empty() && !is_token_char(bytes[0]) && bytes[0] != '\r') {
    fail(400, "Malformed request line.");
    return 0;
  }

  size_t newline = bytes.find('\n');
  size_t size = newline == std::string_view::npos ? bytes.size() : newline + 1;
  if (first_line) {
    if (head.size() + size > limits_->request_line_bytes + 2) {
      fail(414, "Request line too long.");
      return 0;
    }
  } else if (head.size() - work.fields_start + size > limits_->header_bytes) {
    fail(431, "Request headers too large.");
    return 0;
  }
  head.append(bytes.substr(0, size));
  if (newline == std::string_view::npos) return size;

  std::string_view line = std::string_view(head).substr(work.line_start);
  if (line.size() < 2 || line[line.size() - 2] != '\r') {
    fail(400, "Lines must end with CR LF.");
    return size;
  }
  line.remove_suffix(2);
  if (first_line) {
    if (line.empty()) {
      // RFC 9112, 2.2: one empty line before a request is forgiven.
      if (work.blank_line_seen) fail(400, "Malformed request line.");
      work.blank_line_seen = true;
      head.clear();
      return size;
    }
    request_line(line);
    work.stage = Stage::kFields;
    work.fields_start = head.size();
  } else if (line.empty()) {
    head_complete();
  } else {
    field_line(line);
  }
  work.line_start = head.size();
  return size;
}

void RequestParser::request_line(std::string_view line) {
  Work& work = *work_;
  size_t first = line.find(' ');
  size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return fail(400, "Malformed request line.");
  }
  std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, last - first - 1);
  std::string_view version = line.substr(last + 1);
  if (method.size() > kMaxMethod || !is_token(method) || target.empty() ||
      !is_visible_ascii(target) || target.find('#') != std::string_view::npos) {
    return fail(400, "Malformed request line.");
  }
  if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || !is_digit(version[5]) ||
      version[6] != '.' || !is_digit(version[7])) {
    return fail(400, "Malformed request line.");
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return fail(505, "HTTP version not supported.");
  }
  work.request->http_1_0 = version == "HTTP/1.0";
  work.method_size = static_cast<uint32_t>(method.size());
  work.target = static_cast<uint32_t>(first + 1);
  work.target_size = static_cast<uint32_t>(target.size());
}

void RequestParser::field_line(std::string_view line) {
  Work& work = *work_;
  size_t colon = line.find(':');
  // A line that starts with a blank (obs-fold) or has one before its colon fails as a token.
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return fail(400, "Malformed header field.");
  }
  std::string_view value = trim(line.substr(colon + 1));
  if (!is_field_text(value)) return fail(400, "Malformed header field.");
  if (work.spans.size() == limits_->header_count) return fail(431, "Too many header fields.");
  const char* head = work.request->head_.data();
  work.spans.push_back({static_cast<uint32_t>(line.data() - head), static_cast<uint32_t>(colon),
                        static_cast<uint32_t>(value.data() - head),
                        static_cast<uint32_t>(value.size())});
}

// Puts an absolute-form target into origin form. False if it has none of the allowed forms.
bool RequestParser::target_form() {
  FramedRequest& request = *work_->request;
  std::string_view target = request.target;
  if (target[0] == '/') return true;
  if (target == "*") return request.method == "OPTIONS";
  size_t scheme = 0;
  for (std::string_view known : {"http://", "https://"}) {
    if (equals(target.substr(0, known.size()), known)) scheme = known.size();
  }
  if (scheme == 0) return false;
  target.remove_prefix(scheme);
  size_t end = std::min(target.find_first_of("/?"), target.size());
  std::string_view authority = target.substr(0, end);
  if (authority.empty() || !is_authority(authority)) return false;
  std::string_view path = target.substr(end);
  if (path.empty() || path[0] != '/') {
    request.rewritten_target_ = "/" + std::string(path);
    request.target = request.rewritten_target_;
  } else {
    request.target = path;
  }
  for (FramedRequest::Field& field : request.fields) {
    if (equals(field.name, "host")) field.value = authority;
  }
  return true;
}

void RequestParser::head_complete() {
  Work& work = *work_;
  FramedRequest& request = *work.request;
  std::string_view head = request.head_;
  request.method = head.substr(0, work.method_size);
  request.target = head.substr(work.target, work.target_size);
  request.keep_alive = !request.http_1_0;
  request.fields.reserve(work.spans.size());

  size_t hosts = 0;
  size_t lengths = 0;
  size_t encodings = 0;
  uint64_t length = 0;
  bool wants_continue = false;
  for (const Span& span : work.spans) {
    std::string_view name = head.substr(span.name, span.name_size);
    std::string_view value = head.substr(span.value, span.value_size);
    switch (name.size()) {
      case 4:
        if (equals(name, "host")) {
          ++hosts;
          if (!is_authority(value)) return fail(400, "Malformed Host header.");
        }
        break;
      case 6:
        if (equals(name, "expect")) {
          if (!equals(value, "100-continue")) return fail(417, "Expectation not supported.");
          wants_continue = true;
        }
        break;
      case 10:
        if (equals(name, "connection")) {
          for_each_element(value, [&request](std::string_view element) {
            if (equals(element, "close")) request.keep_alive = false;
            if (request.http_1_0 && equals(element, "keep-alive")) request.keep_alive = true;
          });
        }
        break;
      case 14:
        if (equals(name, "content-length")) {
          ++lengths;
          if (value.empty() || value.size() > 18 ||
              !std::all_of(value.begin(), value.end(), is_digit)) {
            return fail(400, "Malformed Content-Length.");
          }
          for (char c : value) length = length * 10 + static_cast<uint64_t>(c - '0');
        }
        break;
      case 16:
        if (equals(name, "content-encoding") && !equals(value, "identity")) {
          return fail(415, "Content-Encoding is not supported.");
        }
        break;
      case 17:
        if (equals(name, "transfer-encoding")) {
          ++encodings;
          if (!equals(value, "chunked")) return fail(400, "Transfer-Encoding is not supported.");
        }
        break;
      default:
        break;
    }
    if (!is_dropped(name)) request.fields.push_back({name, value});
  }

  if (hosts > 1 || (hosts == 0 && !request.http_1_0)) {
    return fail(400, "Exactly one Host header is required.");
  }
  if (lengths > 1) return fail(400, "More than one Content-Length.");
  if (encodings > 1 || (encodings == 1 && lengths == 1) || (encodings == 1 && request.http_1_0)) {
    return fail(400, "Ambiguous message length.");
  }
  if (request.method == "CONNECT") return fail(501, "CONNECT is not supported.");
  if (!target_form()) return fail(400, "Malformed request target.");
  if (length > limits_->body_bytes) return fail(413, "Request body too large.");

  work.spans = {};
  if (encodings == 1) {
    work.chunked = true;
    work.stage = Stage::kChunkSize;
  } else if (length > 0) {
    work.remaining = length;
    work.stage = Stage::kBody;
  } else {
    return complete();
  }
  work.expect_continue = wants_continue && !request.http_1_0;
}

size_t RequestParser::feed_body(std::string_view bytes) {
  Work& work = *work_;
  work.expect_continue = false;  // the client did not wait
  size_t size = static_cast<size_t>(std::min<uint64_t>(bytes.size(), work.remaining));
  work.request->body.append(bytes.substr(0, size));
  work.remaining -= size;
  if (work.remaining == 0) {
    if (work.chunked) {
      work.stage = Stage::kChunkEnd;
    } else {
      complete();
    }
  }
  return size;
}

size_t RequestParser::feed_chunk_line(std::string_view bytes) {
  Work& work = *work_;
  work.expect_continue = false;
  const bool trailers = work.stage == Stage::kTrailers;
  size_t newline = bytes.find('\n');
  size_t size = newline == std::string_view::npos ? bytes.size() : newline + 1;
  if (trailers) {
    if (work.trailer_bytes + size > kMaxTrailerBytes) {
      fail(431, "Trailers too large.");
      return 0;
    }
    work.trailer_bytes += size;
  } else if (work.line.size() + size > kMaxChunkLine) {
    fail(400, "Malformed chunk size.");
    return 0;
  }
  work.line.append(bytes.substr(0, size));
  if (newline == std::string_view::npos) return size;
  if (work.line.size() < 2 || work.line[work.line.size() - 2] != '\r') {
    fail(400, "Lines must end with CR LF.");
    return size;
  }
  std::string_view line = std::string_view(work.line).substr(0, work.line.size() - 2);
  if (trailers) {
    trailer_line(line);
  } else {
    chunk_size_line(line);
  }
  work.line.clear();
  return size;
}

void RequestParser::chunk_size_line(std::string_view line) {
  Work& work = *work_;
  uint64_t size = 0;
  size_t digits = 0;
  while (digits < line.size() && hex_value(line[digits]) >= 0) {
    if (digits == kMaxChunkDigits) return fail(400, "Malformed chunk size.");
    size = size * 16 + static_cast<uint64_t>(hex_value(line[digits]));
    ++digits;
  }
  std::string_view extension = line.substr(digits);
  work.extension_bytes += extension.size();
  if (digits == 0 || (!extension.empty() && extension[0] != ';') || !is_field_text(extension) ||
      work.extension_bytes > kMaxExtensionBytes) {
    return fail(400, "Malformed chunk size.");
  }
  if (size > limits_->body_bytes - work.request->body.size()) {
    return fail(413, "Request body too large.");
  }
  work.remaining = size;
  work.stage = size == 0 ? Stage::kTrailers : Stage::kChunkData;
}

// Trailers are read to find the end of the request and then forgotten: merged into the headers
// they would let a client smuggle in fields that the proxy in front believes it controls.
void RequestParser::trailer_line(std::string_view line) {
  if (line.empty()) return complete();
  size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)) ||
      !is_field_text(line.substr(colon))) {
    return fail(400, "Malformed trailer.");
  }
  if (++work_->trailer_count > kMaxTrailerCount) fail(431, "Trailers too large.");
}

size_t RequestParser::feed_chunk_end(std::string_view bytes) {
  Work& work = *work_;
  work.line.push_back(bytes[0]);
  if (work.line == "\r") return 1;
  if (work.line != "\r\n") {
    fail(400, "Malformed chunk.");
    return 0;
  }
  work.line.clear();
  work.stage = Stage::kChunkSize;
  return 1;
}

}  // namespace twinchat::server
