#include "gemini/sse.h"

#include <utility>

namespace twinchat::gemini {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

SseParser::SseParser(std::size_t max_bytes, OnEvent on_event)
    : max_bytes_(max_bytes), on_event_(std::move(on_event)) {}

void SseParser::feed(std::string_view bytes) {
  while (!bytes.empty() && !too_large_) {
    if (in_body_) {
      take_line_bytes(bytes);
      return;
    }
    if (skip_lf_) {
      skip_lf_ = false;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    take_line_bytes(bytes.substr(0, end));
    if (end == std::string_view::npos || too_large_) return;
    if (in_body_) {
      bytes.remove_prefix(end);  // a body keeps its line ends
      continue;
    }
    skip_lf_ = bytes[end] == '\r';
    end_line();
    bytes.remove_prefix(end + 1);
  }
}

void SseParser::take_line_bytes(std::string_view bytes) {
  if (in_body_) {
    body_ += bytes;
    too_large_ = body_.size() > max_bytes_;
    return;
  }
  line_ += bytes;
  if (at_start_) {
    if (line_.starts_with(kByteOrderMark)) {
      line_.erase(0, kByteOrderMark.size());
      at_start_ = false;
    } else if (!kByteOrderMark.starts_with(line_)) {
      at_start_ = false;
    }
  }
  if (!has_data_ && !line_.empty() && (line_.front() == '{' || line_.front() == '[')) {
    in_body_ = true;
    body_ = std::exchange(line_, {});
  }
  too_large_ = line_.size() + data_.size() > max_bytes_ || body_.size() > max_bytes_;
}

void SseParser::end_line() {
  at_start_ = false;
  if (line_.empty()) {
    dispatch(true);
    return;
  }
  const std::string_view line = line_;
  if (line.starts_with("data") && (line.size() == 4 || line[4] == ':')) {
    std::string_view value = line.size() > 5 ? line.substr(5) : std::string_view{};
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  }
  line_.clear();
}

void SseParser::dispatch(bool complete) {
  if (!has_data_) return;
  has_data_ = false;
  const std::string data = std::exchange(data_, {});
  // Empty data is no event, says the standard; some proxies keep a connection alive with it.
  if (!data.empty()) on_event_(data, complete);
}

void SseParser::finish() {
  if (too_large_ || in_body_) return;
  if (!line_.empty()) end_line();
  dispatch(false);
}

}  // namespace twinchat::gemini
