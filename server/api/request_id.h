#pragma once

#include <string>
#include <string_view>

namespace twinchat::server {

// The id under which a request is found in the log: `field`, the value of X-Request-Id, when that
// is 1 to 64 letters, digits, dots, underscores and hyphens, else a new random one.
//
// Thread safety: may be called from any thread.
std::string request_id(std::string_view field);

// The trace id of a traceparent field (W3C Trace Context); empty when the field is not well-formed.
//
// Thread safety: a pure function.
std::string trace_id(std::string_view traceparent);

}  // namespace twinchat::server
