// postgres_fixture start FILE [durable] | stop FILE
//
// Starts a PostgreSQL and a pgbouncer in front of it for a whole run of ctest, and writes to FILE
// where they are; ends them again. The durable one waits for the disk: for benchmarks. They also
// end with the process that ran `start`'s parent, so that an interrupted run leaves nothing behind.

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "postgres_server.h"
#include "wait.h"

namespace {

using namespace twinchat::testing;

volatile sig_atomic_t stopped = 0;

std::string pid_file(const std::string& file) {
  return file + ".pid";
}

// Runs the servers until somebody stops us or the process of that descriptor ends.
int serve(const std::string& file, int run, bool durable) {
  struct sigaction action {};
  action.sa_handler = [](int) { stopped = 1; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  try {
    const PostgresServer server({.durable = durable});
    const PgBouncer bouncer(server.port());
    std::ofstream(pid_file(file)) << getpid() << "\n";
    std::ofstream(file + ".new") << server.admin_url() << ' ' << server.port() << ' '
                                 << bouncer.port() << "\n";
    std::filesystem::rename(file + ".new", file);
    while (stopped == 0) {
      pollfd polled{run, POLLIN, 0};
      if (poll(&polled, 1, 500) > 0) break;
    }
  } catch (const std::exception& error) {
    std::ofstream(file + ".error") << error.what() << "\n";
    return 1;
  }
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  std::filesystem::remove(pid_file(file), ignored);
  return 0;
}

int stop(const std::string& file) {
  pid_t pid = 0;
  if (!(std::ifstream(pid_file(file)) >> pid) || pid <= 1) return 0;
  // Only what is one of us: the number may be another process's by now.
  std::string name;
  std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/cmdline"), name, '\0');
  if (name.find("postgres_fixture") == name.npos) return 0;
  kill(pid, SIGTERM);
  const bool ended = eventually([&] { return kill(pid, 0) != 0; });
  return ended ? 0 : 1;
}

int start(const std::string& file, bool durable) {
  stop(file);
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  std::filesystem::remove(file + ".error", ignored);
  const int run = static_cast<int>(syscall(SYS_pidfd_open, getppid(), 0));
  const pid_t child = fork();
  if (child < 0) return 1;
  if (child == 0) {
    setsid();
    // ctest waits for the end of what we print.
    if (std::freopen("/dev/null", "w", stdout) == nullptr ||
        std::freopen("/dev/null", "w", stderr) == nullptr) {
      _exit(1);
    }
    _exit(serve(file, run, durable));
  }
  const bool ready = eventually(
      [&] { return std::filesystem::exists(file) || std::filesystem::exists(file + ".error"); });
  if (ready && std::filesystem::exists(file)) return 0;
  std::cerr << std::ifstream(file + ".error").rdbuf();
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const bool durable = argc == 4 && std::strcmp(argv[3], "durable") == 0;
  if ((argc == 3 || durable) && std::strcmp(argv[1], "start") == 0) return start(argv[2], durable);
  if (argc == 3 && std::strcmp(argv[1], "stop") == 0) return stop(argv[2]);
  std::cerr << "usage: postgres_fixture start FILE [durable] | stop FILE\n";
  return 2;
}
