#pragma once

#include <string>
#include <string_view>

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

// The instructions and contents of a body that build_request() made for `model`; the answers in it
// count as that model's. The configuration and functions are not read back.
GenerateRequest read_request(std::string_view body, const std::string& model);

}  // namespace twinchat::gemini
