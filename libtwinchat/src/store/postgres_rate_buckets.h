#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/postgres_pool.h"
#include "twinchat/rate_buckets.h"

namespace twinchat::postgres {

// Buckets in the table twinchat_rate, which must be there.
std::shared_ptr<RateBuckets> make_rate_buckets(std::shared_ptr<Pool> pool);

// All SQL of this file, as schema_statements().
std::vector<std::string> rate_bucket_statements();

}  // namespace twinchat::postgres
