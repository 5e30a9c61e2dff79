#include "store/sqlite_verify.h"

#include <array>
#include <chrono>
#include <map>
#include <string>
#include <system_error>

#include "store/sqlite_schema.h"
#include "twinchat/error.h"

namespace twinchat::sqlite {
namespace {

constexpr std::chrono::seconds kBusyTimeout{10};
// Of the problems that SQLite finds: one damaged page can make thousands.
constexpr int kMostProblems = 20;

// A count that has to be 0, and what it means when it is not.
struct Check {
  const char* sql;
  const char* problem;
};

constexpr std::array<Check, 4> kTurnChecks{{
    {"SELECT count(*) FROM twinchat_turn AS t WHERE NOT EXISTS (SELECT 1 FROM chat_message AS q "
     "WHERE q.id = t.user_message_id AND q.session_id = t.session_id)",
     "turns whose question is not in their session"},
    {"SELECT count(*) FROM twinchat_turn AS t WHERE t.answer_message_id IS NOT NULL AND NOT EXISTS "
     "(SELECT 1 FROM chat_message AS a WHERE a.id = t.answer_message_id AND a.session_id = "
     "t.session_id)",
     "turns whose answer is not in their session"},
    {"SELECT count(*) FROM twinchat_turn AS t WHERE NOT EXISTS (SELECT 1 FROM chat_chatsession AS "
     "s WHERE s.id = t.session_id)",
     "turns of no session"},
    {"SELECT count(*) FROM twinchat_turn WHERE status NOT IN ('pending', 'complete', 'truncated', "
     "'blocked', 'empty', 'failed', 'cancelled', 'interrupted')",
     "turns with an unknown status"},
}};

// FTS5 keeps a row for each text that it holds in its docsize table.
constexpr std::array<Check, 8> kIndexChecks{{
    {"SELECT count(*) FROM chat_message WHERE id <= (SELECT last_message FROM twinchat_index) AND "
     "id NOT IN (SELECT id FROM twinchat_message_search_docsize)",
     "messages are missing in the search index"},
    {"SELECT count(*) FROM twinchat_message_search_docsize WHERE id NOT IN (SELECT id FROM "
     "chat_message)",
     "messages of the search index are not there"},
    {"SELECT count(*) FROM chat_chatsession WHERE id <= (SELECT last_session FROM twinchat_index) "
     "AND id NOT IN (SELECT id FROM twinchat_session) AND id NOT IN (SELECT id FROM "
     "twinchat_changed)",
     "sessions are missing in the search index"},
    {"SELECT count(*) FROM twinchat_session WHERE id NOT IN (SELECT id FROM chat_chatsession)",
     "sessions of the search index are not there"},
    {"SELECT (SELECT count(*) FROM twinchat_session WHERE id NOT IN (SELECT id FROM "
     "twinchat_session_search_docsize)) + (SELECT count(*) FROM twinchat_session_search_docsize "
     "WHERE id NOT IN (SELECT id FROM twinchat_session))",
     "sessions are listed and not found, or the reverse"},
    {"SELECT abs(sessions - (SELECT count(*) FROM twinchat_session)) FROM twinchat_index",
     "sessions by which their count is wrong"},
    {"SELECT abs(messages - (SELECT count(*) FROM chat_message WHERE id <= last_message)) FROM "
     "twinchat_index",
     "messages by which their count is wrong"},
    {"SELECT count(*) FROM (SELECT t.message_count AS counted, (SELECT count(*) FROM chat_message "
     "AS m WHERE m.session_id = t.id) AS found FROM twinchat_session AS t WHERE t.id NOT IN "
     "(SELECT id FROM twinchat_changed) AND NOT EXISTS (SELECT 1 FROM chat_message AS m WHERE "
     "m.session_id = t.id AND m.id > (SELECT last_message FROM twinchat_index))) WHERE counted <> "
     "found",
     "sessions with a wrong count of messages"},
}};

void add_problem(SqliteReport& report, std::int64_t count, const std::string& what) {
  if (count != 0) report.problems.push_back(std::to_string(count) + " " + what);
}

// What SQLite says of pages, indexes and constraints names tables and row numbers only.
void check_integrity(Connection& connection, SqliteReport& report) {
  Query query(connection, "PRAGMA integrity_check(" + std::to_string(kMostProblems) + ")");
  try {
    while (query.step()) {
      const std::string line = query.text(0);
      if (line != "ok") report.problems.push_back(line);
    }
  } catch (const SQLite::Exception& exception) {
    if (!is_damage(exception)) throw;
    report.problems.push_back("a page cannot be understood");
  }
  report.damaged = !report.problems.empty();
}

void check_references(Connection& connection, SqliteReport& report) {
  std::map<std::string, std::int64_t> dangling;
  Query query(connection, std::string("PRAGMA foreign_key_check"));
  while (query.step()) ++dangling[query.text(0)];
  for (const auto& [table, count] : dangling) {
    add_problem(report, count, "rows of " + table + " refer to rows that are not there");
  }
}

template <std::size_t kSize>
void run_checks(Connection& connection, const std::array<Check, kSize>& checks,
                const std::stop_token& stop, SqliteReport& report) {
  for (const Check& check : checks) {
    if (stop.stop_requested()) throw cancelled();
    add_problem(report, connection.integer(check.sql), check.problem);
  }
}

void look_through(Connection& connection, const std::stop_token& stop, SqliteReport& report) {
  const SchemaState state = inspect(connection);
  report.schema_version = state.version;
  check_integrity(connection, report);
  if (report.damaged) return;  // what else is found would only repeat it
  check_references(connection, report);
  const auto count = [&](const char* table) {
    return connection.integer(std::string("SELECT count(*) FROM ") + table);
  };
  if (state.has_sessions) report.sessions = count("chat_chatsession");
  if (state.has_messages) report.messages = count("chat_message");
  if (has_users(connection)) report.users = count("auth_user");
  if (state.version >= 1) {
    report.turns = count("twinchat_turn");
    run_checks(connection, kTurnChecks, stop, report);
  }
  if (state.version >= 4) report.audit_entries = count("twinchat_audit");
  // Without its triggers the index is made anew when the file is opened.
  if (state.version >= 3 && state.has_triggers) {
    run_checks(connection, kIndexChecks, stop, report);
  }
}

}  // namespace

Error cancelled() {
  return Error(ErrorCode::kCancelled, "The work on the database was stopped.");
}

SqliteReport verify(Connection& connection, const std::stop_token& stop) {
  SqliteReport report;
  const std::stop_callback interrupt(stop, [&] { connection.interrupt(); });
  if (stop.stop_requested()) throw cancelled();
  try {
    connection.exec("BEGIN");
    look_through(connection, stop, report);
    connection.exec("ROLLBACK");
  } catch (const SQLite::Exception&) {
    if (stop.stop_requested()) throw cancelled();
    throw;
  }
  return report;
}

std::unique_ptr<Connection> open_for_reading(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    throw Error(ErrorCode::kNotFound, "The database file does not exist.",
                {.diagnostic = file.string()});
  }
  for (const Connection::Access access : {Connection::Access::kRead, Connection::Access::kWrite}) {
    try {
      auto connection = std::make_unique<Connection>(file, access, kBusyTimeout);
      connection->exec("PRAGMA wal_autocheckpoint=0");
      connection->integer("PRAGMA schema_version");
      return connection;
    } catch (const SQLite::Exception& exception) {
      if (access == Connection::Access::kWrite || !needs_recovery(exception)) throw;
    }
  }
  return nullptr;
}

}  // namespace twinchat::sqlite
