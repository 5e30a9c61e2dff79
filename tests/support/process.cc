#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace twinchat::testing {
namespace {

struct Pipe {
  int read = -1;
  int write = -1;

  Pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      throw std::system_error(errno, std::generic_category(), "pipe2");
    }
    read = ends[0];
    write = ends[1];
  }
};

std::vector<std::string> environment(const ProcessOptions& options) {
  std::vector<std::string> result;
  if (!options.clear_env) {
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string_view text = *entry;
      bool replaced = false;
      for (const auto& [name, value] : options.env) {
        replaced = replaced || text.substr(0, text.find('=')) == name;
      }
      if (!replaced) result.emplace_back(text);
    }
  }
  for (const auto& [name, value] : options.env) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// Between fork and exec only async-signal-safe calls are allowed.
[[noreturn]] void run_child(const Pipe& in, const Pipe& out, const Pipe& err, const char* cwd,
                            bool die_with_parent, pid_t parent, char** argv, char** env) {
  if (die_with_parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
  }
  dup2(in.read, STDIN_FILENO);
  dup2(out.write, STDOUT_FILENO);
  dup2(err.write, STDERR_FILENO);
  std::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const char* failed = "chdir";
  if (cwd == nullptr || chdir(cwd) == 0) {
    failed = "exec";
    execvpe(argv[0], argv, env);
  }
  const char* reason = strerrordesc_np(errno);
  if (reason == nullptr) reason = "unknown error";
  for (const char* text : {failed, ": ", reason, "\n"}) {
    if (write(STDERR_FILENO, text, std::strlen(text)) < 0) break;
  }
  _exit(127);
}

}  // namespace

Process::Process(std::vector<std::string> argv, Options options) {
  const Pipe in;
  const Pipe out;
  const Pipe err;
  std::vector<std::string> env = environment(options);
  const std::vector<char*> argv_pointers = pointers(argv);
  const std::vector<char*> env_pointers = pointers(env);
  const std::string cwd = options.cwd.string();
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) {
    run_child(in, out, err, cwd.empty() ? nullptr : cwd.c_str(), options.die_with_parent, parent,
              const_cast<char**>(argv_pointers.data()), const_cast<char**>(env_pointers.data()));
  }
  pid_fd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  close(in.read);
  close(out.write);
  close(err.write);
  if (!options.input.empty()) {
    // Fits the pipe's buffer, so it cannot block; a child that is gone already does not want it.
    const ssize_t ignored = write(in.write, options.input.data(), options.input.size());
    static_cast<void>(ignored);
  }
  close(in.write);
  pump_ = std::thread([this, out = out.read, err = err.read] { pump(out, err); });
}

Process::~Process() {
  kill();
  wait_exit();
  pump_.join();
  close(pid_fd_);
}

void Process::pump(int out, int err) {
  std::array<pollfd, 2> polled{{{out, POLLIN, 0}, {err, POLLIN, 0}}};
  std::array<char, 16384> buffer;
  while (polled[0].fd >= 0 || polled[1].fd >= 0) {
    // A grandchild may hold the outputs open after the child's end; do not wait for it.
    const int ready = poll(polled.data(), polled.size(), 200);
    if (ready < 0 && errno != EINTR) break;
    if (ready == 0) {
      const std::lock_guard lock(mutex_);
      if (status_) break;
    }
    for (pollfd& stream : polled) {
      if (stream.fd < 0 || stream.revents == 0) continue;
      const ssize_t count = read(stream.fd, buffer.data(), buffer.size());
      if (count > 0) {
        const std::lock_guard lock(mutex_);
        (stream.fd == out ? output_ : errors_)
            .append(buffer.data(), static_cast<std::size_t>(count));
        changed_.notify_all();
      } else if (count == 0 || errno != EINTR) {
        stream.fd = -1;
      }
    }
  }
  close(out);
  close(err);
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

std::string Process::output() const {
  const std::lock_guard lock(mutex_);
  return output_;
}

std::string Process::errors() const {
  const std::lock_guard lock(mutex_);
  return errors_;
}

std::optional<std::string> Process::find_line(std::string_view part) const {
  for (const std::string* text : {&output_, &errors_}) {
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = text->find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      const std::string_view line = std::string_view(*text).substr(begin, end - begin);
      if (line.find(part) != std::string_view::npos) return std::string(line);
    }
  }
  return std::nullopt;
}

std::optional<std::string> Process::wait_for_line(std::string_view part,
                                                  std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  std::optional<std::string> line;
  changed_.wait_for(lock, limit, [&] {
    line = find_line(part);
    return line.has_value() || closed_;
  });
  return line;
}

void Process::signal(int number) {
  const std::lock_guard lock(mutex_);
  if (!status_) ::kill(pid_, number);
}

bool Process::running() {
  return !wait_exit(std::chrono::milliseconds(0));
}

std::optional<int> Process::wait_exit(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    pollfd polled{pid_fd_, POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    poll(&polled, 1, left.count() < 0 ? 0 : static_cast<int>(left.count()));
    std::unique_lock lock(mutex_);
    int status = 0;
    if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_) {
      status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    if (status_) {
      changed_.wait(lock, [&] { return closed_; });
      return status_;
    }
    if (std::chrono::steady_clock::now() >= end) return std::nullopt;
  }
}

}  // namespace twinchat::testing
