#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "store/sqlite_connection.h"
#include "store/sqlite_write_lock.h"
#include "twinchat/error.h"

namespace twinchat::sqlite {

// The one connection of this program that writes; other programs of this library, and other stores
// of this one, write at other moments (WriteLock). Threads that write at the same time share a
// transaction and so a wait for the disk: each queues its operation, one of them carries out all
// that are queued, and nobody returns before the commit that holds their operation.
//
// Within a shared transaction every operation has a savepoint: one that throws leaves no trace and
// does not disturb the others. When the transaction as a whole fails, all of them get the error and
// nothing has been written.
//
// After an error that puts the connection itself in doubt, and when the file or its log was moved
// or removed, it is closed and opened anew for the next operation; so writing goes on by itself
// once the disk recovers. A commit that went to a file that is no longer there is an error.
//
// Thread safety: any number of threads at once.
class Writer {
 public:
  // `open` makes the connection to `file`, now and whenever it has to be made again; what it throws
  // now comes out of the constructor. `close` gets a connection that has to go, on the thread of
  // an operation. All of it happens while no other program writes, which is waited for as long as
  // `timeout`.
  Writer(std::filesystem::path file, std::chrono::milliseconds timeout,
         std::function<std::unique_ptr<Connection>()> open,
         std::function<void(std::unique_ptr<Connection>)> close);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Calls `operation(connection)` in a transaction, on this thread or on another that is writing,
  // and returns its result after the commit. Throws Error: the operation's, or the transaction's.
  template <class F>
  auto run(F&& operation) {
    std::optional<std::invoke_result_t<F&, Connection&>> result;
    Job job([&](Connection& connection) { result.emplace(operation(connection)); });
    execute(job);
    return std::move(*result);
  }

  // To be called by an operation: behind the commit that holds it, the log is brought into the
  // database and emptied, with the next commit if a reader is in the way now.
  void empty_log_after_commit() noexcept { empty_log_ = true; }

  // Whether the database refused the last write, and none has succeeded since.
  bool refuses() const noexcept { return refuses_; }

 private:
  // Wakes one thread once.
  class Waker {
   public:
    void wait();
    void wake();

   private:
    std::mutex mutex_;
    std::condition_variable condition_;
    bool woken_ = false;  // guarded by mutex_
  };

  struct Job {
    explicit Job(std::function<void(Connection&)> f) : operation(std::move(f)) {}
    std::function<void(Connection&)> operation;
    std::optional<Error> error = {};
    bool done = false;  // the leader's until its waker is told
    std::shared_ptr<Waker> waker = std::make_shared<Waker>();
  };

  void execute(Job& job);
  // Carries out what is queued and hands the lead on.
  void lead(Job& own) noexcept;
  // What the leader does; none of them throws, errors go to the jobs.
  std::vector<Job*> carry_out_queue() noexcept;
  void note_outcome(const std::optional<Error>& error, bool transaction_failed);
  std::optional<Error> begin();
  Error current_error() const;
  std::optional<Error> run_one(Job& job, bool alone);
  std::optional<Error> commit();
  void empty_log();
  void roll_back() noexcept;

  const std::filesystem::path file_;
  const std::function<std::unique_ptr<Connection>()> open_;
  const std::function<void(std::unique_ptr<Connection>)> close_;
  WriteLock lock_;  // the leader's

  // Held by the leader alone, from one leader to the next under the mutex.
  std::unique_ptr<Connection> connection_;
  bool lost_ = false;
  bool empty_log_ = false;
  std::atomic<bool> refuses_{false};

  std::mutex mutex_;
  std::vector<Job*> queue_;  // guarded by mutex_
  bool led_ = false;         // guarded by mutex_: some thread is carrying out a transaction
};

}  // namespace twinchat::sqlite
