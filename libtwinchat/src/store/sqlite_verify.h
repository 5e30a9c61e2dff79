#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>

#include "store/sqlite_connection.h"
#include "twinchat/backup.h"
#include "twinchat/error.h"

namespace twinchat::sqlite {

// As verify_sqlite(), of an open database and without SqliteReport::bytes. In a transaction of its
// own, so that all that is compared is of one moment.
SqliteReport verify(Connection& connection, const std::stop_token& stop);

// kCancelled, for work that was stopped.
Error cancelled();

// The file for reading. A transaction that another program's death left half done is rolled back,
// for which the file is written.
std::unique_ptr<Connection> open_for_reading(const std::filesystem::path& file);

}  // namespace twinchat::sqlite
