#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "twinchat/session.h"

namespace twinchat::server {

// Backups of whatever database a URL names: SQLite by the library, PostgreSQL by its own tools.
//
// Errors are the library's Error, kUnimplemented for a database in memory.

// A backup that was made, or looked at.
struct BackupReport {
  std::filesystem::path file = {};
  // What is in it, in a line: "4 sessions, 17 messages, ...".
  std::string contents = {};
  // What does not fit together in it, a line each; a backup all the same.
  std::vector<std::string> problems = {};
  // Older ones that went.
  std::vector<std::filesystem::path> removed = {};
};

struct BackupOptions {
  // A file that is not there yet; or a folder, where the backup is named by the time.
  std::filesystem::path target = {};
  // Take the target for a folder also when it is not there yet.
  bool into_folder = false;
  // How many to keep in the folder; nullopt for all.
  std::optional<std::size_t> keep = {};
  std::stop_token stop = {};
};

// Makes a backup, verified and on disk when it returns. The database may be in use.
BackupReport back_up(const std::string& database_url, const BackupOptions& options, Timestamp now);

// Looks through a backup, or through a SQLite database: which of the two kinds it is, the file
// says.
BackupReport verify_backup(const std::filesystem::path& file);

// Puts the backup in the place of the database, which nobody may be using. Returns where what was
// replaced is kept: beside a SQLite file; of PostgreSQL, a dump beside the backup. Empty when there
// was nothing.
std::filesystem::path restore_backup(const std::filesystem::path& backup,
                                     const std::string& database_url, Timestamp now);

// Gives way to everybody else, from now on and for this thread alone, on the processors and, where
// the disk's scheduler knows priorities, on the disk.
void give_way() noexcept;

}  // namespace twinchat::server
