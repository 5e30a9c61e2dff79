#include "gemini/request_body.h"

#include <algorithm>
#include <utility>

#include "gemini/capabilities.h"

namespace twinchat::gemini {
namespace {

// Whether the body for `model` says all there is: no signature that is left out of it, and nothing
// that is told from other things by more than its JSON.
bool is_whole_in_body(const GenerateRequest& request, const std::string& model) {
  return request.functions.empty() &&
         std::all_of(request.contents.begin(), request.contents.end(), [&](const Content& content) {
           return std::all_of(content.parts.begin(), content.parts.end(), [&](const Part& part) {
             return part.thought || (part.text && part.extra_json.empty() && !part.function_call &&
                                     !part.function_response &&
                                     (part.thought_signature.empty() ||
                                      (content.role == Role::kModel && content.model == model)));
           });
         });
}

}  // namespace

RequestBody::RequestBody(const GenerateRequest& request, const std::string& model,
                         const GeminiOptions& options)
    : options_(options),
      is_in_text_(is_whole_in_body(request, model)),
      request_(is_in_text_ ? GenerateRequest{.config = request.config} : request),
      model_(model),
      text_(std::make_shared<const std::string>(build_request(request, shape(model, false)))) {}

std::shared_ptr<const std::string> RequestBody::text(const std::string& model,
                                                     bool strip_signatures) {
  if (model == model_ && strip_signatures == strip_signatures_) return text_;
  GenerateRequest words;
  if (is_in_text_) {
    words = read_request(*text_, model_);
    words.config = request_.config;
  }
  text_ = std::make_shared<const std::string>(
      build_request(is_in_text_ ? words : request_, shape(model, strip_signatures)));
  model_ = model;
  strip_signatures_ = strip_signatures;
  return text_;
}

RequestShape RequestBody::shape(const std::string& model, bool strip_signatures) const {
  return {.model = model,
          .capabilities = capabilities_of(model, options_.capabilities),
          .options = options_,
          .strip_signatures = strip_signatures};
}

}  // namespace twinchat::gemini
