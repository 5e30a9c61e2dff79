#include "pages/web_file.h"

#include <algorithm>
#include <string>

#include "text.h"

namespace twinchat::server {
namespace {

bool takes_gzip(const httplib::Request& request) {
  for (const std::string& coding : split_list(request.get_header_value("Accept-Encoding"), ',')) {
    const std::string_view name = trim(std::string_view(coding).substr(0, coding.find(';')));
    if (ascii_lower(name) != "gzip") continue;
    const std::size_t quality = coding.find("q=");
    // "q=0", "q=0.0": the client refuses it.
    return quality == std::string::npos ||
           coding.find_first_of("123456789", quality) != std::string::npos;
  }
  return false;
}

}  // namespace

const WebFile* find_web_file(std::span<const WebFile> files, std::string_view path) {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const WebFile& file) { return file.path == path; });
  return found != files.end() ? &*found : nullptr;
}

void answer_web_file(Call& call, const WebFile& file, std::string_view cache_control,
                     HeaderList headers) {
  const bool gzip = !file.gzipped.empty() && takes_gzip(call.request());
  std::string etag(file.etag);
  // Two sequences of bytes have two names.
  if (gzip) etag.insert(etag.size() - 1, "-gzip");
  headers.emplace_back("ETag", etag);
  headers.emplace_back("Cache-Control", cache_control);
  if (!file.gzipped.empty()) headers.emplace_back("Vary", "Accept-Encoding");
  if (call.request().get_header_value("If-None-Match").find(etag) != std::string::npos) {
    return call.answer_empty(304, headers);
  }
  if (gzip) headers.emplace_back("Content-Encoding", "gzip");
  call.answer_bytes(200, gzip ? file.gzipped : file.content, std::string(file.type), headers);
}

}  // namespace twinchat::server
