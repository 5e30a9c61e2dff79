#include "maintenance/postgres_tools.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <optional>
#include <system_error>
#include <vector>

#include "text.h"
#include "twinchat/error.h"

namespace twinchat::server {
namespace {

constexpr std::size_t kMostOutput = 1 << 20;
constexpr int kLookForStop = 100;  // milliseconds

struct Ended {
  int status = 0;
  std::string output = {};
  std::string errors = {};
};

// A pipe whose ends are closed by the destructor.
class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) {
      throw std::system_error(errno, std::generic_category(), "pipe");
    }
  }
  ~Pipe() {
    close_writing();
    ::close(ends_[0]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int reading() const { return ends_[0]; }
  int writing() const { return ends_[1]; }
  void close_writing() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

// Takes what is there; false at the end. What is beyond a bound is read and forgotten.
bool take_from(int fd, std::string& text) {
  std::array<char, 4096> buffer;
  const ssize_t size = ::read(fd, buffer.data(), buffer.size());
  if (size < 0) return errno == EINTR || errno == EAGAIN;
  if (text.size() < kMostOutput) text.append(buffer.data(), static_cast<std::size_t>(size));
  return size > 0;
}

Ended run(const std::vector<std::string>& arguments, const std::string& password,
          const std::stop_token& stop) {
  std::vector<std::string> environment;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text = *entry;
    const bool ours = text.starts_with("PGPASSWORD=") && !password.empty();
    // What the tools say is looked at; and they need none of the server's own secrets.
    const bool secret = text.starts_with("GEMINI_") || text.starts_with("SECRET_") ||
                        text.starts_with("DATABASE_URL=") || text.starts_with("LC_") ||
                        text.starts_with("LANG");
    if (!ours && !secret) environment.emplace_back(text);
  }
  environment.emplace_back("LC_ALL=C");
  if (!password.empty()) environment.push_back("PGPASSWORD=" + password);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (const std::string& entry : environment) envp.push_back(const_cast<char*>(entry.c_str()));
  envp.push_back(nullptr);

  Pipe output;
  Pipe errors;
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output.writing(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, errors.writing(), STDERR_FILENO);
  // The server's threads block all signals, and it ignores SIGPIPE.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error == ENOENT) {
    throw Error(ErrorCode::kFailedPrecondition,
                fmt::format("There is no {} on the PATH: install PostgreSQL's client programs "
                            "(postgresql-client).",
                            arguments[0]));
  }
  if (error != 0) throw std::system_error(error, std::generic_category(), arguments[0]);
  output.close_writing();
  errors.close_writing();

  Ended ended;
  std::array<pollfd, 2> open{{{output.reading(), POLLIN, 0}, {errors.reading(), POLLIN, 0}}};
  bool told = false;
  while (open[0].fd >= 0 || open[1].fd >= 0) {
    if (stop.stop_requested() && !std::exchange(told, true)) ::kill(pid, SIGTERM);
    if (::poll(open.data(), open.size(), kLookForStop) <= 0) continue;
    if (open[0].revents != 0 && !take_from(open[0].fd, ended.output)) open[0].fd = -1;
    if (open[1].revents != 0 && !take_from(open[1].fd, ended.errors)) open[1].fd = -1;
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (told) throw Error(ErrorCode::kCancelled, "The work on the database was stopped.");
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ended;
}

// The first thing that it complains of. What stands behind a colon and in quotes may be a row's.
std::string complaint(const Ended& ended) {
  for (const std::string& line : split_list(ended.errors, '\n')) {
    const std::size_t at = line.find("error: ");
    if (at == std::string::npos) continue;
    const std::size_t quoted = line.find(": \"", at + 7);
    return line.substr(at + 7, quoted == std::string::npos ? quoted : quoted - at - 7);
  }
  return fmt::format("it ended with status {}", ended.status);
}

std::string run_well(const std::vector<std::string>& arguments, const std::string& password = {},
                     const std::stop_token& stop = {}) {
  const Ended ended = run(arguments, password, stop);
  if (ended.status == 0) return ended.output;
  throw Error(ErrorCode::kUnavailable, fmt::format("{} could not do its work.", arguments[0]),
              {.diagnostic = complaint(ended)});
}

std::string ask(std::string_view url, const std::string& sql) {
  const PostgresUrl target = split_password(url);
  const std::string answer =
      run_well({"psql", "--no-psqlrc", "--no-password", "--tuples-only", "--no-align",
                "--dbname=" + target.without_password, "--command=" + sql},
               target.password);
  return std::string(trim(answer));
}

}  // namespace

bool is_postgres(std::string_view url) {
  return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

PostgresUrl split_password(std::string_view url) {
  PostgresUrl result;
  const std::size_t begin = url.find("://") + 3;
  std::string text(url);
  // The user's part ends at the last @ before the path: a password may hold one that is not
  // escaped, which libpq takes, too.
  const std::size_t path = text.find_first_of("/?", begin);
  const std::size_t at = text.rfind('@', path == std::string::npos ? path : path - 1);
  if (at != std::string::npos && at >= begin) {
    const std::size_t colon = text.find(':', begin);
    if (colon != std::string::npos && colon < at) {
      result.password = percent_decoded(std::string_view(text).substr(colon + 1, at - colon - 1));
      text.erase(colon, at - colon);
    }
  }
  const std::size_t query = text.find('?', begin);
  if (query != std::string::npos) {
    std::string kept;
    for (const std::string& parameter : split_list(text.substr(query + 1), '&')) {
      if (parameter.starts_with("password=")) {
        result.password = percent_decoded(std::string_view(parameter).substr(9));
      } else {
        kept += (kept.empty() ? "?" : "&") + parameter;
      }
    }
    text = text.substr(0, query) + kept;
  }
  result.without_password = std::move(text);
  return result;
}

void dump_postgres(std::string_view url, const std::filesystem::path& file,
                   const std::stop_token& stop) {
  const PostgresUrl target = split_password(url);
  run_well({"pg_dump", "--format=custom", "--no-password", "--lock-wait-timeout=30s",
            "--file=" + file.string(), "--dbname=" + target.without_password},
           target.password, stop);
}

void verify_dump(const std::filesystem::path& file, const std::stop_token& stop) {
  std::string contents;
  try {
    contents = run_well({"pg_restore", "--list", file.string()}, {}, stop);
    // Without a database it writes out what it would do, for which it has to read it all.
    run_well({"pg_restore", "--file=/dev/null", file.string()}, {}, stop);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnavailable) throw;
    throw Error(ErrorCode::kDataLoss, "The dump is damaged or is none.", error.details());
  }
  for (const char* table : {" chat_chatsession ", " chat_message "}) {
    if (contents.find(table) == std::string::npos) {
      throw Error(ErrorCode::kDataLoss, "The dump holds no chats.");
    }
  }
}

void restore_dump(std::string_view url, const std::filesystem::path& file) {
  const PostgresUrl target = split_password(url);
  run_well({"pg_restore", "--clean", "--if-exists", "--no-owner", "--no-password",
            "--single-transaction", "--exit-on-error", "--dbname=" + target.without_password,
            file.string()},
           target.password);
}

std::int64_t other_connections(std::string_view url) {
  const std::string answer =
      ask(url,
          "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
          "pg_backend_pid() AND backend_type = 'client backend'");
  std::int64_t count = -1;
  std::from_chars(answer.data(), answer.data() + answer.size(), count);
  return count;
}

bool has_chats(std::string_view url) {
  return ask(url, "SELECT to_regclass('chat_message') IS NOT NULL") == "t";
}

}  // namespace twinchat::server
