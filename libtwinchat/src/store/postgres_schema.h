#pragma once

#include <functional>
#include <string>
#include <vector>

#include "store/postgres_connection.h"
#include "store/postgres_transactions.h"

namespace twinchat::postgres {

// What a database turned out to be.
struct SchemaState {
  bool has_sessions = false;
  bool has_messages = false;
  int version = 0;  // of our own tables; 0 when there are none

  bool complete() const noexcept;
};

// Looks at the database without changing it. Throws Error: kFailedPrecondition for tables that are
// not ours or of a newer version.
SchemaState inspect(Connection& connection);

// Whether another server made the same thing at the same moment: what IF NOT EXISTS does not see.
bool is_made_meanwhile(const SqlError& error);

// Creates what is missing and brings our tables to the present version. Servers that do the same at
// the same time wait for each other.
void migrate(Transactions& transactions);

// Creates the indexes of lists and searches that are missing. On tables with few rows that is done
// at once. On others it takes minutes for millions of rows and is done only if `whatever_it_takes`,
// without keeping anybody from writing. Searches want the extension pg_trgm: `warn` is told when it
// cannot be had, and when indexes are left out.
void make_indexes(Transactions& transactions, bool whatever_it_takes,
                  const std::function<void(const std::string&)>& warn);

// Whether the trigram indexes are there and of use, so that ILIKE '%word%' finds its rows by them.
bool has_search_indexes(Connection& connection);

// The names of the indexes that make_indexes() would make.
std::vector<std::string> missing_indexes(Connection& connection);

// Whether there is a table of Django's users, and the tables of their permissions with it.
bool has_users(Connection& connection);

// Makes those tables where they are missing, and the names of our permissions in them. In the
// caller's transaction.
void prepare_for_users(Connection& connection);

// All SQL of this file, for the test that looks whether it keeps to what all databases that speak
// PostgreSQL's protocol understand.
std::vector<std::string> schema_statements();

}  // namespace twinchat::postgres
