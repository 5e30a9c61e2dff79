#include "web/web_files.h"

namespace twinchat::server {

std::span<const WebFile> admin_files() {
  return {};
}

}  // namespace twinchat::server
