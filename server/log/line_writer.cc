#include "log/line_writer.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <system_error>
#include <utility>

namespace twinchat::server {
namespace {

int make_eventfd() {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return fd;
}

// A pipe that says it is writable takes so much without blocking, and in one piece beside what
// others write to it: whole lines where they fit.
std::size_t next_piece(std::string_view text) {
  if (text.size() <= PIPE_BUF) return text.size();
  const std::size_t newline = text.rfind('\n', PIPE_BUF - 1);
  return newline == std::string_view::npos ? PIPE_BUF : newline + 1;
}

std::uint64_t lines_in(std::string_view text) {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

LineWriter::LineWriter(LineWriterOptions options)
    : options_(std::move(options)), wake_fd_(make_eventfd()), thread_([this] { run(); }) {}

LineWriter::~LineWriter() {
  flush(options_.patience);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  eventfd_write(wake_fd_, 1);
  thread_.join();
  close(wake_fd_);
}

void LineWriter::write(std::string_view line) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() + line.size() > options_.capacity) {
    ++lost_;
    ++untold_;
    return;
  }
  tell_of_lost();
  waiting_ += line;
  taken_ += line.size();
  changed_.notify_all();
}

// With the mutex held.
void LineWriter::tell_of_lost() {
  if (untold_ == 0 || !options_.lost_line) return;
  const std::string line = options_.lost_line(std::exchange(untold_, 0));
  waiting_ += line;
  taken_ += line.size();
}

bool LineWriter::flush(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  const std::uint64_t all = taken_;
  return changed_.wait_for(lock, patience, [&] { return out_ >= all; });
}

std::uint64_t LineWriter::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

void LineWriter::run() {
  std::string batch;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    batch.swap(waiting_);
    lock.unlock();
    const std::size_t written = write_out(batch);
    lock.lock();
    const std::uint64_t missing = lines_in(std::string_view(batch).substr(written));
    lost_ += missing;
    untold_ += missing;
    out_ += batch.size();
    batch.clear();
    // Nobody may come with a further line for long. Not when writing itself fails: the line that
    // tells of it would fail, too, and so on.
    if (missing == 0 && waiting_.empty()) tell_of_lost();
    changed_.notify_all();
  }
}

std::size_t LineWriter::write_out(std::string_view text) {
  std::size_t written = 0;
  while (written < text.size()) {
    if (!wait_until_writable()) break;
    const std::string_view rest = text.substr(written);
    const ssize_t count = ::write(options_.fd, rest.data(), next_piece(rest));
    if (count > 0) {
      written += static_cast<std::size_t>(count);
    } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
      break;
    }
  }
  return written;
}

// False when the end comes first.
bool LineWriter::wait_until_writable() const {
  for (;;) {
    pollfd polled[2] = {{options_.fd, POLLOUT, 0}, {wake_fd_, POLLIN, 0}};
    if (poll(polled, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return true;  // write() will say what is wrong
    }
    if (polled[0].revents != 0) return true;
    if (polled[1].revents != 0) return false;
  }
}

}  // namespace twinchat::server
