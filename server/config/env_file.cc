#include "config/env_file.h"

#include <fmt/format.h>

#include "config/settings_error.h"
#include "text.h"

namespace twinchat::server {
namespace {

bool is_name_char(char c, bool first) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
         (!first && c >= '0' && c <= '9');
}

class EnvParser {
 public:
  EnvParser(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  std::vector<EnvEntry> parse() {
    if (text_.substr(0, 3) == "\xEF\xBB\xBF") position_ = 3;
    if (text_.find('\0') != std::string_view::npos || !is_utf8(text_)) {
      throw SettingsError(fmt::format("{} is not UTF-8 text", file_));
    }
    std::vector<EnvEntry> entries;
    while (!at_end()) {
      skip_blanks();
      if (!at_line_end() && peek() != '#') entries.push_back(entry());
      finish_line();
    }
    return entries;
  }

 private:
  bool at_end() const { return position_ >= text_.size(); }
  char peek() const { return text_[position_]; }
  bool at_line_end() const {
    return at_end() || peek() == '\n' || text_.substr(position_, 2) == "\r\n";
  }
  void skip_blanks() {
    while (!at_end() && (peek() == ' ' || peek() == '\t')) ++position_;
  }
  char take() {
    const char c = text_[position_++];
    if (c == '\n') ++line_;
    return c;
  }
  // Passes over what is left of the line (a comment, if anything).
  void finish_line() {
    while (!at_end() && take() != '\n') {
    }
  }
  [[noreturn]] void fail(int line, std::string_view what) const {
    throw SettingsError(fmt::format("{} line {}: {}", file_, line, what));
  }

  std::string_view name() {
    const std::size_t begin = position_;
    while (!at_end() && is_name_char(peek(), position_ == begin)) ++position_;
    return text_.substr(begin, position_ - begin);
  }

  EnvEntry entry() {
    EnvEntry entry{.name = {}, .value = {}, .line = line_};
    entry.name = name();
    if (entry.name == "export" && !at_end() && (peek() == ' ' || peek() == '\t')) {
      skip_blanks();
      entry.name = name();
    }
    skip_blanks();
    if (entry.name.empty() || at_end() || peek() != '=') fail(line_, "expected NAME=value");
    ++position_;
    skip_blanks();
    if (!at_line_end() && (peek() == '\'' || peek() == '"')) {
      entry.value = quoted(take());
      skip_blanks();
      if (!at_line_end() && peek() != '#') {
        fail(line_, "expected nothing after the closing quote but a comment");
      }
    } else {
      entry.value = unquoted();
    }
    return entry;
  }

  std::string unquoted() {
    const std::size_t begin = position_;
    while (!at_line_end()) {
      const bool after_blank =
          position_ == begin || text_[position_ - 1] == ' ' || text_[position_ - 1] == '\t';
      if (peek() == '#' && after_blank) break;
      ++position_;
    }
    return std::string(trim(text_.substr(begin, position_ - begin)));
  }

  std::string quoted(char quote) {
    const int first_line = line_;
    std::string value;
    while (!at_end()) {
      const char c = take();
      if (c == quote) return value;
      if (c == '\r' && !at_end() && peek() == '\n') continue;
      if (c == '\\' && !at_end()) {
        value += unescaped(take(), quote);
      } else {
        value += c;
      }
    }
    fail(first_line, "the quote is never closed");
  }

  static std::string unescaped(char c, char quote) {
    if (c == '\\' || c == quote) return {c};
    if (quote == '"') {
      if (c == 'n') return "\n";
      if (c == 't') return "\t";
      if (c == 'r') return "\r";
      if (c == '$') return "$";
    }
    return {'\\', c};
  }

  std::string_view text_;
  std::string_view file_;
  std::size_t position_ = 0;
  int line_ = 1;
};

}  // namespace

std::vector<EnvEntry> parse_env_file(std::string_view text, std::string_view file) {
  return EnvParser(text, file).parse();
}

}  // namespace twinchat::server
