#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "twinchat/records.h"

namespace twinchat::server {

// For how long sessions are kept after the last message or change of details; 0 days for ever.
struct RetentionRules {
  std::chrono::days chats{0};  // of visitors who cannot be reached
  std::chrono::days leads{0};  // of those who left an e-mail address or a phone number

  bool any() const { return chats.count() > 0 || leads.count() > 0; }
};

// How many sessions there are that these rules would erase now.
struct ExpiredCounts {
  std::int64_t chats = 0;
  std::int64_t leads = 0;
};
ExpiredCounts count_expired(Records& records, const RetentionRules& rules, Timestamp now);

// Erases what has expired at `now`, in steps of a few sessions with a pause behind each; `pause` is
// told how long the step took, and false from it ends the work. Each step is one entry in the audit
// log, like `audit` with the rule and the counts as its detail.
Erased erase_expired(Records& records, const RetentionRules& rules, Timestamp now,
                     const AuditEntry& audit,
                     const std::function<bool(std::chrono::nanoseconds took)>& pause);

// Does so again and again while the server serves, on a thread of its own that gives way to all
// others. Of several servers on one database the one that holds the lease does it.
//
// Thread safety: the constructor and the destructor by one thread.
class RetentionKeeper {
 public:
  RetentionKeeper(std::shared_ptr<Records> records, RetentionRules rules);
  // Ends after the step under way.
  ~RetentionKeeper();
  RetentionKeeper(const RetentionKeeper&) = delete;
  RetentionKeeper& operator=(const RetentionKeeper&) = delete;

 private:
  void run(const std::stop_token& stop);
  void erase_once(const std::stop_token& stop);
  // False when it is to end.
  bool wait(std::chrono::nanoseconds time, const std::stop_token& stop);

  const std::shared_ptr<Records> records_;
  const RetentionRules rules_;
  const std::string name_;  // of this server, for the lease
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace twinchat::server
