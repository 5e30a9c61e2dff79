#include "pages/chat_page.h"

#include <string>

namespace twinchat::server {
namespace {

// The script makes its elements itself and its styles by constructable style sheets: the page needs
// no markup from text, no inline style and nothing from elsewhere.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; style-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

void add_file(Router& router, std::span<const WebFile> files, std::string_view name,
              const std::string& path, std::string_view cache_control, HeaderList headers) {
  const WebFile* const file = find_web_file(files, name);
  if (file == nullptr) return;
  router.add("GET", path,
             [=](Call& call) { answer_web_file(call, *file, cache_control, headers); });
}

}  // namespace

void add_chat_page(Router& router, std::span<const WebFile> files, bool page) {
  add_file(router, files, "widget.js", "/widget.js/",
           "public, max-age=600, stale-while-revalidate=86400",
           {{"Cross-Origin-Resource-Policy", "cross-origin"}});
  if (!page) return;
  add_file(router, files, "index.html", "/", "no-cache",
           {{"Content-Security-Policy", std::string(kPolicy)},
            {"Cross-Origin-Resource-Policy", "same-origin"}});
  add_file(router, files, "icon.svg", "/icon.svg/", "public, max-age=86400",
           {{"Cross-Origin-Resource-Policy", "same-origin"}});
}

}  // namespace twinchat::server
