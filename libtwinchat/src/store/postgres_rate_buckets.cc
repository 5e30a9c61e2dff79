#include "store/postgres_rate_buckets.h"

#include <algorithm>
#include <mutex>
#include <numeric>
#include <utility>

#include "store/postgres_transactions.h"

namespace twinchat::postgres {
namespace {

// Rows are locked in the order in which they come: everybody's is that of the names, so that nobody
// waits in a circle. One moment of the database's clock counts for all of them.
constexpr char kAdd[] = R"sql(
INSERT INTO twinchat_rate AS r (bucket, full_at)
  SELECT u.bucket, now() + u.taken * interval '1 microsecond'
  FROM unnest($1::text[], $2::bigint[]) AS u (bucket, taken) ORDER BY u.bucket
  ON CONFLICT (bucket) DO UPDATE
    SET full_at = greatest(r.full_at, now()) + (excluded.full_at - now())
  RETURNING r.bucket, (extract(epoch FROM r.full_at - now()) * 1000000)::bigint)sql";
// A bucket that is full again is as one that was never used. Those that somebody is using are left
// to the next time.
constexpr char kForget[] = R"sql(
DELETE FROM twinchat_rate WHERE bucket IN (SELECT bucket FROM twinchat_rate
  WHERE full_at < now() - interval '1 minute' ORDER BY full_at LIMIT 10000
  FOR UPDATE SKIP LOCKED))sql";
constexpr std::chrono::seconds kForgetInterval{30};

class PostgresRateBuckets : public RateBuckets {
 public:
  explicit PostgresRateBuckets(std::shared_ptr<Pool> pool)
      : pool_(std::move(pool)), transactions_(*pool_) {}

  std::vector<std::chrono::microseconds> add(const std::vector<BucketUse>& uses) override {
    std::vector<std::size_t> order(uses.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return uses[a].bucket < uses[b].bucket; });
    std::vector<std::string> names;
    std::vector<std::int64_t> taken;
    for (const std::size_t i : order) {
      names.push_back(uses[i].bucket);
      taken.push_back(uses[i].taken.count());
    }
    std::vector<std::chrono::microseconds> until_full(uses.size());
    // When nobody can say whether it was committed, it is done again: that takes a little too much
    // out of the buckets, once.
    transactions_.write([&](Connection& connection) {
      Query query(connection, kAdd);
      query.bind(names).bind(taken);
      while (query.step()) {
        const std::string name = query.text(0);
        const auto at = std::lower_bound(names.begin(), names.end(), name);
        if (at == names.end() || *at != name) continue;
        until_full[order[static_cast<std::size_t>(at - names.begin())]] =
            std::chrono::microseconds(query.integer(1));
      }
      return true;
    });
    if (time_to_forget()) {
      transactions_.write([](Connection& connection) { return Query(connection, kForget).run(); });
    }
    return until_full;
  }

 private:
  bool time_to_forget() {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = Clock::now();
    if (now < forget_at_) return false;
    forget_at_ = now + kForgetInterval;
    return true;
  }

  const std::shared_ptr<Pool> pool_;
  Transactions transactions_;
  std::mutex mutex_;
  Clock::time_point forget_at_ = Clock::now() + kForgetInterval;  // guarded by mutex_
};

}  // namespace

std::shared_ptr<RateBuckets> make_rate_buckets(std::shared_ptr<Pool> pool) {
  return std::make_shared<PostgresRateBuckets>(std::move(pool));
}

std::vector<std::string> rate_bucket_statements() {
  return {kAdd, kForget};
}

}  // namespace twinchat::postgres
