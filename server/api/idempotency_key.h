#pragma once

#include <httplib.h>

#include <optional>
#include <string>

namespace twinchat::server {

// The value of Idempotency-Key, with or without its quotes; nullopt when the request has none.
// Refusal 400 when it is empty, longer than 255 characters or not printable ASCII.
std::optional<std::string> idempotency_key(const httplib::Request& request);

}  // namespace twinchat::server
