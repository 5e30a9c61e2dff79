#include "store/sqlite_write_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "twinchat/error.h"

namespace twinchat::sqlite {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestPause{20};

[[noreturn]] void refuse(const char* sentence, int error) {
  throw Error(ErrorCode::kUnavailable, sentence,
              {.retryable = true,
               .diagnostic = "its lock file: " + std::generic_category().message(error)});
}

}  // namespace

WriteLock::WriteLock(std::filesystem::path database, milliseconds timeout)
    : database_(std::move(database)), timeout_(timeout) {}

WriteLock::~WriteLock() {
  close();
}

void WriteLock::open() {
  // As SQLite makes its own files beside a database: for whom that is for.
  struct stat database {};
  const bool exists = ::stat(database_.c_str(), &database) == 0;
  const mode_t mode = exists ? database.st_mode & 0666 : 0644;
  const std::string path = database_.string() + "-lock";
  // Reading is enough for flock(), whoever made the file.
  file_ = ::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, mode);
  if (file_ < 0 && errno == ENOENT) refuse("The database cannot be opened.", errno);
  if (file_ < 0) refuse("The database cannot be written.", errno);
  if (exists && ::geteuid() == 0) {
    // Where that is not possible the file is root's, and others can read it.
    [[maybe_unused]] const int result = ::fchown(file_, database.st_uid, database.st_gid);
  }
}

void WriteLock::close() noexcept {
  if (file_ >= 0) ::close(std::exchange(file_, -1));
}

void WriteLock::take() {
  const auto deadline = std::chrono::steady_clock::now() + timeout_;
  for (milliseconds pause{1};;) {
    if (file_ < 0) open();
    if (::flock(file_, LOCK_EX | LOCK_NB) == 0) {
      struct stat found {};
      if (::fstat(file_, &found) == 0 && found.st_nlink > 0) return;
      close();  // somebody has removed it: others lock the one that is there now
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) refuse("The database cannot be written.", errno);
    if (std::chrono::steady_clock::now() >= deadline) {
      refuse("The database is locked by another program.", errno);
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
}

void WriteLock::release() noexcept {
  if (file_ >= 0) ::flock(file_, LOCK_UN);
}

}  // namespace twinchat::sqlite
