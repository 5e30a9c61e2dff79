#pragma once

#include "store/sqlite_connection.h"

namespace twinchat::sqlite {

// What a file turned out to be.
struct SchemaState {
  bool has_sessions = false;
  bool has_messages = false;
  int version = 0;  // of our own tables; 0 when there are none
  // What keeps our index in step with the chat tables.
  bool has_triggers = false;
  bool wal = false;

  bool complete() const noexcept;
};

// Looks at the file without changing it. Throws Error: kFailedPrecondition for tables that are not
// ours or of a newer version, kDataLoss for what is damaged; and SQLite::Exception.
SchemaState inspect(Connection& connection);

// Whether the triggers that keep our index in step are there: they go with a table that Django
// builds anew.
bool has_triggers(Connection& connection);

// Makes them, and an empty index where changes may have gone unseen: not where those alone are
// missing that earlier versions did not have. In the caller's transaction.
void make_index_anew(Connection& connection);

// Whether there is a table of Django's users, and the tables of their permissions with it.
bool has_users(Connection& connection);

// Makes those tables where they are missing, and the names of our permissions in them. In the
// caller's transaction.
void prepare_for_users(Connection& connection);

// Looks through the whole file for damage. kDataLoss. Takes about a second for 500 MB.
void check_pages(Connection& connection);

// Creates what is missing and brings our tables to the present version. Another process that does
// the same at the same time does no harm.
void migrate(Connection& connection);

}  // namespace twinchat::sqlite
