#pragma once

#include <memory>

#include "store/history_cache.h"
#include "store/sqlite_readers.h"
#include "store/sqlite_writer.h"
#include "twinchat/accounts.h"
#include "twinchat/records.h"

namespace twinchat::sqlite {

// What the roles of one open file share.
struct OpenFile {
  std::filesystem::path file;
  Writer& writer;
  Readers& readers;
  HistoryCache& history;
  std::shared_ptr<void> owner;  // of all these
};

std::shared_ptr<Records> make_records(OpenFile file);
std::shared_ptr<Accounts> make_accounts(OpenFile file);

// Writes the entry, in the caller's transaction.
void insert_audit(Connection& connection, const AuditEntry& entry);

}  // namespace twinchat::sqlite
