#include "store/sqlite_writer.h"

#include <exception>
#include <new>

namespace twinchat::sqlite {
namespace {

constexpr char kBeginWrite[] = "BEGIN IMMEDIATE";
constexpr char kCommit[] = "COMMIT";
constexpr char kRollBack[] = "ROLLBACK";
constexpr char kEmptyLog[] = "PRAGMA wal_checkpoint(TRUNCATE)";
constexpr char kSavepoint[] = "SAVEPOINT job";
constexpr char kRelease[] = "RELEASE job";
constexpr char kUndo[] = "ROLLBACK TO job";

// Errors go from the thread that ran into them to others: each gets one of its own.
Error fresh_copy(const Error& error) {
  return Error(error.code(), error.what(), error.details());
}

}  // namespace

Error Writer::current_error() const {
  try {
    throw;
  } catch (const Error& error) {
    return fresh_copy(error);
  } catch (const SQLite::Exception& exception) {
    return to_error(exception, file_);
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::kResourceExhausted, "There is not enough memory to do this.");
  } catch (const std::exception&) {
    return Error(ErrorCode::kInternal, "The database operation failed.");
  }
}

Writer::Writer(std::filesystem::path file, std::chrono::milliseconds timeout,
               std::function<std::unique_ptr<Connection>()> open,
               std::function<void(std::unique_ptr<Connection>)> close)
    : file_(std::move(file)),
      open_(std::move(open)),
      close_(std::move(close)),
      lock_(file_, timeout),
      connection_(lock_.holding(open_)) {}

void Writer::Waker::wait() {
  std::unique_lock lock(mutex_);
  condition_.wait(lock, [this] { return woken_; });
}

void Writer::Waker::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  condition_.notify_one();
}

void Writer::execute(Job& job) {
  std::unique_lock lock(mutex_);
  queue_.push_back(&job);
  const bool waits = std::exchange(led_, true);
  lock.unlock();
  // Woken when the job is done, or to lead in the place of who led before.
  if (waits) job.waker->wait();
  if (!job.done) lead(job);
  if (job.error) throw *job.error;
}

void Writer::lead(Job& own) noexcept {
  const std::vector<Job*> batch = carry_out_queue();
  // A job lives on its thread's stack and is gone as soon as that thread sees that it is done: the
  // wakers are ours too. They are told without a lock that those who wake would want.
  std::vector<std::shared_ptr<Waker>> to_wake;
  to_wake.reserve(batch.size());
  for (Job* job : batch) {
    job->done = true;
    if (job != &own) to_wake.push_back(job->waker);
  }
  {
    const std::lock_guard lock(mutex_);
    led_ = !queue_.empty();
    if (led_) to_wake.push_back(queue_.front()->waker);
  }
  for (const auto& waker : to_wake) waker->wake();
}

std::vector<Writer::Job*> Writer::carry_out_queue() noexcept {
  // Whoever comes while another program's lock is waited for joins this transaction.
  std::optional<Error> failure = begin();
  std::vector<Job*> batch;
  {
    std::lock_guard lock(mutex_);
    batch.swap(queue_);
  }
  for (Job* job : batch) {
    if (failure) break;
    failure = run_one(*job, batch.size() == 1);
  }
  if (!failure) failure = commit();
  if (failure) {
    roll_back();
    for (Job* job : batch) {
      if (!job->error) job->error.emplace(fresh_copy(*failure));
    }
  }
  lock_.release();
  for (const Job* job : batch) note_outcome(job->error, failure.has_value());
  return batch;
}

void Writer::note_outcome(const std::optional<Error>& error, bool transaction_failed) {
  if (!error) {
    refuses_ = false;
  } else if (transaction_failed || error->code() == ErrorCode::kUnavailable ||
             error->code() == ErrorCode::kDataLoss) {
    refuses_ = true;
  }  // else it is what was to be written that was wrong
}

std::optional<Error> Writer::begin() {
  try {
    lock_.take();
    if (connection_ && (lost_ || connection_->file_moved())) close_(std::move(connection_));
    if (!connection_) {
      connection_ = open_();
      lost_ = false;
    }
    Query(*connection_, kBeginWrite).run();
    return std::nullopt;
  } catch (const SQLite::Exception& exception) {
    lost_ = is_lost(exception);
    return to_error(exception, file_);
  } catch (...) {
    return current_error();
  }
}

// Returns the error that ends the whole transaction; one that concerns the job alone is put there.
std::optional<Error> Writer::run_one(Job& job, bool alone) {
  try {
    if (!alone) Query(*connection_, kSavepoint).run();
    try {
      job.operation(*connection_);
    } catch (const SQLite::Exception& exception) {
      if (is_lost(exception) || !connection_->in_transaction()) throw;
      job.error.emplace(to_error(exception, file_));
    } catch (...) {
      job.error.emplace(current_error());
    }
    if (job.error) Query(*connection_, alone ? kRollBack : kUndo).run();
    if (!alone) Query(*connection_, kRelease).run();
    return std::nullopt;
  } catch (const SQLite::Exception& exception) {
    lost_ = is_lost(exception);
    return to_error(exception, file_);
  }
}

std::optional<Error> Writer::commit() {
  if (!connection_->in_transaction()) return std::nullopt;  // the only job failed and is undone
  try {
    Query(*connection_, kCommit).run();
    if (!connection_->file_moved()) {
      if (empty_log_) empty_log();
      return std::nullopt;
    }
    lost_ = true;
    return Error(ErrorCode::kUnavailable, "The database file is not there.", {.retryable = true});
  } catch (const SQLite::Exception& exception) {
    lost_ = is_lost(exception);
    return to_error(exception, file_);
  }
}

// What was committed is committed, whatever becomes of this.
void Writer::empty_log() {
  try {
    Query checkpoint(*connection_, kEmptyLog);
    empty_log_ = !checkpoint.step() || checkpoint.integer(0) != 0;
  } catch (const SQLite::Exception&) {
  }
}

void Writer::roll_back() noexcept {
  if (!connection_ || !connection_->in_transaction()) return;
  if (connection_->database().tryExec(kRollBack) != SQLite::OK) lost_ = true;
}

}  // namespace twinchat::sqlite
