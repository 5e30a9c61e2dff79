#pragma once

#include <chrono>
#include <filesystem>

namespace twinchat::sqlite {

// What keeps programs of this library from writing to one database at the same moment: a lock
// (flock) on the file FILE-lock, which whoever writes or brings the log into the database holds
// meanwhile. SQLite's own locks let one write while another finishes a checkpoint, which under some
// versions damages the file: see has_wal_reset_fault().
//
// The file is empty, belongs to whom the database belongs to, and stays. Who holds the lock and
// dies lets go of it.
//
// Thread safety: one thread at a time.
class WriteLock {
 public:
  // Of that database, to be waited for so long. Does nothing yet.
  WriteLock(std::filesystem::path database, std::chrono::milliseconds timeout);
  ~WriteLock();
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

  // Waits until it is ours. Throws Error: kUnavailable when somebody holds it for too long, or when
  // there can be no such file.
  void take();
  void release() noexcept;

  // The result of `work`, which runs while it is held.
  template <class F>
  auto holding(F&& work) {
    take();
    const Release release{*this};
    return work();
  }

 private:
  struct Release {
    ~Release() { lock.release(); }
    WriteLock& lock;
  };

  void open();
  void close() noexcept;

  const std::filesystem::path database_;
  const std::chrono::milliseconds timeout_;
  int file_ = -1;
};

}  // namespace twinchat::sqlite
