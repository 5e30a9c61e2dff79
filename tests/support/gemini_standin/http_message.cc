#include "gemini_standin/http_message.h"

#include <algorithm>
#include <charconv>

namespace twinchat::testing {
namespace {

constexpr std::size_t kMaxHead = 64 * 1024;
constexpr std::size_t kMaxBody = 100 * 1024 * 1024;  // what Google takes inline

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string percent_decode(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        result += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    result += text[i];
  }
  return result;
}

const std::string* HttpRequest::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return &value;
  }
  return nullptr;
}

std::string HttpRequest::query_value(std::string_view name, bool* found) const {
  if (found != nullptr) *found = false;
  std::string_view rest = query;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    const std::size_t equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    if (found != nullptr) *found = true;
    return equals == std::string_view::npos ? "" : percent_decode(pair.substr(equals + 1));
  }
  return "";
}

bool RequestParser::take_expect_continue() {
  const bool expected = head_done_ && expect_continue_;
  expect_continue_ = false;
  return expected;
}

RequestParser::Result RequestParser::parse_head(std::size_t end) {
  const std::string_view head(buffer_.data(), end);
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const std::size_t first = line.find(' ');
  const std::size_t second = line.rfind(' ');
  if (first == std::string_view::npos || second <= first) return Result::kBad;
  if (line.substr(second + 1) != "HTTP/1.1") return Result::kBad;
  pending_ = {};
  pending_.method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, second - first - 1);
  const std::size_t mark = target.find('?');
  pending_.path = percent_decode(target.substr(0, mark));
  if (mark != std::string_view::npos) pending_.query = target.substr(mark + 1);

  content_length_ = 0;
  chunked_ = false;
  expect_continue_ = false;
  std::size_t position = line.size() + 2;
  while (position < head.size()) {
    const std::size_t stop = std::min(head.find("\r\n", position), head.size());
    const std::string_view field = head.substr(position, stop - position);
    position = stop + 2;
    const std::size_t colon = field.find(':');
    if (colon == std::string_view::npos) return Result::kBad;
    const std::string name = lower(field.substr(0, colon));
    const std::string_view value = trim(field.substr(colon + 1));
    if (name == "content-length") {
      const auto [rest, error] =
          std::from_chars(value.data(), value.data() + value.size(), content_length_);
      if (error != std::errc() || rest != value.data() + value.size()) return Result::kBad;
      if (content_length_ > kMaxBody) return Result::kTooLarge;
    } else if (name == "transfer-encoding") {
      if (lower(value) != "chunked") return Result::kBad;
      chunked_ = true;
    } else if (name == "expect" && lower(value) == "100-continue") {
      expect_continue_ = true;
    } else if (name == "connection" && lower(value) == "close") {
      pending_.keep_alive = false;
    }
    pending_.headers.emplace_back(name, value);
  }
  return Result::kRequest;
}

RequestParser::Result RequestParser::parse_chunked(std::size_t& consumed) {
  for (;;) {
    const std::size_t line_end = buffer_.find("\r\n", chunk_position_);
    if (line_end == std::string::npos) return Result::kNeedMore;
    std::size_t size = 0;
    const char* begin = buffer_.data() + chunk_position_;
    const auto [rest, error] = std::from_chars(begin, buffer_.data() + line_end, size, 16);
    if (error != std::errc() || rest == begin) return Result::kBad;
    if (size > kMaxBody - chunked_body_.size()) return Result::kTooLarge;
    if (size == 0) {
      // No client of ours sends trailers: the blank line follows at once.
      if (buffer_.size() < line_end + 4) return Result::kNeedMore;
      consumed = line_end + 4;
      return Result::kRequest;
    }
    if (buffer_.size() < line_end + 2 + size + 2) return Result::kNeedMore;
    chunked_body_.append(buffer_, line_end + 2, size);
    chunk_position_ = line_end + 2 + size + 2;
  }
}

RequestParser::Result RequestParser::next(HttpRequest& request) {
  if (!head_done_) {
    const std::size_t end = buffer_.find("\r\n\r\n", scanned_);
    if (end == std::string::npos) {
      scanned_ = buffer_.size() < 3 ? 0 : buffer_.size() - 3;
      return buffer_.size() > kMaxHead ? Result::kBad : Result::kNeedMore;
    }
    const Result result = parse_head(end);
    if (result != Result::kRequest) return result;
    head_done_ = true;
    body_start_ = end + 4;
    chunk_position_ = body_start_;
    chunked_body_.clear();
  }
  std::size_t consumed = 0;
  if (chunked_) {
    const Result result = parse_chunked(consumed);
    if (result != Result::kRequest) return result;
    pending_.body = std::move(chunked_body_);
    chunked_body_ = {};
  } else {
    consumed = body_start_ + content_length_;
    if (buffer_.size() < consumed) return Result::kNeedMore;
    pending_.body.assign(buffer_, body_start_, content_length_);
  }
  request = std::move(pending_);
  buffer_.erase(0, consumed);
  head_done_ = false;
  scanned_ = 0;
  return Result::kRequest;
}

}  // namespace twinchat::testing
