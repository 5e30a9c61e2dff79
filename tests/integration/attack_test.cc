// All that means no good at the same time, against the real program: what one process pays for it,
// and whether the others are still served. Each kind by itself is in tests/http.

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "chat_server.h"

namespace twinchat::testing {
namespace {

constexpr long kMostKib = 64 * 1024;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kMemoryIsTheServers = false;  // a sanitizer keeps what was freed, and shadows it all
#else
constexpr bool kMemoryIsTheServers = true;
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryIsTheServers = false;
#else
constexpr bool kMemoryIsTheServers = true;
#endif

// A figure of /proc/PID/status in KiB, such as "VmRSS".
long memory_kib(pid_t pid, const std::string& name) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return std::stol(line.substr(name.size() + 1));
  }
  FAIL("the process has no " << name);
  return 0;
}

// As many files as may be had, for this process and those it starts.
std::size_t raise_file_limit() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 40'000);
  ::setrlimit(RLIMIT_NOFILE, &files);
  return files.rlim_cur;
}

using Clients = std::vector<std::unique_ptr<HttpClient>>;

// `count` connections on which `bytes` were sent and nothing more ever will be.
void hold(Clients& clients, const ChatServer& server, std::size_t count, const std::string& bytes) {
  for (std::size_t i = 0; i < count; ++i) {
    auto client = std::make_unique<HttpClient>(server.base_url());
    try {
      client->connect();
      if (!bytes.empty()) client->send_raw(bytes);
    } catch (const HttpError&) {
      // The server has had enough of these already.
    }
    clients.push_back(std::move(client));
  }
}

// `piece` again and again; false when the server took 60 MB of it.
bool flood(const ChatServer& server, const std::string& start, const std::string& piece) {
  constexpr std::size_t kMost = 60'000'000;
  HttpClient client(server.base_url());
  try {
    client.send_raw(start);
    for (std::size_t sent = 0; sent < kMost; sent += piece.size()) client.send_raw(piece);
    return false;
  } catch (const HttpError&) {
    return true;
  }
}

TEST_CASE("Under every attack at once the server stays small and serves the others") {
  const std::size_t files = raise_file_limit();
  ChatServer server({.env = {{"CHAT_RATE_LIMITS", "off"}}});
  const std::string long_history = server.new_session();
  for (int i = 0; i < 10; ++i) {
    REQUIRE(server.ask(long_history, std::string(5000, 'a')).status == 200);
  }
  const pid_t pid = server.process().pid();
  const long before = memory_kib(pid, "VmRSS");

  const std::string post = "POST /api/chat/message/ HTTP/1.1\r\nHost: localhost\r\n";
  const std::string history = "GET /api/chat/sessions/get_session/?session_id=" + long_history +
                              " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::string pipeline;
  for (int i = 0; i < 50; ++i) pipeline += history;

  Clients held;
  hold(held, server, std::min<std::size_t>(10'000, files / 2), "");
  hold(held, server, 500, "GET / HTTP/1.1\r\nX: " + std::string(8'000, 'a'));
  hold(held, server, 1'000, post + "Content-Length: 65536\r\n\r\n" + std::string(60'000, 'a'));
  hold(held, server, 200, pipeline);

  std::atomic<bool> over{false};
  std::atomic<int> taken{0};  // floods that the server did not end
  std::vector<std::thread> attackers;
  const auto attack = [&](std::function<void()> once) {
    attackers.emplace_back([&over, once = std::move(once)] {
      do once();
      while (!over);
    });
  };
  const auto flood_with = [&](const std::string& start, const std::string& piece) {
    attack([&server, &taken, start, piece] {
      if (!flood(server, start, piece)) ++taken;
    });
  };
  const std::string start = "GET / HTTP/1.1\r\nHost: localhost\r\n";
  flood_with(start, "X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
  flood_with(start + "X: ", std::string(10'000, 'a'));
  flood_with("GET /", std::string(10'000, 'a'));
  flood_with(post + "Transfer-Encoding: chunked\r\n\r\n",
             "1000\r\n" + std::string(4096, 'a') + "\r\n");
  attack([&] {
    for (const std::string_view body :
         {"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
          "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          "Transfer-Encoding: chunked\r\n\r\n-2\r\n", "Content-Encoding: gzip\r\n\r\n"}) {
      HttpClient client(server.base_url());
      client.send_raw(post + "Content-Type: application/json\r\n" + std::string(body));
      client.closed_by_peer();
    }
  });

  for (int i = 0; i < 50; ++i) {
    const std::string session = server.new_session();
    CHECK(server.ask(session, "How can I reverse diabetes?").status == 200);
    CHECK(server.session(session).at("messages").size() == 2);
  }
  over = true;
  for (std::thread& thread : attackers) thread.join();

  CHECK(taken == 0);
  const long most = memory_kib(pid, "VmHWM");
  INFO("from " << before << " KiB to " << most << " KiB");
  if (kMemoryIsTheServers) CHECK(most - before < kMostKib);
  CHECK(server.stop(SIGTERM) == 0);
}

}  // namespace
}  // namespace twinchat::testing
