// The same users under this server and under Django.

#include <optional>
#include <string>
#include <vector>

#include "../contract/sqlite_file.h"
#include "admin_server.h"
#include "catch.h"

namespace twinchat::testing {
namespace {

using Strings = std::vector<std::string>;

// Runs a management command over the server's database and returns what it printed.
std::string django(const ChatServer& server, const Strings& arguments) {
  Strings argv{TWINCHAT_DJANGO_PYTHON, "-B", "-m", "django"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Process process(argv, {.env = {{"CHAT_DB", (server.folder() / "chat.db").string()},
                                 {"PYTHONPATH", TWINCHAT_DJANGO_PROJECT},
                                 {"DJANGO_SETTINGS_MODULE", "settings"}}});
  const std::optional<int> status = process.wait_exit();
  INFO(process.output() << process.errors());
  REQUIRE(status == 0);
  return process.output();
}

std::string hash_of(const ChatServer& server, const std::string& user) {
  return SqliteFile(server.folder() / "chat.db")
      .value("SELECT password FROM auth_user WHERE username = '" + user + "'");
}

TEST_CASE("Django's users log in with their passwords and permissions, and Django keeps them") {
  const ChatServer server;
  // Django makes its tables beside ours.
  django(server, {"migrate", "--fake-initial"});
  django(server, {"accounts", "create", "jane", kPassword, "view_message", "view_chatsession",
                  "delete_message"});
  const std::string before = hash_of(server, "jane");
  CHECK(before.starts_with("pbkdf2_sha256$260000$"));
  const AdminClient jane = AdminClient(server).log_in("jane");
  CHECK(jane.read("/api/admin/me/").at("user").at("permissions") ==
        Json{"chat.delete_message", "chat.view_chatsession", "chat.view_message"});
  CHECK(jane.get("/api/admin/messages/").status == 200);
  CHECK(jane.post("/api/admin/messages/", {{"session_id", "x"}, {"content", "x"}}).status == 403);
  // The log-in has made the hash a stronger one, which Django takes as well.
  CHECK(hash_of(server, "jane").starts_with("pbkdf2_sha256$1200000$"));
  CHECK(django(server, {"accounts", "show", "jane", kPassword}) ==
        "True False ['chat.delete_message', 'chat.view_chatsession', 'chat.view_message']\n");
  django(server, {"accounts", "delete", "jane"});
  CHECK(jane.get("/api/admin/messages/").status == 401);
}

TEST_CASE("Users that are made here are Django's when it takes the file over") {
  const ChatServer server;
  make_superuser(server, "boss");
  const AdminClient boss = AdminClient(server).log_in("boss");
  make_staff(boss, "jane", {"view_message"});
  django(server, {"migrate", "--fake-initial"});
  CHECK(django(server, {"accounts", "show", "boss", kPassword}).starts_with("True True"));
  CHECK(django(server, {"accounts", "show", "boss", "wrong"}).starts_with("False True"));
  CHECK(django(server, {"accounts", "show", "jane", kPassword}) ==
        "True False ['chat.view_message']\n");
  // Django's migrations have built tables anew meanwhile.
  CHECK(boss.read("/api/admin/users/").at("count") == 2);
  make_staff(boss, "joe", {"change_message"});
  CHECK(django(server, {"accounts", "show", "joe", kPassword}) ==
        "True False ['chat.change_message']\n");
}

}  // namespace
}  // namespace twinchat::testing
