// What the store over PostgreSQL promises beyond every store's contract: servers that stop, break
// off or stand by, connections that are lost at the worst moment, several servers on one database.

#include "twinchat/postgres_store.h"

#include <signal.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "cutting_proxy.h"
#include "postgres_server.h"
#include "process.h"
#include "stores.h"
#include "twinchat/assistant.h"
#include "twinchat/model.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

// The same place, reached through another port.
std::string at_port(const PostgresDatabase& database, std::uint16_t port) {
  return std::string("postgresql://") + kPostgresRole + ":" + kPostgresPassword +
         "@127.0.0.1:" + std::to_string(port) + "/" + database.name();
}

NewTurn keyed(const std::string& session, const std::string& text) {
  NewTurn turn = new_turn(session, text);
  turn.create_session = true;
  turn.idempotency_key = text;
  turn.fingerprint = text;
  return turn;
}

FinishedTurn answering(std::int64_t id, const std::string& answer) {
  FinishedTurn finished;
  finished.turn_id = id;
  finished.status = TurnStatus::kComplete;
  finished.answer = answer;
  finished.now = moment(1);
  return finished;
}

// Threads that write whole turns until they are told to stop, each in a session of its own, trying
// again under the same key whatever fails; and what was acknowledged to them.
class Writers {
 public:
  Writers(Store& store, int count) : store_(store) {
    for (int i = 0; i < count; ++i)
      threads_.emplace_back([this, i] { write("writer " + std::to_string(i)); });
  }
  ~Writers() { stop(); }

  void stop() {
    stopped_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  int acknowledged() const { return acknowledged_; }
  int failures() const { return failures_; }
  // Waits until so many more were acknowledged.
  bool go_on(int more) const {
    const int wanted = acknowledged_ + more;
    return eventually([&] { return acknowledged_ >= wanted; }, 60s);
  }

  // Every acknowledged turn is there once, with its answer, and nothing else but what was under
  // way.
  void check_all(Store& store) const {
    for (const auto& [session, count] : done_) {
      INFO(session);
      std::map<std::string, int> seen;
      for (const Message& message : store.messages(session, {})) ++seen[message.text];
      int missing = 0;
      int doubled = 0;
      for (int n = 0; n < count; ++n) {
        const std::string text = session + "/" + std::to_string(n);
        missing += seen[text] == 0 || seen["re: " + text] == 0 ? 1 : 0;
      }
      for (const auto& [text, times] : seen) doubled += times > 1 ? 1 : 0;
      CHECK(missing == 0);
      CHECK(doubled == 0);
    }
  }

 private:
  void write(const std::string& session) {
    int n = 0;
    for (; !stopped_; ++n) {
      const std::string text = session + "/" + std::to_string(n);
      if (!again([&] {
            NewTurn turn = keyed(session, text);
            const BegunTurn begun = store_.begin_turn(turn);
            if (begun.kind == BegunTurn::Kind::kReplayed) return;
            store_.finish_turn(answering(begun.turn.id, "re: " + text));
          })) {
        break;
      }
      ++acknowledged_;
    }
    const std::lock_guard lock(mutex_);
    done_[session] = n;
  }

  template <class F>
  bool again(F&& body) {
    while (!stopped_) {
      try {
        body();
        return true;
      } catch (const Error& error) {
        ++failures_;
        if (error.code() != ErrorCode::kUnavailable && error.code() != ErrorCode::kAborted) throw;
        std::this_thread::sleep_for(5ms);
      }
    }
    return false;
  }

  Store& store_;
  std::atomic<bool> stopped_{false};
  std::atomic<int> acknowledged_{0};
  std::atomic<int> failures_{0};
  std::mutex mutex_;
  std::map<std::string, int> done_;  // guarded by it: how many turns of each session
  std::vector<std::thread> threads_;
};

// --- Servers that stop

TEST_CASE(
    "PostgreSQL stops and comes back under load: nothing acknowledged is lost, none is doubled") {
  PostgresServer server({.durable = true});
  PostgresClient(server.admin_url()).exec("CREATE DATABASE chat OWNER twinchat");
  const auto store = open_postgres_store(server.url("chat"));
  Writers writers(*store, 8);
  REQUIRE(writers.go_on(100));
  for (const bool orderly : {false, true}) {
    server.stop(orderly);
    std::this_thread::sleep_for(100ms);
    server.start();
    CHECK(writers.go_on(100));
  }
  writers.stop();
  writers.check_all(*store);
  CHECK(postgres_pool_statistics(*store).lost > 0);
  CHECK_NOTHROW(store->check());
}

TEST_CASE("While PostgreSQL is away everything is unavailable, and then goes on by itself") {
  PostgresServer server;
  PostgresClient(server.admin_url()).exec("CREATE DATABASE chat OWNER twinchat");
  const auto store = open_postgres_store(server.url("chat"), {.pool_timeout = 300ms});
  whole_turn(*store, store->create_session("one", {}, moment()).session_id, "q", "a");
  server.stop(true);
  for (int i = 0; i < 3; ++i) {
    CHECK(code_of([&] { store->find_session("one"); }) == ErrorCode::kUnavailable);
    CHECK(code_of([&] { store->check(); }) == ErrorCode::kUnavailable);
    CHECK(code_of([&] { store->begin_turn(new_turn("one", "lost")); }) == ErrorCode::kUnavailable);
  }
  server.start();
  CHECK(eventually([&] { return !code_of([&] { store->check(); }); }));
  CHECK(store->messages("one", {}).size() == 2);
  whole_turn(*store, "one", "q", "a");
}

TEST_CASE(
    "Connections that are ended in the middle of transactions lose nothing and double nothing") {
  const PostgresDatabase database;
  const auto store =
      open_postgres_store(GENERATE(false, true) ? database.url() : database.bouncer_url());
  Writers writers(*store, 6);
  PostgresClient admin(database.admin_url());
  for (int i = 0; i < 20; ++i) {
    // Nobody is hit more often than they try again.
    REQUIRE(writers.go_on(30));
    admin.exec(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'twinchat' AND "
        "datname = current_database()");
  }
  REQUIRE(writers.go_on(20));
  writers.stop();
  // Whoever was hit four times in a row was told to try again later.
  CHECK(writers.failures() < 20);
  writers.check_all(*store);
  CHECK(postgres_pool_statistics(*store).retries > 0);
}

TEST_CASE("A server that has become read-only is unavailable for writing until it writes again") {
  const PostgresDatabase database;
  const auto store = open_postgres_store(database.url());
  store->create_session("one", {}, moment());
  PostgresClient admin(postgres_place().admin_url);
  admin.exec("ALTER DATABASE " + database.name() + " SET default_transaction_read_only = on");
  admin.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" +
             database.name() + "'");
  CHECK(store->find_session("one"));
  CHECK(code_of([&] { store->begin_turn(new_turn("one", "q")); }) == ErrorCode::kUnavailable);
  CHECK(code_of([&] { store->check(); }) == ErrorCode::kUnavailable);
  admin.exec("ALTER DATABASE " + database.name() + " RESET default_transaction_read_only");
  // No connection that only reads is kept.
  CHECK_NOTHROW(store->begin_turn(new_turn("one", "q")));
  CHECK_NOTHROW(store->check());
}

TEST_CASE("Of several hosts in the URL the first one that answers is used") {
  const PostgresDatabase database;
  const std::string url = std::string("postgresql://twinchat@127.0.0.1:1,127.0.0.1:") +
                          std::to_string(postgres_place().port) + "/" + database.name() +
                          "?target_session_attrs=read-write";
  CHECK_NOTHROW(open_postgres_store(url)->create_session("one", {}, moment()));
}

// --- Commits of which nobody heard

TEST_CASE("A connection lost at COMMIT: what was committed is found, what was not is done") {
  const PostgresDatabase database;
  CuttingProxy proxy(postgres_place().port);
  const auto store = open_postgres_store(at_port(database, proxy.port()));
  const auto mode = GENERATE(CuttingProxy::Mode::kCutBefore, CuttingProxy::Mode::kCutAfter);
  const bool with_key = GENERATE(true, false);
  int cuts = 0;
  const auto cut = [&] {
    proxy.set(mode);
    ++cuts;
  };

  cut();
  const Session session = store->create_session("one", {"Jane", {}, {}}, moment());
  CHECK(proxy.cuts() == cuts);
  CHECK(store->find_session("one") == session);

  for (const std::string name : {"one", "two"}) {  // the second one is created by its message
    CAPTURE(name);
    NewTurn turn = keyed(name, "hello");
    if (!with_key) turn.idempotency_key.clear();
    cut();
    const BegunTurn begun = store->begin_turn(turn);
    CHECK(proxy.cuts() == cuts);
    CHECK(begun.kind == BegunTurn::Kind::kNew);
    CHECK(store->turns(name, 10) == std::vector<Turn>{begun.turn});
    cut();
    const Turn finished = store->finish_turn(answering(begun.turn.id, "hi"));
    CHECK(proxy.cuts() == cuts);
    CHECK(store->turns(name, 10) == std::vector<Turn>{finished});
    CHECK(store->messages(name, {}).size() == 2);
    CHECK(finished.text() == "hi");
  }

  // A turn that is resumed.
  NewTurn turn = keyed("one", "again");
  FinishedTurn failed = answering(store->begin_turn(turn).turn.id, "");
  failed.status = TurnStatus::kFailed;
  failed.answer.reset();
  store->finish_turn(failed);
  turn.now = moment(5);
  cut();
  CHECK(store->begin_turn(turn).kind == BegunTurn::Kind::kResumed);
  CHECK(proxy.cuts() == cuts);
  CHECK(store->finish_turn(answering(failed.turn_id, "at last")).text() == "at last");

  cut();
  store->record_consent({.session_id = "one", .version = "v1", .now = moment()});
  CHECK(proxy.cuts() == cuts);
  CHECK(store->consents("one").size() == 1);
  cut();
  store->update_user("one", {.phone = "1"}, moment(9));
  CHECK(proxy.cuts() == cuts);
  CHECK(store->find_session("one")->user.phone == "1");
  CHECK(postgres_pool_statistics(*store).unknown_commits == static_cast<std::uint64_t>(cuts));
  // What a day's turns used is counted once.
  CHECK(store->messages("one", {}).size() == 4);
}

TEST_CASE("A commit of which nothing can be found out is said to be one, and its key comes free") {
  const PostgresDatabase database;
  CuttingProxy proxy(postgres_place().port);
  const auto store = open_postgres_store(at_port(database, proxy.port()), {.pool_timeout = 200ms});
  const auto mode = GENERATE(CuttingProxy::Mode::kCutBefore, CuttingProxy::Mode::kCutAfter);
  store->create_session("one", {}, moment());
  const NewTurn turn = keyed("one", "hello");
  proxy.set(mode, CuttingProxy::Mode::kRefuse);
  try {
    store->begin_turn(turn);
    FAIL("it was found out");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kUnavailable);
    CHECK(error.details().reason == "COMMIT_UNKNOWN");
    CHECK(error.details().retryable);
  }
  proxy.set(CuttingProxy::Mode::kPass);
  std::optional<BegunTurn> begun;
  REQUIRE(eventually([&] { return !code_of([&] { begun = store->begin_turn(turn); }); }));
  const bool committed = mode == CuttingProxy::Mode::kCutAfter;
  CHECK(begun->kind == (committed ? BegunTurn::Kind::kResumed : BegunTurn::Kind::kNew));
  CHECK(store->messages("one", {}).size() == 1);

  // The end of a turn, likewise.
  proxy.set(mode, CuttingProxy::Mode::kRefuse);
  CHECK(code_of([&] { store->finish_turn(answering(begun->turn.id, "hi")); }) ==
        ErrorCode::kUnavailable);
  proxy.set(CuttingProxy::Mode::kPass);
  REQUIRE(eventually([&] { return !code_of([&] { begun = store->begin_turn(turn); }); }));
  CHECK(begun->kind == (committed ? BegunTurn::Kind::kReplayed : BegunTurn::Kind::kResumed));
  CHECK(store->messages("one", {}).size() == (committed ? 2 : 1));
}

// --- Conflicts

// Waits until so many of the database's connections wait for a lock.
bool waits_for_lock(PostgresClient& admin, int count = 1) {
  return eventually([&] {
    return admin.value(
               "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
               "wait_event_type = 'Lock'") >= std::to_string(count);
  });
}

TEST_CASE("The end of a turn whose commit takes long is found once that is done") {
  PostgresServer server;
  PostgresClient admin(server.admin_url());
  admin.exec("CREATE DATABASE chat OWNER twinchat");
  CuttingProxy proxy(server.port());
  const auto store =
      open_postgres_store(std::string("postgresql://") + kPostgresRole + ":" + kPostgresPassword +
                          "@127.0.0.1:" + std::to_string(proxy.port()) + "/chat");
  const BegunTurn begun = store->begin_turn(keyed("one", "hello"));
  const auto replicate = [&](const std::string& standby) {
    admin.exec("ALTER SYSTEM SET synchronous_standby_names = '" + standby + "'");
    admin.exec("SELECT pg_reload_conf()");
  };
  // A standby that is not there: the commit is done here, holds its locks and is not answered.
  replicate("nobody");
  REQUIRE(eventually([&] { return admin.value("SHOW synchronous_standby_names") == "nobody"; }));
  proxy.set(CuttingProxy::Mode::kCutSilent);
  auto finished = std::async(std::launch::async,
                             [&] { return store->finish_turn(answering(begun.turn.id, "hi")); });
  PostgresClient watch(server.admin_url("chat"));
  const bool waits = waits_for_lock(watch);
  replicate("");
  CHECK(waits);
  CHECK(proxy.cuts() == 1);
  CHECK(finished.get().text() == "hi");
  CHECK(store->messages("one", {}).size() == 2);
}

TEST_CASE("A transaction that PostgreSQL gives up in a deadlock is run again") {
  const PostgresDatabase database;
  const auto store = open_postgres_store(database.url());
  const Session session = store->create_session("one", {}, moment());
  PostgresClient admin(database.admin_url());
  PostgresClient other(database.admin_url());
  const std::string id = std::to_string(session.id);
  other.exec("BEGIN");
  other.exec("UPDATE twinchat_session SET message_count = message_count WHERE id = " + id);
  auto begun =
      std::async(std::launch::async, [&] { return store->begin_turn(new_turn("one", "hello")); });
  REQUIRE(waits_for_lock(admin));
  // It waits for us, and we for it: it looks around first, and is the one to be given up.
  other.exec("SELECT 1 FROM chat_chatsession WHERE id = " + id + " FOR UPDATE");
  other.exec("COMMIT");
  CHECK(begun.get().kind == BegunTurn::Kind::kNew);
  CHECK(store->messages("one", {}).size() == 1);
  CHECK(postgres_pool_statistics(*store).retries == 1);
}

TEST_CASE("Who waits too long for a lock, or for a connection, is told so and loses nothing") {
  const PostgresDatabase database;
  const bool bouncer = GENERATE(false, true);
  const auto store = open_postgres_store(bouncer ? database.bouncer_url() : database.url(),
                                         {.max_connections = 1,
                                          .pool_timeout = 200ms,
                                          .statement_timeout = 700ms,
                                          .lock_timeout = 500ms});
  store->create_session("one", {}, moment());
  PostgresClient admin(database.admin_url());
  PostgresClient other(database.admin_url());
  other.exec("BEGIN");
  other.exec("SELECT 1 FROM chat_chatsession FOR UPDATE");
  auto waiting = std::async(std::launch::async, [&] {
    return code_of([&] { store->begin_turn(new_turn("one", "hello")); });
  });
  REQUIRE(waits_for_lock(admin));
  try {
    store->find_session("one");
    FAIL("there was a second connection");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kUnavailable);
    CHECK(error.details().reason == "POOL_EXHAUSTED");
    CHECK(error.details().retryable);
  }
  // A pooler hands the server's limits on or does not: ours holds either way.
  CHECK(waiting.get() == ErrorCode::kUnavailable);
  other.exec("COMMIT");
  CHECK(store->messages("one", {}).empty());
  CHECK_NOTHROW(store->begin_turn(new_turn("one", "hello")));
}

TEST_CASE("As many connections are opened as there are who need one at the same moment") {
  const PostgresDatabase database;
  const auto store = open_postgres_store(database.url(), {.max_connections = 8});
  PostgresClient admin(database.admin_url());
  PostgresClient other(database.admin_url());
  store->create_session("one", {}, moment());
  other.exec("BEGIN");
  other.exec("SELECT 1 FROM chat_chatsession FOR UPDATE");
  std::vector<std::future<Session>> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.push_back(
        std::async(std::launch::async, [&] { return store->update_user("one", {}, moment(1)); }));
  }
  // None of them gives back its connection, and nobody else comes.
  const bool all = waits_for_lock(admin, 8);
  other.exec("COMMIT");
  CHECK(all);
  for (auto& update : waiting) CHECK_NOTHROW(update.get());
}

TEST_CASE("Where the database lets in fewer connections than the pool has, those there are do") {
  const PostgresDatabase database;
  PostgresClient admin(database.admin_url());
  const std::string here =
      "SELECT 1 + count(*) FROM pg_stat_activity WHERE datname = '" + database.name() + "'";
  admin.exec("ALTER DATABASE " + database.name() + " CONNECTION LIMIT " + admin.value(here));
  const auto store = open_postgres_store(database.url(), {.max_connections = 4});
  store->create_session("one", {}, moment());
  Writers writers(*store, 4);
  const auto failed = [&] { return postgres_pool_statistics(*store).failed; };
  // For longer than anybody waits for a database that is out of reach.
  const std::uint64_t attempts = failed() + 12;
  REQUIRE(eventually([&] { return failed() >= attempts; }));
  CHECK(writers.go_on(50));
  writers.stop();
  CHECK(writers.failures() == 0);
  writers.check_all(*store);
}

TEST_CASE("Who waits for a connection gets one, however many others come and go") {
  const PostgresDatabase database;
  const auto store =
      open_postgres_store(database.url(), {.max_connections = 2, .pool_timeout = 500ms});
  store->create_session("one", {}, moment());
  std::atomic<int> failures = 0;
  std::vector<std::jthread> readers;
  for (int i = 0; i < 32; ++i) {
    readers.emplace_back([&] {
      for (int n = 0; n < 1'000; ++n) {
        try {
          store->messages("one", {});
        } catch (const Error&) {
          ++failures;
        }
      }
    });
  }
  readers.clear();
  CHECK(failures == 0);
}

TEST_CASE("A statement that could not be planned at first is planned later") {
  const PostgresDatabase database;
  const auto store =
      open_postgres_store(database.url(), {.max_connections = 1, .lock_timeout = 100ms});
  store->create_session("one", {}, moment());
  PostgresClient other(database.admin_url());
  other.exec("BEGIN");
  other.exec("LOCK TABLE twinchat_turn IN ACCESS EXCLUSIVE MODE");
  CHECK(code_of([&] { store->turns("one", 10); }) == ErrorCode::kUnavailable);
  CHECK(store->messages("one", {}).empty());
  other.exec("COMMIT");
  CHECK(store->turns("one", 10).empty());
}

TEST_CASE("A server that says nothing any more is given up") {
  PostgresServer server;
  PostgresClient(server.admin_url()).exec("CREATE DATABASE chat OWNER twinchat");
  const auto store = open_postgres_store(
      server.url("chat"),
      {.pool_timeout = 200ms, .connect_timeout = 200ms, .statement_timeout = 200ms});
  store->create_session("one", {}, moment());
  std::vector<pid_t> stopped;
  for (const std::string& pid :
       PostgresClient(server.admin_url())
           .rows("SELECT pid FROM pg_stat_activity WHERE usename = 'twinchat'")) {
    stopped.push_back(static_cast<pid_t>(std::stol(pid)));
  }
  stopped.push_back(server.pid());
  for (const pid_t pid : stopped) REQUIRE(kill(pid, SIGSTOP) == 0);
  auto asked =
      std::async(std::launch::async, [&] { return code_of([&] { store->find_session("one"); }); });
  const bool given_up = asked.wait_for(30s) == std::future_status::ready;
  for (const pid_t pid : stopped) kill(pid, SIGCONT);
  CHECK(given_up);
  CHECK(asked.get() == ErrorCode::kUnavailable);
  CHECK(eventually([&] { return !code_of([&] { store->find_session("one"); }); }));
}

// --- Several servers on one database

TEST_CASE("Servers that open an empty database at the same time make its tables once") {
  const PostgresDatabase database;
  std::vector<std::future<std::shared_ptr<Store>>> opening;
  for (int i = 0; i < 6; ++i) {
    opening.push_back(std::async(std::launch::async, [&, i] {
      return open_postgres_store(i % 2 == 0 ? database.url() : database.bouncer_url());
    }));
  }
  for (int i = 0; i < 6; ++i) {
    CHECK_NOTHROW(opening[static_cast<std::size_t>(i)].get()->create_session(std::to_string(i), {},
                                                                             moment()));
  }
  CHECK(PostgresClient(database.admin_url()).value("SELECT count(*) FROM twinchat_schema") == "1");
}

TEST_CASE("A key is held by one of several servers, and its answer is everybody's") {
  const PostgresDatabase database;
  std::vector<std::shared_ptr<Store>> servers;
  for (int i = 0; i < 3; ++i) servers.push_back(open_postgres_store(database.bouncer_url()));
  for (int round = 0; round < 5; ++round) {
    const std::string name = "round " + std::to_string(round);
    std::atomic<int> begun{0};
    std::atomic<int> aborted{0};
    std::atomic<std::int64_t> id{0};
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 12; ++i) {
        threads.emplace_back([&, i] {
          const auto code = code_of([&] {
            const BegunTurn turn =
                servers[static_cast<std::size_t>(i % 3)]->begin_turn(keyed(name, "q"));
            if (turn.kind == BegunTurn::Kind::kNew) {
              ++begun;
              id = turn.turn.id;
            }
          });
          if (code == ErrorCode::kAborted) ++aborted;
        });
      }
    }
    CHECK(begun == 1);
    CHECK(aborted == 11);
    servers[static_cast<std::size_t>(round % 3)]->finish_turn(answering(id, "a"));
    for (const auto& server : servers) {
      CHECK(server->begin_turn(keyed(name, "q")).turn.text() == "a");
      CHECK(server->messages(name, {}).size() == 2);
    }
  }
}

TEST_CASE(
    "A turn that expired on one server is taken over by another, and only one of them ends it") {
  const PostgresDatabase database;
  const auto slow = open_postgres_store(database.url());
  const auto other = open_postgres_store(database.url());
  NewTurn turn = keyed("one", "q");
  turn.expires_at = moment(10);
  const std::int64_t id = slow->begin_turn(turn).turn.id;
  CHECK(code_of([&] { other->begin_turn(turn); }) == ErrorCode::kAborted);
  turn.now = moment(10);
  turn.expires_at = moment(20);
  const BegunTurn resumed = other->begin_turn(turn);
  CHECK(resumed.kind == BegunTurn::Kind::kResumed);
  CHECK(resumed.turn.id == id);
  CHECK(slow->finish_turn(answering(id, "late")).text() == "late");
  CHECK(code_of([&] { other->finish_turn(answering(id, "later")); }) ==
        ErrorCode::kFailedPrecondition);
  CHECK(other->begin_turn(turn).turn.text() == "late");
  CHECK(other->messages("one", {}).size() == 2);
}

TEST_CASE("The tokens of a day are those of all servers") {
  const PostgresDatabase database;
  std::vector<std::shared_ptr<Store>> servers;
  for (int i = 0; i < 3; ++i) servers.push_back(open_postgres_store(database.url()));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&, i] {
        Store& store = *servers[static_cast<std::size_t>(i % 3)];
        for (int n = 0; n < 10; ++n) {
          FinishedTurn finished = answering(
              store.begin_turn(keyed("session " + std::to_string(i), std::to_string(n))).turn.id,
              "a");
          finished.usage.prompt_tokens = 7;
          store.finish_turn(finished);
        }
      });
    }
  }
  NewTurn turn = keyed("one", "q");
  for (const auto& server : servers) {
    turn.max_tokens_per_day = 420;
    CHECK(code_of([&] { server->begin_turn(turn); }) == ErrorCode::kResourceExhausted);
  }
  turn.max_tokens_per_day = 421;
  CHECK_NOTHROW(servers[0]->begin_turn(turn));
}

TEST_CASE("A turn whose process has died is resumed at once where that can be seen") {
  const PostgresDatabase database;
  const auto store = open_postgres_store(database.url());
  Process writer({TWINCHAT_STORE_WRITER, "pending", database.url()});
  REQUIRE(writer.wait_for_line("pending"));
  NewTurn again = new_turn("pending", "hello");
  again.idempotency_key = "key";
  CHECK(code_of([&] { store->begin_turn(again); }) == ErrorCode::kAborted);
  CHECK(open_postgres_store(database.url())->turns("pending", 1).at(0).status ==
        TurnStatus::kPending);
  writer.kill();
  REQUIRE(writer.wait_exit());
  CHECK(store->turns("pending", 1).at(0).status == TurnStatus::kPending);
  CHECK(open_postgres_store(database.url())->turns("pending", 1).at(0).status ==
        TurnStatus::kInterrupted);
  CHECK(store->begin_turn(again).kind == BegunTurn::Kind::kResumed);
}

TEST_CASE("A turn of another machine's process is left alone until it has expired") {
  const PostgresDatabase database;
  const auto store = open_postgres_store(database.url());
  NewTurn turn = keyed("one", "q");
  turn.expires_at = moment(10);
  store->begin_turn(turn);
  PostgresClient(database.admin_url())
      .exec("UPDATE twinchat_turn SET owner = 'another-boot/pid:[1]/1/1'");
  CHECK(code_of([&] { store->begin_turn(turn); }) == ErrorCode::kAborted);
  // By the clock of those who open it, it expired long ago.
  CHECK(open_postgres_store(database.url())->turns("one", 1).at(0).status ==
        TurnStatus::kInterrupted);
}

// --- Connections are for statements

class BlockingModel final : public Model {
 public:
  explicit BlockingModel(int together) : together_(together) {}
  ~BlockingModel() override { wait_for_started(); }
  std::string name() const override { return "blocking"; }

  // Returns when so many are being asked at the same time, having looked at the pool.
  ModelAnswer generate(const GenerateRequest&, const CallOptions&) override {
    std::unique_lock lock(mutex_);
    ++asked_;
    all_.notify_all();
    if (!all_.wait_for(lock, 60s, [&] { return asked_ >= together_; })) ++lonely_;
    ModelAnswer answer;
    answer.content.parts.push_back({.text = "hi"});
    return answer;
  }
  // Waits until they are all being asked, calls `meanwhile`, and lets them go.
  bool all_asked() {
    std::unique_lock lock(mutex_);
    return all_.wait_for(lock, 60s, [&] { return asked_ >= together_ - 1; });
  }
  void release() {
    const std::lock_guard lock(mutex_);
    asked_ = together_;
    all_.notify_all();
  }
  int lonely() const { return lonely_; }

 private:
  const int together_;
  std::mutex mutex_;
  std::condition_variable all_;
  int asked_ = 0;
  std::atomic<int> lonely_{0};
};

TEST_CASE("No connection is held while the model is awaited: one is enough for many messages") {
  const PostgresDatabase database;
  const auto store = open_postgres_store(database.url(), {.max_connections = 1});
  constexpr int kMessages = 8;
  const auto model = std::make_shared<BlockingModel>(kMessages + 1);
  Assistant assistant(store, model, {});
  std::vector<std::future<Turn>> turns;
  for (int i = 0; i < kMessages; ++i) {
    turns.push_back(std::async(std::launch::async, [&] {
      return assistant.send(assistant.create_session().session_id, "hello");
    }));
  }
  REQUIRE(model->all_asked());
  CHECK(postgres_pool_statistics(*store).in_use == 0);
  CHECK(postgres_pool_statistics(*store).open == 1);
  model->release();
  for (auto& turn : turns) CHECK(turn.get().status == TurnStatus::kComplete);
  CHECK(model->lonely() == 0);
  CHECK(postgres_pool_statistics(*store).opened == 1);
}

TEST_CASE("Connections grow old and are replaced, and never more than allowed are open") {
  const PostgresDatabase database;
  const auto store =
      open_postgres_store(database.url(), {.max_connections = 3, .max_lifetime = 50ms});
  Writers writers(*store, 8);
  REQUIRE(eventually([&] { return postgres_pool_statistics(*store).opened > 6; }));
  for (int i = 0; i < 50; ++i) {
    CHECK(postgres_pool_statistics(*store).open <= 3);
    std::this_thread::sleep_for(2ms);
  }
  writers.stop();
  CHECK(writers.failures() == 0);
  writers.check_all(*store);
}

// --- Databases that are not as they should be

TEST_CASE(
    "A database that is not ours, of a newer version or not there is refused and left alone") {
  const PostgresDatabase database;
  PostgresClient admin(database.admin_url());
  const auto tables = [&] {
    return admin.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "ORDER BY 1");
  };
  const std::string told =
      std::string("CREATE TABLE chat_chatsession (id bigserial PRIMARY KEY, ") +
      "session_id varchar(255) UNIQUE, user_name text, user_email text, "
      "user_phone text, created_at timestamptz, updated_at timestamptz";
  const auto [what, sql] = GENERATE_COPY(table<std::string, std::string>({
      {"another program's", "CREATE TABLE invoice (id int)"},
      {"newer",
       "CREATE TABLE twinchat_schema (part text PRIMARY KEY, version int); INSERT INTO "
       "twinchat_schema VALUES ('store', 1000); CREATE TABLE twinchat_turn (id int)"},
      {"a view", "CREATE VIEW chat_message AS SELECT 1 AS id"},
      {"a column that nobody fills", told + ", language text NOT NULL)"},
      {"a key that is not unique",
       "CREATE TABLE chat_chatsession (id bigserial PRIMARY KEY, session_id text, user_name text, "
       "user_email text, user_phone text, created_at timestamptz, updated_at timestamptz)"},
      {"times without a zone",
       "CREATE TABLE chat_chatsession (id bigserial PRIMARY KEY, session_id text UNIQUE, user_name "
       "text, user_email text, user_phone text, created_at timestamp, updated_at timestamp)"},
  }));
  INFO(what);
  admin.exec(sql);
  const Strings before = tables();
  CHECK(code_of([&] { open_postgres_store(database.url()); }) == ErrorCode::kFailedPrecondition);
  CHECK(tables() == before);
}

TEST_CASE("Without leave to create anything a database without tables is told to be migrated") {
  const PostgresDatabase database;
  CHECK(code_of([&] { open_postgres_store(database.url(), {.create = false}); }) ==
        ErrorCode::kFailedPrecondition);
  open_postgres_store(database.url());
  CHECK_NOTHROW(open_postgres_store(database.url(), {.create = false}));
  const std::string none =
      "postgresql://twinchat@127.0.0.1:" + std::to_string(postgres_place().port) + "/not_there";
  CHECK(code_of([&] { open_postgres_store(none); }) == ErrorCode::kNotFound);
}

TEST_CASE("Without the extension for searches the store says so and works") {
  const PostgresDatabase database;
  PostgresClient admin(database.admin_url());
  admin.exec("REVOKE CREATE ON DATABASE " + database.name() + " FROM twinchat");
  Strings warnings;
  const auto store = open_postgres_store(
      database.url(), {.on_warning = [&](const std::string& text) { warnings.push_back(text); }});
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("pg_trgm") != std::string::npos);
  store->create_session("one", {}, moment());
  whole_turn(*store, "one", "q", "a");
  admin.exec("GRANT CREATE ON DATABASE " + database.name() + " TO twinchat");
  warnings.clear();
  open_postgres_store(database.url(),
                      {.on_warning = [&](const std::string& text) { warnings.push_back(text); }});
  CHECK(warnings.empty());
  CHECK(admin.value("SELECT count(*) FROM pg_indexes WHERE indexname LIKE '%trigrams'") == "2");
}

TEST_CASE("Indexes of a large database are made by who has the time, while others write") {
  const PostgresDatabase database;
  PostgresClient admin(database.admin_url());
  open_postgres_store(database.url());
  for (const std::string& index : admin.rows(
           "SELECT indexname FROM pg_indexes WHERE tablename LIKE 'chat%' AND indexname LIKE "
           "'twinchat%'")) {
    admin.exec("DROP INDEX " + index);
  }
  admin.exec(
      "INSERT INTO chat_chatsession (session_id, created_at, updated_at) VALUES ('old', now(), "
      "now()); INSERT INTO chat_message (session_id, content, is_bot, created_at) SELECT 1, 'q' || "
      "i, false, now() FROM generate_series(1, 100001) AS i");
  // One that was broken off is made anew.
  admin.exec(
      "CREATE INDEX twinchat_session_created ON chat_chatsession (created_at, id); UPDATE "
      "pg_index SET indisvalid = false WHERE indexrelid = "
      "'twinchat_session_created'::regclass");
  Strings warnings;
  const auto warn = [&](const std::string& text) {
    if (text.find("migrate") != std::string::npos) warnings.push_back(text);
  };
  const auto store = open_postgres_store(database.url(), {.on_warning = warn});
  CHECK(warnings.size() == 1);
  const auto indexes = [&] {
    return admin.value(
        "SELECT count(*) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid "
        "WHERE i.indisvalid AND c.relname LIKE 'twinchat%' AND i.indrelid IN "
        "('chat_message'::regclass, 'chat_chatsession'::regclass)");
  };
  CHECK(indexes() == "0");
  Writers writers(*store, 2);
  open_postgres_store(GENERATE(true, false) ? database.url() : database.bouncer_url(),
                      {.build_indexes = true, .on_warning = warn});
  writers.stop();
  CHECK(indexes() == "7");
  CHECK(warnings.size() == 1);
  CHECK(writers.failures() == 0);
}

// --- What is told of errors

TEST_CASE("No error tells a password or a visitor's words") {
  const PostgresDatabase database;
  const std::string place =
      "@127.0.0.1:" + std::to_string(postgres_place().port) + "/" + database.name();
  const auto store = open_postgres_store(database.url());
  store->create_session("one", {}, moment());
  PostgresClient(database.admin_url())
      .exec("ALTER TABLE chat_message ADD CONSTRAINT not_that CHECK (content <> 'a secret')");
  const std::vector<std::pair<ErrorCode, std::function<void()>>> attempts{
      {ErrorCode::kFailedPrecondition,
       [&] { open_postgres_store("postgresql://locked:wrong-secret" + place); }},
      {ErrorCode::kFailedPrecondition, [&] { open_postgres_store("postgresql://secret" + place); }},
      {ErrorCode::kInvalidArgument,
       [&] { store->create_session(std::string(300, 's') + "secret", {}, moment()); }},
      {ErrorCode::kInvalidArgument,
       [&] {
         store->update_user("one", {.phone = "a secret of more than twenty letters"}, moment());
       }},
      {ErrorCode::kFailedPrecondition, [&] { store->begin_turn(new_turn("one", "a secret")); }},
  };
  for (const auto& [code, attempt] : attempts) {
    try {
      attempt();
      FAIL_CHECK("it worked");
    } catch (const Error& error) {
      CHECK(error.code() == code);
      const std::string all = error.what() + error.details().diagnostic + error.details().reason;
      CAPTURE(all);
      CHECK(all.find("secret") == std::string::npos);
      CHECK(all.find("letters") == std::string::npos);
    }
  }
  CHECK_NOTHROW(PostgresClient(std::string("postgresql://locked:") + kPostgresPassword + place));
}

TEST_CASE("The audit log is added to and never changed by the server's role") {
  const PostgresDatabase database;
  open_postgres_store(database.url());
  PostgresClient client(database.url());
  client.exec(
      "INSERT INTO twinchat_audit (at, \"user\", address, action, model, object_id, detail) "
      "VALUES (now(), 'op', '', 'view', '', '', '')");
  CHECK_THROWS(client.exec("DELETE FROM twinchat_audit"));
  CHECK_THROWS(client.exec("UPDATE twinchat_audit SET \"user\" = 'nobody'"));
  CHECK_THROWS(client.exec("TRUNCATE twinchat_audit"));
  CHECK(client.value("SELECT count(*) FROM twinchat_audit") == "1");
}

TEST_CASE("A history that is long costs no more than one that is short") {
  const PostgresDatabase database;
  const auto store = open_postgres_store(database.url());
  PostgresClient admin(database.admin_url());
  admin.exec(
      "INSERT INTO chat_chatsession (session_id, created_at, updated_at) SELECT 's' || i, now(), "
      "now() FROM generate_series(1, 200) AS i; INSERT INTO chat_message (session_id, content, "
      "is_bot, created_at) SELECT 1 + i % 200, 'text ' || i, i % 400 >= 200, now() FROM "
      "generate_series(1, 40000) AS i; ANALYZE");
  const auto plan = [&](const std::string& sql) {
    std::string text;
    for (const std::string& line : admin.rows("EXPLAIN " + sql)) text += line + "\n";
    return text;
  };
  const std::string newest = plan(
      "SELECT id, content FROM chat_message WHERE session_id = (SELECT id FROM chat_chatsession "
      "WHERE session_id = 's7') AND id > 0 AND id < 9223372036854775807 ORDER BY id DESC LIMIT 20");
  CAPTURE(newest);
  CHECK(newest.find("Seq Scan on chat_message") == std::string::npos);
  CHECK(newest.find("Sort") == std::string::npos);
  CHECK(newest.find("twinchat_message_session") != std::string::npos);
  CHECK(store->past_turns("s7", 0, 20).size() == 20);
}

}  // namespace
}  // namespace twinchat::testing
