#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace twinchat::server {

struct LineWriterOptions {
  // Where the lines go; stays open and the caller's. Default: standard error.
  int fd = 2;
  // What may wait for a reader that is slow, in bytes; as much again may be on its way out.
  std::size_t capacity = 1 << 20;
  // Makes the line that tells how many were lost at its place.
  std::function<std::string(std::uint64_t lost)> lost_line = {};
  // How long the destructor waits for a reader.
  std::chrono::milliseconds patience{2'000};
};

// Lines of text on their way to a pipe, a terminal or a file that may be slow, or that nobody
// reads: whoever writes one never waits for it. One thread of its own brings them out in their
// order. When more than `capacity` waits, further lines are lost, and a line in their place says
// how many they were.
//
// A line that cannot be written at all (the reader is gone, the disk is full) is lost as well.
//
// Thread safety: every function may be called from any number of threads at once; not from a signal
// handler.
class LineWriter {
 public:
  explicit LineWriter(LineWriterOptions options);
  // Writes what there is, for as long as `patience`.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // Takes a line, which ends with a newline. Does not block.
  void write(std::string_view line);

  // Waits until everything that was taken before is written; false when `patience` ran out first.
  bool flush(std::chrono::milliseconds patience);

  // Lines lost so far.
  std::uint64_t lost() const;

 private:
  void run();
  // How many of the bytes could be written before the end came.
  std::size_t write_out(std::string_view text);
  bool wait_until_writable() const;
  void tell_of_lost();

  const LineWriterOptions options_;
  const int wake_fd_;  // becomes readable when patience has run out
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::string waiting_;
  std::uint64_t lost_ = 0;
  std::uint64_t untold_ = 0;  // of these, not yet told by a line
  std::uint64_t taken_ = 0;   // bytes, ever
  std::uint64_t out_ = 0;     // of these, written or given up
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace twinchat::server
