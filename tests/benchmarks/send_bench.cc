// What one send costs in C++; bindings_bench.py runs it beside send_bench.c and send_bench.py,
// which do the same. Prints the median of the sends' wall times and the process's CPU time for
// each, in microseconds.
//
// Usage: send-bench-cpp BASE_URL SENDS

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "twinchat/twinchat.h"

namespace {

constexpr int kWarmUp = 200;
constexpr int kSendsPerSession = 10;

double cpu_us() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int sends = std::atoi(argv[2]);
  twinchat::Assistant assistant(
      twinchat::open_store("memory:"),
      twinchat::make_gemini_model({.api_key = "bench", .base_url = argv[1]}),
      {.system_prompt = "You are a friendly assistant."});
  std::vector<double> walls;
  std::string session_id;
  double cpu = 0;
  for (int i = -kWarmUp; i < sends; ++i) {
    if (i == 0) cpu = cpu_us();
    if (i % kSendsPerSession == 0) session_id = assistant.create_session().session_id;
    const auto begun = std::chrono::steady_clock::now();
    const auto turn = assistant.send(session_id, "How can I reverse diabetes?");
    const auto wall = std::chrono::steady_clock::now() - begun;
    if (turn.text().empty()) return 1;
    if (i >= 0) walls.push_back(std::chrono::duration<double, std::micro>(wall).count());
  }
  cpu = (cpu_us() - cpu) / sends;
  std::nth_element(walls.begin(), walls.begin() + sends / 2, walls.end());
  std::printf("%.1f %.1f\n", walls[walls.size() / 2], cpu);
}
