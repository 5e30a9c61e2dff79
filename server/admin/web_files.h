#pragma once

#include <span>

#include "api/router.h"
#include "pages/web_file.h"

namespace twinchat::server {

// The files of the page; empty in a build without one. Made by cmake/embed_web.cmake.
std::span<const WebFile> web_files();

// Serves the files below /admin/. What is no file is the page itself, index.html, which knows its
// own addresses; only below assets/ a missing file is 404. Files below assets/ have their content's
// hash in their names and are kept by browsers for good; the others are asked for again each time,
// by their ETag. Adds nothing when there is no index.html.
void add_web_files(Router& router, std::span<const WebFile> files);

}  // namespace twinchat::server
