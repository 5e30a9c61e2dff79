#include "twinchat/version.h"

#include "gemini/curl_loop.h"
#include "store/sqlite_connection.h"
#ifdef TWINCHAT_WITH_POSTGRES
#include "store/postgres_connection.h"
#endif

#define TWINCHAT_STRING_(x) #x
#define TWINCHAT_STRING(x) TWINCHAT_STRING_(x)

namespace twinchat {

const char* version() noexcept {
  return TWINCHAT_STRING(TWINCHAT_VERSION_MAJOR) "." TWINCHAT_STRING(
      TWINCHAT_VERSION_MINOR) "." TWINCHAT_STRING(TWINCHAT_VERSION_PATCH);
}

std::vector<LinkedLibrary> linked_libraries() {
  std::vector<LinkedLibrary> libraries = {{"SQLite", sqlite::sqlite_version()},
                                          {"libcurl", gemini::libcurl_version()}};
#ifdef TWINCHAT_WITH_POSTGRES
  libraries.push_back({"libpq", postgres::libpq_version()});
#endif
  return libraries;
}

}  // namespace twinchat
