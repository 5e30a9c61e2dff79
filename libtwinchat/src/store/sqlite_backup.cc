#include <SQLiteCpp/Backup.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <system_error>

#include "store/backup_name.h"
#include "store/sqlite_connection.h"
#include "store/sqlite_verify.h"
#include "twinchat/backup.h"
#include "twinchat/error.h"

namespace twinchat {
namespace {

namespace fs = std::filesystem;
using sqlite::Connection;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kBusyTimeout{10};
// Written between two waits for the disk: a heap that is left for the end would make every commit
// of the database wait behind it.
constexpr std::size_t kBytesUnsynced = 8u << 20;

// The exceptions of `body` as Errors that say whose fault it was.
template <class F>
auto about(const fs::path& file, F&& body) {
  try {
    return sqlite::translated(file, body);
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorCode::kUnavailable, "The file cannot be read or written.",
                {.retryable = true, .diagnostic = file.string() + ": " + error.code().message()});
  } catch (const Error& error) {
    ErrorDetails details = error.details();
    if (details.diagnostic.find(file.string()) == std::string::npos) {
      details.diagnostic =
          file.string() + (details.diagnostic.empty() ? "" : ": " + details.diagnostic);
    }
    throw Error(error.code(), error.what(), std::move(details));
  }
}

// False when it was stopped.
bool pause(std::chrono::nanoseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

void copy_pages(const fs::path& from, BackupFile& to, const SqliteBackupOptions& options) {
  const auto source = sqlite::open_for_reading(from);
  // The moment that is copied. While this transaction lasts SQLite sees no reason to begin anew.
  source->exec("BEGIN");
  source->integer("SELECT count(*) FROM sqlite_master");
  Connection copy(to.partial(), Connection::Access::kWrite, kBusyTimeout);
  copy.exec("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF");
  const auto page_bytes = static_cast<std::size_t>(source->integer("PRAGMA page_size"));
  const int pages = static_cast<int>(std::clamp<std::size_t>(options.pages_at_once, 1, 1u << 20));
  SQLite::Backup backup(copy.database(), source->database());
  for (std::size_t unsynced = 0;;) {
    const auto began = Clock::now();
    const int result = backup.executeStep(pages);
    if (result != SQLite::OK) {
      if (backup.getRemainingPageCount() == 0) break;
      // Another program locks a file that is not in WAL mode.
      if (!pause(std::chrono::milliseconds(10), options.stop)) throw sqlite::cancelled();
      continue;
    }
    unsynced += static_cast<std::size_t>(pages) * page_bytes;
    if (unsynced >= kBytesUnsynced) {
      to.sync();
      unsynced = 0;
    }
    const auto time = options.considerate ? Clock::now() - began : Clock::duration(0);
    if (!pause(time, options.stop)) throw sqlite::cancelled();
  }
}

// A backup is one file: it needs no log to be read.
void leave_wal_mode(const fs::path& file) {
  Connection copy(file, Connection::Access::kWrite, kBusyTimeout);
  copy.text("PRAGMA locking_mode=EXCLUSIVE");
  copy.exec("PRAGMA synchronous=OFF");
  if (copy.text("PRAGMA journal_mode=DELETE") != "delete") {
    throw Error(ErrorCode::kInternal, "The copy of the database could not be completed.");
  }
}

SqliteReport make_copy(const fs::path& from, BackupFile& to, const SqliteBackupOptions& options) {
  about(from, [&] { copy_pages(from, to, options); });
  return about(to.partial(), [&] {
    leave_wal_mode(to.partial());
    to.sync();
    SqliteReport report = sqlite::verify(*sqlite::open_for_reading(to.partial()), options.stop);
    if (report.damaged) {
      throw Error(ErrorCode::kDataLoss, "The database is damaged.",
                  {.diagnostic = report.problems.front()});
    }
    report.bytes = fs::file_size(to.partial());
    return report;
  });
}

// A second name for the file, where there is one.
void keep_aside(const fs::path& file, const fs::path& aside) {
  if (::link(file.c_str(), aside.c_str()) == 0 || errno == ENOENT) return;
  throw Error(ErrorCode::kUnavailable, "The replaced database cannot be kept.",
              {.retryable = true,
               .diagnostic = aside.string() + ": " + std::generic_category().message(errno)});
}

// SQLite's lock on the file for as long as the connection lives. Throws when somebody has it open.
std::unique_ptr<Connection> take_lock(const fs::path& file) {
  return about(file, [&] {
    auto lock = std::make_unique<Connection>(file, Connection::Access::kWrite, kBusyTimeout);
    if (!lock->lock_for_good()) {
      throw Error(ErrorCode::kFailedPrecondition,
                  "The database is in use: whoever has it open must end first.");
    }
    return lock;
  });
}

// FILE.replaced-TIME, or with a number behind it when that is taken.
fs::path free_name(const fs::path& file, Timestamp now) {
  const std::string name = file.string() + ".replaced-" + name_of(now);
  for (int n = 1;; ++n) {
    const fs::path path = n == 1 ? name : name + "-" + std::to_string(n);
    if (!fs::exists(fs::symlink_status(path))) return path;
  }
}

}  // namespace

SqliteReport verify_sqlite(const std::filesystem::path& file, const std::stop_token& stop) {
  const fs::path absolute = fs::absolute(file);
  return about(absolute, [&] {
    SqliteReport report = sqlite::verify(*sqlite::open_for_reading(absolute), stop);
    report.bytes = fs::file_size(absolute);
    return report;
  });
}

SqliteReport back_up_sqlite(const std::filesystem::path& file, const std::filesystem::path& copy,
                            const SqliteBackupOptions& options) {
  const fs::path from = fs::absolute(file);
  BackupFile to(fs::absolute(copy));
  SqliteReport report = make_copy(from, to, options);
  to.complete();
  return report;
}

RestoredSqlite restore_sqlite(const std::filesystem::path& backup,
                              const std::filesystem::path& file, Timestamp now) {
  const fs::path target = fs::absolute(file);
  const bool exists = about(target, [&] { return fs::exists(target); });
  std::error_code ignored;
  if (exists && fs::equivalent(backup, target, ignored)) {
    throw Error(ErrorCode::kInvalidArgument, "The backup is the database itself.");
  }
  // Told at once, and not after the copying.
  if (exists) take_lock(target);
  BackupFile copy(target, true);
  RestoredSqlite restored;
  restored.report = make_copy(fs::absolute(backup), copy, {.considerate = false});
  if (!exists) {
    copy.complete();
    return restored;
  }
  copy.look_like(target);
  // From here on whoever opens the database waits for us.
  const std::unique_ptr<Connection> lock = take_lock(target);
  about(target, [&] {
    restored.replaced = free_name(target, now);
    for (const char* suffix : {"-wal", "-journal", ""}) {
      keep_aside(target.string() + suffix, restored.replaced.string() + suffix);
    }
    // The new database must never meet the log of the old one: SQLite would play it into the new
    // one. So the log goes first, and what a crash leaves here is the old database without it.
    for (const char* suffix : {"-wal", "-journal", "-shm"}) fs::remove(target.string() + suffix);
    copy.complete();
  });
  return restored;
}

}  // namespace twinchat
