// Whatever another program, or a failing disk, left in the rows: reading them gives values or one
// of the errors that a store may report, and never disturbs what is whole.
#include <sqlite3.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "history_window.h"
#include "require.h"
#include "twinchat/error.h"
#include "twinchat/sqlite_store.h"

namespace {

using namespace twinchat;

constexpr const char* kColumns[][2] = {{"chat_chatsession", "id"},
                                       {"chat_chatsession", "session_id"},
                                       {"chat_chatsession", "user_name"},
                                       {"chat_chatsession", "user_email"},
                                       {"chat_chatsession", "user_phone"},
                                       {"chat_chatsession", "created_at"},
                                       {"chat_chatsession", "updated_at"},
                                       {"chat_message", "id"},
                                       {"chat_message", "content"},
                                       {"chat_message", "is_bot"},
                                       {"chat_message", "created_at"},
                                       {"chat_message", "session_id"},
                                       {"twinchat_turn", "id"},
                                       {"twinchat_turn", "session_id"},
                                       {"twinchat_turn", "user_message_id"},
                                       {"twinchat_turn", "answer_message_id"},
                                       {"twinchat_turn", "status"},
                                       {"twinchat_turn", "idempotency_key"},
                                       {"twinchat_turn", "fingerprint"},
                                       {"twinchat_turn", "contents"},
                                       {"twinchat_turn", "finish_reason"},
                                       {"twinchat_turn", "block_reason"},
                                       {"twinchat_turn", "model"},
                                       {"twinchat_turn", "model_version"},
                                       {"twinchat_turn", "response_id"},
                                       {"twinchat_turn", "prompt_tokens"},
                                       {"twinchat_turn", "cached_tokens"},
                                       {"twinchat_turn", "output_tokens"},
                                       {"twinchat_turn", "thought_tokens"},
                                       {"twinchat_turn", "total_tokens"},
                                       {"twinchat_turn", "latency_ms"},
                                       {"twinchat_turn", "attempts"},
                                       {"twinchat_turn", "error_code"},
                                       {"twinchat_turn", "owner"},
                                       {"twinchat_turn", "created_at"},
                                       {"twinchat_turn", "expires_at"},
                                       {"twinchat_turn", "finished_at"}};
constexpr const char* kTables[] = {"chat_chatsession", "chat_message", "twinchat_turn"};

constexpr Timestamp kNow = std::chrono::sys_days(std::chrono::year(2026) / 1 / 1);

NewTurn question(std::string text, std::string key) {
  NewTurn turn;
  turn.session_id = "one";
  turn.create_session = true;
  turn.text = std::move(text);
  turn.idempotency_key = std::move(key);
  turn.now = kNow;
  turn.expires_at = kNow + std::chrono::hours(1);
  return turn;
}

// A file with two sessions and their turns, kept aside in tables of the same file to be brought
// back before every input.
class Fixture {
 public:
  Fixture() {
    std::string folder = std::filesystem::temp_directory_path() / "stored-rows-XXXXXX";
    require(::mkdtemp(folder.data()) != nullptr);
    folder_ = folder;
    const std::string file = folder_ / "chat.db";
    SqliteStoreOptions options;
    options.durable = false;
    store_ = open_sqlite_store(file, options);
    for (const char* session : {"one", "whole"}) {
      for (const char* key : {"first", "second"}) {
        NewTurn turn = question("How?", key);
        turn.session_id = session;
        FinishedTurn finished;
        finished.turn_id = store_->begin_turn(turn).turn.id;
        finished.status = TurnStatus::kComplete;
        finished.answer = "So.";
        finished.contents =
            R"([{"role":"model","parts":[{"text":"So.","thoughtSignature":"QQ=="}]}])";
        finished.finish_reason_raw = "STOP";
        finished.now = kNow;
        store_->finish_turn(finished);
      }
    }
    NewTurn pending = question("And?", "third");
    store_->begin_turn(pending);
    require(::sqlite3_open(file.c_str(), &database_) == SQLITE_OK);
    // The store writes its index meanwhile.
    ::sqlite3_busy_timeout(database_, 60'000);
    exec("PRAGMA synchronous=OFF");
    for (const std::string table : kTables) {
      exec("CREATE TABLE kept_" + table + " AS SELECT * FROM " + table);
    }
  }
  ~Fixture() {
    ::sqlite3_close(database_);
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  Store& store() { return *store_; }

  void begin_damage() {
    exec("BEGIN IMMEDIATE");
    for (const std::string table : kTables) {
      exec("DELETE FROM " + table);
      exec("INSERT INTO " + table + " SELECT * FROM kept_" + table);
    }
  }
  // Writes the value into the column of one row, or of all rows of session "one".
  void damage(std::size_t column, std::uint8_t how, std::string_view value) {
    const auto& [table, name] = kColumns[column % std::size(kColumns)];
    const std::string sql =
        std::string("UPDATE ") + table + " SET " + name + " = ?1 WHERE id = " +
        (std::strcmp(table, "chat_chatsession") == 0 ? "1" : std::to_string(1 + how / 8 % 5)) +
        " AND id NOT IN (SELECT id FROM chat_message WHERE session_id = 2 AND '" + table +
        "' = 'chat_message') AND NOT ('" + table +
        "' = 'twinchat_turn' AND id IN (SELECT id FROM kept_twinchat_turn WHERE "
        "session_id = 2))";
    sqlite3_stmt* statement = nullptr;
    require(::sqlite3_prepare_v2(database_, sql.c_str(), -1, &statement, nullptr) == SQLITE_OK);
    const int size = static_cast<int>(value.size());
    std::int64_t number = 0;
    std::memcpy(&number, value.data(), std::min(value.size(), sizeof number));
    switch (how % 8) {
      case 0:
      case 1:
      case 2:
        ::sqlite3_bind_text(statement, 1, value.data(), size, SQLITE_STATIC);
        break;
      case 3:
        ::sqlite3_bind_blob(statement, 1, value.data(), size, SQLITE_STATIC);
        break;
      case 4:
        ::sqlite3_bind_double(statement, 1, static_cast<double>(number) / 3);
        break;
      case 5:
        break;  // NULL
      default:
        ::sqlite3_bind_int64(statement, 1, number);
    }
    ::sqlite3_step(statement);  // the tables' own rules may refuse it
    ::sqlite3_finalize(statement);
  }
  void end_damage() { exec("COMMIT"); }

 private:
  void exec(const std::string& sql) {
    require(::sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  }

  std::filesystem::path folder_;
  std::shared_ptr<Store> store_;
  sqlite3* database_ = nullptr;
};

// Calls `body`; of all exceptions it may throw the errors of a store alone.
template <class F>
void call(F&& body) {
  try {
    body();
  } catch (const Error& error) {
    require(error.code() == ErrorCode::kDataLoss || error.code() == ErrorCode::kNotFound ||
            error.code() == ErrorCode::kAlreadyExists || error.code() == ErrorCode::kAborted ||
            error.code() == ErrorCode::kFailedPrecondition);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Fixture fixture;
  fixture.begin_damage();
  while (size >= 3) {
    const std::size_t length = std::min<std::size_t>(data[2], size - 3);
    fixture.damage(data[0], data[1], {reinterpret_cast<const char*>(data) + 3, length});
    data += 3 + length;
    size -= 3 + length;
  }
  fixture.end_damage();

  Store& store = fixture.store();
  for (const std::string session : {"one", "whole"}) {
    call([&] { store.find_session(session); });
    call([&] { store.messages(session, {}); });
    call([&] { store.turns(session, 10); });
    call([&] { history_window(store.past_turns(session, 0, 10), 10, 1000); });
  }
  for (const char* key : {"first", "second", "third", "new"}) {
    call([&] {
      const BegunTurn begun = store.begin_turn(question("How?", key));
      if (begun.kind == BegunTurn::Kind::kReplayed) return;
      history_window(store.past_turns("one", begun.turn.id, 10), 10, 1000);
      FinishedTurn finished;
      finished.turn_id = begun.turn.id;
      finished.status = TurnStatus::kComplete;
      finished.answer = "So.";
      finished.now = kNow;
      store.finish_turn(finished);
    });
  }
  call([&] { store.update_user("one", {}, kNow); });
  // The other session has lost nothing by it; a row of the first one may have joined it.
  call([&] { require(store.messages("whole", {}).size() >= 4); });
  call([&] { require(store.turns("whole", 10).size() >= 2); });
  return 0;
}
