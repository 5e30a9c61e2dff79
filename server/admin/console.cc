#include "admin/console.h"

#include <pwd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "admin/gate.h"
#include "text.h"

namespace twinchat::server {
namespace {

std::string system_user() {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer;
  const uid_t id = ::getuid();
  std::string name = ::getpwuid_r(id, &entry, buffer.data(), buffer.size(), &found) == 0 && found
                         ? found->pw_name
                         : std::to_string(id);
  // Whoever may become root may also say who they were.
  const char* before = id == 0 ? std::getenv("SUDO_USER") : nullptr;
  if (before != nullptr && is_utf8(before)) name += " (" + std::string(before).substr(0, 64) + ")";
  return "system:" + name;
}

}  // namespace

AuditEntry by_console(std::string action, std::string model, std::string object_id,
                      std::string detail) {
  return {0,
          now(),
          system_user(),
          "console",
          std::move(action),
          std::move(model),
          std::move(object_id),
          std::move(detail)};
}

std::optional<std::string> ask_at_terminal(const std::string& question, bool secret) {
  std::cout << question << std::flush;
  termios before{};
  const bool hidden = secret && ::tcgetattr(STDIN_FILENO, &before) == 0;
  if (hidden) {
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  std::string answer;
  const bool read = static_cast<bool>(std::getline(std::cin, answer));
  if (hidden) {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    std::cout << '\n';
  }
  return read ? std::optional(answer) : std::nullopt;
}

}  // namespace twinchat::server
