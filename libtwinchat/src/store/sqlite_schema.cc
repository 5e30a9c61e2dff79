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

// What the lists and searches of Records stand on. `twinchat_index` says up to which rows it goes:
// what has greater ids is not in it yet and is brought in later, in pauses of the writing, so that
// a message costs nothing more than it did. What changes or deletes rows that are in it is seen by
// triggers, whoever does it, and so are rows that come later under lesser ids, as they do when
// Django loads a dump. twinchat_changed holds the sessions whose row has to be made anew.
//
// The search indexes keep no texts and no positions (a third of the space, see
// tests/benchmarks): who searches looks at the rows that were found.
constexpr char kCreateIndex[] = R"sql(
CREATE TABLE "twinchat_index" (
  "id" integer NOT NULL PRIMARY KEY CHECK ("id" = 1),
  "last_session" bigint NOT NULL,
  "last_message" bigint NOT NULL,
  "sessions" bigint NOT NULL,
  "messages" bigint NOT NULL,
  "leads" bigint NOT NULL
);
INSERT INTO "twinchat_index" VALUES (1, 0, 0, 0, 0, 0);
CREATE TABLE "twinchat_changed" ("id" integer NOT NULL PRIMARY KEY);
CREATE TABLE "twinchat_session" (
  "id" integer NOT NULL PRIMARY KEY,
  "name" text NOT NULL,
  "email" text NOT NULL,
  "phone" text NOT NULL,
  "created_at" datetime NOT NULL,
  "updated_at" datetime NOT NULL,
  "is_lead" bool NOT NULL,
  "message_count" bigint NOT NULL,
  "last_message" bigint NULL,
  "searched" text NOT NULL
);
CREATE INDEX "twinchat_session_created" ON "twinchat_session" ("created_at", "id");
CREATE INDEX "twinchat_session_updated" ON "twinchat_session" ("updated_at", "id");
CREATE INDEX "twinchat_session_name" ON "twinchat_session" ("name", "id");
CREATE INDEX "twinchat_session_email" ON "twinchat_session" ("email", "id");
CREATE INDEX "twinchat_session_messages" ON "twinchat_session" ("message_count", "id");
CREATE INDEX "twinchat_session_lead" ON "twinchat_session" ("updated_at", "id") WHERE "is_lead";
CREATE INDEX "twinchat_session_phone" ON "twinchat_session" ("phone") WHERE "phone" <> '';
CREATE VIRTUAL TABLE "twinchat_session_search" USING fts5(
  "text", content='', tokenize='trigram', detail=none);
CREATE VIRTUAL TABLE "twinchat_message_search" USING fts5(
  "text", content='', tokenize='trigram', detail=none);
CREATE TRIGGER "twinchat_session_added" AFTER INSERT ON "twinchat_session" BEGIN
  UPDATE "twinchat_index" SET "sessions" = "sessions" + 1, "leads" = "leads" + new."is_lead";
  INSERT INTO "twinchat_session_search" ("rowid", "text") VALUES (new."id", new."searched");
END;
CREATE TRIGGER "twinchat_session_edited" AFTER UPDATE ON "twinchat_session"
WHEN old."searched" <> new."searched" OR old."is_lead" <> new."is_lead" BEGIN
  UPDATE "twinchat_index" SET "leads" = "leads" + new."is_lead" - old."is_lead";
  INSERT INTO "twinchat_session_search" ("twinchat_session_search", "rowid", "text")
    VALUES ('delete', old."id", old."searched");
  INSERT INTO "twinchat_session_search" ("rowid", "text") VALUES (new."id", new."searched");
END;
CREATE TRIGGER "twinchat_session_removed" AFTER DELETE ON "twinchat_session" BEGIN
  UPDATE "twinchat_index" SET "sessions" = "sessions" - 1, "leads" = "leads" - old."is_lead";
  INSERT INTO "twinchat_session_search" ("twinchat_session_search", "rowid", "text")
    VALUES ('delete', old."id", old."searched");
END;
CREATE INDEX "twinchat_turn_unfinished" ON "twinchat_turn" ("id", "status")
  WHERE "status" NOT IN ('pending', 'complete');
CREATE TABLE "twinchat_statistics" (
  "day" text NOT NULL PRIMARY KEY,
  "figures" text NOT NULL
) WITHOUT ROWID;
)sql";

// The triggers on the chat tables. None of them names another chat table: Django could then not
// build that one anew. They go when Django builds such a table anew; then they are made
// again, and the index with them.
constexpr int kTriggerCount = 6;
// Those that there have been from the beginning: while they are there, the index is as it should
// be.
constexpr int kOldTriggerCount = 4;
constexpr char kCountTriggers[] =
    "SELECT count(*), total(name NOT LIKE '%_returned') FROM sqlite_master WHERE type = 'trigger' "
    "AND name IN "
    "('twinchat_details_changed', 'twinchat_session_deleted', 'twinchat_session_returned', "
    "'twinchat_message_changed', 'twinchat_message_deleted', 'twinchat_message_returned')";
constexpr char kCreateTriggers[] = R"sql(
DROP TRIGGER IF EXISTS "twinchat_details_changed";
DROP TRIGGER IF EXISTS "twinchat_session_deleted";
DROP TRIGGER IF EXISTS "twinchat_session_returned";
DROP TRIGGER IF EXISTS "twinchat_message_changed";
DROP TRIGGER IF EXISTS "twinchat_message_deleted";
DROP TRIGGER IF EXISTS "twinchat_message_returned";
CREATE TRIGGER "twinchat_details_changed"
AFTER UPDATE OF "session_id", "user_name", "user_email", "user_phone" ON "chat_chatsession"
WHEN old."user_name" IS NOT new."user_name" OR old."user_email" IS NOT new."user_email"
  OR old."user_phone" IS NOT new."user_phone" OR old."session_id" IS NOT new."session_id"
BEGIN
  INSERT OR IGNORE INTO "twinchat_changed" ("id") VALUES (new."id");
END;
CREATE TRIGGER "twinchat_session_deleted" AFTER DELETE ON "chat_chatsession" BEGIN
  DELETE FROM "twinchat_session" WHERE "id" = old."id";
  DELETE FROM "twinchat_changed" WHERE "id" = old."id";
END;
CREATE TRIGGER "twinchat_session_returned" AFTER INSERT ON "chat_chatsession"
WHEN new."id" <= (SELECT "last_session" FROM "twinchat_index")
BEGIN
  INSERT OR IGNORE INTO "twinchat_changed" ("id") VALUES (new."id");
END;
CREATE TRIGGER "twinchat_message_changed"
AFTER UPDATE OF "id", "content", "session_id" ON "chat_message"
WHEN min(old."id", new."id") <= (SELECT "last_message" FROM "twinchat_index")
  AND (old."content" <> new."content" OR old."session_id" <> new."session_id"
    OR old."id" <> new."id")
BEGIN
  INSERT INTO "twinchat_message_search" ("twinchat_message_search", "rowid", "text")
    SELECT 'delete', old."id", old."content" FROM "twinchat_index" WHERE old."id" <= "last_message";
  INSERT INTO "twinchat_message_search" ("rowid", "text")
    SELECT new."id", new."content" FROM "twinchat_index" WHERE new."id" <= "last_message";
  UPDATE "twinchat_index" SET "messages" = "messages" + (new."id" <= "last_message")
    - (old."id" <= "last_message") WHERE old."id" <> new."id";
  INSERT OR IGNORE INTO "twinchat_changed" ("id") VALUES (old."session_id"), (new."session_id");
END;
CREATE TRIGGER "twinchat_message_deleted" AFTER DELETE ON "chat_message"
WHEN old."id" <= (SELECT "last_message" FROM "twinchat_index")
BEGIN
  INSERT INTO "twinchat_message_search" ("twinchat_message_search", "rowid", "text")
    VALUES ('delete', old."id", old."content");
  UPDATE "twinchat_index" SET "messages" = "messages" - 1;
  INSERT OR IGNORE INTO "twinchat_changed" ("id") VALUES (old."session_id");
END;
CREATE TRIGGER "twinchat_message_returned" AFTER INSERT ON "chat_message"
WHEN new."id" <= (SELECT "last_message" FROM "twinchat_index")
BEGIN
  INSERT INTO "twinchat_message_search" ("rowid", "text") VALUES (new."id", new."content");
  UPDATE "twinchat_index" SET "messages" = "messages" + 1;
  INSERT OR IGNORE INTO "twinchat_changed" ("id") VALUES (new."session_id");
END;
)sql";
constexpr char kEmptyIndex[] = R"sql(
DELETE FROM "twinchat_session";
DELETE FROM "twinchat_changed";
INSERT INTO "twinchat_session_search" ("twinchat_session_search") VALUES ('delete-all');
INSERT INTO "twinchat_message_search" ("twinchat_message_search") VALUES ('delete-all');
UPDATE "twinchat_index" SET "last_session" = 0, "last_message" = 0, "sessions" = 0,
  "messages" = 0, "leads" = 0;
)sql";

// Who looks after the data. The log-ins reference no user: Django deletes users without knowing of
// them, and a log-in without a user is none.
constexpr char kCreateAccounts[] = R"sql(
CREATE TABLE "twinchat_login" (
  "token_hash" text NOT NULL PRIMARY KEY,
  "user_id" bigint NOT NULL,
  "csrf_token" text NOT NULL,
  "created_at" datetime NOT NULL,
  "seen_at" datetime NOT NULL,
  "expires_at" datetime NOT NULL
);
CREATE INDEX "twinchat_login_user" ON "twinchat_login" ("user_id");
CREATE TABLE "twinchat_token" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "token_hash" text NOT NULL UNIQUE,
  "user_id" bigint NOT NULL,
  "name" text NOT NULL,
  "created_at" datetime NOT NULL,
  "expires_at" datetime NULL,
  "last_used_at" datetime NULL
);
CREATE INDEX "twinchat_token_user" ON "twinchat_token" ("user_id");
CREATE TABLE "twinchat_audit" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "at" datetime NOT NULL,
  "user" text NOT NULL,
  "address" text NOT NULL,
  "action" text NOT NULL,
  "model" text NOT NULL,
  "object_id" text NOT NULL,
  "detail" text NOT NULL
);
CREATE INDEX "twinchat_audit_user" ON "twinchat_audit" ("user", "id");
CREATE INDEX "twinchat_audit_object" ON "twinchat_audit" ("object_id", "id");
CREATE TRIGGER "twinchat_audit_kept" BEFORE DELETE ON "twinchat_audit" BEGIN
  SELECT RAISE(ABORT, 'the audit log is kept');
END;
CREATE TRIGGER "twinchat_audit_unchanged" BEFORE UPDATE ON "twinchat_audit" BEGIN
  SELECT RAISE(ABORT, 'the audit log is not changed');
END;
)sql";

// What visitors think of answers, and what they agreed to. Two columns of the turn and not a table:
// a turn is read with it in one go.
constexpr char kCreateFeedback[] = R"sql(
ALTER TABLE "twinchat_turn" ADD COLUMN "feedback" smallint NOT NULL DEFAULT 0;
ALTER TABLE "twinchat_turn" ADD COLUMN "feedback_at" datetime NULL;
CREATE TABLE "twinchat_consent" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "session_id" bigint NOT NULL REFERENCES "chat_chatsession" ("id") ON DELETE CASCADE
    DEFERRABLE INITIALLY DEFERRED,
  "version" text NOT NULL,
  "language" text NOT NULL,
  "text" text NOT NULL,
  "given_at" datetime NOT NULL,
  "withdrawn_at" datetime NULL
);
CREATE INDEX "twinchat_consent_session" ON "twinchat_consent" ("session_id", "id");
)sql";

// Who of several programs on this file does what only one is to do, until when.
constexpr char kCreateLeases[] = R"sql(
CREATE TABLE "twinchat_lease" (
  "name" text NOT NULL PRIMARY KEY,
  "owner" text NOT NULL,
  "expires_at" datetime NOT NULL
) WITHOUT ROWID;
)sql";

// Answers by what is thought of them: which, and when that was said.
constexpr char kIndexFeedback[] = R"sql(
CREATE INDEX "twinchat_turn_feedback" ON "twinchat_turn" ("feedback", "id")
  WHERE "feedback" <> 0;
CREATE INDEX "twinchat_turn_feedback_at" ON "twinchat_turn" ("feedback_at", "feedback")
  WHERE "feedback" <> 0;
)sql";

// What slows down who guesses passwords: under names made of keyed hashes, for about a day.
constexpr char kCreateFailures[] = R"sql(
CREATE TABLE "twinchat_login_failure" (
  "key" text NOT NULL PRIMARY KEY,
  "failures" bigint NOT NULL,
  "until" datetime NOT NULL,
  "known" bool NOT NULL,
  "forget_at" datetime NOT NULL
) WITHOUT ROWID;
CREATE INDEX "twinchat_login_failure_forget" ON "twinchat_login_failure" ("forget_at");
)sql";

constexpr char kFindUsers[] =
    "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'auth_user'";

// Django's own, as its migrations leave them, and a note that these were made, so that an existing
// deployment's users work and Django can take over ours. Made for the first user only: where
// there are none, Django can make its tables itself.
constexpr char kCreateDjangoAccounts[] = R"sql(
CREATE TABLE IF NOT EXISTS "django_content_type" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "app_label" varchar(100) NOT NULL, "model" varchar(100) NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS "django_content_type_app_label_model_76bd3d3b_uniq"
  ON "django_content_type" ("app_label", "model");
CREATE TABLE IF NOT EXISTS "auth_group" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "name" varchar(150) NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS "auth_permission" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "content_type_id" integer NOT NULL REFERENCES "django_content_type" ("id")
    DEFERRABLE INITIALLY DEFERRED,
  "codename" varchar(100) NOT NULL, "name" varchar(255) NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS "auth_permission_content_type_id_codename_01ab375a_uniq"
  ON "auth_permission" ("content_type_id", "codename");
CREATE INDEX IF NOT EXISTS "auth_permission_content_type_id_2f476e4b"
  ON "auth_permission" ("content_type_id");
CREATE TABLE IF NOT EXISTS "auth_user" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "password" varchar(128) NOT NULL, "last_login" datetime NULL, "is_superuser" bool NOT NULL,
  "username" varchar(150) NOT NULL UNIQUE, "last_name" varchar(150) NOT NULL,
  "email" varchar(254) NOT NULL, "is_staff" bool NOT NULL, "is_active" bool NOT NULL,
  "date_joined" datetime NOT NULL, "first_name" varchar(150) NOT NULL);
CREATE TABLE IF NOT EXISTS "auth_group_permissions" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "group_id" integer NOT NULL REFERENCES "auth_group" ("id") DEFERRABLE INITIALLY DEFERRED,
  "permission_id" integer NOT NULL REFERENCES "auth_permission" ("id")
    DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX IF NOT EXISTS "auth_group_permissions_group_id_permission_id_0cd325b0_uniq"
  ON "auth_group_permissions" ("group_id", "permission_id");
CREATE INDEX IF NOT EXISTS "auth_group_permissions_group_id_b120cbf9"
  ON "auth_group_permissions" ("group_id");
CREATE INDEX IF NOT EXISTS "auth_group_permissions_permission_id_84c5c92e"
  ON "auth_group_permissions" ("permission_id");
CREATE TABLE IF NOT EXISTS "auth_user_groups" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "user_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED,
  "group_id" integer NOT NULL REFERENCES "auth_group" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX IF NOT EXISTS "auth_user_groups_user_id_group_id_94350c0c_uniq"
  ON "auth_user_groups" ("user_id", "group_id");
CREATE INDEX IF NOT EXISTS "auth_user_groups_user_id_6a12ed8b" ON "auth_user_groups" ("user_id");
CREATE INDEX IF NOT EXISTS "auth_user_groups_group_id_97559544" ON "auth_user_groups" ("group_id");
CREATE TABLE IF NOT EXISTS "auth_user_user_permissions" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "user_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED,
  "permission_id" integer NOT NULL REFERENCES "auth_permission" ("id")
    DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX IF NOT EXISTS "auth_user_user_permissions_user_id_permission_id_14a6b632_uniq"
  ON "auth_user_user_permissions" ("user_id", "permission_id");
CREATE INDEX IF NOT EXISTS "auth_user_user_permissions_user_id_a95ead1b"
  ON "auth_user_user_permissions" ("user_id");
CREATE INDEX IF NOT EXISTS "auth_user_user_permissions_permission_id_1fbb5f2c"
  ON "auth_user_user_permissions" ("permission_id");
CREATE TABLE IF NOT EXISTS "django_migrations" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "app" varchar(255) NOT NULL, "name" varchar(255) NOT NULL, "applied" datetime NOT NULL);
WITH "made" ("app", "name") AS (VALUES
  ('contenttypes', '0001_initial'),
  ('contenttypes', '0002_remove_content_type_name'),
  ('auth', '0001_initial'),
  ('auth', '0002_alter_permission_name_max_length'),
  ('auth', '0003_alter_user_email_max_length'),
  ('auth', '0004_alter_user_username_opts'),
  ('auth', '0005_alter_user_last_login_null'),
  ('auth', '0006_require_contenttypes_0002'),
  ('auth', '0007_alter_validators_add_error_messages'),
  ('auth', '0008_alter_user_username_max_length'),
  ('auth', '0009_alter_user_last_name_max_length'),
  ('auth', '0010_alter_group_name_max_length'),
  ('auth', '0011_update_proxy_permissions'),
  ('auth', '0012_alter_user_first_name_max_length'))
INSERT INTO "django_migrations" ("app", "name", "applied")
  SELECT "app", "name", datetime('now') FROM "made" WHERE NOT EXISTS (
    SELECT 1 FROM "django_migrations" AS m WHERE m."app" = "made"."app" AND m."name" = "made"."name");
)sql";
constexpr char kKnowPermissions[] = R"sql(
INSERT OR IGNORE INTO "django_content_type" ("app_label", "model")
  VALUES ('chat', 'chatsession'), ('chat', 'message');
INSERT OR IGNORE INTO "auth_permission" ("content_type_id", "codename", "name")
  SELECT c."id", a."action" || '_' || c."model", 'Can ' || a."action" || ' '
    || CASE c."model" WHEN 'chatsession' THEN 'chat session' ELSE 'message' END
  FROM (SELECT 'add' AS "action" UNION ALL SELECT 'change' UNION ALL SELECT 'delete'
    UNION ALL SELECT 'view') AS a, "django_content_type" AS c
  WHERE c."app_label" = 'chat' AND c."model" IN ('chatsession', 'message');
)sql";

// Migration n, the n-th of these, leads from version n-1 to n. Never edit one that was released.
constexpr std::array<const char*, 8> kMigrations{kCreateTurns,    kCreateDays,     kCreateIndex,
                                                 kCreateAccounts, kCreateFeedback, kCreateLeases,
                                                 kIndexFeedback,  kCreateFailures};
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

void check_turns(Connection& connection, int version) {
  std::vector<Wanted> wanted{{"id"},
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
                             {"finished_at", true}};
  if (version > 4) {
    wanted.push_back({"feedback"});
    wanted.push_back({"feedback_at", true});
  }
  check_columns(connection, "twinchat_turn", wanted);
}

// The version of our tables, looking at nothing else.
int read_version(Connection& connection) {
  check_columns(connection, "twinchat_schema", {{"part"}, {"version"}});
  return static_cast<int>(
      connection.integer("SELECT version FROM twinchat_schema WHERE part = 'store'"));
}

}  // namespace

bool SchemaState::complete() const noexcept {
  return has_sessions && has_messages && has_triggers && version == kVersion;
}

SchemaState inspect(Connection& connection) {
  SchemaState state;
  state.wal = lower(connection.text("PRAGMA journal_mode")) == "wal";

  bool has_turns = false;
  bool has_days = false;
  bool has_consents = false;
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
    bool* const known = name == "chat_chatsession"   ? &state.has_sessions
                        : name == "chat_message"     ? &state.has_messages
                        : name == "twinchat_schema"  ? &has_versions
                        : name == "twinchat_turn"    ? &has_turns
                        : name == "twinchat_day"     ? &has_days
                        : name == "twinchat_consent" ? &has_consents
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
  if (has_consents != (state.version > 4)) {
    refuse("table twinchat_consent does not fit twinchat_schema.");
  }
  if (state.has_sessions) check_sessions(connection);
  if (state.has_messages) check_messages(connection);
  if (state.version > 0) check_turns(connection, state.version);
  if (has_days) check_columns(connection, "twinchat_day", {{"day"}, {"tokens"}});
  if (has_consents) {
    check_columns(connection, "twinchat_consent",
                  {{"id"},
                   {"session_id"},
                   {"version"},
                   {"language"},
                   {"text"},
                   {"given_at"},
                   {"withdrawn_at", true}});
  }
  state.has_triggers = has_triggers(connection);
  return state;
}

bool has_triggers(Connection& connection) {
  Query query(connection, kCountTriggers);
  return query.step() && query.integer(0) == kTriggerCount;
}

void make_index_anew(Connection& connection) {
  bool followed = false;
  {
    Query query(connection, kCountTriggers);
    followed = query.step() && query.integer(1) == kOldTriggerCount;
  }
  connection.exec(kCreateTriggers);
  if (!followed) connection.exec(kEmptyIndex);
}

bool has_users(Connection& connection) {
  Query query(connection, kFindUsers);
  return query.step();
}

void prepare_for_users(Connection& connection) {
  if (!has_users(connection)) connection.exec(kCreateDjangoAccounts);
  connection.exec(kKnowPermissions);
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
      } else if (!state.has_triggers) {
        make_index_anew(connection);
      }
      connection.exec("COMMIT");
    } catch (...) {
      if (connection.in_transaction()) database.tryExec("ROLLBACK");
      throw;
    }
  }
}

}  // namespace twinchat::sqlite
