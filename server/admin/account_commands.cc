#include "admin/account_commands.h"

#include <fmt/format.h>
#include <vector>

#include "admin/account_routes.h"
#include "admin/passwords.h"
#include "twinchat/error.h"

namespace twinchat::server {
namespace {

std::string variable(const AccountCommand& command, const std::string& name) {
  const auto found = command.environment.find("DJANGO_SUPERUSER_" + name);
  return found != command.environment.end() ? found->second : std::string();
}

void say_all(const AccountCommand& command, const std::vector<std::string>& problems) {
  for (const std::string& problem : problems) command.console.say(problem);
}

// Asks until `problems` finds nothing; nullopt at the end of the input.
std::optional<std::string> asked(
    const AccountCommand& command, const std::string& question,
    const std::function<std::vector<std::string>(const std::string&)>& problems) {
  for (;;) {
    std::optional<std::string> answer = command.console.ask(question, false);
    if (!answer) return std::nullopt;
    const std::vector<std::string> found = problems(*answer);
    if (found.empty()) return answer;
    say_all(command, found);
  }
}

// A new password, typed twice. One with problems is taken all the same if that is wanted: who can
// run commands here is trusted to know.
std::optional<std::string> asked_password(const AccountCommand& command, const User& user) {
  for (;;) {
    const std::optional<std::string> one = command.console.ask("Password: ", true);
    const std::optional<std::string> two =
        one ? command.console.ask("Password (again): ", true) : one;
    if (!two) return std::nullopt;
    if (*one != *two) {
      command.console.say("Error: Your passwords didn't match.");
      continue;
    }
    if (one->empty()) {
      command.console.say("Error: Blank passwords aren't allowed.");
      continue;
    }
    const std::vector<std::string> problems =
        password_problems(*one, {user.username, user.email, user.first_name, user.last_name});
    if (problems.empty()) return one;
    say_all(command, problems);
    const std::optional<std::string> anyway =
        command.console.ask("Bypass password validation and use it anyway? [y/N]: ", false);
    if (!anyway) return std::nullopt;
    if (*anyway == "y" || *anyway == "Y") return one;
  }
}

std::vector<std::string> email_problems(const std::string& email) {
  std::vector<std::string> found;
  if (email.empty()) return found;
  for (const FieldProblem& problem : problems({.email = email})) found.push_back(problem.message);
  return found;
}

}  // namespace

bool create_superuser(Accounts& accounts, const AccountCommand& command) {
  User user;
  user.is_staff = true;
  user.is_superuser = true;
  user.username = command.username;
  user.email = command.email;
  const auto name_problems = [&](const std::string& name) {
    std::vector<std::string> found = username_problems(name);
    if (accounts.find_user(name)) found.push_back("Error: That username is already taken.");
    return found;
  };
  std::optional<std::string> password;
  if (command.no_input) {
    if (user.username.empty()) user.username = variable(command, "USERNAME");
    if (user.email.empty()) user.email = variable(command, "EMAIL");
    password = variable(command, "PASSWORD");
    if (user.username.empty() || password->empty()) {
      command.console.say(
          "With --no-input the name comes from --username or DJANGO_SUPERUSER_USERNAME, the "
          "password from DJANGO_SUPERUSER_PASSWORD.");
      return false;
    }
  } else {
    if (user.username.empty()) {
      const auto name = asked(command, "Username: ", name_problems);
      if (!name) return false;
      user.username = *name;
    }
    if (user.email.empty()) {
      const auto email = asked(command, "Email address: ", email_problems);
      if (!email) return false;
      user.email = *email;
    }
  }
  std::vector<std::string> found = name_problems(user.username);
  for (std::string& problem : email_problems(user.email)) found.push_back(std::move(problem));
  if (!found.empty()) {
    say_all(command, found);
    return false;
  }
  if (!password) password = asked_password(command, user);
  if (!password) return false;
  user.password = hash_password(*password);
  user.date_joined = now();
  accounts.add_user(user, by_console("user", "user", "", "added superuser " + user.username));
  command.console.say("Superuser created successfully.");
  return true;
}

bool change_password(Accounts& accounts, const AccountCommand& command) {
  const std::optional<User> user = accounts.find_user(command.username);
  if (!user) {
    command.console.say(fmt::format("There is no user \"{}\".", command.username));
    return false;
  }
  std::optional<std::string> password;
  if (command.no_input) {
    password = variable(command, "PASSWORD");
    if (password->empty()) {
      command.console.say("With --no-input the password comes from DJANGO_SUPERUSER_PASSWORD.");
      return false;
    }
  } else {
    command.console.say(fmt::format("Changing password for user \"{}\"", user->username));
    password = asked_password(command, *user);
    if (!password) return false;
  }
  accounts.set_password(user->id, hash_password(*password), "",
                        by_console("password", "user", std::to_string(user->id), ""));
  command.console.say(fmt::format("Password changed successfully for user \"{}\"", user->username));
  return true;
}

}  // namespace twinchat::server
