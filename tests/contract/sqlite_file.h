#pragma once

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace twinchat::testing {

// Another program's view of a SQLite file, for looking at what a store wrote and for writing what a
// store is to find.
//
// Thread safety: one thread at a time.
class SqliteFile {
 public:
  // Opens the file, or makes it.
  explicit SqliteFile(const std::filesystem::path& file);

  void exec(const std::string& sql) { database_.exec(sql); }
  // The first column of every row.
  std::vector<std::string> rows(const std::string& sql);
  // The first column of the only row.
  std::string value(const std::string& sql) { return rows(sql).at(0); }

 private:
  SQLite::Database database_;
};

// The tables that a Django project makes for the two models.
extern const char* const kDjangoTables;

// What `PRAGMA integrity_check` and `PRAGMA foreign_key_check` object to.
std::vector<std::string> damage(const std::filesystem::path& file);

// All bytes of a file.
std::string bytes_of(const std::filesystem::path& file);
void write_bytes(const std::filesystem::path& file, std::string_view bytes);

// The commits that the write-ahead log beside the file holds.
int commits_in_wal(const std::filesystem::path& file);

}  // namespace twinchat::testing
