#pragma once

#include <csignal>
#include <thread>
#include <utility>

namespace twinchat {

// Starts a thread of the library's. It takes none of the signals that are sent to the program: they
// are for the program's own threads, whose handlers may not be made to run beside them.
template <class Function>
std::thread start_thread(Function function) {
  // A thread begins with what its maker blocks.
  struct Blocked {
    Blocked() {
      sigset_t all;
      sigfillset(&all);
      // What a thread does to itself is its own.
      for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
        sigdelset(&all, fault);
      }
      pthread_sigmask(SIG_BLOCK, &all, &before);
    }
    ~Blocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
    sigset_t before;
  } blocked;
  return std::thread(std::move(function));
}

}  // namespace twinchat
