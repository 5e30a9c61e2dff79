#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace twinchat::gemini {

using Json = nlohmann::json;

// The value that `text` holds, or nullopt when it is not JSON or nests deeper than any answer
// does (nlohmann's copy and dump recurse, so depth is a matter of the stack).
std::optional<Json> parse_json(std::string_view text);

// `value` as text. Never throws: bytes that are not UTF-8 are replaced.
std::string dump_json(const Json& value);

// Appends `text` to `out` as a JSON string, the same as dump_json() would write it.
void append_json_string(std::string& out, std::string_view text);

// Fields of an object; the empty value when it is missing, of another type, or `object` is none.
// A number beyond the ends of an int64 gives that end.
const Json& field(const Json& object, const char* name);
std::string string_field(const Json& object, const char* name);
std::int64_t int_field(const Json& object, const char* name);

}  // namespace twinchat::gemini
