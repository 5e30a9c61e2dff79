#include "maintenance/backup_schedule.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "admin/gate.h"
#include "maintenance/backup.h"
#include "twinchat/error.h"

namespace twinchat::server {
namespace {

using std::chrono::milliseconds;

// After a failure; sooner where backups are wanted more often.
constexpr milliseconds kAgainAfter{std::chrono::minutes(5)};
// The clock may be set while the thread waits.
constexpr milliseconds kLongestSleep{std::chrono::minutes(1)};

}  // namespace

BackupSchedule::BackupSchedule(std::string database_url, BackupPlan plan)
    : database_url_(std::move(database_url)),
      plan_(std::move(plan)),
      folder_(plan_.folder),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

BackupSchedule::~BackupSchedule() {
  thread_.request_stop();
  thread_.join();
}

BackupStats BackupSchedule::stats() const {
  return {folder_.newest(now()), failures_};
}

std::chrono::milliseconds BackupSchedule::until_due() const {
  const std::optional<Timestamp> newest = folder_.newest(now());
  if (!newest) return milliseconds(0);
  return std::chrono::floor<milliseconds>(*newest + plan_.interval - now());
}

void BackupSchedule::run(const std::stop_token& stop) {
  give_way();
  while (!stop.stop_requested()) {
    milliseconds wait = until_due();
    if (wait <= milliseconds(0)) {
      wait = back_up_now(stop) ? until_due() : std::min(plan_.interval, kAgainAfter);
    } else {
      wait = std::min(wait, kLongestSleep);
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, wait, [] { return false; });
  }
}

bool BackupSchedule::back_up_now(const std::stop_token& stop) {
  const auto began = std::chrono::steady_clock::now();
  try {
    const BackupReport made = back_up(
        database_url_,
        {.target = plan_.folder, .into_folder = true, .keep = plan_.keep, .stop = stop}, now());
    const auto took =
        std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - began);
    spdlog::info("backup {}: {}, verified, in {} ms", made.file.string(), made.contents,
                 took.count());
    for (const std::string& problem : made.problems) {
      spdlog::warn("backup {}: {}", made.file.string(), problem);
    }
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled) return false;
    ++failures_;
    const std::string& more = error.details().diagnostic;
    spdlog::error("no backup: {}{}", error.what(), more.empty() ? more : " (" + more + ")");
  } catch (const std::exception& error) {
    ++failures_;
    spdlog::error("no backup: {}", error.what());
  }
  return false;
}

}  // namespace twinchat::server
