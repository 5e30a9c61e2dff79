#pragma once

#include <span>
#include <string_view>

namespace twinchat::server {

// A file of the built pages, inside the program.
struct WebFile {
  std::string_view path;  // below the pages' folder: "index.html", "assets/index-1a2b3c.js"
  std::string_view content_type;
  std::string_view etag;  // with its quotes
  std::string_view content;
};

// The files of server/web as Vite built them, ordered by path; none when the server was built with
// TWINCHAT_WEB=OFF. They live as long as the program.
//
// Thread safety: may be called from any thread.
std::span<const WebFile> admin_files();

}  // namespace twinchat::server
