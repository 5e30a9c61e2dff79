#pragma once

#include <vector>

#include "check/finding.h"
#include "check/surroundings.h"
#include "config/settings.h"

namespace twinchat::server {

// What stands in the way of serving the public with these settings here, the worst first. An
// installation that is as it should be has no findings.
//
// Thread safety: a pure function.
std::vector<Finding> judge_deployment(const Settings& settings, const Surroundings& around);

}  // namespace twinchat::server
