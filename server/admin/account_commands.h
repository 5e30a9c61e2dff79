#pragma once

#include <map>
#include <string>

#include "admin/console.h"
#include "twinchat/accounts.h"

namespace twinchat::server {

// What the commands about users are told: by flags, by the environment, or by whoever sits there.
struct AccountCommand {
  std::string username = {};
  std::string email = {};
  // Ask nothing: what is missing comes from DJANGO_SUPERUSER_USERNAME, _EMAIL and _PASSWORD.
  bool no_input = false;
  std::map<std::string, std::string> environment = {};
  Console console = {};
};

// Adds a superuser. Returns whether it did; what was wrong has been said.
bool create_superuser(Accounts& accounts, const AccountCommand& command);

// Sets a user's password and ends the user's log-ins. Asks for it, or with no_input takes it from
// DJANGO_SUPERUSER_PASSWORD.
bool change_password(Accounts& accounts, const AccountCommand& command);

}  // namespace twinchat::server
