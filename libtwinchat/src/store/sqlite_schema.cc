#include "store/sqlite_schema.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>
#include <vector>

namespace twinchat::sqlite {
namespace {

// Word for word what Django's migrations create for the two models, down to the name of the index,
// so that `migrate --fake-initial` takes them for its own.
constexpr char kCreateSessions[] =
    R"(CREATE TABLE "chat_chatsession" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, )"
    R"("session_id" varchar(255) NOT NULL UNIQUE, "user_name" varchar(255) NULL, )"
    R"("user_email" varchar(254) NULL, "user_phone" varchar(20) NULL, )"
    R"("created_at" datetime NOT NULL, "updated_at" datetime NOT NULL))";
constexpr char kCreateMessages[] =
    R"(CREATE TABLE "chat_message" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, )"
    R"("content" text NOT NULL, "is_bot" bool NOT NULL, "created_at" datetime NOT NULL, )"
    R"("session_id" bigint NOT NULL REFERENCES "chat_chatsession" ("id") )"
    R"(DEFERRABLE INITIALLY DEFERRED);)"
    R"(CREATE INDEX "chat_message_session_id_9abc6edf" ON "chat_message" ("session_id"))";

// Which version our own tables have is kept in a table and not in `PRAGMA user_version`: that
// number belongs to whoever owns the file, which may be a Django project, and it is lost when the
// file goes through a dump. One row for each part that has tables.
constexpr char kCreateVersions[] =
    R"(CREATE TABLE IF NOT EXISTS "twinchat_schema" ("part" text NOT NULL PRIMARY KEY, )"
    R"("version" integer NOT NULL))";

// A turn goes with its question, whoever deletes that and whether or not they know of this table;
// and as no session can go before its messages, turns go with their session too. session_id is
// there for the uniqueness of keys: a reference of its own would need one more index and so one
// more page to be written for each turn. Ids are never used twice, so that a late finish_turn()
// cannot hit another turn.
constexpr char kCreateTurns[] = R"sql(
CREATE TABLE "twinchat_turn" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "session_id" bigint NOT NULL,
  "user_message_id" bigint NOT NULL UNIQUE REFERENCES "chat_message" ("id") ON DELETE CASCADE
    DEFERRABLE INITIALLY DEFERRED,
  "answer_message_id" bigint NULL REFERENCES "chat_message" ("id") ON DELETE SET NULL
    DEFERRABLE INITIALLY DEFERRED,
  "status" text NOT NULL,
  "idempotency_key" text NULL,
  "fingerprint" text NOT NULL,
  "contents" text NOT NULL,
  "finish_reason" text NOT NULL,
  "block_reason" text NOT NULL,
  "model" text NOT NULL,
  "model_version" text NOT NULL,
  "response_id" text NOT NULL,
  "prompt_tokens" bigint NOT NULL,
  "cached_tokens" bigint NOT NULL,
  "output_tokens" bigint NOT NULL,
  "thought_tokens" bigint NOT NULL,
  "total_tokens" bigint NOT NULL,
  "latency_ms" bigint NOT NULL,
  "attempts" integer NOT NULL,
  "error_code" text NOT NULL,
  "owner" text NOT NULL,
  "created_at" datetime NOT NULL,
  "expires_at" datetime NOT NULL,
  "finished_at" datetime NULL
);
CREATE UNIQUE INDEX "twinchat_turn_answer" ON "twinchat_turn" ("answer_message_id")
  WHERE "answer_message_id" IS NOT NULL;
CREATE UNIQUE INDEX "twinchat_turn_key" ON "twinchat_turn" ("session_id", "idempotency_key")
  WHERE "idempotency_key" IS NOT NULL;
CREATE INDEX "twinchat_turn_pending" ON "twinchat_turn" ("status") WHERE "status" = 'pending';
)sql";

// The tokens that turns used on each day, as it is spelled in times.
constexpr char kCreateDays[] = R"sql(
CREATE TABLE "twinchat_day" (
  "day" text NOT NULL PRIMARY KEY,
  "tokens" bigint NOT NULL
) WITHOUT ROWID;
)sql";

// Migration n, the n-th of these, leads from version n-1 to n. Never edit one that was released.
constexpr std::array<const char*, 2> kMigrations{kCreateTurns, kCreateDays};
constexpr int kVersion = static_cast<int>(kMigrations.size());

constexpr char kSetVersion[] =
    "INSERT INTO twinchat_schema (part, version) VALUES ('store', ?) "
    "ON CONFLICT (part) DO UPDATE SET version = excluded.version";

struct Column {
  std::string name;
  std::string type;
  bool not_null = false;
  bool has_default = false;
  bool primary_key = false;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

[[noreturn]] void refuse(const std::string& why) {
  ErrorDetails details;
  details.diagnostic = why;
  throw Error(ErrorCode::kFailedPrecondition, "The database was not made for this program: " + why,
              std::move(details));
}

std::vector<Column> columns_of(Connection& connection, const std::string& table) {
  std::vector<Column> columns;
  SQLite::Statement query(connection.database(),
                          "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk FROM "
                          "pragma_table_info('" +
                              table + "')");
  while (query.executeStep()) {
    columns.push_back({lower(query.getColumn(0).getString()), lower(query.getColumn(1).getString()),
                       query.getColumn(2).getInt() != 0, query.getColumn(3).getInt() != 0,
                       query.getColumn(4).getInt() == 1});
  }
  return columns;
}

// A column that we know, and whether NULL must be possible in it.
struct Wanted {
  std::string_view name;
  bool nullable = false;
};

// Judges by what the statements of the store need: order, declared types and lengths differ between
// versions of Django and do not matter.
void check_columns(Connection& connection, const std::string& table,
                   const std::vector<Wanted>& wanted) {
  const std::vector<Column> columns = columns_of(connection, table);
  for (const Wanted& want : wanted) {
    const auto column = std::find_if(columns.begin(), columns.end(),
                                     [&](const Column& c) { return c.name == want.name; });
    if (column == columns.end()) {
      refuse("table " + table + " has no column " + std::string(want.name) + ".");
    }
    if (want.name == "id" && (!column->primary_key || column->type != "integer")) {
      refuse("column id of table " + table + " is not its integer primary key.");
    }
    if (want.nullable && column->not_null) {
      refuse("column " + column->name + " of table " + table + " does not allow NULL.");
    }
  }
  for (const Column& column : columns) {
    const bool known = std::any_of(wanted.begin(), wanted.end(),
                                   [&](const Wanted& want) { return want.name == column.name; });
    if (!known && column.not_null && !column.has_default) {
      refuse("table " + table + " needs a value for column " + column.name +
             ", which this program does not know.");
    }
  }
}

bool has_unique_index(Connection& connection, const std::string& table, const std::string& column) {
  return connection.integer(
             "SELECT count(*) FROM pragma_index_list('" + table +
             "') AS list WHERE list.\"unique\" AND NOT list.partial AND (SELECT "
             "group_concat(info.name) FROM pragma_index_info(list.name) AS info) = '" +
             column + "' COLLATE NOCASE") > 0;
}

void check_sessions(Connection& connection) {
  check_columns(connection, "chat_chatsession",
                {{"id"},
                 {"session_id"},
                 {"user_name", true},
                 {"user_email", true},
                 {"user_phone", true},
                 {"created_at"},
                 {"updated_at"}});
  if (!has_unique_index(connection, "chat_chatsession", "session_id")) {
    refuse("column session_id of table chat_chatsession is not unique.");
  }
}

void check_messages(Connection& connection) {
  check_columns(connection, "chat_message",
                {{"id"}, {"session_id"}, {"content"}, {"is_bot"}, {"created_at"}});
}

void check_turns(Connection& connection) {
  check_columns(connection, "twinchat_turn",
                {{"id"},
                 {"session_id"},
                 {"user_message_id"},
                 {"answer_message_id", true},
                 {"status"},
                 {"idempotency_key", true},
                 {"fingerprint"},
                 {"contents"},
                 {"finish_reason"},
                 {"block_reason"},
                 {"model"},
                 {"model_version"},
                 {"response_id"},
                 {"prompt_tokens"},
                 {"cached_tokens"},
                 {"output_tokens"},
                 {"thought_tokens"},
                 {"total_tokens"},
                 {"latency_ms"},
                 {"attempts"},
                 {"error_code"},
                 {"owner"},
                 {"created_at"},
                 {"expires_at"},
                 {"finished_at", true}});
}

// The version of our tables, looking at nothing else.
int read_version(Connection& connection) {
  check_columns(connection, "twinchat_schema", {{"part"}, {"version"}});
  return static_cast<int>(
      connection.integer("SELECT version FROM twinchat_schema WHERE part = 'store'"));
}

}  // namespace

bool SchemaState::complete() const noexcept {
  return has_sessions && has_messages && version == kVersion;
}

SchemaState inspect(Connection& connection) {
  SchemaState state;
  state.wal = lower(connection.text("PRAGMA journal_mode")) == "wal";

  bool has_turns = false;
  bool has_days = false;
  bool has_versions = false;
  bool familiar = false;
  bool empty = true;
  SQLite::Statement objects(connection.database(),
                            "SELECT lower(name), type FROM sqlite_master WHERE type IN ('table', "
                            "'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'");
  while (objects.executeStep()) {
    const std::string name = objects.getColumn(0).getString();
    const bool is_table = objects.getColumn(1).getString() == "table";
    empty = false;
    familiar = familiar || name.starts_with("chat_") || name.starts_with("twinchat_") ||
               name.starts_with("django_") || name.starts_with("auth_");
    bool* const known = name == "chat_chatsession"  ? &state.has_sessions
                        : name == "chat_message"    ? &state.has_messages
                        : name == "twinchat_schema" ? &has_versions
                        : name == "twinchat_turn"   ? &has_turns
                        : name == "twinchat_day"    ? &has_days
                                                    : nullptr;
    if (known == nullptr) continue;
    if (!is_table) refuse(name + " is a view.");
    *known = true;
  }
  if (!empty && !familiar) refuse("it holds another program's tables.");
  if (connection.text("PRAGMA encoding") != "UTF-8") refuse("its texts are not UTF-8.");

  if (has_versions) state.version = read_version(connection);
  if (state.version > kVersion) {
    refuse("its tables have version " + std::to_string(state.version) +
           ", made by a newer release; this one knows versions up to " + std::to_string(kVersion) +
           ".");
  }
  if (has_turns != (state.version > 0)) refuse("table twinchat_turn does not fit twinchat_schema.");
  if (has_days != (state.version > 1)) refuse("table twinchat_day does not fit twinchat_schema.");
  if (state.has_sessions) check_sessions(connection);
  if (state.has_messages) check_messages(connection);
  if (state.version > 0) check_turns(connection);
  if (has_days) check_columns(connection, "twinchat_day", {{"day"}, {"tokens"}});
  return state;
}

void check_pages(Connection& connection) {
  const std::string found = connection.text("PRAGMA quick_check(1)");
  if (found == "ok") return;
  ErrorDetails details;
  details.diagnostic = "PRAGMA quick_check reports damage";
  throw Error(ErrorCode::kDataLoss, "The database is damaged.", std::move(details));
}

void migrate(Connection& connection) {
  for (;;) {
    SQLite::Database& database = connection.database();
    connection.exec("BEGIN IMMEDIATE");
    try {
      const SchemaState state = inspect(connection);
      if (state.complete()) {
        connection.exec("ROLLBACK");
        return;
      }
      if (!state.has_sessions) connection.exec(kCreateSessions);
      if (!state.has_messages) connection.exec(kCreateMessages);
      if (state.version < kVersion) {
        connection.exec(kCreateVersions);
        connection.exec(kMigrations[static_cast<std::size_t>(state.version)]);
        SQLite::Statement set_version(database, kSetVersion);
        set_version.bind(1, state.version + 1);
        set_version.exec();
      }
      connection.exec("COMMIT");
    } catch (...) {
      if (connection.in_transaction()) database.tryExec("ROLLBACK");
      throw;
    }
  }
}

}  // namespace twinchat::sqlite
