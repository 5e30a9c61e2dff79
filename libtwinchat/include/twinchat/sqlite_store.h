#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "twinchat/export.h"
#include "twinchat/store.h"

namespace twinchat {

// How a SQLite file is used.
struct SqliteStoreOptions {
  // How long to wait for another program's lock on the file before kUnavailable.
  std::chrono::milliseconds busy_timeout{10'000};
  // Whether a commit waits for the disk. Off, a power failure may lose the last commits (a crash of
  // the process does not).
  bool durable = true;
  // Connections for reading at most; each keeps up to about 600 KiB.
  std::size_t max_readers = 16;
  // Memory for the past turns of the sessions that are being talked in, in bytes; what does not fit
  // is read from the file again with every message. Twenty turns with answers of a few hundred
  // characters take about 12 KiB.
  std::size_t history_cache_bytes = 64u << 20;
  // Create the file and the tables when they are missing. Off, a missing file is kNotFound and
  // missing tables are kFailedPrecondition: what `check` wants.
  bool create = true;
  // Told in plain words about what an operator should know (an SQLite version with a known fault).
  // Called while the store is being opened, on the opening thread.
  std::function<void(const std::string&)> on_warning = {};
};

// Opens the SQLite file, or makes it.
//
// The tables are those of the Django deployments (chat_chatsession, chat_message), made the same
// way when they are absent; what is the library's own is in tables named twinchat_*. A file that
// Django made is taken as it is, and Django can go on using it. The file is in WAL mode from then
// on, with foreign keys enforced. Missing twinchat_* tables are added by numbered migrations, each
// in a transaction of its own.
//
// kFailedPrecondition for a schema from a newer version or tables that are not ours, kDataLoss for
// a damaged file or one that is no SQLite database: such a file is left exactly as it was.
// kUnavailable when it cannot be opened or written.
//
// A turn that a process left pending when it died is marked interrupted: at once when the process
// is seen to be gone, otherwise (another container, whose processes cannot be seen from here) when
// the turn has expired. Pending turns of processes that live are left alone.
//
// After a failed write the store goes on by itself as soon as the file can be written again. While
// the file is not where it was opened, everything is kUnavailable: nothing is written to a file
// that was removed, and none is made in its place. Another database put there is used from the next
// call on; the log of the former one, if it still lies beside, is renamed to
// FILE-wal.of-replaced-file.
//
// Thread safety: as every Store. All writing goes through one connection; threads that write at the
// same time share a commit. Readers have connections of their own and wait for nobody.
//
// Several programs of this library, such as a server and its commands, may have the file open: a
// lock on the file FILE-lock beside it lets one of them write, or empty the log, at a time. Other
// programs (sqlite3, Django, Litestream) do not know of it; with SQLite 3.7.0 to 3.51.2, but for
// 3.44.6 and 3.50.7, they can damage the file when they write while it is open here.
TWINCHAT_EXPORT std::shared_ptr<Store> open_sqlite_store(const std::filesystem::path& file,
                                                         const SqliteStoreOptions& options = {});

}  // namespace twinchat
