#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "gemini_standin/gemini_rules.h"

namespace twinchat::testing {

// One scripted reply; README.md says what each field does. An absent optional means "as by
// default".
struct Reply {
  struct Match {
    std::optional<std::string> method;
    std::optional<std::string> model;
    std::optional<std::string> text_contains;
    std::optional<bool> stream;
  };
  enum class Cut { kFin, kReset };
  enum class ErrorShape { kData, kBare, kArray };

  int times = 1;
  Match match;

  std::optional<int> status;
  nlohmann::json headers = nlohmann::json::object();
  std::optional<std::string> content_type;
  std::optional<int> latency_ms;
  int after_head_ms = 0;
  int chunk_ms = 0;

  std::optional<std::vector<std::string>> chunks;  // `text` is the one-element form
  bool split_text = true;                          // the one element is cut up in a stream
  std::optional<std::string> thought;
  std::optional<nlohmann::json> signature;      // null: none
  std::optional<nlohmann::json> finish_reason;  // null: none
  std::optional<std::string> finish_message;
  bool finish_everywhere = false;
  std::optional<std::string> block_reason;
  std::optional<nlohmann::json> usage;  // null: none
  bool usage_only_last_chunk = false;
  bool final_without_parts = false;

  std::optional<std::vector<nlohmann::json>> events;
  std::optional<nlohmann::json> body;
  std::optional<std::string> raw;

  std::optional<ApiError> error;
  std::optional<std::size_t> error_after_chunks;
  ErrorShape error_shape = ErrorShape::kData;

  std::optional<std::size_t> cut_after_bytes;
  Cut cut = Cut::kFin;
  bool cut_before_head = false;
  std::size_t split = 0;
  std::string line_end = "\r\n";
  bool no_final_blank = false;
  bool comments = false;
  bool bom = false;
  bool done_sentinel = false;
  bool hang = false;
  bool close_idle = false;
};

// Throws std::invalid_argument that names the field, so that a typing error in a test's script is
// an error of that test and not a default answer.
Reply parse_reply(const nlohmann::json& object);

// What a reply is matched against.
struct CallTraits {
  std::string method;  // "generateContent", "streamGenerateContent", "countTokens", "listModels"...
  std::string model;
  std::string last_user_text;
};

// The replies still to come, in order.
//
// Thread safety: none.
class Script {
 public:
  void add(Reply reply) { replies_.push_back(std::move(reply)); }
  void clear() { replies_.clear(); }
  std::size_t size() const { return replies_.size(); }
  // Takes the first reply that fits, once of its `times`; nothing when none fits.
  std::optional<Reply> take(const CallTraits& call);

 private:
  std::deque<Reply> replies_;
};

}  // namespace twinchat::testing
