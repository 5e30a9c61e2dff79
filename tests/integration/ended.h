#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "chat_server.h"

namespace twinchat::testing {

using Environment = std::map<std::string, std::string>;

// What became of a run of the program.
struct Ended {
  int status = 0;
  std::string output = {};
  std::string errors = {};
};

// Runs the program to its end.
Ended run(std::vector<std::string> arguments, Environment environment,
          const std::filesystem::path& folder);

// The settings of commands that are to work on the server's database, in its folder.
Environment database_of(const ChatServer& server);

}  // namespace twinchat::testing
