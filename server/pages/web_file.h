#pragma once

#include <span>
#include <string_view>

#include "api/call.h"

namespace twinchat::server {

// A file of a page, as it was built into the program by cmake/embed_web.cmake.
struct WebFile {
  std::string_view path;          // below the folder that was built, "assets/index-3f0c2a.js"
  std::string_view type;          // Content-Type
  std::string_view etag;          // with its quotes
  std::string_view content;       // the bytes
  std::string_view gzipped = {};  // the same, compressed; empty: nothing is gained by it
};

// The file of that path; null when there is none.
const WebFile* find_web_file(std::span<const WebFile> files, std::string_view path);

// Answers with the file, compressed for those who take that, or with 304 for those who have it
// already. `cache_control` says for how long that is not asked again.
void answer_web_file(Call& call, const WebFile& file, std::string_view cache_control,
                     HeaderList headers = {});

}  // namespace twinchat::server
