#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "config/settings.h"

namespace twinchat::server {

// What the commands about backups are told.
struct BackupCommand {
  // A file, or for `backup` a folder.
  std::string target = {};
  std::optional<std::size_t> keep = {};
  // Says something at the terminal.
  std::function<void(const std::string& text)> say = {};
};

// Each returns whether all is well; what was found has been said. What could not be done is Error.

// Makes a backup of the settings' database, in a low priority. A target that ends in / is a folder.
bool back_up_command(const Settings& settings, const BackupCommand& command);
// Looks through a backup or a database.
bool verify_command(const Settings& settings, const BackupCommand& command);
// Puts the backup in the place of the settings' database.
bool restore_command(const Settings& settings, const BackupCommand& command);

}  // namespace twinchat::server
