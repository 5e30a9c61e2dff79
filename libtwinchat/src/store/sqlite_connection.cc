#include "store/sqlite_connection.h"

// The only file that reaches below SQLiteCpp: it has no name for the result codes, and no function
// for the two states asked for here.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>

#include "store/sqlite_time.h"

namespace twinchat::sqlite {
namespace {

struct Meaning {
  ErrorCode code;
  bool retryable;
  const char* sentence;
};

Meaning meaning_of(int primary_code) noexcept {
  switch (primary_code) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return {ErrorCode::kUnavailable, true, "The database is locked by another program."};
    case SQLITE_FULL:
      return {ErrorCode::kUnavailable, true, "The database cannot be written: the disk is full."};
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return {ErrorCode::kUnavailable, true, "The database cannot be written."};
    case SQLITE_CANTOPEN:
      return {ErrorCode::kUnavailable, true, "The database cannot be opened."};
    case SQLITE_IOERR:
    case SQLITE_NOLFS:
      return {ErrorCode::kUnavailable, true, "The database cannot be read or written now."};
    case SQLITE_NOMEM:
    case SQLITE_INTERRUPT:
    case SQLITE_ABORT:
    case SQLITE_SCHEMA:
      return {ErrorCode::kUnavailable, true, "The database could not do this now."};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return {ErrorCode::kDataLoss, false, "The database is damaged or is no SQLite database."};
    case SQLITE_TOOBIG:
      return {ErrorCode::kInvalidArgument, false, "The text is too large to be stored."};
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
      return {ErrorCode::kFailedPrecondition, false,
              "The database has a rule that does not allow this."};
    default:
      return {ErrorCode::kInternal, false, "The database failed in an unexpected way."};
  }
}

int primary_code(const SQLite::Exception& exception) noexcept {
  return exception.getErrorCode() < 0 ? SQLITE_ERROR : exception.getErrorCode() & 0xff;
}

int open_flags(Connection::Access access) noexcept {
  switch (access) {
    case Connection::Access::kRead:
      return SQLite::OPEN_READONLY | SQLite::OPEN_NOMUTEX;
    case Connection::Access::kWrite:
      return SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX;
    case Connection::Access::kCreate:
      break;
  }
  return SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_NOMUTEX;
}

// Whether the disk gives what it holds at the beginning of the file.
bool can_be_read(const std::filesystem::path& file) noexcept {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char byte = 0;
  const bool read = ::pread(fd, &byte, 1, 0) >= 0;
  ::close(fd);
  return read;
}

}  // namespace

Error to_error(const SQLite::Exception& exception, const std::filesystem::path& file) {
  int primary = primary_code(exception);
  if (primary == SQLITE_CORRUPT && !can_be_read(file)) primary = SQLITE_IOERR;
  const Meaning meaning = meaning_of(primary);
  // SQLite's own message can quote what was stored; the text for the code cannot.
  ErrorDetails details;
  details.retryable = meaning.retryable;
  details.diagnostic = "SQLite result " + std::to_string(exception.getExtendedErrorCode()) + ": " +
                       ::sqlite3_errstr(exception.getExtendedErrorCode());
  return Error(meaning.code, meaning.sentence, std::move(details));
}

bool is_lost(const SQLite::Exception& exception) noexcept {
  switch (primary_code(exception)) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_INTERRUPT:
      return false;
    default:
      return true;
  }
}

bool is_busy(const SQLite::Exception& exception) noexcept {
  return primary_code(exception) == SQLITE_BUSY;
}

bool is_damage(const SQLite::Exception& exception) noexcept {
  return primary_code(exception) == SQLITE_CORRUPT;
}

bool needs_recovery(const SQLite::Exception& exception) noexcept {
  return primary_code(exception) == SQLITE_READONLY;
}

bool has_wal_reset_fault(int version_number) noexcept {
  const bool mended = (version_number >= 3'044'006 && version_number < 3'045'000) ||
                      (version_number >= 3'050'007 && version_number < 3'051'000) ||
                      version_number >= 3'051'003;
  return version_number >= 3'007'000 && !mended;
}

std::string sqlite_version() {
  return sqlite3_libversion();
}

std::optional<FileId> file_id(const std::filesystem::path& path) noexcept {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return std::nullopt;
  return FileId{static_cast<std::uint64_t>(found.st_dev), static_cast<std::uint64_t>(found.st_ino)};
}

std::filesystem::path log_of(const std::filesystem::path& file) {
  return file.string() + "-wal";
}

Connection::Connection(const std::filesystem::path& file, Access access,
                       std::chrono::milliseconds busy_timeout)
    : file_(file),
      database_(file.string(), open_flags(access), static_cast<int>(busy_timeout.count())) {
  // trusted_schema stays on: without it SQLite refuses the JSON_VALID() of Django's JSON columns.
  exec("PRAGMA mmap_size=0; PRAGMA foreign_keys=ON");
}

std::string Connection::text(const std::string& sql) {
  SQLite::Statement statement(database_, sql);
  return statement.executeStep() ? statement.getColumn(0).getString() : std::string();
}

std::int64_t Connection::integer(const std::string& sql) {
  SQLite::Statement statement(database_, sql);
  return statement.executeStep() ? statement.getColumn(0).getInt64() : 0;
}

SQLite::Statement& Connection::prepared(const char* sql) {
  for (auto& [key, statement] : statements_) {
    if (key == sql) return *statement;
  }
  statements_.emplace_back(sql, std::make_unique<SQLite::Statement>(database_, sql));
  return *statements_.back().second;
}

bool Connection::in_transaction() const noexcept {
  return ::sqlite3_get_autocommit(database_.getHandle()) == 0;
}

bool Connection::database_moved() const noexcept {
  int moved = 0;
  const int result =
      ::sqlite3_file_control(database_.getHandle(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return result == SQLITE_OK && moved != 0;
}

bool Connection::log_moved() const noexcept {
  return log_id_ && file_id(log_of(file_)) != log_id_;
}

void Connection::interrupt() noexcept {
  ::sqlite3_interrupt(database_.getHandle());
}

bool Connection::lock_for_good() {
  // Through SQLite's file, so that what this process has open counts, too; not through a statement,
  // which would want to read a database.
  ::sqlite3_file* file = nullptr;
  int result =
      ::sqlite3_file_control(database_.getHandle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  for (const int lock : {SQLITE_LOCK_SHARED, SQLITE_LOCK_EXCLUSIVE}) {
    if (result == SQLITE_OK) result = file->pMethods->xLock(file, lock);
  }
  if (result != SQLITE_OK && (result & 0xff) != SQLITE_BUSY) {
    throw SQLite::Exception("lock", result);
  }
  return result == SQLITE_OK;
}

void Connection::watch_log() {
  database_id_ = file_id(file_);
  log_id_ = file_id(log_of(file_));
}

Query::~Query() {
  statement_.tryReset();
  statement_.clearBindings();
}

Query& Query::bind(std::int64_t value) {
  statement_.bind(next_++, value);
  return *this;
}

Query& Query::bind(const std::string& value) {
  // The binding takes an int: a longer text would be cut or, worse, read up to its first NUL.
  if (value.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw SQLite::Exception("text too large", SQLITE_TOOBIG);
  }
  statement_.bindNoCopy(next_++, value);
  return *this;
}

Query& Query::bind(const std::optional<std::string>& value) {
  return value ? bind(*value) : bind_null();
}

Query& Query::bind_null() {
  statement_.bind(next_++);
  return *this;
}

Query& Query::restart() {
  statement_.reset();
  next_ = 1;
  return *this;
}

std::optional<std::string> Query::optional_text(int column) const {
  if (is_null(column)) return std::nullopt;
  return text(column);
}

Timestamp Query::time(int column) const {
  if (const std::optional<Timestamp> time = time_from_text(text(column))) return *time;
  throw Error(ErrorCode::kDataLoss, "The database holds a time that cannot be read.");
}

std::optional<Timestamp> Query::optional_time(int column) const {
  if (is_null(column)) return std::nullopt;
  return time(column);
}

}  // namespace twinchat::sqlite
