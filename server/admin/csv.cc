#include "admin/csv.h"

#include "api/refusal.h"

namespace twinchat::server {

std::string csv_line(const std::vector<std::string>& cells) {
  std::string line;
  for (const std::string& cell : cells) {
    if (&cell != &cells.front()) line += ',';
    const bool formula =
        !cell.empty() && std::string_view("=+-@\t\r").find(cell.front()) != std::string_view::npos;
    if (!formula && cell.find_first_of(",\"\r\n") == std::string::npos) {
      line += cell;
      continue;
    }
    line += formula ? "\"'" : "\"";
    for (const char c : cell) {
      line += c;
      if (c == '"') line += c;
    }
    line += '"';
  }
  return line + "\r\n";
}

std::string csv_begin(const std::vector<std::string>& names) {
  return "\xEF\xBB\xBF" + csv_line(names);
}

bool csv_wanted(const std::optional<std::string>& format) {
  const std::string name = format.value_or("csv");
  if (name != "csv" && name != "json") throw Refusal(400, {{"detail", "format: not csv or json."}});
  return name == "csv";
}

}  // namespace twinchat::server
