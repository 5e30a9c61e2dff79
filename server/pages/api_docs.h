#pragma once

#include <span>

#include "api/router.h"
#include "pages/web_file.h"

namespace twinchat::server {

// The OpenAPI document, server/openapi/openapi.json, alone; in every build. Made by
// cmake/embed_web.cmake.
std::span<const WebFile> openapi_files();

// The files of the page that shows it; empty in a build without one. Made likewise.
std::span<const WebFile> docs_page_files();

// Serves the document at /api/openapi.json, and the page at /api/docs/ when there is one: what
// below it is no file of it is 404. Both are asked for again each time, by their ETag; the page's
// files below assets/ have their content's hash in their names and are kept for good.
void add_api_docs(Router& router, std::span<const WebFile> document, std::span<const WebFile> page);

}  // namespace twinchat::server
