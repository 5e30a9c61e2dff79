#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <system_error>

#include "store/backup_name.h"
#include "twinchat/backup.h"
#include "twinchat/error.h"

namespace twinchat {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "twinchat-";
constexpr std::string_view kPartial = ".partial";
// What SQLite may leave beside a database that was being made.
constexpr std::array<const char*, 3> kBeside = {"-wal", "-shm", "-journal"};

[[noreturn]] void fail(const char* what, const fs::path& path, int error) {
  throw Error(ErrorCode::kUnavailable, what,
              {.retryable = true,
               .diagnostic = path.string() + ": " + std::generic_category().message(error)});
}

[[noreturn]] void fail_existing(const fs::path& file) {
  throw Error(ErrorCode::kAlreadyExists, "There is a file of this name already.",
              {.diagnostic = file.string()});
}

// The folder of the file, as something that can be opened.
fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

void sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("The folder cannot be opened.", folder, errno);
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  if (result != 0) fail("The folder cannot be written.", folder, error);
}

// The digits of `text` as a number; -1 when there is anything else.
int number_in(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool digits =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  return error == std::errc() && end == text.data() + text.size() && digits ? number : -1;
}

// The time that a name of ours tells: "twinchat-20261126T163518Z.db" or, for a second one of the
// same second, "twinchat-20261126T163518Z-2.db".
std::optional<Timestamp> time_in(std::string_view name) {
  using namespace std::chrono;
  constexpr std::string_view kForm = "00000000T000000Z";
  if (name.ends_with(".db")) {
    name.remove_suffix(3);
  } else if (name.ends_with(".dump")) {
    name.remove_suffix(5);
  } else {
    return std::nullopt;
  }
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  if (name.size() < kForm.size() || name[8] != 'T' || name[15] != 'Z') return std::nullopt;
  const std::string_view rest = name.substr(kForm.size());
  if (!rest.empty() && (rest[0] != '-' || number_in(rest.substr(1)) < 2)) return std::nullopt;
  const auto part = [&](std::size_t at, std::size_t size) {
    return number_in(name.substr(at, size));
  };
  const year_month_day day(year(part(0, 4)), month(static_cast<unsigned>(part(4, 2))),
                           std::chrono::day(static_cast<unsigned>(part(6, 2))));
  const int hour = part(9, 2);
  const int minute = part(11, 2);
  const int second = part(13, 2);
  if (!day.ok() || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
      second > 59) {
    return std::nullopt;
  }
  return Timestamp(sys_days(day) + hours(hour) + minutes(minute) + seconds(second));
}

void remove_with_what_is_beside(const fs::path& file) {
  std::error_code ignored;
  for (const char* suffix : kBeside) fs::remove(file.string() + suffix, ignored);
  fs::remove(file, ignored);
}

// Removes the partial file when the process that made it is gone.
void remove_if_abandoned(const fs::path& partial) {
  const int fd = ::open(partial.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return;
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) remove_with_what_is_beside(partial);
  ::close(fd);
}

void remove_abandoned(const fs::path& file) {
  remove_if_abandoned(file.string() + std::string(kPartial));
  std::error_code error;
  for (fs::directory_iterator it(folder_of(file), error), end; !error && it != end;
       it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!name.ends_with(kPartial)) continue;
    if (time_in(std::string_view(name).substr(0, name.size() - kPartial.size()))) {
      remove_if_abandoned(it->path());
    }
  }
}

}  // namespace

std::string name_of(Timestamp time) {
  using namespace std::chrono;
  const sys_days day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<seconds>(time) - day);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", int(date.year()), unsigned(date.month()),
                     unsigned(date.day()), clock.hours().count(), clock.minutes().count(),
                     clock.seconds().count());
}

BackupFile::BackupFile(std::filesystem::path file, bool replace)
    : file_(std::move(file)), partial_(file_.string() + std::string(kPartial)), replace_(replace) {
  std::error_code ignored;
  if (!replace_ && fs::exists(fs::symlink_status(file_, ignored))) fail_existing(file_);
  for (;;) {
    remove_abandoned(file_);
    descriptor_ = ::open(partial_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor_ < 0 && errno == EEXIST) fail_existing(partial_);
    if (descriptor_ < 0) fail("The backup cannot be written.", partial_, errno);
    // Another process may have found it without its lock and taken it for abandoned.
    struct stat found {};
    if (::flock(descriptor_, LOCK_EX) == 0 && ::fstat(descriptor_, &found) == 0 &&
        found.st_nlink > 0) {
      return;
    }
    ::close(descriptor_);
  }
}

BackupFile::~BackupFile() {
  if (!complete_) remove_with_what_is_beside(partial_);
  ::close(descriptor_);
}

void BackupFile::sync() {
  if (::fsync(descriptor_) != 0) fail("The backup cannot be written.", partial_, errno);
}

void BackupFile::look_like(const std::filesystem::path& other) {
  struct stat found {};
  if (::stat(other.c_str(), &found) != 0) return;
  // Only root may give a file away; whoever is not has written the other as itself.
  if (::fchown(descriptor_, found.st_uid, found.st_gid) != 0 && errno != EPERM) {
    fail("The file cannot be given to its owner.", partial_, errno);
  }
  if (::fchmod(descriptor_, found.st_mode & 0777) != 0) {
    fail("The file cannot be given its mode.", partial_, errno);
  }
}

void BackupFile::complete() {
  sync();
  int result = ::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, file_.c_str(),
                           replace_ ? 0u : RENAME_NOREPLACE);
  // A file system that cannot promise that.
  if (result != 0 && errno == EINVAL) result = ::rename(partial_.c_str(), file_.c_str());
  if (result != 0 && errno == EEXIST) fail_existing(file_);
  if (result != 0) fail("The backup cannot be given its name.", file_, errno);
  complete_ = true;
  sync_folder(folder_of(file_));
}

BackupFolder::BackupFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

std::filesystem::path BackupFolder::new_name(Timestamp now, const std::string& extension) const {
  std::error_code ignored;
  if (!fs::is_directory(folder_, ignored)) {
    fs::create_directories(folder_.parent_path(), ignored);
    if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) {
      fail("The folder for backups cannot be made.", folder_, errno);
    }
  }
  const std::string name = std::string(kPrefix) + name_of(now);
  for (int n = 1;; ++n) {
    const fs::path file = folder_ / (name + (n == 1 ? "" : fmt::format("-{}", n)) + extension);
    if (!fs::exists(file, ignored) && !fs::exists(file.string() + std::string(kPartial), ignored)) {
      return file;
    }
  }
}

std::vector<BackupFolder::Entry> BackupFolder::entries() const {
  std::vector<Entry> found;
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    const auto begun = time_in(it->path().filename().string());
    std::error_code ignored;
    if (begun && fs::is_regular_file(it->symlink_status(ignored))) {
      found.push_back({it->path(), *begun});
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    fail("The folder for backups cannot be read.", folder_, error.value());
  }
  std::sort(found.begin(), found.end(), [](const Entry& a, const Entry& b) {
    if (a.begun != b.begun) return a.begun > b.begun;
    // "-10" was made after "-9", and both after none.
    const std::string one = a.file.filename().string();
    const std::string other = b.file.filename().string();
    return one.size() != other.size() ? one.size() > other.size() : one > other;
  });
  return found;
}

std::optional<Timestamp> BackupFolder::newest(Timestamp now) const noexcept {
  try {
    for (const Entry& entry : entries()) {
      if (entry.begun <= now) return entry.begun;
    }
  } catch (...) {
    // As if there were none.
  }
  return std::nullopt;
}

std::vector<std::filesystem::path> BackupFolder::keep(std::size_t count, Timestamp now) const {
  std::vector<fs::path> removed;
  std::vector<Entry> all = entries();
  std::erase_if(all, [now](const Entry& entry) { return entry.begun > now; });
  for (std::size_t i = std::max<std::size_t>(count, 1); i < all.size(); ++i) {
    std::error_code error;
    if (!fs::remove(all[i].file, error) && error) {
      fail("An old backup cannot be removed.", all[i].file, error.value());
    }
    removed.push_back(all[i].file);
  }
  return removed;
}

}  // namespace twinchat
