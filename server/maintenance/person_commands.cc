#include "maintenance/person_commands.h"

#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "admin/gate.h"
#include "admin/person.h"
#include "twinchat/backup.h"
#include "twinchat/error.h"

namespace twinchat::server {
namespace {

constexpr std::chrono::milliseconds kUntilNextLook{50};

// An export that leaves something out, and an erasure that leaves something there, are none.
void wait_for_index(Records& records) {
  SessionQuery query;
  query.limit = 1;
  while (!records.sessions(query).complete) std::this_thread::sleep_for(kUntilNextLook);
}

void write_file(const std::string& path, const std::string& text) {
  BackupFile file(path);
  std::ofstream out(file.partial(), std::ios::binary | std::ios::in | std::ios::out);
  out << text << std::flush;
  if (!out) {
    throw Error(ErrorCode::kUnavailable, "The file cannot be written.", {.diagnostic = path});
  }
  file.complete();
}

}  // namespace

bool export_person(const Database& database, const PersonCommand& command) {
  wait_for_index(*database.records);
  const std::vector<std::string> ids = database.records->sessions_of(command.person);
  const std::string text =
      person_json(*database.store, *database.records, *database.accounts, ids, now())
          .dump(2, ' ', false, Json::error_handler_t::replace);
  // Before anything is handed out.
  database.accounts->record(by_console("export", "session",
                                       ids.size() == 1 ? ids.front() : std::string(),
                                       fmt::format("one person, {} sessions", ids.size())));
  if (command.output.empty()) {
    command.console.say(text);
    return true;
  }
  write_file(command.output, text + "\n");
  command.console.say(fmt::format("{}: {} sessions", command.output, ids.size()));
  return true;
}

bool erase_person(const Database& database, const PersonCommand& command) {
  Records& records = *database.records;
  wait_for_index(records);
  const std::vector<std::string> ids = records.sessions_of(command.person);
  command.console.say(
      fmt::format("{} sessions with {} messages", ids.size(), messages_of(records, ids)));
  if (command.dry_run || ids.empty()) return true;
  if (!command.yes) {
    const std::optional<std::string> answer =
        command.console.ask("Erase them? This cannot be undone. [y/N]: ", false);
    if (!answer || (*answer != "y" && *answer != "Y")) {
      command.console.say("Nothing was erased.");
      return false;
    }
  }
  const Erased erased = delete_in_steps(
      records, ids, by_console("erase", "session", "", fmt::format("{} sessions", ids.size())),
      true);
  command.console.say(fmt::format(
      "Erased {} sessions with {} messages. They are still in backups until these go, too.",
      erased.sessions, erased.messages));
  return true;
}

}  // namespace twinchat::server
