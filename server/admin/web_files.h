#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "api/router.h"

namespace twinchat::server {

// A file of the page, as it was built into the program.
struct WebFile {
  std::string_view path;     // below /admin/, "assets/index-3f0c2a.js"
  std::string_view type;     // Content-Type
  std::string_view etag;     // with its quotes
  std::string_view content;  // the bytes
};

// The files of the page; empty in a build without one. Made by cmake/TwinchatWeb.cmake.
std::span<const WebFile> web_files();

// Serves the files below /admin/. What is no file is the page itself, index.html, which knows its
// own addresses; only below assets/ a missing file is 404. Files below assets/ have their content's
// hash in their names and are kept by browsers for good; the others are asked for again each time,
// by their ETag. Adds nothing when there is no index.html.
void add_web_files(Router& router, std::span<const WebFile> files);

}  // namespace twinchat::server
