#include "stores.h"

#include <utility>

#include "twinchat/memory_store.h"
#include "twinchat/sqlite_store.h"
#ifdef TWINCHAT_TEST_POSTGRES
#include "postgres_server.h"
#include "twinchat/postgres_store.h"
#endif

namespace twinchat::testing {

#ifdef TWINCHAT_TEST_POSTGRES
namespace {

// A store on a database of its own, which goes with it.
std::shared_ptr<Store> on_postgres(bool through_bouncer) {
  struct Both {
    PostgresDatabase database{PostgresDatabase::Kind::kReused};
    std::shared_ptr<Store> store;
  };
  const auto both = std::make_shared<Both>();
  both->store =
      open_postgres_store(through_bouncer ? both->database.bouncer_url() : both->database.url());
  return {both, both->store.get()};
}

}  // namespace
#endif

const std::vector<StoreKind>& store_kinds() {
  static const std::vector<StoreKind> kinds{
      {"memory", [](const std::filesystem::path&) { return make_memory_store(); }},
      {"sqlite",
       [](const std::filesystem::path& folder) { return open_sqlite_store(folder / "chat.db"); }},
#ifdef TWINCHAT_TEST_POSTGRES
      {"postgres", [](const std::filesystem::path&) { return on_postgres(false); }, false},
      {"postgres behind pgbouncer", [](const std::filesystem::path&) { return on_postgres(true); },
       false},
#endif
  };
  return kinds;
}

Timestamp moment(std::int64_t micros) {
  using namespace std::chrono;
  return sys_days(2025y / 12 / 26) + 12h + microseconds(micros);
}

NewTurn new_turn(std::string session_id, std::string text, Timestamp now) {
  NewTurn turn;
  turn.session_id = std::move(session_id);
  turn.text = std::move(text);
  turn.now = now;
  turn.expires_at = now + std::chrono::hours(24 * 365 * 1000);
  return turn;
}

Turn whole_turn(Store& store, const std::string& session_id, const std::string& text,
                const std::string& answer, TurnStatus status) {
  FinishedTurn finished;
  finished.turn_id = store.begin_turn(new_turn(session_id, text)).turn.id;
  finished.status = status;
  if (!answer.empty()) finished.answer = answer;
  finished.now = moment(1);
  return store.finish_turn(finished);
}

std::optional<ErrorCode> code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return std::nullopt;
}

}  // namespace twinchat::testing
