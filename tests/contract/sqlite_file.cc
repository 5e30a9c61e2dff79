#include "sqlite_file.h"

#include <cstdint>
#include <fstream>
#include <iterator>

namespace twinchat::testing {

const char* const kDjangoTables =
    R"(CREATE TABLE "chat_chatsession" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
         "session_id" varchar(255) NOT NULL UNIQUE, "user_name" varchar(255) NULL,
         "user_email" varchar(254) NULL, "user_phone" varchar(20) NULL,
         "created_at" datetime NOT NULL, "updated_at" datetime NOT NULL);
       CREATE TABLE "chat_message" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
         "content" text NOT NULL, "is_bot" bool NOT NULL, "created_at" datetime NOT NULL,
         "session_id" bigint NOT NULL REFERENCES "chat_chatsession" ("id")
         DEFERRABLE INITIALLY DEFERRED);
       CREATE INDEX "chat_message_session_id_9abc6edf" ON "chat_message" ("session_id");)";

SqliteFile::SqliteFile(const std::filesystem::path& file)
    : database_(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 10'000) {}

std::vector<std::string> SqliteFile::rows(const std::string& sql) {
  std::vector<std::string> rows;
  SQLite::Statement query(database_, sql);
  while (query.executeStep()) rows.push_back(query.getColumn(0).getString());
  return rows;
}

std::vector<std::string> damage(const std::filesystem::path& file) {
  SqliteFile database(file);
  std::vector<std::string> found = database.rows("PRAGMA foreign_key_check");
  for (const std::string& line : database.rows("PRAGMA integrity_check")) {
    if (line != "ok") found.push_back(line);
  }
  return found;
}

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void write_bytes(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

int commits_in_wal(const std::filesystem::path& file) {
  const std::string wal = bytes_of(file.string() + "-wal");
  const auto number_at = [&](std::size_t at) {
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      number = number << 8 | static_cast<unsigned char>(wal[at + i]);
    }
    return number;
  };
  constexpr std::size_t kHeader = 32;
  constexpr std::size_t kFrameHeader = 24;
  if (wal.size() < kHeader) return 0;
  const std::size_t frame = kFrameHeader + number_at(8);
  int commits = 0;
  for (std::size_t at = kHeader; at + frame <= wal.size(); at += frame) {
    // Frames left over from before the log was last started anew have another salt.
    if (number_at(at + 8) != number_at(16) || number_at(at + 12) != number_at(20)) break;
    if (number_at(at + 4) != 0) ++commits;  // the size of the database after a commit
  }
  return commits;
}

}  // namespace twinchat::testing
