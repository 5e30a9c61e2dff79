#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gemini/json.h"
#include "twinchat/error.h"
#include "twinchat/model.h"

namespace twinchat::gemini {

// Puts an answer together from the pieces in which it comes: one object, an array of objects, or
// the events of a stream.
//
// Thread safety: none; one for one attempt.
class AnswerBuilder {
 public:
  struct Added {
    std::string text;  // the visible text that came with this piece
    bool parsed = false;
    std::optional<Error> error = {};  // the piece was an error object in place of an answer
  };

  explicit AnswerBuilder(std::string model) : model_(std::move(model)) {
    answer_.finish_reason = FinishReason::kNone;
  }

  // Takes one piece as text. Nothing changes when it is not JSON (parsed is false) or an error.
  // "[DONE]", which some proxies send at the end, counts as parsed and empty.
  Added add(std::string_view json);

  bool has_text() const noexcept { return has_text_; }
  // The lifecycle stage that the service reports for the model ("DEPRECATED"); mostly empty.
  const std::string& model_stage() const noexcept { return model_stage_; }
  // What has come so far. The builder is spent after that.
  ModelAnswer take();

 private:
  void add_object(const Json& object, Added& added);

  std::string model_;
  ModelAnswer answer_;
  std::string model_stage_;
  bool has_text_ = false;
};

}  // namespace twinchat::gemini
