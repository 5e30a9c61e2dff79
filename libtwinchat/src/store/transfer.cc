#include "twinchat/transfer.h"

#include <array>
#include <cstdint>

#include "store/transfer_side.h"
#include "twinchat/database.h"
#include "twinchat/error.h"
#include "twinchat/postgres_store.h"
#include "twinchat/sqlite_store.h"

namespace twinchat {
namespace {

using enum TransferType;

// Two sums of all bytes and lengths, FNV-1a with two offsets: told apart is what went wrong by
// accident, nobody's malice.
class Checksum {
 public:
  void add(const TransferRow& row) {
    for (const auto& value : row) {
      add_bytes(value ? "+" + std::to_string(value->size()) + ":" : "-");
      if (value) add_bytes(*value);
    }
  }
  std::string text() const {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const std::uint64_t sum : sums_) {
      for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[sum >> shift & 15];
    }
    return text;
  }

 private:
  void add_bytes(std::string_view bytes) {
    for (const char c : bytes) {
      for (std::uint64_t& sum : sums_) {
        sum = (sum ^ static_cast<unsigned char>(c)) * 1'099'511'628'211u;
      }
    }
  }

  std::array<std::uint64_t, 2> sums_{14'695'981'039'346'656'037u, 0x9e3779b97f4a7c15u};
};

struct Ends {
  std::unique_ptr<TransferSide> source;
  std::unique_ptr<TransferSide> target;
};

std::unique_ptr<TransferSide> side_of(std::string_view url, bool is_target) {
  if (url == "memory:") {
    throw Error(ErrorCode::kInvalidArgument, "A database in memory cannot be transferred.");
  }
  if (const auto file = sqlite_file(url)) return sqlite_side(*file, is_target);
  return postgres_side(url);
}

// Makes the tables of the target, without keeping it open: nobody else is to write there.
void make_tables(std::string_view url) {
  if (const auto file = sqlite_file(url)) {
    open_sqlite_store(*file);
  } else {
    open_postgres_store(url);
  }
}

void stop_if_wanted(const TransferOptions& options) {
  if (options.stop.stop_requested()) {
    throw Error(ErrorCode::kCancelled, "The transfer was stopped.");
  }
}

void move_rows(Ends& ends, const TransferTable& table, const TransferOptions& options) {
  TransferMark mark = ends.target->mark(table);
  for (;;) {
    stop_if_wanted(options);
    const std::vector<TransferRow> rows = ends.source->read(table, mark.key, options.rows_at_once);
    if (rows.empty()) return;
    mark.key = rows.back().front().value_or("");
    mark.rows += static_cast<std::int64_t>(rows.size());
    ends.target->write(table, rows, mark);
    if (options.on_progress) options.on_progress({table.name, mark.rows});
  }
}

TransferredTable summed_up(TransferSide& side, const TransferTable& table,
                           const TransferOptions& options) {
  TransferredTable result{table.name};
  Checksum checksum;
  for (std::string after;;) {
    stop_if_wanted(options);
    const std::vector<TransferRow> rows = side.read(table, after, options.rows_at_once);
    if (rows.empty()) break;
    for (const TransferRow& row : rows) checksum.add(row);
    result.rows += static_cast<std::int64_t>(rows.size());
    after = rows.back().front().value_or("");
  }
  result.checksum = checksum.text();
  return result;
}

}  // namespace

const std::vector<TransferTable>& transfer_tables() {
  static const std::vector<TransferTable> tables{
      {"django_content_type", {{"id", kInteger}, {"app_label", kText}, {"model", kText}}},
      {"django_migrations",
       {{"id", kInteger}, {"app", kText}, {"name", kText}, {"applied", kTime}}},
      {"auth_group", {{"id", kInteger}, {"name", kText}}},
      {"auth_permission",
       {{"id", kInteger}, {"content_type_id", kInteger}, {"codename", kText}, {"name", kText}}},
      {"auth_user",
       {{"id", kInteger},
        {"password", kText},
        {"last_login", kTime},
        {"is_superuser", kBoolean},
        {"username", kText},
        {"last_name", kText},
        {"email", kText},
        {"is_staff", kBoolean},
        {"is_active", kBoolean},
        {"date_joined", kTime},
        {"first_name", kText}}},
      {"auth_group_permissions",
       {{"id", kInteger}, {"group_id", kInteger}, {"permission_id", kInteger}}},
      {"auth_user_groups", {{"id", kInteger}, {"user_id", kInteger}, {"group_id", kInteger}}},
      {"auth_user_user_permissions",
       {{"id", kInteger}, {"user_id", kInteger}, {"permission_id", kInteger}}},
      {"chat_chatsession",
       {{"id", kInteger},
        {"session_id", kText},
        {"user_name", kText},
        {"user_email", kText},
        {"user_phone", kText},
        {"created_at", kTime},
        {"updated_at", kTime}}},
      {"chat_message",
       {{"id", kInteger},
        {"content", kText},
        {"is_bot", kBoolean},
        {"created_at", kTime},
        {"session_id", kInteger}}},
      {"twinchat_turn",
       {{"id", kInteger},
        {"session_id", kInteger},
        {"user_message_id", kInteger},
        {"answer_message_id", kInteger},
        {"status", kText},
        {"idempotency_key", kBytes},
        {"fingerprint", kBytes},
        {"contents", kBytes},
        {"finish_reason", kText},
        {"block_reason", kText},
        {"model", kText},
        {"model_version", kText},
        {"response_id", kText},
        {"prompt_tokens", kInteger},
        {"cached_tokens", kInteger},
        {"output_tokens", kInteger},
        {"thought_tokens", kInteger},
        {"total_tokens", kInteger},
        {"latency_ms", kInteger},
        {"attempts", kInteger},
        {"error_code", kText},
        {"feedback", kSmall, "0"},
        {"feedback_at", kTime},
        {"owner", kText},
        {"created_at", kTime},
        {"expires_at", kTime},
        {"finished_at", kTime}}},
      {"twinchat_consent",
       {{"id", kInteger},
        {"session_id", kInteger},
        {"version", kText},
        {"language", kText},
        {"text", kText},
        {"given_at", kTime},
        {"withdrawn_at", kTime}}},
      {"twinchat_day", {{"day", kDay}, {"tokens", kInteger}}, false},
      {"twinchat_token",
       {{"id", kInteger},
        {"token_hash", kText},
        {"user_id", kInteger},
        {"name", kText},
        {"created_at", kTime},
        {"expires_at", kTime},
        {"last_used_at", kTime}}},
      {"twinchat_audit",
       {{"id", kInteger},
        {"at", kTime},
        {"user", kText},
        {"address", kText},
        {"action", kText},
        {"model", kText},
        {"object_id", kText},
        {"detail", kText}}},
  };
  return tables;
}

#ifndef TWINCHAT_WITH_POSTGRES
std::unique_ptr<TransferSide> postgres_side(std::string_view) {
  throw Error(ErrorCode::kUnimplemented, "This build has no PostgreSQL support.");
}
#endif

std::vector<TransferredTable> transfer_database(std::string_view from, std::string_view to,
                                                const TransferOptions& options) {
  Ends ends;
  ends.source = side_of(from, false);
  ends.source->begin_reading();
  make_tables(to);
  ends.target = side_of(to, true);
  const bool begun = ends.target->has_begun();
  if (begun && !options.resume) {
    throw Error(ErrorCode::kFailedPrecondition,
                "A transfer to this database has begun and did not end: resume it.");
  }
  if (!begun) {
    if (ends.target->has_data()) {
      throw Error(ErrorCode::kFailedPrecondition, "The database to fill holds data already.");
    }
    ends.target->begin();
  }
  for (const TransferTable& table : transfer_tables()) move_rows(ends, table, options);
  std::vector<TransferredTable> done;
  for (const TransferTable& table : transfer_tables()) {
    TransferredTable there = summed_up(*ends.source, table, options);
    const TransferredTable here = summed_up(*ends.target, table, options);
    if (there.rows != here.rows || there.checksum != here.checksum) {
      throw Error(ErrorCode::kDataLoss, "The transferred data is not what it was.",
                  {.diagnostic = there.name + ": " + std::to_string(there.rows) + " rows, and " +
                                 std::to_string(here.rows) + " arrived"});
    }
    done.push_back(std::move(there));
  }
  ends.target->finish();
  return done;
}

}  // namespace twinchat
