#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/settings.h"

namespace twinchat::server {

// What is true around the settings: files, the machine, the process. What could not be learnt is
// absent, or as good as can be.
//
// Thread safety: a plain value.
struct Surroundings {
  using Time = std::chrono::system_clock::time_point;

  // Files with secrets, by name, and their permission bits: .env, TLS_KEY, what *_FILE names.
  std::vector<std::pair<std::string, unsigned>> secret_files = {};
  // Of the SQLite database.
  std::optional<unsigned> database_mode = {};
  std::optional<unsigned> database_folder_mode = {};
  bool database_on_network = false;
  // Where it is, and how large it is.
  std::optional<std::uint64_t> disk_free = {};
  std::uint64_t database_bytes = 0;
  // Why the database cannot be used; empty when it can.
  std::string database_error = {};
  // The server that is to be started will make it.
  bool database_absent = false;
  std::optional<std::int64_t> superusers = {};
  std::string sqlite_version = {};

  // Why the certificate cannot be used, and until when it is valid.
  std::string certificate_error = {};
  std::optional<Time> certificate_expires = {};

  std::optional<Time> newest_backup = {};

  bool is_root = false;
  std::size_t open_files = 0;  // the hard limit
  Time now = {};
  bool clock_synchronised = true;
};

// Looks at this machine. Opens the database of the settings, if it is there, and changes nothing.
Surroundings look_around(const Settings& settings, const SettingSources& sources);

}  // namespace twinchat::server
