#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stop_token>
#include <thread>

#include "store/sqlite_readers.h"
#include "store/sqlite_writer.h"

namespace twinchat::sqlite {

// Whether rows were written or changed that the index of Records does not hold yet.
bool is_index_behind(Connection& connection);

// Brings the next rows into the index, about `rows` of them, in the caller's transaction. Returns
// whether it is behind still.
bool bring_into_index(Connection& connection, std::size_t rows);

// Keeps the index of Records up with the chat tables: a little before every reading that wants it,
// and by a thread of its own in pauses of the writing. While others write, that thread takes a
// fiftieth of the writer's time at most.
//
// Thread safety: catch_up() from any thread.
class IndexKeeper {
 public:
  // Keeps the references.
  IndexKeeper(Writer& writer, Readers& readers);
  // Waits for the thread, which is at most in the middle of a transaction.
  ~IndexKeeper();
  IndexKeeper(const IndexKeeper&) = delete;
  IndexKeeper& operator=(const IndexKeeper&) = delete;

  // Brings in what is new, up to some hundred rows. Does nothing when the database cannot be
  // written now: what is read then is a little old.
  void catch_up();

 private:
  void run(std::stop_token stop);

  Writer& writer_;
  Readers& readers_;
  std::mutex mutex_;
  std::condition_variable_any wake_;  // of nobody but the stop
  std::jthread thread_;
};

}  // namespace twinchat::sqlite
