#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "twinchat/export.h"

namespace twinchat {

// A table that was, or is being, transferred.
struct TransferredTable {
  std::string name;           // as in the database
  std::int64_t rows = 0;      // so far
  std::string checksum = {};  // of all rows, the same on both sides; empty before the end
};

// How to transfer, and who is told of it.
struct TransferOptions {
  // Go on with a transfer that was begun into this target and did not end.
  bool resume = false;
  // Rows of one transaction.
  std::size_t rows_at_once = 500;
  // Told after every transaction. Called on the calling thread.
  std::function<void(const TransferredTable&)> on_progress = {};
  // Ends it after the transaction under way: kCancelled. It can be resumed.
  std::stop_token stop = {};
};

// Copies everything from one database to another, SQLite or PostgreSQL, as open_store() names them:
// sessions, messages, turns, consents, the tokens of days, API tokens, the audit log, and Django's
// users with their groups, permissions and the notes of its migrations. Ids stay as they are, and
// new ones go on behind them. Log-ins end, and what is derived (lists, search indexes, figures of
// days) is made anew by whoever opens the target. Tables and columns of others stay behind.
//
// The source is only read, in one transaction, so that all is of one moment: what is written to it
// meanwhile is not copied. It may be of an older version of the schema, or Django's alone. Nobody
// may use the target meanwhile. Its tables are made first.
//
// How far it got stands in the target, in the table twinchat_import, and is moved in the
// transaction that moves the rows: a transfer that is killed can be resumed. At the end all rows
// are read once more on both sides, and counted and summed up the same way.
//
// Returns the tables. kFailedPrecondition for a target that holds data, or holds a transfer that
// was begun and is not to be resumed; kDataLoss when the two differ at the end (the diagnostic
// names the table), and likewise for rows of the source that cannot be understood. Otherwise as
// open_store().
//
// Texts in PostgreSQL are as open_postgres_store() says: what it cannot hold becomes U+FFFD.
TWINCHAT_EXPORT std::vector<TransferredTable> transfer_database(
    std::string_view from, std::string_view to, const TransferOptions& options = {});

}  // namespace twinchat
