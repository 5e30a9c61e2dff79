#include "ended.h"

#include <utility>

namespace twinchat::testing {

Ended run(std::vector<std::string> arguments, Environment environment,
          const std::filesystem::path& folder) {
  const auto process = start_program(std::move(arguments), std::move(environment), folder);
  const int status = process->wait_exit().value();
  return {status, process->output(), process->errors()};
}

Environment database_of(const ChatServer& server) {
  return {{"DEBUG", "1"}, {"DATABASE_URL", "sqlite:///" + (server.folder() / "chat.db").string()}};
}

}  // namespace twinchat::testing
