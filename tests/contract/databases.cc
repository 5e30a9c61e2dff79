#include "databases.h"

#include <utility>

#include "stores.h"

namespace twinchat::testing {

const std::vector<DatabaseKind>& database_kinds() {
  static const std::vector<DatabaseKind> kinds{
      {"memory", [](const std::filesystem::path&) { return make_memory_database(); }},
      {"sqlite",
       [](const std::filesystem::path& folder) {
         return open_sqlite_database(folder / "chat.db");
       }},
  };
  return kinds;
}

AuditEntry by_op(std::string action, std::string model, std::string object_id) {
  return {0, moment(), "op", "192.0.2.1", std::move(action), std::move(model), std::move(object_id),
          ""};
}

}  // namespace twinchat::testing
