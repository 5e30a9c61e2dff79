#include "maintenance/retention.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "admin/gate.h"
#include "admin/secrets.h"
#include "maintenance/backup.h"
#include "twinchat/error.h"

namespace twinchat::server {
namespace {

// Sessions of one transaction: others want to write in between.
constexpr std::size_t kErasedAtOnce = 25;
// A tenth of the time is work.
constexpr int kPauses = 9;
constexpr std::chrono::minutes kRetentionInterval{60};
constexpr std::chrono::minutes kLease{5};
constexpr std::int64_t kCountedAtMost = 1'000'000'000;
constexpr const char* kLeaseName = "retention";

Timestamp expiry(Timestamp now, std::chrono::days kept) {
  return now - kept;
}

}  // namespace

ExpiredCounts count_expired(Records& records, const RetentionRules& rules, Timestamp now) {
  const auto count = [&](std::chrono::days kept, bool leads) {
    SessionQuery query;
    query.updated.before = expiry(now, kept);
    query.leads_only = leads;
    return records.count_sessions(query, kCountedAtMost);
  };
  ExpiredCounts counts;
  if (rules.leads.count() > 0) counts.leads = count(rules.leads, true);
  if (rules.chats.count() > 0) counts.chats = count(rules.chats, false) - count(rules.chats, true);
  return counts;
}

Erased erase_expired(Records& records, const RetentionRules& rules, Timestamp now,
                     const AuditEntry& audit,
                     const std::function<bool(std::chrono::nanoseconds took)>& pause) {
  using Clock = std::chrono::steady_clock;
  Erased all;
  for (const bool leads : {false, true}) {
    const std::chrono::days kept = leads ? rules.leads : rules.chats;
    if (kept.count() <= 0) continue;
    AuditEntry entry = audit;
    entry.detail = fmt::format("RETENTION_DAYS_{}={}: ", leads ? "LEADS" : "CHATS", kept.count());
    const ExpiredQuery which{.before = expiry(now, kept), .leads = leads, .limit = kErasedAtOnce};
    for (;;) {
      const auto began = Clock::now();
      const Erased step = records.erase_expired(which, entry);
      if (step.sessions == 0) break;
      all.sessions += step.sessions;
      all.messages += step.messages;
      if (!pause(Clock::now() - began)) return all;
    }
  }
  return all;
}

RetentionKeeper::RetentionKeeper(std::shared_ptr<Records> records, RetentionRules rules)
    : records_(std::move(records)),
      rules_(rules),
      name_(random_token()),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

RetentionKeeper::~RetentionKeeper() {
  thread_.request_stop();
  thread_.join();
}

void RetentionKeeper::run(const std::stop_token& stop) {
  give_way();
  std::chrono::minutes pause = kRetentionInterval;
  do {
    try {
      // A server that died with the lease keeps the others waiting no longer than that takes.
      pause = kLease;
      if (!records_->take_lease(kLeaseName, name_, now(), now() + kLease)) continue;
      erase_once(stop);
      records_->take_lease(kLeaseName, name_, now(), now());  // which gives it back
      pause = kRetentionInterval;
    } catch (const Error& error) {
      spdlog::warn("retention: {}", error.what());
    } catch (const std::exception& error) {
      spdlog::warn("retention: {}", error.what());
    }
  } while (wait(pause, stop));
}

void RetentionKeeper::erase_once(const std::stop_token& stop) {
  const AuditEntry audit{0, now(), "", "server", "erase", "session", "", ""};
  const Erased erased =
      server::erase_expired(*records_, rules_, now(), audit, [&](std::chrono::nanoseconds took) {
        return wait(took * kPauses, stop) &&
               records_->take_lease(kLeaseName, name_, now(), now() + kLease);
      });
  if (erased.sessions > 0) {
    spdlog::info("retention: erased {} sessions with {} messages", erased.sessions,
                 erased.messages);
  }
}

bool RetentionKeeper::wait(std::chrono::nanoseconds time, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace twinchat::server
