#pragma once

#include <memory>
#include <string>

#include "gemini/request.h"
#include "twinchat/gemini.h"
#include "twinchat/model.h"

namespace twinchat::gemini {

// The body of one call's request, for whichever model it goes to in the end.
//
// A call waits for seconds and there are thousands of them: of a conversation in words, which is
// nearly every one, only the text that is sent is kept, and read back in the rare case that another
// model or the same one without signatures is asked.
//
// Thread safety: none; one for one call.
class RequestBody {
 public:
  // The body for `model`. kInvalidArgument as build_request(). `options` has to outlive this.
  RequestBody(const GenerateRequest& request, const std::string& model,
              const GeminiOptions& options);

  // The body for `model`, without any signatures where asked. The same text as before, not a copy,
  // while neither changes.
  std::shared_ptr<const std::string> text(const std::string& model, bool strip_signatures);

 private:
  RequestShape shape(const std::string& model, bool strip_signatures) const;

  const GeminiOptions& options_;
  const bool is_in_text_;
  GenerateRequest request_;  // its configuration alone where text_ has all else
  std::string model_;
  bool strip_signatures_ = false;
  std::shared_ptr<const std::string> text_;
};

}  // namespace twinchat::gemini
