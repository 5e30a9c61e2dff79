#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace twinchat::testing {

struct ProcessOptions {
  // Set over the environment of the test program.
  std::vector<std::pair<std::string, std::string>> env = {};
  // Start from an empty environment in place of the test program's.
  bool clear_env = false;
  // Working directory; empty: the test program's.
  std::filesystem::path cwd = {};
  // Given to the child on standard input, which is then closed. At most 64 KiB.
  std::string input = {};
  // The kernel kills the child when the THREAD that started it ends, so that a crashed test leaves
  // nothing behind. Turn it off when a short-lived thread starts the child.
  bool die_with_parent = true;
};

// A child process with both its outputs captured as they come.
//
// Thread safety: every member function may be called from any thread.
class Process {
 public:
  using Options = ProcessOptions;

  // Starts argv[0], looked up in PATH when it has no slash. Throws std::system_error when the
  // process cannot be made; a program that cannot be executed ends with status 127 and says why on
  // its standard error.
  explicit Process(std::vector<std::string> argv, Options options = {});
  // Kills the child if it still runs, and waits for its end.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  // What came so far on standard output; on standard error.
  std::string output() const;
  std::string errors() const;

  // Waits for a complete line with `part` in it on either output, and returns the line without its
  // end. Nothing when `limit` passed, or the child closed its outputs, without one.
  std::optional<std::string> wait_for_line(
      std::string_view part, std::chrono::milliseconds limit = std::chrono::seconds(60));

  // Sends a signal; nothing happens once the child has ended.
  void signal(int number);
  void terminate() { signal(SIGTERM); }
  void kill() { signal(SIGKILL); }

  bool running();
  // Waits for the end: the exit status, or 128 + the number of the signal that ended the child.
  // Nothing when it still runs after `limit`. All output is there when it returns a status.
  std::optional<int> wait_exit(std::chrono::milliseconds limit = std::chrono::seconds(60));

 private:
  void pump(int out, int err);
  std::optional<std::string> find_line(std::string_view part) const;

  pid_t pid_ = -1;
  int pid_fd_ = -1;
  std::thread pump_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string output_;         // guarded by mutex_
  std::string errors_;         // guarded by mutex_
  bool closed_ = false;        // guarded by mutex_; both outputs are at their end
  std::optional<int> status_;  // guarded by mutex_
};

}  // namespace twinchat::testing
