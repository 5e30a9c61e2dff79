#include "gemini/response.h"

#include <utility>

#include "gemini/content_json.h"
#include "gemini/upstream_error.h"

namespace twinchat::gemini {
namespace {

void overwrite(std::int64_t& value, const Json& usage, const char* name) {
  if (field(usage, name).is_number()) value = int_field(usage, name);
}

void overwrite(std::string& value, const Json& object, const char* name) {
  if (field(object, name).is_string()) value = string_field(object, name);
}

}  // namespace

AnswerBuilder::Added AnswerBuilder::add(std::string_view json) {
  Added added;
  if (json == "[DONE]") {
    added.parsed = true;
    return added;
  }
  const auto piece = parse_json(json);
  if (!piece || !(piece->is_object() || piece->is_array())) return added;
  added.parsed = true;
  if (piece->is_array()) {
    for (const Json& object : *piece) add_object(object, added);
  } else {
    add_object(*piece, added);
  }
  return added;
}

void AnswerBuilder::add_object(const Json& object, Added& added) {
  if (added.error) return;
  if (!field(object, "error").is_null()) {
    added.error = upstream_error(object, 0, model_);
    return;
  }
  // The numbers of a stream are running totals.
  const Json& usage = field(object, "usageMetadata");
  overwrite(answer_.usage.prompt_tokens, usage, "promptTokenCount");
  overwrite(answer_.usage.cached_tokens, usage, "cachedContentTokenCount");
  overwrite(answer_.usage.output_tokens, usage, "candidatesTokenCount");
  overwrite(answer_.usage.thought_tokens, usage, "thoughtsTokenCount");
  overwrite(answer_.usage.total_tokens, usage, "totalTokenCount");
  overwrite(answer_.model_version, object, "modelVersion");
  overwrite(answer_.response_id, object, "responseId");
  overwrite(answer_.block_reason, field(object, "promptFeedback"), "blockReason");
  overwrite(model_stage_, field(object, "modelStatus"), "modelStage");

  const Json& candidates = field(object, "candidates");
  if (!candidates.is_array() || candidates.empty()) return;
  const Json& candidate = candidates.front();
  // A reason is not the end: some servers send it early or with every piece. The last one holds,
  // but "unspecified" is no reason.
  const std::string reason = string_field(candidate, "finishReason");
  if (finish_reason_from(reason) != FinishReason::kNone || answer_.finish_reason_raw.empty()) {
    answer_.finish_reason_raw = reason;
  }
  const Json& parts = field(field(candidate, "content"), "parts");
  if (!parts.is_array()) return;
  for (const Json& json : parts) {
    Part part = part_from_json(json);
    if (part == Part{}) continue;
    if (part.text && !part.thought) {
      added.text += *part.text;
      has_text_ = has_text_ || !part.text->empty();
    }
    append_part(answer_.content.parts, std::move(part));
  }
}

ModelAnswer AnswerBuilder::take() {
  answer_.model = model_;
  answer_.content.role = Role::kModel;
  answer_.content.model = model_;
  answer_.finish_reason = finish_reason_from(answer_.finish_reason_raw);
  return std::move(answer_);
}

}  // namespace twinchat::gemini
