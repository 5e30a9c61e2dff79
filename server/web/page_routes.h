#pragma once

#include <span>
#include <string_view>

#include "api/router.h"
#include "web/web_files.h"

namespace twinchat::server {

// What a browser may do for a page below /admin/: nothing but talk to this server.
inline constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "object-src 'none'";

// Serves the admin's pages at /admin/. A path that names no file is a place within the page, which
// finds it by itself: index.html. The files under assets/ have their content's hash in their name
// and may be kept for ever; index.html is asked for anew each time.
//
// Thread safety: every function may be called from any number of threads at once.
class PageRoutes {
 public:
  // `files` must live until every answer has been given.
  explicit PageRoutes(std::span<const WebFile> files) : files_(files) {}

  // Puts the routes on the table, unless there are no files. `this` must outlive the router's use.
  void add_to(Router& router) const;

 private:
  void page(Call& call) const;

  const std::span<const WebFile> files_;
};

}  // namespace twinchat::server
