#include "commands.h"

int main(int argc, char** argv) {
  return twinchat::server::run_command(argc, argv);
}
