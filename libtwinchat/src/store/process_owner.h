#pragma once

#include <string>
#include <string_view>

namespace twinchat {

// A name for the running process that another process on the same machine can look up later: the
// kernel's boot id, the PID namespace, the PID and the process's start time. Empty where the system
// has no /proc to take it from.
std::string this_process();

// Whether the process of that name has certainly ended. Another boot, a PID that is gone or that
// was given to a later process: true. A process in another PID namespace (another container on the
// same kernel) cannot be seen from here, and an empty name says nothing: false, so that only time
// can tell. A SQLite file in WAL mode is shared on one machine only, so another boot id means an
// earlier boot, not another machine.
bool has_surely_ended(std::string_view process);

}  // namespace twinchat
