#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "twinchat/export.h"
#include "twinchat/session.h"

namespace twinchat {

// What verify_sqlite() found in a file.
struct SqliteReport {
  int schema_version = 0;     // of the library's own tables; 0 for a file that Django alone made
  std::uint64_t bytes = 0;    // of the file
  std::int64_t sessions = 0;  // rows, as everything below
  std::int64_t messages = 0;  // of visitors and bot
  std::int64_t turns = 0;     // whatever their status
  std::int64_t users = 0;     // of the admin
  std::int64_t audit_entries = 0;  // of the audit log
  // What is wrong, a line each, in words that quote nothing of what is stored; empty when all is
  // well.
  std::vector<std::string> problems = {};
  // Whether the file itself is damaged, and not only rows that do not fit together.
  bool damaged = false;

  // Whether nothing is wrong.
  bool ok() const noexcept { return problems.empty(); }
};

// Looks through the whole file, row by row, and changes nothing: pages and indexes, references, the
// version of the schema, whether each turn's question and answer are where they belong, and whether
// the search index holds the rows that it says it holds. A file that is in use may be looked at,
// too. What another program's tables hold is not judged beyond pages and references.
//
// kNotFound when there is no file, kFailedPrecondition for another program's database or a schema
// from a newer version, kDataLoss for what is no database or too damaged to be looked at.
//
// Blocking: a second or two for every 100 MB. Stopped by `stop`: kCancelled.
TWINCHAT_EXPORT SqliteReport verify_sqlite(const std::filesystem::path& file,
                                           const std::stop_token& stop = {});

// How a backup is made.
struct SqliteBackupOptions {
  // Copied in one piece before there is a pause as long as that took, so that those who are being
  // served get at least half of the disk.
  std::size_t pages_at_once = 64;
  // Off, the copying goes on without pauses.
  bool considerate = true;
  // Ends the work: kCancelled, and nothing is left of it.
  std::stop_token stop = {};
};

// Copies the database `file` as it is at the beginning to `copy`, which must not exist, while
// others, also of other processes, go on reading and writing: what was committed before the call is
// in the copy, what is committed afterwards is not. The log of writes of `file` grows meanwhile by
// what they write. The copy is one file that only its owner can read, and has no log.
//
// The name `copy` appears when all is done: copied, found to be undamaged by verify_sqlite(), and
// on disk. Until then the copy is called COPY.partial; what a process that died has left under that
// name is removed by the next backup into the folder. kAlreadyExists when there is a `copy`,
// kDataLoss when the copy is damaged, which then the database is, too (the report's first problem
// is the diagnostic); otherwise as verify_sqlite().
//
// The file is only read. A database that is not in WAL mode (Django's own) cannot be written by
// others while it is copied.
TWINCHAT_EXPORT SqliteReport back_up_sqlite(const std::filesystem::path& file,
                                            const std::filesystem::path& copy,
                                            const SqliteBackupOptions& options = {});

// A file that gets its name when it is complete: what makes it writes to partial(), and complete()
// gives that file its name. For backups of other databases than SQLite, and for exports.
//
// Thread safety: one thread at a time; any number of processes may use one folder.
class TWINCHAT_EXPORT BackupFile {
 public:
  // Makes the empty partial file, which its owner alone can read. What processes that died left of
  // a backup under the same name, or under a name of BackupFolder's in the same folder, is removed.
  // kAlreadyExists when another process is making such a file or, unless it is to be replaced,
  // there is one; kUnavailable when it cannot be made.
  explicit BackupFile(std::filesystem::path file, bool replace = false);
  // Removes the partial file unless it is complete.
  ~BackupFile();
  BackupFile(const BackupFile&) = delete;
  BackupFile& operator=(const BackupFile&) = delete;

  // FILE.partial, to be written in place: one that is put there anew is not the one that counts.
  const std::filesystem::path& partial() const noexcept { return partial_; }
  // Waits until what was written so far is on disk. kUnavailable.
  void sync();
  // Gives it mode, owner and group of `other`, as far as that is allowed.
  void look_like(const std::filesystem::path& other);
  // When it is on disk, gives it its name. kAlreadyExists, kUnavailable.
  void complete();

 private:
  std::filesystem::path file_;
  std::filesystem::path partial_;
  bool replace_;
  int descriptor_ = -1;  // locked, which says that this process lives
  bool complete_ = false;
};

// Backups in one folder, each named by the time at which it was begun:
// twinchat-20261126T163518Z.db. Only names of that form (and with .dump, for PostgreSQL) count;
// other files are not looked at and never removed.
//
// Thread safety: immutable; the functions may be called from any thread. Several processes may use
// one folder.
class TWINCHAT_EXPORT BackupFolder {
 public:
  // Nothing is touched before it has to be.
  explicit BackupFolder(std::filesystem::path folder);

  // One of the backups.
  struct Entry {
    std::filesystem::path file;  // with the folder
    Timestamp begun;             // as its name says
  };

  // A name for a backup that begins at `now`, free at the moment. Makes the folder, for its owner
  // only, when it is missing. `extension` is ".db" or ".dump".
  std::filesystem::path new_name(Timestamp now, const std::string& extension) const;
  // All of them, newest first; empty when there is no folder. kUnavailable when it cannot be read.
  std::vector<Entry> entries() const;
  // When the newest was begun; nullopt when there is none, or the folder cannot be read. One whose
  // name tells a time after `now` was named by a clock that was wrong, and does not count.
  std::optional<Timestamp> newest(Timestamp now = Timestamp::max()) const noexcept;
  // Removes all but the newest `count`, at least one; returns what was removed. Those of a time
  // after `now` are not counted and stay.
  std::vector<std::filesystem::path> keep(std::size_t count,
                                          Timestamp now = Timestamp::max()) const;

 private:
  std::filesystem::path folder_;
};

// What restore_sqlite() did.
struct RestoredSqlite {
  SqliteReport report;  // of the backup
  // Where the replaced database is now, with its log beside it; empty when there was none.
  std::filesystem::path replaced;
};

// Puts a copy of `backup` in the place of the database `file`. The copy is verified before it takes
// the place, so that a damaged backup changes nothing: kDataLoss. The replaced database is kept
// beside it as FILE.replaced-TIME, with the log that belongs to it, which so cannot be taken for
// the new one's. It may be damaged.
//
// kFailedPrecondition, and nothing changed, while any process has `file` open as a database in WAL
// mode, as every Store does: SQLite's own lock on the file says so. Whoever comes while the files
// change place waits for that lock.
TWINCHAT_EXPORT RestoredSqlite restore_sqlite(const std::filesystem::path& backup,
                                              const std::filesystem::path& file, Timestamp now);

}  // namespace twinchat
