#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "store/postgres_transactions.h"
#include "twinchat/records.h"

namespace twinchat::postgres {

// How many there are: exact but for what others deleted lately, see ListKeeper. Looks at the newest
// rows alone.
Totals count_rows(Connection& connection);

// What is to be taken out of the counts with these sessions, whose rows are locked.
std::int64_t counted_leads(Connection& connection, const std::vector<std::int64_t>& sessions);

// Takes rows that were deleted out of the counts. The last lock that a transaction takes.
void uncount(Connection& connection, const std::vector<std::int64_t>& sessions,
             const std::vector<std::int64_t>& messages, std::int64_t leads);

// Counts these sessions anew, but for those that somebody else is changing at this moment: a
// transaction of its own.
void recount(Transactions& transactions, const std::vector<std::int64_t>& sessions);

// Keeps twinchat_session true where others write: the Store writes it with every message, Django
// and psql do not. Rows that were added are found by their ids, before every reading. What was
// changed or deleted leaves no such trace without a trigger: in a small database all rows are
// compared before every reading, in a large one by a thread, a few at a time and all within about
// ten minutes. The rows of a page that is shown are compared in any case.
//
// A row whose transaction ended later than that of a greater id is found by looking again half a
// minute later.
//
// Thread safety: every function may be called from any number of threads at once.
class ListKeeper {
 public:
  // Keeps the reference.
  explicit ListKeeper(Transactions& transactions);
  // Waits for the thread, which is at most in the middle of a statement.
  ~ListKeeper();
  ListKeeper(const ListKeeper&) = delete;
  ListKeeper& operator=(const ListKeeper&) = delete;

  // Brings in what others added, up to some thousand rows. Returns whether that was all. Does
  // nothing when the database cannot be written now: what is read then is a little old.
  bool catch_up();

  // Has the thread empty the space of deleted rows, as far as the role may do that.
  void vacuum_soon();

 private:
  // What the database says at one moment.
  struct State {
    std::int64_t last_session = 0;    // up to which the counts go
    std::int64_t last_message = 0;    // likewise
    std::int64_t newest_session = 0;  // the greatest ids
    std::int64_t newest_message = 0;
  };

  struct IdRange {
    std::int64_t after = 0;
    std::int64_t last = 0;
  };

  State state();
  std::int64_t look_at(IdRange sessions, IdRange messages, std::int64_t most);
  bool look(const State& now);
  void look_again();
  void compare_next(const State& now);
  bool compare(std::int64_t from, std::int64_t most, std::int64_t& last);
  void settle(const State& now);
  void settle_leads();
  void count_all(const State& now);
  void vacuum();
  void run(std::stop_token stop);

  Transactions& transactions_;
  std::mutex mutex_;
  // Guarded by mutex_; ids up to which new rows were looked at.
  bool started_ = false;
  std::int64_t seen_session_ = 0;
  std::int64_t seen_message_ = 0;
  // Likewise: what was the newest when we last looked again, and when that was.
  std::int64_t old_session_ = 0;
  std::int64_t old_message_ = 0;
  Clock::time_point looked_again_ = Clock::now();

  // The thread's.
  std::int64_t compared_ = 0;  // sessions up to this id
  Clock::time_point counted_ = Clock::now();
  Clock::time_point next_vacuum_ = Clock::now();

  std::atomic<bool> wants_vacuum_{false};
  std::mutex wake_mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

// All SQL of postgres_lists.cc; see schema_statements().
std::vector<std::string> list_statements();

}  // namespace twinchat::postgres
