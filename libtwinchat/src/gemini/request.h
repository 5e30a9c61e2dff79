#pragma once

#include <string>

#include "twinchat/gemini.h"
#include "twinchat/model.h"

namespace twinchat::gemini {

// What shapes the body of a request beside the request itself.
struct RequestShape {
  std::string model;  // the model that is asked: signatures of another are left out
  ModelCapabilities capabilities;
  const GeminiOptions& options;
  bool strip_signatures = false;  // leave out all signatures, after a signature error
};

// The JSON body for generateContent. Thoughts are left out, contents that end up without parts too.
// kInvalidArgument for schemas that are not JSON.
std::string build_request(const GenerateRequest& request, const RequestShape& shape);

}  // namespace twinchat::gemini
