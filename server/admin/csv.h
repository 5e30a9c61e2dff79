#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twinchat::server {

// Comma-separated values as RFC 4180 has them, safe to be opened in a spreadsheet: a cell that
// would be taken for a formula has an apostrophe in front. Pure functions.

// A line with its end.
std::string csv_line(const std::vector<std::string>& cells);

// The byte order mark, by which spreadsheets know UTF-8, and the header line.
std::string csv_begin(const std::vector<std::string>& names);

// What the format parameter of an export asks for: "csv", also when it is not there, or "json".
// Refusal 400 for anything else.
bool csv_wanted(const std::optional<std::string>& format);

}  // namespace twinchat::server
