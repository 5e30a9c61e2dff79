#pragma once

#include <string>
#include <string_view>

namespace twinchat {

// A name for the running process that another process on the same machine can look up later: the
// kernel's boot id, the PID namespace, the PID and the process's start time. Empty where the system
// has no /proc to take it from.
std::string this_process();

// Whose processes use the same database.
enum class ProcessesOf {
  kOneMachine,    // those of this machine, and earlier boots of it: a SQLite file in WAL mode
  kManyMachines,  // anybody's
};

// Whether the process of that name has certainly ended. A PID that is gone or that was given to a
// later process: true. Another boot: true on one machine, of which it is an earlier boot; among
// many it may be another machine. A process in another PID namespace (another container on the
// same kernel) cannot be seen from here, and an empty name says nothing: false, so that only time
// can tell.
bool has_surely_ended(std::string_view process, ProcessesOf whose = ProcessesOf::kOneMachine);

}  // namespace twinchat
