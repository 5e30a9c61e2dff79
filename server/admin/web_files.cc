#include "admin/web_files.h"

#include <algorithm>
#include <string>

namespace twinchat::server {
namespace {

constexpr std::string_view kPrefix = "/admin/";
constexpr std::string_view kAssets = "assets/";
constexpr std::string_view kIndex = "index.html";

void answer(Call& call, const WebFile& file) {
  const bool forever = file.path.starts_with(kAssets);
  answer_web_file(call, file, forever ? "public, max-age=31536000, immutable" : "no-cache");
}

}  // namespace

void add_web_files(Router& router, std::span<const WebFile> files) {
  const WebFile* const index = find_web_file(files, kIndex);
  if (index == nullptr) return;
  router.add_below(std::string(kPrefix), [files, index](Call& call) {
    std::string_view path = call.path();
    path.remove_prefix(std::min(path.size(), kPrefix.size()));
    if (const WebFile* const file = find_web_file(files, path)) return answer(call, *file);
    if (path.starts_with(kAssets)) throw Refusal(404, {{"detail", "Not found."}});
    answer(call, *index);
  });
}

}  // namespace twinchat::server
