#include "store/postgres_pool.h"

#include <algorithm>
#include <utility>

#include "start_thread.h"

namespace twinchat::postgres {
namespace {

// Between attempts to connect.
constexpr std::chrono::milliseconds kShortestPause{20};
constexpr std::chrono::milliseconds kLongestPause{500};
// After so long nobody overtakes any more.
constexpr std::chrono::milliseconds kOvertaken{20};

Error exhausted() {
  return Error(ErrorCode::kUnavailable, "The database has too much to do.",
               {.retryable = true,
                .reason = "POOL_EXHAUSTED",
                .diagnostic = "all connections of the pool were in use for too long"});
}

}  // namespace

Pool::Pool(std::string_view url, PoolOptions options)
    : target_(url),
      options_(std::move(options)),
      thread_(start_thread([this] { open_connections(); })) {}

Pool::~Pool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wanted_.notify_all();
  thread_.join();
}

Pool::Lease::~Lease() {
  pool_->give_back(std::move(member_));
}

Pool::Lease Pool::checkout() {
  const auto begin = Clock::now();
  const auto deadline = begin + options_.checkout;
  std::unique_lock lock(mutex_);
  auto self = waiters_.end();
  const auto leave = [&] {
    if (self == waiters_.end()) return;
    waiters_.erase(self);
    self = waiters_.end();
    if (!idle_.empty()) offer();
  };
  for (;;) {
    const auto now = Clock::now();
    const bool is_first = waiters_.empty() || self == waiters_.begin();
    if (!idle_.empty() && (is_first || now - waiters_.front().since < kOvertaken)) {
      Member member = std::move(idle_.back());
      idle_.pop_back();
      ++leased_;
      ++counted_.checkouts;
      leave();
      // Those who came together with this one still need theirs.
      if (!waiters_.empty()) wanted_.notify_one();
      return Lease(*this, std::move(member));
    }
    const auto hopeless_at = [&] {
      return std::max(*failing_since_, answered_at_) + options_.patience;
    };
    const bool hopeless = failing_since_ && now >= hopeless_at();
    // A failure for good from before is not ours: somebody may have mended it.
    const bool refused = failure_ && failure_->is_permanent() && failed_at_ >= begin;
    if (now >= deadline || hopeless || refused) {
      leave();
      ++counted_.timeouts;
      probe_ = failing_since_.has_value();
      wanted_.notify_one();
      if (failure_) throw Error(*failure_);  // not to be tried again
      throw exhausted();
    }
    if (self == waiters_.end()) {
      self = waiters_.emplace(waiters_.end());
      self->since = now;
    }
    wanted_.notify_one();
    self->turn.wait_until(lock, failing_since_ ? std::min(deadline, hopeless_at()) : deadline);
  }
}

void Pool::offer() noexcept {
  if (!waiters_.empty()) waiters_.front().turn.notify_one();
}

void Pool::give_back(Member member) noexcept {
  const bool usable = member.connection->clean_up();
  const auto now = Clock::now();
  std::vector<Member> closed;  // outside of the lock
  {
    const std::lock_guard lock(mutex_);
    --leased_;
    if (!usable) {
      ++counted_.lost;
      // Those that were opened before this one broke are likely broken, too.
      renewed_ = now;
      closed.swap(idle_);
    }
    if (usable) answered_at_ = now;
    if (usable && member.connection->opened_at() >= renewed_ && now < member.dies_at) {
      member.idle_since = now;
      idle_.push_back(std::move(member));
      // The one that has been idle for longest is the first.
      const auto young = std::find_if(idle_.begin(), idle_.end(), [&](const Member& idle) {
        return now - idle.idle_since < options_.max_idle;
      });
      closed.assign(std::make_move_iterator(idle_.begin()), std::make_move_iterator(young));
      idle_.erase(idle_.begin(), young);
    }
    if (!idle_.empty()) offer();
  }
  wanted_.notify_one();
}

void Pool::renew() noexcept {
  std::vector<Member> closed;
  const std::lock_guard lock(mutex_);
  renewed_ = Clock::now();
  closed.swap(idle_);
}

std::unique_ptr<Connection> Pool::open() {
  try {
    return std::make_unique<Connection>(target_, options_.limits, plain_);
  } catch (const SqlError& error) {
    if (plain_ || error.sqlstate() != "08P01") throw;
  }
  auto connection = std::make_unique<Connection>(target_, options_.limits, true);
  plain_ = true;
  if (options_.on_warning) {
    options_.on_warning(
        "The pooler in front of PostgreSQL takes no settings with a connection. Set "
        "statement_timeout, lock_timeout and idle_in_transaction_session_timeout for the role "
        "(ALTER ROLE ... SET), so that a lost server does not hold locks.");
  }
  return connection;
}

std::int64_t Pool::chance(std::int64_t least, std::int64_t most) {
  return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
}

void Pool::open_connections() {
  std::unique_lock lock(mutex_);
  auto pause = kShortestPause;
  for (;;) {
    wanted_.wait(lock, [&] {
      return stopping_ ||
             (idle_.empty() && leased_ < options_.max_connections && (!waiters_.empty() || probe_));
    });
    if (stopping_) return;
    probe_ = false;
    lock.unlock();
    std::unique_ptr<Connection> connection;
    std::optional<SqlError> failure;
    try {
      connection = open();
    } catch (const SqlError& error) {
      failure = error;
    }
    lock.lock();
    if (connection) {
      ++counted_.opened;
      failure_.reset();
      failing_since_.reset();
      pause = kShortestPause;
      // Not all at the same time.
      const std::int64_t tenth = options_.max_lifetime.count() / 10;
      const std::chrono::milliseconds lifetime =
          options_.max_lifetime + std::chrono::milliseconds(chance(-tenth, tenth));
      idle_.push_back({std::move(connection), Clock::now() + lifetime, Clock::now()});
      offer();
      continue;
    }
    ++counted_.failed;
    failure_ = std::move(failure);
    failed_at_ = Clock::now();
    if (!failing_since_) failing_since_ = failed_at_;
    // Goes on by itself until the server is back, unless that is not to be expected.
    probe_ = !failure_->is_permanent();
    for (Waiter& waiter : waiters_) waiter.turn.notify_one();
    // With jitter, so that many servers do not come back at the same moment.
    wanted_.wait_for(lock, pause + std::chrono::milliseconds(chance(0, pause.count())),
                     [&] { return stopping_; });
    pause = std::min(pause * 2, kLongestPause);
  }
}

PoolStatistics Pool::statistics() const {
  const std::lock_guard lock(mutex_);
  PoolStatistics statistics = counted_;
  statistics.open = idle_.size() + leased_;
  statistics.in_use = leased_;
  statistics.waiting = waiters_.size();
  return statistics;
}

void Pool::count_retry(bool serialization) noexcept {
  const std::lock_guard lock(mutex_);
  ++counted_.retries;
  counted_.serialization += serialization ? 1 : 0;
}

void Pool::count_unknown_commit() noexcept {
  const std::lock_guard lock(mutex_);
  ++counted_.unknown_commits;
}

}  // namespace twinchat::postgres
