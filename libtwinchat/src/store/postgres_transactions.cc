#include "store/postgres_transactions.h"

#include <chrono>
#include <random>
#include <thread>

namespace twinchat::postgres {
namespace {

constexpr int kMostTries = 3;

// Two transactions that were in each other's way are not to meet again.
void pause(int tries) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto most = std::chrono::microseconds(std::chrono::milliseconds(5 << tries)).count();
  std::this_thread::sleep_for(
      std::chrono::microseconds(std::uniform_int_distribution<std::int64_t>(500, most)(random)));
}

}  // namespace

void Transactions::go_on(Tries& tries, const SqlError& error) {
  // A server that has become a standby is as good as lost; others may have taken its place.
  const bool only_reads = error.sqlstate() == "25006";
  if (only_reads) pool_.renew();
  if (error.wants_retry() && tries.repeated < kMostTries) {
    pause(++tries.repeated);
    pool_.count_retry(true);
    return;
  }
  const bool again =
      (error.connection_lost() && !error.timed_out() && !error.is_permanent()) || only_reads;
  if (again && tries.lost < kMostTries) {
    pause(++tries.lost);
    pool_.count_retry(false);
    return;
  }
  if (tries.in_doubt && error.code() == ErrorCode::kUnavailable) throw unknown(error);
  throw error;
}

void Transactions::commit(Connection& connection) {
  try {
    if (connection.exec("COMMIT") == "COMMIT") return;
  } catch (const SqlError& error) {
    if (!error.connection_lost()) throw;
    throw InDoubt{error};
  }
  throw Error(ErrorCode::kInternal, "The database failed in an unexpected way.",
              {.diagnostic = "PostgreSQL rolled a transaction back that was to be committed"});
}

Error Transactions::unknown(const Error& cause) {
  ErrorDetails details = cause.details();
  details.retryable = true;
  details.reason = kCommitUnknown;
  return Error(ErrorCode::kUnavailable,
               "The database was lost at a moment at which nobody can say what it has stored.",
               std::move(details));
}

}  // namespace twinchat::postgres
