#pragma once

#include <optional>
#include <string>

#include "admin/console.h"
#include "twinchat/database.h"

namespace twinchat::server {

// What the commands about one person are told.
struct PersonCommand {
  PersonName person = {};
  // Where to write; empty for standard output.
  std::string output = {};
  // Ask nothing.
  bool yes = false;
  // Only say what would be done.
  bool dry_run = false;
  Console console = {};
};

// Each returns whether it did what it was told; what was wrong has been said. They wait until all
// sessions can be found: on a database that had no search index that takes its time.

// Writes all there is of the person as JSON, to a new file of the owner's alone or to the terminal.
bool export_person(const Database& database, const PersonCommand& command);
// Erases it, when that was confirmed.
bool erase_person(const Database& database, const PersonCommand& command);

}  // namespace twinchat::server
