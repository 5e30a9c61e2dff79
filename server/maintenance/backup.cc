#include "maintenance/backup.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <string_view>

#include "maintenance/postgres_tools.h"
#include "twinchat/backup.h"
#include "twinchat/database.h"
#include "twinchat/error.h"

namespace twinchat::server {
namespace {

namespace fs = std::filesystem;

std::string contents_of(const SqliteReport& report) {
  return fmt::format(
      "{} sessions, {} messages, {} turns, {} users, {} audit entries; schema version {}, {} bytes",
      report.sessions, report.messages, report.turns, report.users, report.audit_entries,
      report.schema_version, report.bytes);
}

std::string contents_of_dump(const fs::path& file) {
  return fmt::format("a dump of PostgreSQL, {} bytes", fs::file_size(file));
}

bool is_dump(const fs::path& file) {
  std::array<char, 5> begin{};
  std::ifstream in(file, std::ios::binary);
  in.read(begin.data(), begin.size());
  return in && std::string_view(begin.data(), begin.size()) == "PGDMP";
}

[[noreturn]] void refuse_memory() {
  throw Error(ErrorCode::kUnimplemented, "A database in memory has no backups.");
}

void make_dump(const std::string& url, const fs::path& file, const std::stop_token& stop) {
  BackupFile made(file);
  dump_postgres(url, made.partial(), stop);
  verify_dump(made.partial(), stop);
  made.complete();
}

}  // namespace

BackupReport back_up(const std::string& database_url, const BackupOptions& options, Timestamp now) {
  const std::optional<fs::path> database = sqlite_file(database_url);
  const bool dump = is_postgres(database_url);
  if (!database && !dump) refuse_memory();
  std::error_code ignored;
  const bool into_folder = options.into_folder || fs::is_directory(options.target, ignored);
  if (options.keep && !into_folder) {
    throw Error(ErrorCode::kInvalidArgument, "Only in a folder old backups can be counted.");
  }
  const BackupFolder folder(options.target);
  BackupReport report;
  report.file = into_folder ? folder.new_name(now, dump ? ".dump" : ".db") : options.target;
  if (dump) {
    make_dump(database_url, report.file, options.stop);
    report.contents = contents_of_dump(report.file);
  } else {
    SqliteReport found = back_up_sqlite(*database, report.file, {.stop = options.stop});
    report.contents = contents_of(found);
    report.problems = std::move(found.problems);
  }
  if (options.keep) report.removed = folder.keep(*options.keep, now);
  return report;
}

BackupReport verify_backup(const std::filesystem::path& file) {
  BackupReport report;
  report.file = file;
  if (is_dump(file)) {
    verify_dump(file);
    report.contents = contents_of_dump(file);
    return report;
  }
  SqliteReport found = verify_sqlite(file);
  report.contents = contents_of(found);
  report.problems = std::move(found.problems);
  return report;
}

std::filesystem::path restore_backup(const std::filesystem::path& backup,
                                     const std::string& database_url, Timestamp now) {
  if (const std::optional<fs::path> database = sqlite_file(database_url)) {
    if (is_dump(backup)) {
      throw Error(ErrorCode::kInvalidArgument,
                  "A dump of PostgreSQL cannot be restored to a SQLite file.");
    }
    return restore_sqlite(backup, *database, now).replaced;
  }
  if (!is_postgres(database_url)) refuse_memory();
  verify_dump(backup);
  const auto check_unused = [&] {
    if (const std::int64_t others = other_connections(database_url); others != 0) {
      throw Error(ErrorCode::kFailedPrecondition,
                  fmt::format("The database is in use: {} others are connected to it. Servers and "
                              "poolers must end first.",
                              others));
    }
  };
  check_unused();
  fs::path replaced;
  if (has_chats(database_url)) {
    const fs::path folder = backup.has_parent_path() ? backup.parent_path() : fs::path(".");
    replaced = BackupFolder(folder).new_name(now, ".dump");
    make_dump(database_url, replaced, {});
  }
  check_unused();
  restore_dump(database_url, backup);
  return replaced;
}

void give_way() noexcept {
  // Linux keeps both for each thread.
  const auto thread = static_cast<id_t>(::syscall(SYS_gettid));
  ::setpriority(PRIO_PROCESS, thread, 10);
  constexpr int kThisThread = 1;
  constexpr int kLowestOfBestEffort = 2 << 13 | 7;
  ::syscall(SYS_ioprio_set, kThisThread, 0, kLowestOfBestEffort);
}

}  // namespace twinchat::server
