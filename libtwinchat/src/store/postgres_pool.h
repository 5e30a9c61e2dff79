#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "store/postgres_connection.h"

namespace twinchat::postgres {

struct PoolOptions {
  std::size_t max_connections = 16;
  Limits limits = {};
  // How long a checkout may take, and with it a thread's wait for a connection to come about.
  std::chrono::milliseconds checkout{5'000};
  // Once connecting has failed for so long, and no connection has done its work meanwhile, nobody
  // is made to wait any more.
  std::chrono::milliseconds patience{2'000};
  // A connection is closed when it is given back and so old, give or take a tenth: so that servers
  // behind one name, and the memory of a server's process, change in time.
  std::chrono::milliseconds max_lifetime{30 * 60'000};
  // And when it has not been used for so long.
  std::chrono::milliseconds max_idle{5 * 60'000};
  // Told in plain words about what an operator should know, on a thread of the pool's.
  std::function<void(const std::string&)> on_warning = {};
};

struct PoolStatistics {
  std::size_t open = 0;               // connections that are there
  std::size_t in_use = 0;             // those of them that are lent
  std::size_t waiting = 0;            // threads that wait for one
  std::uint64_t opened = 0;           // connections that ever came about
  std::uint64_t failed = 0;           // attempts that did not succeed
  std::uint64_t lost = 0;             // connections that broke
  std::uint64_t checkouts = 0;        // that got one
  std::uint64_t timeouts = 0;         // that got none in time
  std::uint64_t retries = 0;          // transactions that were run again, whatever for
  std::uint64_t serialization = 0;    // of those, because the server asked for it
  std::uint64_t unknown_commits = 0;  // commits whose outcome had to be looked up
};

// Connections to one database, opened when they are needed by a thread of the pool's, so that a
// checkout keeps to its limit whatever the network does. A connection is not asked how it is when
// it is lent: one that was found broken says that all others of its age may be, and these are
// closed with it.
//
// Who comes takes what is idle, which costs the fewest changes of thread; but once somebody has
// waited for long, the next connection is theirs.
//
// Thread safety: every function may be called from any number of threads at once.
class Pool {
 public:
  // Connects to nothing yet. kInvalidArgument for a wrong URL.
  Pool(std::string_view url, PoolOptions options);
  // All leases have ended. Waits for the thread, which may be connecting.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  struct Member {
    std::unique_ptr<Connection> connection;
    Clock::time_point dies_at;
    Clock::time_point idle_since = {};
  };

  // A connection for as long as the lease lives. One that is lost, or in a transaction that cannot
  // be rolled back, does not return to the pool.
  class Lease {
   public:
    Lease(Pool& pool, Member member) : pool_(&pool), member_(std::move(member)) {}
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Connection& operator*() noexcept { return *member_.connection; }
    Connection* operator->() noexcept { return member_.connection.get(); }

   private:
    Pool* const pool_;
    Member member_;
  };

  // kUnavailable when there is none within the limit: all are in use ("POOL_EXHAUSTED"), or there
  // is no way to connect. What connecting was refused with for good, like a wrong password, comes
  // out as it is.
  Lease checkout();

  // Closes the idle connections, and the others when they are given back. For a server that turned
  // out to be another one than before.
  void renew() noexcept;

  const Target& target() const noexcept { return target_; }
  // Whether a pooler stands in between that refuses settings with a connection, as far as is known.
  bool takes_no_options() const noexcept { return plain_; }
  PoolStatistics statistics() const;
  // Counts what Transactions did.
  void count_retry(bool serialization) noexcept;
  void count_unknown_commit() noexcept;

 private:
  struct Waiter {
    Clock::time_point since;
    std::condition_variable turn;
  };

  void give_back(Member member) noexcept;
  // With mutex_ held: tells who has waited for longest that a connection is idle.
  void offer() noexcept;
  // The thread's.
  void open_connections();
  std::unique_ptr<Connection> open();
  std::int64_t chance(std::int64_t least, std::int64_t most);

  const Target target_;
  const PoolOptions options_;
  std::atomic<bool> plain_{false};

  mutable std::mutex mutex_;
  std::condition_variable wanted_;
  // All guarded by mutex_.
  std::vector<Member> idle_;  // the one used last at the end
  std::size_t leased_ = 0;
  std::list<Waiter> waiters_;  // the one that came first at the front
  Clock::time_point renewed_ = Clock::time_point::min();
  std::optional<SqlError> failure_;  // of the last attempt to connect
  Clock::time_point failed_at_;      // and when that was
  std::optional<Clock::time_point> failing_since_;
  Clock::time_point answered_at_ = Clock::time_point::min();  // a connection came back in order
  bool probe_ = false;  // somebody wants to know whether connecting works again
  bool stopping_ = false;
  std::minstd_rand random_{std::random_device{}()};
  PoolStatistics counted_;
  std::thread thread_;
};

}  // namespace twinchat::postgres
