#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <string_view>

namespace twinchat::server {

// Backups of PostgreSQL, made and read by its own pg_dump, pg_restore and psql, which have to be on
// the PATH. They get the password by their environment; nothing of it is in their arguments, which
// everybody on the machine can see.
//
// Errors are Error: kFailedPrecondition when a tool is not there, kUnavailable when it fails, with
// the first line of what it says, up to what might quote a row; kCancelled when it was stopped.
//
// Blocking: until the tool has ended.

bool is_postgres(std::string_view url);

// A URL without its password, as it may be shown and stand in arguments; and the password.
struct PostgresUrl {
  std::string without_password;
  std::string password = {};
};
PostgresUrl split_password(std::string_view url);

// Writes the database to the file, which is there already, in pg_dump's custom format.
void dump_postgres(std::string_view url, const std::filesystem::path& file,
                   const std::stop_token& stop = {});

// Reads the whole dump. kDataLoss when it is damaged or holds no chats.
void verify_dump(const std::filesystem::path& file, const std::stop_token& stop = {});

// Puts what the dump holds in the place of the same tables, in one transaction.
void restore_dump(std::string_view url, const std::filesystem::path& file);

// How many others are connected to the database.
std::int64_t other_connections(std::string_view url);

// Whether the database has tables of chats.
bool has_chats(std::string_view url);

}  // namespace twinchat::server
