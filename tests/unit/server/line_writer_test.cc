#include "log/line_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <sstream>
#include <string>
#include <vector>

#include "catch.h"

using namespace std::chrono_literals;
using twinchat::server::LineWriter;
using twinchat::server::LineWriterOptions;

namespace {

// A pipe of the smallest size, so that it is soon full.
struct Pipe {
  Pipe() {
    REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
  }
  ~Pipe() {
    close(ends[0]);
    close_writer();
  }
  void close_writer() {
    if (ends[1] >= 0) close(ends[1]);
    ends[1] = -1;
  }
  std::string read_some() const {
    std::array<char, 65536> buffer;
    const ssize_t count = read(ends[0], buffer.data(), buffer.size());
    return count > 0 ? std::string(buffer.data(), static_cast<std::size_t>(count)) : std::string();
  }
  std::string read_all() const {
    std::string all;
    for (std::string some; !(some = read_some()).empty();) all += some;
    return all;
  }
  std::array<int, 2> ends{};
};

LineWriterOptions options_for(const Pipe& pipe, std::size_t capacity) {
  return {.fd = pipe.ends[1],
          .capacity = capacity,
          .lost_line = [](std::uint64_t lost) { return "lost " + std::to_string(lost) + "\n"; },
          .patience = 20s};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST_CASE("Lines come out whole and in their order") {
  Pipe pipe;
  std::string written;
  std::string read;
  {
    LineWriter writer(options_for(pipe, 1 << 20));
    for (int i = 0; i < 2'000; ++i) {
      // Some of them longer than a pipe takes in one piece.
      const std::string line = std::to_string(i) + std::string(i % 500 == 0 ? 10'000 : 20, 'x');
      writer.write(line + '\n');
      written += line + '\n';
    }
    while (read.size() < written.size()) read += pipe.read_some();
    CHECK(writer.flush(20s));
    CHECK(writer.lost() == 0);
  }
  CHECK(read == written);
}

TEST_CASE("Nobody waits for a reader that does not come, and what is lost is told in its place") {
  Pipe pipe;
  constexpr int kLines = 1'000;
  std::string read;
  {
    LineWriter writer(options_for(pipe, 8'192));
    for (int i = 0; i < kLines; ++i) writer.write(std::to_string(i) + std::string(95, '.') + '\n');
    CHECK(writer.lost() > 0);
    CHECK_FALSE(writer.flush(0ms));
    while (read.find("lost ") == std::string::npos) read += pipe.read_some();
    writer.write("later\n");
    while (read.find("later\n") == std::string::npos) read += pipe.read_some();
  }
  int next = 0;
  int lost = 0;
  for (const std::string& line : lines_of(read)) {
    CAPTURE(line);
    if (line == "later") continue;
    if (line.starts_with("lost ")) {
      lost += std::stoi(line.substr(5));
      next += std::stoi(line.substr(5));
    } else {
      CHECK(std::stoi(line) == next++);
    }
  }
  CHECK(lost > 0);
  CHECK(next == kLines);
  CHECK(read.ends_with("later\n"));
}

TEST_CASE("The end does not wait for ever for a reader that does not come") {
  Pipe pipe;
  LineWriterOptions options = options_for(pipe, 1 << 20);
  options.patience = 10ms;
  LineWriter writer(std::move(options));
  for (int i = 0; i < 1'000; ++i) writer.write(std::string(99, 'x') + '\n');
  CHECK_FALSE(writer.flush(1ms));
}

TEST_CASE("Lines that cannot be written are lost and counted, and writing goes on") {
  std::array<int, 2> ends{};
  REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  REQUIRE(full >= 0);
  LineWriter writer({.fd = full, .lost_line = [](std::uint64_t) { return std::string("lost\n"); }});
  writer.write("one\n");
  CHECK(writer.flush(20s));
  CHECK(writer.lost() == 1);
  REQUIRE(dup2(ends[1], full) == full);
  writer.write("two\n");
  CHECK(writer.flush(20s));
  std::array<char, 64> buffer;
  const ssize_t count = read(ends[0], buffer.data(), buffer.size());
  CHECK(std::string(buffer.data(), static_cast<std::size_t>(count)) == "lost\ntwo\n");
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
