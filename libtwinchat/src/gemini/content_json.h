#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gemini/json.h"
#include "twinchat/content.h"

namespace twinchat::gemini {

// A Part as the API writes it, and back. Nothing is lost either way: what Part has no field for is
// in extra_json.
Json part_to_json(const Part& part);
Part part_from_json(const Json& json);

// Adds `part` to `parts`, joining it to the last one where both are plain text of one kind: what
// was streamed in pieces becomes one part again. A signed part is never joined to anything.
void append_part(std::vector<Part>& parts, Part part);

// The contents in a list of them as the API writes it; none when it is not a list.
std::vector<Content> contents_from_json(const Json& list);

// Contents as text for a store, and back. An unreadable text gives no contents.
std::string encode_contents(const std::vector<Content>& contents);
std::vector<Content> decode_contents(std::string_view text);

}  // namespace twinchat::gemini
