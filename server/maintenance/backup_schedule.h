#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "twinchat/backup.h"
#include "twinchat/session.h"

namespace twinchat::server {

struct BackupPlan {
  std::filesystem::path folder = {};
  // Between the beginnings of two backups. What counts are those in the folder, whoever made them:
  // a restart makes none before it is time, and of several servers that share the folder mostly one
  // makes it.
  std::chrono::milliseconds interval{0};
  // How many are kept.
  std::size_t keep = 0;
};

// What is known of backups, for the metrics.
struct BackupStats {
  // When the newest that is in the folder was begun, by whomever.
  std::optional<Timestamp> newest = {};
  // Backups of this server that failed.
  std::uint64_t failures = 0;
};

// Makes backups of a database while it is being served, on a thread of its own that gives way to
// all others. What comes of them goes to the log. One that fails is tried again after a while.
//
// Thread safety: stats() may be called from any thread.
class BackupSchedule {
 public:
  BackupSchedule(std::string database_url, BackupPlan plan);
  // Ends a backup under way; nothing is left of it.
  ~BackupSchedule();
  BackupSchedule(const BackupSchedule&) = delete;
  BackupSchedule& operator=(const BackupSchedule&) = delete;

  BackupStats stats() const;

 private:
  void run(const std::stop_token& stop);
  // How long until the next one is due.
  std::chrono::milliseconds until_due() const;
  bool back_up_now(const std::stop_token& stop);

  const std::string database_url_;
  const BackupPlan plan_;
  const BackupFolder folder_;
  std::atomic<std::uint64_t> failures_{0};
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace twinchat::server
