#pragma once

#include <span>

#include "api/router.h"
#include "pages/web_file.h"

namespace twinchat::server {

// The files of the chat page and the widget; empty in a build without them. Made by
// cmake/embed_web.cmake.
std::span<const WebFile> chat_page_files();

// Serves /widget.js, which pages of any site may load, and, with `page`, the chat page at /. Both
// have names that stay when their content changes: browsers ask again for the page each time, and
// for the script after some minutes. Adds nothing for files that are not there.
void add_chat_page(Router& router, std::span<const WebFile> files, bool page);

}  // namespace twinchat::server
