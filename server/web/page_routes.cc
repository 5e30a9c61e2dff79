#include "web/page_routes.h"

#include <algorithm>
#include <string>

namespace twinchat::server {
namespace {

constexpr std::string_view kAssets = "assets/";

const WebFile* find(std::span<const WebFile> files, std::string_view path) {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const WebFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

}  // namespace

void PageRoutes::add_to(Router& router) const {
  if (files_.empty()) return;
  router.add("GET", "/admin/**", [this](Call& call) { page(call); });
}

void PageRoutes::page(Call& call) const {
  const bool asset = call.parameter().starts_with(kAssets);
  const WebFile* file = find(files_, asset ? call.parameter() : "index.html");
  HeaderList headers = {{"Content-Security-Policy", std::string(kPagePolicy)},
                        {"Cross-Origin-Resource-Policy", "same-origin"}};
  if (!file) {
    // As after an update: the next one may have it again.
    headers.emplace_back("Cache-Control", "no-store");
    return call.answer(404, {{"detail", "Not found."}}, headers);
  }
  headers.emplace_back("Cache-Control", asset ? "public, max-age=31536000, immutable" : "no-cache");
  headers.emplace_back("ETag", std::string(file->etag));
  if (call.request().get_header_value("If-None-Match") == file->etag) {
    return call.answer_empty(304, headers);
  }
  call.answer_text(200, file->content_type, file->content, headers);
}

}  // namespace twinchat::server
