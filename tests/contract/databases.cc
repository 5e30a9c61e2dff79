#include "databases.h"

#include <stdexcept>
#include <utility>

#include "stores.h"
#ifdef TWINCHAT_TEST_POSTGRES
#include "postgres_server.h"
#endif

namespace twinchat::testing {

#ifdef TWINCHAT_TEST_POSTGRES
namespace {

// On a database of its own, which goes with it.
Database on_postgres(bool through_bouncer) {
  struct Both {
    PostgresDatabase place{PostgresDatabase::Kind::kReused};
    Database database;
  };
  const auto both = std::make_shared<Both>();
  both->database =
      open_postgres_database(through_bouncer ? both->place.bouncer_url() : both->place.url());
  Database roles;
  roles.store = {both, both->database.store.get()};
  roles.records = {both, both->database.records.get()};
  roles.accounts = {both, both->database.accounts.get()};
  return roles;
}

}  // namespace
#endif

const std::vector<DatabaseKind>& database_kinds() {
  static const std::vector<DatabaseKind> kinds{
      {"memory", [](const std::filesystem::path&) { return make_memory_database(); }},
      {"sqlite",
       [](const std::filesystem::path& folder) {
         return open_sqlite_database(folder / "chat.db");
       }},
#ifdef TWINCHAT_TEST_POSTGRES
      {"postgres", [](const std::filesystem::path&) { return on_postgres(false); }},
      {"postgres behind pgbouncer", [](const std::filesystem::path&) { return on_postgres(true); }},
#endif
  };
  return kinds;
}

AuditEntry by_op(std::string action, std::string model, std::string object_id) {
  return {0, moment(), "op", "192.0.2.1", std::move(action), std::move(model), std::move(object_id),
          ""};
}

std::vector<std::string> ids(const Page<SessionRow>& page) {
  std::vector<std::string> found;
  for (const SessionRow& row : page.rows) found.push_back(row.session.session_id);
  return found;
}

std::vector<std::string> texts(const Page<MessageRow>& page) {
  std::vector<std::string> found;
  for (const MessageRow& row : page.rows) found.push_back(row.message.text);
  return found;
}

// All pages of the query.
std::vector<std::string> all_ids(Records& records, SessionQuery query) {
  std::vector<std::string> found;
  for (int pages = 0; pages < 1000; ++pages) {
    const Page<SessionRow> page = records.sessions(query);
    const std::vector<std::string> more = ids(page);
    found.insert(found.end(), more.begin(), more.end());
    if (page.next.empty()) return found;
    query.cursor = page.next;
  }
  throw std::runtime_error("the pages do not end");
}

std::vector<std::string> all_texts(Records& records, RowQuery query) {
  std::vector<std::string> found;
  for (int pages = 0; pages < 1000; ++pages) {
    const Page<MessageRow> page = records.messages(query);
    const std::vector<std::string> more = texts(page);
    found.insert(found.end(), more.begin(), more.end());
    if (page.next.empty()) return found;
    query.cursor = page.next;
  }
  throw std::runtime_error("the pages do not end");
}

}  // namespace twinchat::testing
