#include "maintenance/backup_commands.h"

#include <fmt/format.h>

#include "admin/gate.h"
#include "maintenance/backup.h"

namespace twinchat::server {
namespace {

void say_problems(const BackupReport& report, const BackupCommand& command) {
  for (const std::string& problem : report.problems) command.say("problem: " + problem);
}

}  // namespace

bool back_up_command(const Settings& settings, const BackupCommand& command) {
  give_way();
  const BackupReport made = back_up(settings.database_url,
                                    {.target = command.target,
                                     .into_folder = command.target.ends_with('/'),
                                     .keep = command.keep},
                                    now());
  command.say(fmt::format("{}: {}; verified", made.file.string(), made.contents));
  say_problems(made, command);
  for (const auto& file : made.removed) command.say(fmt::format("removed {}", file.string()));
  return true;
}

bool verify_command(const Settings&, const BackupCommand& command) {
  const BackupReport found = verify_backup(command.target);
  command.say(fmt::format("{}: {}", found.file.string(), found.contents));
  say_problems(found, command);
  command.say(found.problems.empty() ? "in order" : "NOT in order");
  return found.problems.empty();
}

bool restore_command(const Settings& settings, const BackupCommand& command) {
  const std::filesystem::path replaced =
      restore_backup(command.target, settings.database_url, now());
  command.say("restored");
  if (!replaced.empty()) {
    command.say(fmt::format("what was there before is {}", replaced.string()));
  }
  return true;
}

}  // namespace twinchat::server
