#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "store/sqlite_connection.h"

namespace twinchat::sqlite {

// A few connections for reading, opened when they are needed and kept. In WAL mode they see the
// last commit and never wait for the writer; a thread waits only while all of them are in use.
//
// Thread safety: any number of threads at once.
class Readers {
 public:
  // `prepare` is called before every reading and may throw; `open` makes a connection to `file`.
  // Both are called on the reading threads, by several at once.
  Readers(std::filesystem::path file, std::function<void()> prepare,
          std::function<std::unique_ptr<Connection>()> open, std::size_t max_connections);
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  // Calls `read(connection)` in a transaction, so that all its queries see the same moment, and
  // returns its result. Throws what it throws, and Error for what SQLite reports.
  template <class F>
  auto run(F&& read) {
    prepare_();
    Lease lease(*this);
    return translated(file_, [&] {
      try {
        Transaction transaction(lease.connection());
        return read(lease.connection());
      } catch (const SQLite::Exception& exception) {
        if (is_lost(exception)) lease.drop();
        throw;
      }
    });
  }

  // Waits for those who read now, closes all connections, and calls `meanwhile` while there are
  // none.
  void without(const std::function<void()>& meanwhile);

 private:
  class Lease {
   public:
    explicit Lease(Readers& readers);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Connection& connection() noexcept { return *connection_; }
    // Closes the connection in place of giving it back.
    void drop() noexcept { connection_.reset(); }

   private:
    Readers& readers_;
    std::unique_ptr<Connection> connection_;
  };

  class Transaction {
   public:
    explicit Transaction(Connection& connection);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

   private:
    Connection& connection_;
  };

  const std::filesystem::path file_;
  const std::function<void()> prepare_;
  const std::function<std::unique_ptr<Connection>()> open_;
  const std::size_t max_connections_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Connection>> idle_;  // guarded by mutex_
  std::size_t leased_ = 0;                         // guarded by mutex_
  bool closed_ = false;                            // guarded by mutex_: for without()
};

}  // namespace twinchat::sqlite
