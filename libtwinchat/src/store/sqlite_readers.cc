#include "store/sqlite_readers.h"

#include <algorithm>

namespace twinchat::sqlite {
namespace {

constexpr char kBeginRead[] = "BEGIN";
constexpr char kEnd[] = "COMMIT";

}  // namespace

Readers::Readers(std::filesystem::path file, std::function<void()> prepare,
                 std::function<std::unique_ptr<Connection>()> open, std::size_t max_connections)
    : file_(std::move(file)),
      prepare_(std::move(prepare)),
      open_(std::move(open)),
      max_connections_(std::max<std::size_t>(max_connections, 1)) {
  idle_.reserve(max_connections_);  // giving a connection back cannot fail
}

Readers::Lease::Lease(Readers& readers) : readers_(readers) {
  {
    std::unique_lock lock(readers_.mutex_);
    readers_.returned_.wait(
        lock, [&] { return readers_.leased_ < readers_.max_connections_ && !readers_.closed_; });
    ++readers_.leased_;
    if (!readers_.idle_.empty()) {
      connection_ = std::move(readers_.idle_.back());
      readers_.idle_.pop_back();
    }
  }
  try {
    if (!connection_) connection_ = translated(readers_.file_, readers_.open_);
  } catch (...) {
    {
      std::lock_guard lock(readers_.mutex_);
      --readers_.leased_;
    }
    readers_.returned_.notify_all();
    throw;
  }
}

Readers::Lease::~Lease() {
  {
    std::lock_guard lock(readers_.mutex_);
    --readers_.leased_;
    if (connection_) readers_.idle_.push_back(std::move(connection_));
  }
  readers_.returned_.notify_all();
}

void Readers::without(const std::function<void()>& meanwhile) {
  std::unique_lock lock(mutex_);
  closed_ = true;
  returned_.wait(lock, [&] { return leased_ == 0; });
  idle_.clear();
  meanwhile();
  closed_ = false;
  lock.unlock();
  returned_.notify_all();
}

Readers::Transaction::Transaction(Connection& connection) : connection_(connection) {
  connection_.prepared(kEnd);  // so that the destructor has nothing to prepare
  Query(connection_, kBeginRead).run();
}

Readers::Transaction::~Transaction() {
  // Cannot fail in a way that matters: there is nothing to keep.
  if (connection_.in_transaction()) connection_.prepared(kEnd).tryExecuteStep();
  connection_.prepared(kEnd).tryReset();
}

}  // namespace twinchat::sqlite
