#include "fault_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "sqlite_file.h"

namespace twinchat::testing {
namespace {

constexpr std::size_t kSector = 512;

struct Change {
  std::size_t offset = 0;
  std::string bytes;
  bool truncate = false;  // to `offset`
};

struct Disk {
  std::string synced;
  std::vector<Change> unsynced;
};

void put(std::string& image, std::size_t offset, const char* bytes, std::size_t size) {
  if (image.size() < offset + size) image.resize(offset + size);
  std::memcpy(image.data() + offset, bytes, size);
}

}  // namespace

struct FaultVfs::State {
  sqlite3_vfs* real = nullptr;
  sqlite3_vfs vfs{};
  mutable std::mutex mutex;
  std::map<std::string, Disk> disks;  // guarded by mutex
  int syncs = 0;                      // guarded by mutex
  bool fail = false;                  // guarded by mutex
};

namespace {

FaultVfs::State* state_of(sqlite3_vfs* vfs) {
  return static_cast<FaultVfs::State*>(vfs->pAppData);
}

// The real file lies behind it in the memory that SQLite gives.
struct File {
  sqlite3_file base;
  FaultVfs::State* state;
  const char* path;  // lives as long as the file is open; null for temporary files
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

File* file_of(sqlite3_file* file) {
  return reinterpret_cast<File*>(file);
}

sqlite3_file* real(sqlite3_file* file) {
  return file_of(file)->real();
}

int on_close(sqlite3_file* file) noexcept {
  return real(file)->pMethods->xClose(real(file));
}

int on_read(sqlite3_file* file, void* to, int size, sqlite3_int64 at) noexcept {
  return real(file)->pMethods->xRead(real(file), to, size, at);
}

int on_write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) noexcept {
  FaultVfs::State& state = *file_of(file)->state;
  std::lock_guard lock(state.mutex);
  const int result = real(file)->pMethods->xWrite(real(file), from, size, at);
  if (result == SQLITE_OK && file_of(file)->path != nullptr) {
    state.disks[file_of(file)->path].unsynced.push_back(
        {static_cast<std::size_t>(at),
         std::string(static_cast<const char*>(from), static_cast<std::size_t>(size))});
  }
  return result;
}

int on_truncate(sqlite3_file* file, sqlite3_int64 size) noexcept {
  FaultVfs::State& state = *file_of(file)->state;
  std::lock_guard lock(state.mutex);
  const int result = real(file)->pMethods->xTruncate(real(file), size);
  if (result == SQLITE_OK && file_of(file)->path != nullptr) {
    state.disks[file_of(file)->path].unsynced.push_back({static_cast<std::size_t>(size), {}, true});
  }
  return result;
}

// The real sync is left out: what counts here is the account, and the tests are faster.
int on_sync(sqlite3_file* file, int) noexcept {
  FaultVfs::State& state = *file_of(file)->state;
  std::lock_guard lock(state.mutex);
  if (state.fail) return SQLITE_IOERR_FSYNC;
  ++state.syncs;
  if (file_of(file)->path == nullptr) return SQLITE_OK;
  Disk& disk = state.disks[file_of(file)->path];
  for (const Change& change : disk.unsynced) {
    if (change.truncate) {
      disk.synced.resize(std::min(disk.synced.size(), change.offset));
    } else {
      put(disk.synced, change.offset, change.bytes.data(), change.bytes.size());
    }
  }
  disk.unsynced.clear();
  return SQLITE_OK;
}

int on_size(sqlite3_file* file, sqlite3_int64* size) noexcept {
  return real(file)->pMethods->xFileSize(real(file), size);
}
int on_lock(sqlite3_file* file, int level) noexcept {
  return real(file)->pMethods->xLock(real(file), level);
}
int on_unlock(sqlite3_file* file, int level) noexcept {
  return real(file)->pMethods->xUnlock(real(file), level);
}
int on_check_lock(sqlite3_file* file, int* out) noexcept {
  return real(file)->pMethods->xCheckReservedLock(real(file), out);
}
int on_control(sqlite3_file* file, int op, void* arg) noexcept {
  return real(file)->pMethods->xFileControl(real(file), op, arg);
}
int on_sector_size(sqlite3_file*) noexcept {
  return static_cast<int>(kSector);
}
// No promises: sectors may tear and come in any order.
int on_characteristics(sqlite3_file*) noexcept {
  return 0;
}
int on_shm_map(sqlite3_file* file, int page, int size, int extend, void volatile** out) noexcept {
  return real(file)->pMethods->xShmMap(real(file), page, size, extend, out);
}
int on_shm_lock(sqlite3_file* file, int offset, int n, int flags) noexcept {
  return real(file)->pMethods->xShmLock(real(file), offset, n, flags);
}
void on_shm_barrier(sqlite3_file* file) noexcept {
  real(file)->pMethods->xShmBarrier(real(file));
}
int on_shm_unmap(sqlite3_file* file, int remove) noexcept {
  return real(file)->pMethods->xShmUnmap(real(file), remove);
}

constexpr sqlite3_io_methods kMethods{2,
                                      on_close,
                                      on_read,
                                      on_write,
                                      on_truncate,
                                      on_sync,
                                      on_size,
                                      on_lock,
                                      on_unlock,
                                      on_check_lock,
                                      on_control,
                                      on_sector_size,
                                      on_characteristics,
                                      on_shm_map,
                                      on_shm_lock,
                                      on_shm_barrier,
                                      on_shm_unmap,
                                      nullptr,
                                      nullptr};

int on_open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) noexcept {
  FaultVfs::State* state = state_of(vfs);
  file->pMethods = nullptr;
  file_of(file)->state = state;
  file_of(file)->path = name;
  const int result = state->real->xOpen(state->real, name, real(file), flags, out);
  if (real(file)->pMethods != nullptr) file->pMethods = &kMethods;
  return result;
}

int on_delete(sqlite3_vfs* vfs, const char* name, int sync_folder) noexcept {
  FaultVfs::State* state = state_of(vfs);
  std::lock_guard lock(state->mutex);
  state->disks.erase(name);
  return state->real->xDelete(state->real, name, sync_folder);
}

}  // namespace

FaultVfs::FaultVfs() : state_(std::make_unique<State>()) {
  state_->real = ::sqlite3_vfs_find(nullptr);
  state_->vfs = *state_->real;
  state_->vfs.zName = "fault";
  state_->vfs.pNext = nullptr;
  state_->vfs.pAppData = state_.get();
  state_->vfs.szOsFile = static_cast<int>(sizeof(File)) + state_->real->szOsFile;
  state_->vfs.xOpen = on_open;
  state_->vfs.xDelete = on_delete;
  // The others of the real one ignore which vfs they are called with, but for its own data.
  state_->vfs.xAccess = [](sqlite3_vfs* vfs, const char* name, int flags, int* out) noexcept {
    sqlite3_vfs* const real = state_of(vfs)->real;
    return real->xAccess(real, name, flags, out);
  };
  state_->vfs.xFullPathname = [](sqlite3_vfs* vfs, const char* name, int n, char* out) noexcept {
    sqlite3_vfs* const real = state_of(vfs)->real;
    return real->xFullPathname(real, name, n, out);
  };
  ::sqlite3_vfs_register(&state_->vfs, 1);
}

FaultVfs::~FaultVfs() {
  ::sqlite3_vfs_unregister(&state_->vfs);
  ::sqlite3_vfs_register(state_->real, 1);
}

int FaultVfs::syncs() const {
  std::lock_guard lock(state_->mutex);
  return state_->syncs;
}

void FaultVfs::fail_syncs(bool fail) {
  std::lock_guard lock(state_->mutex);
  state_->fail = fail;
}

void FaultVfs::power_failure(const std::filesystem::path& folder, std::mt19937& random) const {
  std::lock_guard lock(state_->mutex);
  for (const auto& [path, disk] : state_->disks) {
    std::string image = disk.synced;
    // From nothing that was not synced to all of it.
    std::bernoulli_distribution arrived(std::uniform_int_distribution<int>(0, 4)(random) / 4.0);
    for (const Change& change : disk.unsynced) {
      if (change.truncate) {
        if (arrived(random)) image.resize(std::min(image.size(), change.offset));
        continue;
      }
      for (std::size_t at = 0; at < change.bytes.size();) {
        const std::size_t size =
            std::min(kSector - (change.offset + at) % kSector, change.bytes.size() - at);
        if (arrived(random)) put(image, change.offset + at, change.bytes.data() + at, size);
        at += size;
      }
    }
    write_bytes(folder / std::filesystem::path(path).filename(), image);
  }
}

}  // namespace twinchat::testing
