#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "twinchat/accounts.h"
#include "twinchat/error.h"
#include "twinchat/records.h"

namespace twinchat {

// What Records decides the same way over every store.

Error changed_meanwhile();
Error no_such_message();
Error no_such_user();
Error no_such_token();
// A user of that name.
Error name_taken();
// kFailedPrecondition for what would leave nobody who may do everything.
Error last_superuser();

// What is remembered under keys of which nothing is.
std::vector<LoginFailures> no_failures(const std::vector<std::string>& keys);

// The sort of the query, or what stands for none.
std::vector<SessionSort> sort_of(const SessionQuery& query);

// The values of a session that sorts compare, byte by byte; numbers with leading zeros.
struct SortKeys {
  std::string updated, created, name, email, messages;
  const std::string& by(SessionOrder order) const;
};

// Whether a row with these values stands before one with those, in that order.
bool stands_before(const std::vector<std::string>& values, std::int64_t id,
                   const std::vector<std::string>& other_values, std::int64_t other_id,
                   const std::vector<SessionSort>& sort);

// A number as text whose order is that of the numbers.
std::string padded(std::int64_t number);

// kInvalidArgument unless first <= last and not more than 366 days.
void check_days(std::chrono::sys_days first, std::chrono::sys_days last);

// How many turns took how many milliseconds.
using Latencies = std::map<std::int64_t, std::int64_t>;

// Counts turns of one status and latency into their day; `usage` is that of all of them. Their
// latency goes to `latencies` when an answer came of them.
void add_turns(DayStatistics& day, TurnStatus status, std::int64_t count, const Usage& usage,
               std::chrono::milliseconds latency, Latencies& latencies);

// Percentiles by nearest rank; nullopt without values.
std::optional<DayStatistics::Latency> percentiles(const Latencies& latencies);

// The figures of days before this one are kept when they have been worked out.
std::chrono::sys_days unsettled_day();

// The figures of a day as text, to be kept.
std::string figures_text(const DayStatistics& day);

// The figures again; nullopt for what figures_text() did not make.
std::optional<DayStatistics> figures_from(std::chrono::sys_days day, const std::string& text);

// Those of the query, or all of which there is a list. kInvalidArgument for others. With feedback
// just those of the query: empty for all.
std::vector<TurnStatus> statuses_of(const TurnQuery& query);

// Whether erase_expired() is to erase it.
bool has_expired(const Session& session, const ExpiredQuery& which);
// The entry with the counts behind its detail.
AuditEntry with_counts(const AuditEntry& audit, const Erased& erased);

// kInvalidArgument unless exactly one is set.
void check_person(const PersonName& person);

}  // namespace twinchat
