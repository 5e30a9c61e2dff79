#pragma once

#include <string_view>

#include "http_client.h"

namespace twinchat::testing {

// Keeps answers of twinchat-server for the test that compares them with the OpenAPI document
// (tests/openapi): a line of JSON for each, in a file of this process in the folder that the
// environment's TWINCHAT_ANSWERS names. Without it, and for answers of other servers, nothing
// happens.
//
// Thread safety: may be called from any thread.

// Whether answers are kept at all.
bool records_answers();

// Keeps one. `whole`: the body was read to its end.
void record_answer(const RecordedRequest& request, const HttpResponse& response,
                   std::string_view body, bool whole);

}  // namespace twinchat::testing
