#include "admin/web_files.h"

#include <algorithm>
#include <string>

namespace twinchat::server {
namespace {

constexpr std::string_view kPrefix = "/admin/";
constexpr std::string_view kAssets = "assets/";
constexpr std::string_view kIndex = "index.html";

const WebFile* find(std::span<const WebFile> files, std::string_view path) {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const WebFile& file) { return file.path == path; });
  return found != files.end() ? &*found : nullptr;
}

void answer(Call& call, const WebFile& file) {
  const bool forever = file.path.starts_with(kAssets);
  const HeaderList headers{
      {"ETag", std::string(file.etag)},
      {"Cache-Control", forever ? "public, max-age=31536000, immutable" : "no-cache"}};
  if (call.request().get_header_value("If-None-Match").find(file.etag) != std::string::npos) {
    return call.answer_empty(304, headers);
  }
  call.answer_bytes(200, file.content, std::string(file.type), headers);
}

}  // namespace

void add_web_files(Router& router, std::span<const WebFile> files) {
  const WebFile* const index = find(files, kIndex);
  if (index == nullptr) return;
  router.add_below(std::string(kPrefix), [files, index](Call& call) {
    std::string_view path = call.path();
    path.remove_prefix(std::min(path.size(), kPrefix.size()));
    if (const WebFile* const file = find(files, path)) return answer(call, *file);
    if (path.starts_with(kAssets)) throw Refusal(404, {{"detail", "Not found."}});
    answer(call, *index);
  });
}

}  // namespace twinchat::server
