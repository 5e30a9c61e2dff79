#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "twinchat/export.h"

namespace twinchat {

// What was taken out of a bucket.
struct BucketUse {
  // The bucket's name, the same for all who share it: at most 100 bytes, nobody's words.
  std::string bucket = {};
  // So much longer it takes until the bucket is full again.
  std::chrono::microseconds taken{0};
};

// Token buckets that all programs on one database share, so that a limit holds for all of them
// together. A bucket that fills evenly is told by one figure: how long it takes until it is full.
//
// Errors as of Store.
//
// Blocking: add() waits for the database.
//
// Thread safety: every function may be called from any number of threads at once.
class TWINCHAT_EXPORT RateBuckets {
 public:
  RateBuckets() = default;
  RateBuckets(const RateBuckets&) = delete;
  RateBuckets& operator=(const RateBuckets&) = delete;
  virtual ~RateBuckets();

  // Takes that out of the buckets, each of which may be named once, in one transaction; a bucket
  // that nobody has used yet is full. Returns, in the same order, how long it is by the database's
  // clock until each is full, what all others took included.
  virtual std::vector<std::chrono::microseconds> add(const std::vector<BucketUse>& uses) = 0;
};

}  // namespace twinchat
