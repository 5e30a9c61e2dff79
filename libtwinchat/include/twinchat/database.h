#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "twinchat/accounts.h"
#include "twinchat/export.h"
#include "twinchat/postgres_store.h"
#include "twinchat/rate_buckets.h"
#include "twinchat/records.h"
#include "twinchat/sqlite_store.h"
#include "twinchat/store.h"

namespace twinchat {

// One database in its roles. They work on the same data and each keeps it open.
struct Database {
  std::shared_ptr<Store> store;        // for chats
  std::shared_ptr<Records> records;    // for those who look after them
  std::shared_ptr<Accounts> accounts;  // and who those are
  // For limits that hold over several servers; null where a database is one server's.
  std::shared_ptr<RateBuckets> rate_buckets = {};
};

// As open_store().
TWINCHAT_EXPORT Database open_database(std::string_view url);

// The file that the URL of a SQLite database names, with %XX undone; nullopt for a database of
// another kind. kInvalidArgument as for open_store().
TWINCHAT_EXPORT std::optional<std::filesystem::path> sqlite_file(std::string_view url);

// As open_sqlite_store(). Users are those of Django's auth_user; it and the tables of its
// permissions are made the same way with the first user when they are absent. A search index is
// kept by a thread of the records, in pauses of the writing, so that chats do not wait for it; it
// takes about as much space again as the messages, and minutes to be made for a large database that
// had none.
TWINCHAT_EXPORT Database open_sqlite_database(const std::filesystem::path& file,
                                              const SqliteStoreOptions& options = {});

// As open_postgres_store(). Users are those of Django's auth_user, as with SQLite. Searches go by
// trigram indexes on Django's own tables (extension pg_trgm), so that all they find is as new as
// the tables, whoever writes; PostgresStoreOptions::build_indexes says when they are made. Without
// them searches look at the rows themselves and stop early.
//
// What sessions are listed by is in a table that the store writes with every message. What other
// programs add is brought in before every reading. What they change or delete of old rows is seen
// at once in searches, in histories and on every page that shows it; in the totals and in orders
// by the last change or the number of messages it may take some ten minutes where there are more
// than a thousand sessions or 20,000 messages: there is no trigger, and a thread of the records
// compares the rows a few at a time.
//
// The audit log is added to and nothing else: no statement changes or deletes its rows, and the
// role that made the table gives up its own right to. A superuser, or an owner who grants himself
// that right again, can: let the server be neither where that matters.
//
// Records::erase() has the tables vacuumed behind it, by the thread and as far as the role may do
// that. What is left until PostgreSQL uses the space again, or lies in its write-ahead log, in
// archives, replicas and backups, is for who runs them.
TWINCHAT_EXPORT Database open_postgres_database(std::string_view url,
                                                const PostgresStoreOptions& options = {});

// As make_memory_store().
TWINCHAT_EXPORT Database make_memory_database();

}  // namespace twinchat
