#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http_client.h"
#ifdef TWINCHAT_TEST_POSTGRES
#include "postgres_server.h"
#endif
#include "process.h"
#include "standin.h"
#include "temp_dir.h"
#include "twinchat/session.h"
#include "twinchat/store.h"

namespace twinchat::testing {

using Json = nlohmann::ordered_json;

// What the tests' server is told, apart from what a test adds.
inline const std::string kSecretKey = "q8Zt1vXw3Lr6Pn0sKd7Yb2Hf5Jm9Gc4A-integration";
inline const std::string kGeminiKey = "AIza-integration-key-0123456789";

// The program under test with exactly this environment and standard input, in that folder.
std::unique_ptr<Process> start_program(std::vector<std::string> arguments,
                                       std::map<std::string, std::string> environment,
                                       const std::filesystem::path& folder, std::string input = {});

struct ChatServerOptions {
  // Set over the environment that makes the server work with the stand-in; an empty value takes a
  // variable away.
  std::map<std::string, std::string> env = {};
};

// The real server on a free port, a database of its own, and the Gemini stand-in it asks. The
// destructor ends both.
//
// The database is an SQLite file; with TWINCHAT_TEST_DATABASE=postgres in the environment of the
// tests it is one of PostgreSQL, reached through pgbouncer in transaction mode. (Tests that are run
// over both have the tag [storage].)
//
// Thread safety: the const functions may be called from any thread. As events_of() and json_of()
// they throw where a test would make an assertion: Catch allows those to one thread at a time.
class ChatServer {
 public:
  // Throws std::runtime_error with the log when the server does not come up.
  explicit ChatServer(ChatServerOptions options = {});

  // Ends the server with that signal, waits, and starts it again on the same database.
  void restart(int signal);
  // Ends the server; its exit status.
  int stop(int signal);

  const std::string& base_url() const { return base_url_; }
  // Where the metrics are, without the path.
  const std::string& metrics_url() const { return metrics_url_; }
  GeminiStandIn& gemini() { return gemini_; }
  // What the server was told of its database.
  const std::string& database_url() const { return environment_.at("DATABASE_URL"); }
  // Where the server works, and its database if that is a file: chat.db.
  const std::filesystem::path& folder() const { return folder_.path(); }
  Process& process() { return *process_; }
  // All that the server wrote since the first start.
  std::string log() const { return earlier_log_ + process_->output() + process_->errors(); }

  // One request on a connection of its own.
  HttpResponse get(std::string_view target, HttpHeaders headers = {}) const;
  HttpResponse post(std::string_view target, std::string_view json, HttpHeaders headers = {}) const;
  HttpResponse request(std::string_view method, std::string_view target, HttpHeaders headers = {},
                       std::string_view body = {}) const;

  // What /metrics says of that series; 0 when it is not there.
  double metric(std::string_view series) const;

  // The id of a new session.
  std::string new_session() const;
  // A message and its answer, whatever its status.
  HttpResponse ask(const std::string& session_id, const std::string& text,
                   HttpHeaders headers = {}) const;
  // The session as get_session shows it.
  Json session(const std::string& session_id) const;
  // What the visitor and the bot said, as the session shows it: "u:...", "b:...".
  std::vector<std::string> said(const std::string& session_id) const;
  // The database, opened beside the running server.
  std::shared_ptr<Store> store() const;
  // The turns as they are stored in it.
  std::vector<Turn> turns(const std::string& session_id) const;

 private:
  void start();

  TempDir folder_;
#ifdef TWINCHAT_TEST_POSTGRES
  std::optional<PostgresDatabase> postgres_;
#endif
  GeminiStandIn gemini_;
  std::map<std::string, std::string> environment_;
  std::unique_ptr<Process> process_;
  std::string base_url_;
  std::string metrics_url_;
  std::string earlier_log_;
};

// What the program's command `routes` prints: "GET /api/admin/users/{}/".
std::vector<std::string> served_routes(const ChatServer& server);

// A path of the OpenAPI document as the router has it: {} in place of {id}.
std::string pattern_of(std::string path);

// A complete stream of server-sent events, taken apart.
struct StreamEvent {
  std::string id;
  std::string event;
  Json data;
};

// The events in `body`; comments are left out. Throws for what is not an event of ours.
std::vector<StreamEvent> events_of(std::string_view body);

// The body of an answer, which throws if it is not JSON.
Json json_of(const HttpResponse& response);

}  // namespace twinchat::testing
