#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "store/postgres_connection.h"

namespace twinchat::postgres {

// A statement that is put together for one use, with its values. It must outlive the Query that it
// is bound to.
//
// Thread safety: none.
class Statement {
 public:
  using Value = std::variant<std::int64_t, std::string, Timestamp, bool, std::vector<std::int64_t>>;

  explicit Statement(std::string_view text) : text_(text) {}

  // More text.
  Statement& add(std::string_view text) {
    text_ += text;
    return *this;
  }
  // The place of a value.
  Statement& value(Value value) {
    values_.push_back(std::move(value));
    text_ += "$" + std::to_string(values_.size());
    return *this;
  }

  const std::string& text() const noexcept { return text_; }

  void bind(Query& query) const {
    for (const Value& value : values_) {
      std::visit([&](const auto& v) { query.bind(v); }, value);
    }
  }

 private:
  std::string text_;
  std::vector<Value> values_;
};

}  // namespace twinchat::postgres
