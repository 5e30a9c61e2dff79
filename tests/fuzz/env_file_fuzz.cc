// An environment file is refused with the line that is wrong, or gives names and values that can be
// written down and read again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/env_file.h"
#include "config/settings_error.h"
#include "require.h"

namespace {

using twinchat::server::EnvEntry;
using twinchat::server::parse_env_file;

std::string single_quoted(std::string_view value) {
  std::string text = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  return text + "'";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<EnvEntry> entries;
  try {
    entries = parse_env_file(text, "file");
  } catch (const twinchat::server::SettingsError& error) {
    require(std::string_view(error.what()).starts_with("file"));
    return 0;
  }
  const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
  int line = 0;
  std::string written;
  for (const EnvEntry& entry : entries) {
    require(!entry.name.empty() && entry.line > line && entry.line <= lines);
    line = entry.line;
    // A carriage return before the end of a line is part of the line's end.
    if (entry.value.find('\r') != std::string::npos) return 0;
    written += "export " + entry.name + "=" + single_quoted(entry.value) + " # said again\n";
  }
  const std::vector<EnvEntry> again = parse_env_file(written, "file");
  require(again.size() == entries.size());
  for (std::size_t i = 0; i < again.size(); ++i) {
    require(again[i].name == entries[i].name && again[i].value == entries[i].value);
  }
  return 0;
}
