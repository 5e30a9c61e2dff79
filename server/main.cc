#include <csignal>

#include "commands.h"

int main(int argc, char** argv) {
  // A limit on the size of files is a full disk, which the store reports, not a reason to die.
  std::signal(SIGXFSZ, SIG_IGN);
  return twinchat::server::run_command(argc, argv);
}
