#pragma once

#include <type_traits>
#include <utility>

#include "store/postgres_connection.h"
#include "store/postgres_pool.h"

namespace twinchat::postgres {

// The ErrorDetails::reason of a write of which nobody can say whether it happened.
inline constexpr char kCommitUnknown[] = "COMMIT_UNKNOWN";

// Runs work on a connection of the pool, again where that is called for: up to three times when the
// server wants a transaction repeated (SQLSTATE 40001 and 40P01), and up to three times when the
// connection is lost or leads to a server that only reads. No connection is held between two runs
// or behind the last.
//
// What the work throws comes out as it is, with its transaction rolled back.
//
// Thread safety: every function may be called from any number of threads at once.
class Transactions {
 public:
  explicit Transactions(Pool& pool) : pool_(pool) {}

  // Calls `work(connection)` and returns its result. Each of its statements, which only read, is a
  // transaction by itself.
  template <class F>
  auto read(F&& work) {
    return repeat([&](bool) {
      Pool::Lease lease = pool_.checkout();
      return work(*lease);
    });
  }

  // The same, and all its statements see the same moment.
  template <class F>
  auto snapshot(F&& work) {
    return repeat([&](bool) {
      Pool::Lease lease = pool_.checkout();
      lease->exec("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
      auto result = work(*lease);
      lease->exec("COMMIT");
      return result;
    });
  }

  // Calls `work(connection)` or `work(connection, in_doubt)` in a transaction and returns its
  // result after the commit. When the connection is lost while it commits, nobody has said whether
  // it did: the work is called again with `in_doubt`, and has to find out before it does anything.
  // It does so behind a lock that the former transaction held (a session's row, a unique index), so
  // that it waits for a server that is still committing. Work that does not take `in_doubt` is such
  // that running it twice is no harm.
  //
  // kUnavailable with the reason kCommitUnknown when even that cannot be found out.
  template <class F>
  auto write(F&& work) {
    return repeat([&](bool in_doubt) {
      Pool::Lease lease = pool_.checkout();
      lease->exec("BEGIN ISOLATION LEVEL READ COMMITTED");
      auto result = [&] {
        if constexpr (std::is_invocable_v<F&, Connection&, bool>) {
          return work(*lease, in_doubt);
        } else {
          return work(*lease);
        }
      }();
      commit(*lease);
      return result;
    });
  }

  Pool& pool() noexcept { return pool_; }

 private:
  // A commit whose outcome is not known.
  struct InDoubt {
    SqlError error;
  };
  // How often one piece of work was tried.
  struct Tries {
    int repeated = 0;
    int lost = 0;
    bool in_doubt = false;
  };

  template <class F>
  auto repeat(F&& run) {
    Tries tries;
    for (;;) {
      try {
        return run(tries.in_doubt);
      } catch (const InDoubt& doubt) {
        tries.in_doubt = true;
        pool_.count_unknown_commit();
        go_on(tries, doubt.error);
      } catch (const SqlError& error) {
        go_on(tries, error);
      } catch (const Error& error) {
        if (tries.in_doubt && error.code() == ErrorCode::kUnavailable) throw unknown(error);
        throw;
      }
    }
  }

  // Waits a little, or throws when it is not to be tried again.
  void go_on(Tries& tries, const SqlError& error);
  static void commit(Connection& connection);
  static Error unknown(const Error& cause);

  Pool& pool_;
};

}  // namespace twinchat::postgres
