#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "check/finding.h"

namespace twinchat::server {

// Something wrong with a version of a library that this program is made of.
//
// Thread safety: a plain value.
struct KnownFault {
  std::string id;    // "CVE-2023-38545"
  std::string what;  // and what it means here
  // Whether what this program does can run into it.
  bool reaches = false;
};

// The faults that are known of that version of "SQLite", "libcurl", "OpenSSL" or "cpp-httplib".
// Distributions mend faults without changing the version: an entry is a question to theirs, not an
// answer.
std::vector<KnownFault> known_faults(std::string_view library, std::string_view version);

// Whether that version of SQLite may damage a database that is written to by two connections at the
// same moment.
bool has_wal_reset_fault(std::string_view sqlite_version);

}  // namespace twinchat::server
