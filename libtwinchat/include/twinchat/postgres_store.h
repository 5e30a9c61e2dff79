#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "twinchat/export.h"
#include "twinchat/store.h"

namespace twinchat {

// How a PostgreSQL database is used.
struct PostgresStoreOptions {
  // Connections at most. A message holds one for a few milliseconds at its beginning and at its
  // end, never while the model is awaited; so a few serve many visitors.
  std::size_t max_connections = 16;
  // How long a function may wait for one of them before kUnavailable. Once the database has been
  // out of reach for two seconds nobody waits for it any more.
  std::chrono::milliseconds pool_timeout{5'000};
  // How long connecting to one host may take; the URL's connect_timeout goes before. Of several
  // hosts in the URL each is given so long.
  std::chrono::milliseconds connect_timeout{5'000};
  // How long one statement may take.
  std::chrono::milliseconds statement_timeout{10'000};
  // And how long it may wait for a lock.
  std::chrono::milliseconds lock_timeout{5'000};
  // A connection that is so old, give or take a tenth, is closed when nobody uses it: so that
  // servers behind one name take turns.
  std::chrono::milliseconds max_lifetime{30 * 60'000};
  // Create the tables when they are missing. Off, missing tables are kFailedPrecondition.
  bool create = true;
  // Make missing indexes for lists and searches however large the tables are: for `migrate`. Others
  // can go on writing meanwhile. Off, they are made on small tables only and on_warning is told.
  bool build_indexes = false;
  // Told in plain words about what an operator should know (an extension that is missing). Called
  // while the store is being opened, on the opening thread, and later on a thread of the store's.
  std::function<void(const std::string&)> on_warning = {};
};

// Opens the PostgreSQL database of a libpq URL ("postgresql://user:password@host1,host2/name?
// sslmode=verify-full&target_session_attrs=read-write", with all that libpq understands), and makes
// the tables that are missing.
//
// The tables are those of the Django deployments, made the same way as Django makes them; what is
// the library's own is in tables named twinchat_*. A database that Django made is taken as it is,
// and Django can go on using it. Any number of servers may use one database at the same time, and
// may stand behind a pooler like pgbouncer in transaction mode. A connection that leads to
// PostgreSQL itself has the statements of messages planned once, which saves the database half of
// its work; behind a pooler they are planned each time.
//
// Text in PostgreSQL is UTF-8 without NUL characters: what else there is in a text comes back as
// U+FFFD, and a session id with such is kInvalidArgument. Details are kInvalidArgument when they
// are longer than UserDetails says.
//
// A connection that is lost is replaced, and the transaction run again; when it was lost during a
// commit, the database is asked first whether that was done. Only when it stays out of reach the
// function throws kUnavailable, with the reason "COMMIT_UNKNOWN" if nobody can say; a turn that
// began so is marked interrupted later, so that its idempotency key is free again.
//
// A turn that a process left pending when it died is marked interrupted by any of the servers: at
// once by those that can see that the process is gone, otherwise when the turn has expired.
//
// kInvalidArgument for a URL that libpq does not understand, kNotFound for a database that does not
// exist, kFailedPrecondition for a refused role, for tables that are not ours or of a newer
// version, kUnavailable when it cannot be reached. kUnimplemented when the library was built
// without PostgreSQL. No error text repeats the URL or what PostgreSQL said.
//
// Thread safety: as every Store.
TWINCHAT_EXPORT std::shared_ptr<Store> open_postgres_store(
    std::string_view url, const PostgresStoreOptions& options = {});

// What a store's connections are doing.
struct PostgresPoolStatistics {
  std::size_t open = 0;               // connections that are there
  std::size_t in_use = 0;             // those of them that work now
  std::size_t waiting = 0;            // threads that wait for one
  std::size_t max = 0;                // PostgresStoreOptions::max_connections
  std::uint64_t opened = 0;           // connections that were ever made
  std::uint64_t failed = 0;           // attempts to connect that failed
  std::uint64_t lost = 0;             // connections that broke
  std::uint64_t checkouts = 0;        // times that a function got one
  std::uint64_t timeouts = 0;         // times that it got none
  std::uint64_t retries = 0;          // transactions that were run again
  std::uint64_t unknown_commits = 0;  // commits of which the database had to be asked
};

// Those of a store that open_postgres_store() or open_database() opened; zeros for any other.
TWINCHAT_EXPORT PostgresPoolStatistics postgres_pool_statistics(const Store& store);

}  // namespace twinchat
