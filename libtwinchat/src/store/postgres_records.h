#pragma once

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "store/postgres_transactions.h"
#include "twinchat/accounts.h"
#include "twinchat/records.h"

namespace twinchat::postgres {

std::shared_ptr<Records> make_records(std::shared_ptr<Pool> pool);
std::shared_ptr<Accounts> make_accounts(std::shared_ptr<Pool> pool);

// Writes the entry, in the caller's transaction.
void insert_audit(Connection& connection, const AuditEntry& entry);

// Whether the newest entries hold this one: what a transaction that may have committed asks.
bool has_audit(Connection& connection, const AuditEntry& entry);

// Runs `work(connection)` and writes the entry of `work`'s making, in one transaction. `lock` goes
// before. When the connection was lost at the commit, the entry tells whether it happened.
//
// `work` returns a pair of the result and the entry.
template <class Lock, class Work>
auto write_audited(Transactions& transactions, Lock&& lock, Work&& work) {
  using Outcome = std::invoke_result_t<Work&, Connection&>;
  std::optional<Outcome> former;
  return transactions
      .write([&](Connection& connection, bool in_doubt) {
        lock(connection);
        if (in_doubt && former && has_audit(connection, former->second)) return *former;
        former.reset();
        former.emplace(work(connection));
        insert_audit(connection, former->second);
        return *former;
      })
      .first;
}

// All SQL of postgres_records.cc and postgres_accounts.cc that is not put together for one use; see
// schema_statements().
std::vector<std::string> record_statements();
std::vector<std::string> account_statements();

}  // namespace twinchat::postgres
