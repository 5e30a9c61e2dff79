#include "fixtures.h"

#include "sqlite_file.h"

namespace twinchat::testing {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

void load_fixture(int version, const fs::path& file) {
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(file.string() + suffix);
  SqliteFile(file).exec(
      bytes_of(fs::path(TWINCHAT_FIXTURES) / ("sqlite_v" + std::to_string(version) + ".sql")));
}

std::map<std::string, Strings> contents(const fs::path& file) {
  SqliteFile database(file);
  std::map<std::string, Strings> found;
  for (const std::string& table : database.rows(
           "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
           "ESCAPE '\\' AND name NOT LIKE 'twinchat\\_session%' ESCAPE '\\' AND name NOT LIKE "
           "'twinchat\\_message%' ESCAPE '\\' AND name NOT IN ('twinchat_schema', "
           "'twinchat_index', 'twinchat_changed', 'twinchat_statistics')")) {
    std::string row;
    for (const std::string& column : database.rows("SELECT name FROM pragma_table_info('" + table +
                                                   "') WHERE name NOT LIKE 'feedback%'")) {
      row += (row.empty() ? "" : " || '|' || ") + std::string("quote(\"") + column + "\")";
    }
    found[table] = database.rows(
        "SELECT " + row + " FROM \"" + table + "\"" +
        (table == "twinchat_turn" ? " WHERE status NOT IN ('pending', 'interrupted')" : "") +
        " ORDER BY 1");
  }
  return found;
}

}  // namespace twinchat::testing
