#include <string>

#include "twinchat/database.h"
#include "twinchat/error.h"
#include "twinchat/memory_store.h"
#include "twinchat/postgres_store.h"
#include "twinchat/sqlite_store.h"
#include "twinchat/store.h"

namespace twinchat {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The messages never repeat the URL: that of a PostgreSQL database holds a password.
[[noreturn]] void refuse(const char* why) {
  throw Error(ErrorCode::kInvalidArgument, std::string("The database URL is not valid: ") + why);
}

// The path behind "sqlite:///".
std::string file_name(std::string_view text) {
  std::string name;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '?' || c == '#') refuse("a SQLite URL takes no options; write ? as %3F and # as %23.");
    if (c == '%') {
      const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) refuse("% must be followed by two hexadecimal digits.");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') refuse("a file name cannot contain NUL.");
    name += c;
  }
  if (name.empty()) refuse("the file name is missing after sqlite:///.");
  if (name == ":memory:") refuse("a database in memory is written memory:");
  return name;
}

bool is_postgres(std::string_view url) {
  return url.starts_with("postgres://") || url.starts_with("postgresql://");
}

// The file that `url` names.
std::string file_of(std::string_view url) {
  constexpr std::string_view kSqlite = "sqlite:///";
  if (url.starts_with(kSqlite)) return file_name(url.substr(kSqlite.size()));
  if (url.starts_with("sqlite:")) {
    refuse("write sqlite:///relative/path.db or sqlite:////absolute/path.db.");
  }
  refuse("it must begin with sqlite:/// or postgresql://, or be memory:");
}

}  // namespace

Store::~Store() = default;

RateBuckets::~RateBuckets() = default;

void Store::check() {
  find_session({});
}

std::optional<std::filesystem::path> sqlite_file(std::string_view url) {
  if (!url.starts_with("sqlite:")) return std::nullopt;
  return file_of(url);
}

#ifndef TWINCHAT_WITH_POSTGRES
std::shared_ptr<Store> open_postgres_store(std::string_view, const PostgresStoreOptions&) {
  throw Error(ErrorCode::kUnimplemented, "This build has no PostgreSQL support.");
}

Database open_postgres_database(std::string_view url, const PostgresStoreOptions& options) {
  open_postgres_store(url, options);
  return {};
}

PostgresPoolStatistics postgres_pool_statistics(const Store&) {
  return {};
}
#endif

std::shared_ptr<Store> open_store(std::string_view url) {
  if (url == "memory:") return make_memory_store();
  if (is_postgres(url)) return open_postgres_store(url);
  return open_sqlite_store(file_of(url));
}

Database open_database(std::string_view url) {
  if (url == "memory:") return make_memory_database();
  if (is_postgres(url)) return open_postgres_database(url);
  return open_sqlite_database(file_of(url));
}

}  // namespace twinchat
