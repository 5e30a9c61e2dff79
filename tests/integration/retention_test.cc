// Export and erasure of a person from the command line, and what goes by itself after its time.

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>

#include "../contract/sqlite_file.h"
#include "admin_server.h"
#include "catch.h"
#include "chat_server.h"
#include "ended.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

namespace fs = std::filesystem;

std::string session_of(const ChatServer& server, const Json& details) {
  return json_of(server.post("/api/chat/sessions/create_session/",
                             Json{{"user_details", details}}.dump()))
      .at("session_id");
}

bool is_there(const ChatServer& server, const std::string& session) {
  return server.get("/api/chat/sessions/get_session/?session_id=" + session).status == 200;
}

// The bytes of all files of the server's database.
std::string bytes_of_database(const ChatServer& server) {
  std::string bytes;
  for (const char* suffix : {"", "-wal", "-journal"}) {
    bytes += bytes_of((server.folder() / "chat.db").string() + suffix);
  }
  return bytes;
}

// Makes the last change of a session that old, as if nothing had happened since; also in the list.
void age(const ChatServer& server, const std::string& session, int days) {
  SqliteFile(server.folder() / "chat.db")
      .exec("UPDATE chat_chatsession SET updated_at = datetime('now', '-" + std::to_string(days) +
            " days') WHERE session_id = '" + session +
            "'; INSERT OR IGNORE INTO twinchat_changed SELECT id FROM chat_chatsession WHERE "
            "session_id = '" +
            session + "'");
}

// What the log says of erasures, oldest first: who and what.
std::vector<std::string> erasures(const ChatServer& server) {
  return SqliteFile(server.folder() / "chat.db")
      .rows(
          "SELECT user || '|' || address || '|' || detail FROM twinchat_audit WHERE action = "
          "'erase' ORDER BY id");
}

TEST_CASE(
    "export writes everything of one person to a file of the owner's, and says so in the log") {
  ChatServer server;
  const auto environment = database_of(server);
  const std::string jane = session_of(server, {{"name", "Jane"}, {"email", "jane@example.com"}});
  const std::string john = session_of(server, {{"email", "john@example.com"}});
  REQUIRE(server.ask(jane, "mangos?").status == 200);
  REQUIRE(server.ask(john, "papayas?").status == 200);
  server.stop(SIGTERM);
  const Ended written = run({"export", "--email", "JANE@example.com", "--output", "jane.json"},
                            environment, server.folder());
  INFO(written.errors);
  REQUIRE(written.status == 0);
  CHECK(written.output.find("mangos") == std::string::npos);
  CHECK(fs::status(server.folder() / "jane.json").permissions() ==
        (fs::perms::owner_read | fs::perms::owner_write));
  const Json file = Json::parse(bytes_of(server.folder() / "jane.json"));
  REQUIRE(file.at("sessions").size() == 1);
  const Json session = file.at("sessions").at(0);
  CHECK(session.at("session_id") == jane);
  CHECK(session.at("user_name") == "Jane");
  REQUIRE(session.at("messages").size() == 2);
  CHECK(session.at("messages").at(0).at("content") == "mangos?");
  REQUIRE(session.at("turns").size() == 1);
  CHECK(session.at("turns").at(0).at("status") == "complete");
  CHECK(session.at("turns").at(0).at("user_message_id") == session.at("messages").at(0).at("id"));
  CHECK(session.at("consents").empty());
  CHECK(session.at("history").empty());
  CHECK(bytes_of(server.folder() / "jane.json").find("papayas") == std::string::npos);
  // The second time the first is part of what is known; standard output will do, too.
  const Ended shown = run({"export", "--session-id", jane}, environment, server.folder());
  const Json history = Json::parse(shown.output).at("sessions").at(0).at("history");
  REQUIRE(history.size() == 1);
  CHECK(history.at(0).at("action") == "export");
  CHECK(history.at(0).at("user").get<std::string>().starts_with("system:"));
  // A file that is there is nobody's to overwrite.
  CHECK(run({"export", "--email", "jane@example.com", "--output", "jane.json"}, environment,
            server.folder())
            .status == 1);
  CHECK(run({"export"}, environment, server.folder()).status == 2);
  CHECK(run({"export", "--email", "a@example.com", "--phone", "1"}, environment, server.folder())
            .status == 2);
}

TEST_CASE("erase asks first, erases a person down to the bytes, and keeps the others") {
  ChatServer server;
  const auto environment = database_of(server);
  const std::string gone = session_of(server, {{"name", "Zaphodia"}, {"phone", "+1 555 4242"}});
  const std::string kept = session_of(server, {{"name", "Jane"}});
  REQUIRE(server.ask(gone, "a pangalactic drink").status == 200);
  const std::vector<std::string> erase = {"erase", "--phone", "15554242"};
  const auto with = [&](const std::string& flag) {
    std::vector<std::string> arguments = erase;
    arguments.push_back(flag);
    return arguments;
  };
  const Ended preview = run(with("--dry-run"), environment, server.folder());
  CHECK(preview.status == 0);
  CHECK(preview.output.find("1 sessions with 2 messages") != std::string::npos);
  CHECK(run(erase, environment, server.folder()).status == 1);  // nobody says yes
  CHECK(is_there(server, gone));
  const Ended erased = run(with("--yes"), environment, server.folder());
  INFO(erased.errors);
  CHECK(erased.status == 0);
  CHECK_FALSE(is_there(server, gone));
  CHECK(is_there(server, kept));
  for (const char* trace : {"Zaphodia", "555 4242", "pangalactic"}) {
    INFO(trace);
    CHECK(eventually([&] {
      server.new_session();  // a reader may have been in the way of emptying the log
      return bytes_of_database(server).find(trace) == std::string::npos;
    }));
    CHECK(erased.output.find(trace) == std::string::npos);
    CHECK(erased.errors.find(trace) == std::string::npos);
  }
  REQUIRE(erasures(server).size() == 1);
  CHECK(erasures(server)[0].starts_with("system:"));
  CHECK(erasures(server)[0].ends_with("|console|1 sessions"));
}

TEST_CASE("retention says what would go, and does it when told to") {
  ChatServer server;
  Environment environment = database_of(server);
  const std::string old_chat = server.new_session();
  const std::string old_lead = session_of(server, {{"email", "jane@example.com"}});
  const std::string young = server.new_session();
  for (const std::string& id : {old_chat, old_lead, young}) server.ask(id, "hello");
  age(server, old_chat, 40);
  age(server, old_lead, 40);
  CHECK(run({"retention", "--dry-run"}, environment, server.folder()).output.find("kept") !=
        std::string::npos);
  CHECK(run({"retention"}, environment, server.folder()).status == 2);
  environment["RETENTION_DAYS_CHATS"] = "30";
  environment["RETENTION_DAYS_LEADS"] = "365";
  const Ended preview = run({"retention", "--dry-run"}, environment, server.folder());
  INFO(preview.errors);
  CHECK(preview.output.find("1 sessions of visitors who cannot be reached and 0 leads") !=
        std::string::npos);
  CHECK(is_there(server, old_chat));
  CHECK(run({"retention", "--now"}, environment, server.folder())
            .output.find("Erased 1 sessions with 2 messages") != std::string::npos);
  CHECK_FALSE(is_there(server, old_chat));
  CHECK(is_there(server, old_lead));
  CHECK(is_there(server, young));
  REQUIRE(erasures(server).size() == 1);
  CHECK(erasures(server)[0].ends_with("|console|RETENTION_DAYS_CHATS=30: 1 sessions, 2 messages"));
}

TEST_CASE("A server erases by itself what has expired, and answers on") {
  ChatServer server({.env = {{"RETENTION_DAYS_CHATS", "30"}, {"RETENTION_DAYS_LEADS", "60"}}});
  std::vector<std::string> old;
  for (int i = 0; i < 60; ++i) {
    old.push_back(i % 2 == 0 ? server.new_session()
                             : session_of(server, {{"phone", "+1 555 " + std::to_string(i)}}));
  }
  const std::string lead = session_of(server, {{"email", "jane@example.com"}});
  const std::string young = server.new_session();
  REQUIRE(server.ask(old.front(), "gargleblaster").status == 200);
  for (const std::string& id : old) age(server, id, 70);
  age(server, lead, 40);
  server.restart(SIGTERM);
  REQUIRE(eventually([&] {
    return std::none_of(old.begin(), old.end(),
                        [&](const std::string& id) { return is_there(server, id); });
  }));
  CHECK(is_there(server, lead));
  CHECK(is_there(server, young));
  CHECK(server.ask(young, "hello").status == 200);
  CHECK(eventually([&] {
    server.new_session();
    return bytes_of_database(server).find("gargleblaster") == std::string::npos;
  }));
  // In steps, each with its line.
  CHECK(erasures(server).size() == 4);
  CHECK(erasures(server).front().starts_with("|server|RETENTION_DAYS_CHATS=30: 25 sessions, "));
}

TEST_CASE("Commands that write beside a server under load wait their turn, and nothing is lost") {
  ChatServer server;
  const auto environment = database_of(server);
  std::map<std::string, int> told;
  const std::string kept = server.new_session();
  const std::string gone = session_of(server, {{"email", "gone@example.com"}});
  std::atomic<bool> stopping{false};
  int answered = 0;
  {
    std::vector<std::jthread> visitors;
    std::mutex mutex;
    for (int i = 0; i < 3; ++i) {
      visitors.emplace_back([&, i] {
        for (int n = 0; !stopping; ++n) {
          const std::string text = std::to_string(i) + " says " + std::to_string(n);
          const int status = server.ask(kept, text).status;
          const std::lock_guard lock(mutex);
          if (status == 200) ++answered;
          ++told[std::to_string(status)];
        }
      });
    }
    auto with_password = environment;
    with_password["DJANGO_SUPERUSER_PASSWORD"] = kPassword;
    for (int round = 0; round < 3; ++round) {
      const std::string name = "boss" + std::to_string(round);
      for (const std::vector<std::string>& command :
           {std::vector<std::string>{"createsuperuser", "--no-input", "--username", name},
            {"changepassword", "--no-input", name},
            {"erase", "--yes", "--email", "gone@example.com"},
            {"retention", "--now", "--retention-days-chats", "1"}}) {
        const Ended ended = run(command, with_password, server.folder());
        INFO(command.front() << ": " << ended.errors);
        CHECK(ended.status == 0);
      }
    }
    stopping = true;
  }
  CHECK(told.size() == 1);
  CHECK(answered > 0);
  CHECK(server.said(kept).size() == 2 * static_cast<std::size_t>(answered));
  CHECK_FALSE(is_there(server, gone));
  AdminClient(server).log_in("boss2");
  const Ended verified =
      run({"verify", (server.folder() / "chat.db").string()}, environment, server.folder());
  INFO(verified.output << verified.errors);
  CHECK(verified.status == 0);
}

}  // namespace
}  // namespace twinchat::testing
