#pragma once

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Statement.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "twinchat/error.h"
#include "twinchat/session.h"

namespace twinchat::sqlite {

// The Error for what SQLite reported of `file`: the one table from its result codes to ours.
// SQLite calls it damage when the disk refuses to be read, so the file is touched to tell the two
// apart.
Error to_error(const SQLite::Exception& exception, const std::filesystem::path& file);

// Calls `body` and turns what SQLite throws into an Error.
template <class F>
auto translated(const std::filesystem::path& file, F&& body) {
  try {
    return body();
  } catch (const SQLite::Exception& exception) {
    throw to_error(exception, file);
  }
}

// Whether the connection that reported this is of no further use: the file is gone, damaged or
// cannot be read or written, and what the connection believes of it may be wrong.
bool is_lost(const SQLite::Exception& exception) noexcept;

// Whether another connection's lock was in the way.
bool is_busy(const SQLite::Exception& exception) noexcept;

// Whether what was read makes no sense.
bool is_damage(const SQLite::Exception& exception) noexcept;

// Whether the file has to be written before it can be read: another program died in the middle of a
// transaction and its journal has to be rolled back.
bool needs_recovery(const SQLite::Exception& exception) noexcept;

// Whether two connections that write and checkpoint at the same time can damage a file under this
// version of SQLite (the "WAL-reset" fault of 3.7.0 to 3.51.2, mended in 3.44.6 and 3.50.7 too).
bool has_wal_reset_fault(int version_number) noexcept;

// Of the SQLite that is loaded, "3.40.1".
std::string sqlite_version();

// Which file a path leads to; nothing when it leads nowhere.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  friend bool operator==(const FileId&, const FileId&) = default;
};
std::optional<FileId> file_id(const std::filesystem::path& path) noexcept;

// The log of writes that SQLite keeps beside a database.
std::filesystem::path log_of(const std::filesystem::path& file);

// An open database with its prepared statements.
//
// Thread safety: one thread at a time.
class Connection {
 public:
  enum class Access { kRead, kWrite, kCreate };

  // Throws SQLite::Exception, as everything here does. The lock timeout is set before anything
  // else.
  Connection(const std::filesystem::path& file, Access access,
             std::chrono::milliseconds busy_timeout);

  SQLite::Database& database() noexcept { return database_; }

  // Runs statements that give no rows and need no parameters.
  void exec(const char* sql) { database_.exec(sql); }
  // The first column of the first row; empty when there is none.
  std::string text(const std::string& sql);
  std::int64_t integer(const std::string& sql);

  // The statement for that text, prepared once. The address is the key: `sql` is a named constant.
  SQLite::Statement& prepared(const char* sql);

  // Whether a transaction is open. SQLite ends one by itself after some errors.
  bool in_transaction() const noexcept;
  // Whether the file was renamed, removed or replaced since it was opened; once watch_log() was
  // called, whether this happened to its log. What is written then is lost as soon as the process
  // ends.
  bool file_moved() const noexcept { return database_moved() || log_moved(); }
  bool database_moved() const noexcept;
  bool log_moved() const noexcept;

  // Ends the statement that runs now; SQLite reports that it was interrupted. From any thread.
  void interrupt() noexcept;
  // Takes SQLite's own exclusive lock on the file, whatever the file holds, until the connection is
  // closed. Of a connection that has done nothing yet and will do nothing else. False when any
  // other, of this process or another one, has the file open in WAL mode or is in a transaction.
  bool lock_for_good();

  // Remembers which files the database and its log are now. In WAL mode, after a first read.
  void watch_log();
  // As remembered.
  const std::optional<FileId>& database_id() const noexcept { return database_id_; }
  const std::optional<FileId>& log_id() const noexcept { return log_id_; }

 private:
  const std::filesystem::path file_;
  std::optional<FileId> database_id_;
  std::optional<FileId> log_id_;
  SQLite::Database database_;
  std::vector<std::pair<const char*, std::unique_ptr<SQLite::Statement>>> statements_;
};

// One use of a prepared statement: bind in order, step, read. The statement is reset at the end,
// which also ends a read.
//
//   Query query(connection, kFindSession);
//   query.bind(session_id);
//   if (query.step()) ... query.integer(0)
//
// Bound strings are not copied: they must live as long as the Query.
//
// Thread safety: as the Connection's.
class Query {
 public:
  Query(Connection& connection, const char* sql) : statement_(connection.prepared(sql)) {}
  // A statement made for this one use.
  Query(Connection& connection, const std::string& sql)
      : own_(std::make_unique<SQLite::Statement>(connection.database(), sql)), statement_(*own_) {}
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  Query& bind(std::int64_t value);
  Query& bind(const std::string& value);
  Query& bind(std::string&&) = delete;
  Query& bind(const std::optional<std::string>& value);
  Query& bind(std::optional<std::string>&&) = delete;
  Query& bind_null();
  // Back to before the first row, to be bound and run again.
  Query& restart();

  // Whether there is a (further) row.
  bool step() { return statement_.executeStep(); }
  // Runs a statement that gives no rows. Returns how many it changed.
  int run() { return statement_.exec(); }

  // The columns of the row, from 0.
  std::int64_t integer(int column) const { return statement_.getColumn(column).getInt64(); }
  std::string text(int column) const { return statement_.getColumn(column).getString(); }
  std::optional<std::string> optional_text(int column) const;
  bool is_null(int column) const { return statement_.isColumnNull(column); }
  // kDataLoss when the text is no time.
  Timestamp time(int column) const;
  std::optional<Timestamp> optional_time(int column) const;

 private:
  const std::unique_ptr<SQLite::Statement> own_ = nullptr;
  SQLite::Statement& statement_;
  int next_ = 1;
};

}  // namespace twinchat::sqlite
