#pragma once

#include <functional>
#include <optional>
#include <string>

#include "twinchat/audit.h"

namespace twinchat::server {

// Whoever sits at the terminal.
struct Console {
  // Asks a question; with `secret` without showing what is typed. nullopt at the end of the input.
  std::function<std::optional<std::string>(const std::string& question, bool secret)> ask = {};
  // Says something.
  std::function<void(const std::string& text)> say = {};
};

// Console::ask over standard input and the terminal.
std::optional<std::string> ask_at_terminal(const std::string& question, bool secret);

// An entry for the audit log about what a command did, by the operating system's user:
// "system:jane", or "system:root (jane)" under sudo. No name in the admin has a colon in it.
AuditEntry by_console(std::string action, std::string model, std::string object_id,
                      std::string detail);

}  // namespace twinchat::server
