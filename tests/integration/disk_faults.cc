// A disk that fails on demand, for a program that knows nothing of it: loaded before the C library
// (LD_PRELOAD), it makes the calls on SQLite's files fail as the first byte of the file named by
// DISK_FAULTS says. disk_test.cc has the meanings. Works for root too, whom no permission stops.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

const volatile char* control = nullptr;

char fault() noexcept {
  return control != nullptr ? *control : '-';
}

// The database, its log and its shared memory; tests name the file so.
bool is_database(const char* path) noexcept {
  return std::strstr(path, "/chat.db") != nullptr;
}

bool is_database(int fd) noexcept {
  char link[64];
  char path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = ::readlink(link, path, sizeof path - 1);
  if (size <= 0) return false;
  path[size] = '\0';
  return is_database(path);
}

template <class Function>
Function* next(const char* name) noexcept {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

// The error that a write meets now, 0 for none.
int write_error(int fd) noexcept {
  const char kind = fault();
  const int error = kind == 'f' ? ENOSPC : kind == 'w' ? EIO : kind == 'o' ? EROFS : 0;
  return error != 0 && is_database(fd) ? error : 0;
}

int fail(int error) noexcept {
  errno = error;
  return -1;
}

ssize_t write_at(int fd, const void* from, size_t size, off64_t at) noexcept {
  static auto* const real = next<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  const int error = write_error(fd);
  // A full disk takes what still fits.
  if (error == ENOSPC && size > 512) return real(fd, from, size / 2, at);
  return error != 0 ? fail(error) : real(fd, from, size, at);
}

ssize_t read_at(int fd, void* to, size_t size, off64_t at) noexcept {
  static auto* const real = next<ssize_t(int, void*, size_t, off64_t)>("pread64");
  return fault() == 'r' && is_database(fd) ? fail(EIO) : real(fd, to, size, at);
}

bool sync_fails(int fd) noexcept {
  return fault() == 's' && is_database(fd);
}

int open_file(const char* name, const char* path, int flags, mode_t mode) noexcept {
  auto* const real = next<int(const char*, int, ...)>(name);
  const bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0;
  return fault() == 'o' && writes && is_database(path) ? fail(EROFS) : real(path, flags, mode);
}

mode_t mode_in(int flags, va_list arguments) noexcept {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

[[gnu::constructor]] void map_control() noexcept {
  const char* const path = std::getenv("DISK_FAULTS");
  if (path == nullptr) return;
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void* const page = ::mmap(nullptr, 1, PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  if (page != MAP_FAILED) control = static_cast<const volatile char*>(page);
}

}  // namespace

extern "C" {

ssize_t pwrite(int fd, const void* from, size_t size, off_t at) {
  return write_at(fd, from, size, at);
}
ssize_t pwrite64(int fd, const void* from, size_t size, off64_t at) {
  return write_at(fd, from, size, at);
}
ssize_t pread(int fd, void* to, size_t size, off_t at) {
  return read_at(fd, to, size, at);
}
ssize_t pread64(int fd, void* to, size_t size, off64_t at) {
  return read_at(fd, to, size, at);
}

int fsync(int fd) {
  static auto* const real = next<int(int)>("fsync");
  return sync_fails(fd) ? fail(EIO) : real(fd);
}
int fdatasync(int fd) {
  static auto* const real = next<int(int)>("fdatasync");
  return sync_fails(fd) ? fail(EIO) : real(fd);
}

int ftruncate(int fd, off_t size) noexcept {
  static auto* const real = next<int(int, off_t)>("ftruncate");
  const int error = write_error(fd);
  return error == EIO || error == EROFS ? fail(error) : real(fd, size);
}
int ftruncate64(int fd, off64_t size) noexcept {
  return ftruncate(fd, size);
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_in(flags, arguments);
  va_end(arguments);
  return open_file("open", path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_in(flags, arguments);
  va_end(arguments);
  return open_file("open64", path, flags, mode);
}

}  // extern "C"
