#include "pages/api_docs.h"

#include <algorithm>
#include <string>

namespace twinchat::server {
namespace {

constexpr std::string_view kPage = "/api/docs/";
constexpr std::string_view kAgain = "no-cache";

}  // namespace

void add_api_docs(Router& router, std::span<const WebFile> document,
                  std::span<const WebFile> page) {
  if (const WebFile* const file = find_web_file(document, "openapi.json")) {
    router.add("GET", "/api/openapi.json/",
               [file](Call& call) { answer_web_file(call, *file, kAgain); });
  }
  if (find_web_file(page, "index.html") == nullptr) return;
  router.add_below(std::string(kPage), [page](Call& call) {
    std::string_view path = call.path();
    path.remove_prefix(std::min(path.size(), kPage.size()));
    const WebFile* const file = find_web_file(page, path.empty() ? "index.html" : path);
    if (file == nullptr) throw Refusal(404, {{"detail", "Not found."}});
    answer_web_file(call, *file,
                    path.starts_with("assets/") ? "public, max-age=31536000, immutable" : kAgain);
  });
}

}  // namespace twinchat::server
