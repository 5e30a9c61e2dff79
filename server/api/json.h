#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace twinchat::server {

// JSON as the routes read and write it: members stay in the order they were put in.
using Json = nlohmann::ordered_json;

// Compact UTF-8, not \u-escaped. Bytes that are not UTF-8 become U+FFFD.
std::string to_text(const Json& json);

}  // namespace twinchat::server
