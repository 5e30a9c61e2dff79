#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace twinchat::server {

// One NAME=value of an environment file.
struct EnvEntry {
  std::string name;
  std::string value;
  int line = 0;  // counted from 1

  friend bool operator==(const EnvEntry&, const EnvEntry&) = default;
};

// Reads the text of a .env file; `file` is what error texts call it.
//
//   # a comment
//   NAME=value            # spaces around the value are dropped, as is a comment after a space
//   export NAME=value     # so that a shell can read the file, too
//   NAME='as it stands'   # only \' and \\ are escapes
//   NAME="with escapes"   # \n \t \r \" \\ \$; may go on over several lines, as may '...'
//
// Nothing is expanded: a $ is a $. A byte order mark and CRLF line ends are taken in stride. When
// a name comes twice both are given, in order; the last one counts.
//
// SettingsError for a line that is none of these, an unclosed quote, a NUL or text that is not
// UTF-8; the error names file and line, never a value.
//
// Thread safety: a pure function.
std::vector<EnvEntry> parse_env_file(std::string_view text, std::string_view file);

}  // namespace twinchat::server
