#pragma once

#include <functional>
#include <string>

#include "config/settings.h"

namespace twinchat::server {

struct CheckOptions {
  bool json = false;
  // "note", "warning", "error" or "never": from which on the command fails.
  std::string fail_level = "warning";
};

struct DoctorOptions {
  bool json = false;
  // Also ask Gemini, which costs a few tokens.
  bool online = false;
};

// A report, which may be printed, and whether all is well.
struct Report {
  std::string text;
  bool good = true;
};

// `check --deploy`: what stands in the way of serving the public; see judge_deployment().
Report check_deployment(const Settings& settings, const SettingSources& sources,
                        const CheckOptions& options);

// `doctor`: the settings in force without their secrets, the versions of what the program is made
// of with their known faults, and whether the database, and Gemini, can be reached. Good when they
// can.
//
// Blocking: as opening the database; with `online` up to half a minute for Gemini.
Report examine(const Settings& settings, const SettingSources& sources,
               const DoctorOptions& options);

}  // namespace twinchat::server
