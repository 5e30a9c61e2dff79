#include <algorithm>
#include <csignal>
#include <thread>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "commands.h"

namespace {

// glibc gives threads heaps of their own, eight for each processor, and each keeps what a burst of
// large answers once needed. Two for each are enough, and large blocks go back to the system.
void keep_memory_small() {
#ifdef __GLIBC__
  const unsigned processors = std::clamp(std::thread::hardware_concurrency(), 2u, 1024u);
  mallopt(M_ARENA_MAX, static_cast<int>(2 * processors));
  mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  keep_memory_small();
  // A limit on the size of files is a full disk, which the store reports, not a reason to die.
  std::signal(SIGXFSZ, SIG_IGN);
  return twinchat::server::run_command(argc, argv);
}
