#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>

namespace twinchat::testing {

// While it exists, SQLite reaches files through it. It keeps account of what was written and what
// of that was synced, so that a power failure can be played at any moment, and it can make syncs
// fail.
//
// Open no database before it is made and close them all before it is destroyed; one at a time.
//
// Thread safety: every function may be called from any thread.
class FaultVfs {
 public:
  FaultVfs();
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  // Syncs that succeeded so far.
  int syncs() const;
  // From now on, whether a sync reports an I/O error and does nothing.
  void fail_syncs(bool fail);

  // Writes to `folder`, under their names, the files as a power failure at this moment might leave
  // them: all that was synced, and of what was written since some sectors of 512 bytes and not
  // others.
  void power_failure(const std::filesystem::path& folder, std::mt19937& random) const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace twinchat::testing
