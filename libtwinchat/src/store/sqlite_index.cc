#include "store/sqlite_index.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "store/search_text.h"
#include "store/sqlite_rows.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_time.h"
#include "twinchat/error.h"
#include "twinchat/records.h"

namespace twinchat::sqlite {
namespace {

constexpr char kBehind[] =
    "SELECT coalesce((SELECT max(id) FROM chat_message), 0) > last_message OR "
    "coalesce((SELECT max(id) FROM chat_chatsession), 0) > last_session OR "
    "EXISTS (SELECT 1 FROM twinchat_changed) FROM twinchat_index";
constexpr char kState[] = "SELECT last_session, last_message FROM twinchat_index";
constexpr char kNewSessions[] = "SELECT id FROM chat_chatsession WHERE id > ? ORDER BY id LIMIT ?";
constexpr char kNewMessages[] =
    "SELECT id, session_id FROM chat_message WHERE id > ? ORDER BY id LIMIT ?";
constexpr char kIndexMessages[] =
    "INSERT INTO twinchat_message_search (rowid, text) SELECT id, content FROM chat_message WHERE "
    "id > ? AND id <= ? ORDER BY id";
constexpr char kChanged[] = "SELECT id FROM twinchat_changed LIMIT ?";
constexpr char kNotChanged[] = "DELETE FROM twinchat_changed WHERE id = ?";
constexpr char kMove[] =
    "UPDATE twinchat_index SET last_session = ?, last_message = ?, messages = messages + ?";
constexpr char kSessionByRow[] =
    "SELECT id, session_id, user_name, user_email, user_phone, created_at, updated_at FROM "
    "chat_chatsession WHERE id = ?";
constexpr char kCountMessages[] = "SELECT count(*), max(id) FROM chat_message WHERE session_id = ?";
constexpr char kPutSession[] =
    "INSERT INTO twinchat_session (id, name, email, phone, created_at, updated_at, is_lead, "
    "message_count, last_message, searched) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) "
    "DO UPDATE SET name = excluded.name, email = excluded.email, phone = excluded.phone, "
    "created_at = excluded.created_at, updated_at = excluded.updated_at, is_lead = "
    "excluded.is_lead, message_count = excluded.message_count, last_message = "
    "excluded.last_message, searched = excluded.searched";
constexpr char kDropSession[] = "DELETE FROM twinchat_session WHERE id = ?";
// Moves whenever something is added.
constexpr char kNewest[] =
    "SELECT coalesce((SELECT max(id) FROM chat_message), 0) + "
    "coalesce((SELECT max(id) FROM chat_chatsession), 0)";

// Before a reading, and in one transaction of the thread.
constexpr std::size_t kRowsAtOnce = 500;
constexpr std::size_t kRowsInPauses = 100;
constexpr std::chrono::milliseconds kIdle{500};
constexpr std::chrono::seconds kAfterError{5};
constexpr int kShareUnderLoad = 50;

void put_session(Connection& connection, std::int64_t id) {
  std::optional<Session> session;
  {
    Query query(connection, kSessionByRow);
    query.bind(id);
    if (query.step()) session = read_session(query, 0);
  }
  if (!session) {
    Query(connection, kDropSession).bind(id).run();
    return;
  }
  Query messages(connection, kCountMessages);
  messages.bind(id).step();
  const std::string name = ascii_folded(session->user.name.value_or(""));
  const std::string email = ascii_folded(session->user.email.value_or(""));
  const std::string phone = session->user.phone.value_or("");
  const std::string digits = digits_of(phone);
  const std::string created = time_text(session->created_at);
  const std::string updated = time_text(session->updated_at);
  const std::string searched = searched_text(session->session_id, name, email, phone);
  Query put(connection, kPutSession);
  put.bind(id).bind(name).bind(email).bind(digits).bind(created).bind(updated);
  put.bind(is_lead(session->user) ? 1 : 0).bind(messages.integer(0));
  if (messages.is_null(1)) {
    put.bind_null();
  } else {
    put.bind(messages.integer(1));
  }
  put.bind(searched).run();
}

}  // namespace

bool is_index_behind(Connection& connection) {
  Query query(connection, kBehind);
  return query.step() && query.integer(0) != 0;
}

bool bring_into_index(Connection& connection, std::size_t rows) {
  const std::int64_t limit = sql_limit(rows);
  std::int64_t last_session = 0;
  std::int64_t first_message = 0;
  {
    Query query(connection, kState);
    query.step();
    last_session = query.integer(0);
    first_message = query.integer(1);
  }
  bool more = false;
  std::set<std::int64_t> sessions;
  const auto note = [&](std::size_t found) { more = more || found == rows; };
  {
    std::size_t found = 0;
    Query query(connection, kNewSessions);
    for (query.bind(last_session).bind(limit); query.step(); ++found) {
      last_session = query.integer(0);
      sessions.insert(last_session);
    }
    note(found);
  }
  std::int64_t last_message = first_message;
  std::int64_t messages = 0;
  {
    Query query(connection, kNewMessages);
    for (query.bind(first_message).bind(limit); query.step(); ++messages) {
      last_message = query.integer(0);
      sessions.insert(query.integer(1));
    }
    note(static_cast<std::size_t>(messages));
  }
  if (messages > 0) {
    Query(connection, kIndexMessages).bind(first_message).bind(last_message).run();
  }
  std::set<std::int64_t> changed;
  {
    Query query(connection, kChanged);
    for (query.bind(limit); query.step();) changed.insert(query.integer(0));
    note(changed.size());
  }
  for (const std::int64_t id : changed) Query(connection, kNotChanged).bind(id).run();
  sessions.merge(changed);
  for (const std::int64_t id : sessions) put_session(connection, id);
  Query(connection, kMove).bind(last_session).bind(last_message).bind(messages).run();
  return more;
}

IndexKeeper::IndexKeeper(Writer& writer, Readers& readers)
    : writer_(writer), readers_(readers), thread_([this](std::stop_token stop) { run(stop); }) {}

IndexKeeper::~IndexKeeper() {
  thread_.request_stop();
  thread_.join();
}

void IndexKeeper::catch_up() {
  try {
    if (!readers_.run([](Connection& connection) { return is_index_behind(connection); })) return;
    writer_.run([](Connection& connection) { return bring_into_index(connection, kRowsAtOnce); });
  } catch (const Error&) {
    // What cannot be read at all will be said by the reading that comes now.
  }
}

void IndexKeeper::run(std::stop_token stop) {
  using Clock = std::chrono::steady_clock;
  std::int64_t newest_before = 0;
  while (!stop.stop_requested()) {
    Clock::duration pause = kIdle;
    try {
      std::int64_t newest = 0;
      bool lost_triggers = false;
      const bool behind = readers_.run([&](Connection& connection) {
        lost_triggers = !has_triggers(connection);
        Query query(connection, kNewest);
        newest = query.step() ? query.integer(0) : 0;
        return is_index_behind(connection);
      });
      if (lost_triggers) {
        writer_.run([](Connection& connection) {
          make_index_anew(connection);
          return true;
        });
        pause = Clock::duration(0);
      } else if (behind) {
        const auto began = Clock::now();
        writer_.run(
            [](Connection& connection) { return bring_into_index(connection, kRowsInPauses); });
        const auto took = Clock::now() - began;
        pause = newest == newest_before ? took / 8 : took * kShareUnderLoad;
      }
      newest_before = newest;
    } catch (const Error&) {
      pause = kAfterError;
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, pause, [] { return false; });
  }
}

}  // namespace twinchat::sqlite
