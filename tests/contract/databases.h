#pragma once

#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "twinchat/database.h"

namespace twinchat::testing {

// One kind of database that the contracts of Records and Accounts hold for.
struct DatabaseKind {
  std::string name;
  // Makes an empty one; what it needs on disk goes in `folder`.
  std::function<Database(const std::filesystem::path& folder)> make;

  friend std::ostream& operator<<(std::ostream& out, const DatabaseKind& kind) {
    return out << kind.name;
  }
};

// All of them. A new one is one line here.
const std::vector<DatabaseKind>& database_kinds();

// An entry for the audit log, of user "op".
AuditEntry by_op(std::string action, std::string model = "", std::string object_id = "");

// The public ids, and the texts, of a page.
std::vector<std::string> ids(const Page<SessionRow>& page);
std::vector<std::string> texts(const Page<MessageRow>& page);

// Those of all pages of the query. Throws std::runtime_error when the pages do not end.
std::vector<std::string> all_ids(Records& records, SessionQuery query);
std::vector<std::string> all_texts(Records& records, RowQuery query);

}  // namespace twinchat::testing
