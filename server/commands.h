#pragma once

namespace twinchat::server {

// The program: reads the command line, does what it says, and returns the exit code: 0 when all
// went well, 1 when it did not, 2 for a command line or settings that cannot work.
int run_command(int argc, const char* const* argv);

}  // namespace twinchat::server
