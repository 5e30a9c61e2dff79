// The disk under a running server fails, fills up, turns read-only, and its file goes away: every
// time a clear answer, a process that lives, nothing lost that was acknowledged, and no restart
// once the disk is well again.

#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "../contract/sqlite_file.h"
#include "catch.h"
#include "chat_server.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

namespace fs = std::filesystem;

using Lines = std::vector<std::string>;

// A server whose database lies in a folder that the test reaches, on a disk that fails on demand.
class FailingDisk {
 public:
  enum Fault : char {
    kHealthy = '-',
    kFull = 'f',        // writes: as much as fits, then ENOSPC
    kWriteError = 'w',  // writes: EIO
    kSyncError = 's',   // syncs: EIO
    kReadError = 'r',   // reads: EIO
    kReadOnly = 'o',    // writes, and opening for writing: EROFS
  };

  FailingDisk() : folder_(), healthy_(set(kHealthy)), server_({.env = environment()}) {}

  ChatServer& server() { return server_; }
  const TempDir& folder() const { return folder_; }
  fs::path file() const { return folder_ / "chat.db"; }

  bool set(Fault fault) {
    std::fstream control(folder_ / "fault", std::ios::in | std::ios::out | std::ios::binary);
    if (!control) control.open(folder_ / "fault", std::ios::out | std::ios::binary);
    control.put(fault);
    return static_cast<bool>(control.flush());
  }

 private:
  std::map<std::string, std::string> environment() const {
    // Linked dynamically, GCC's sanitizers want to be first, and this library needs nothing of
    // theirs.
    const char* const asan = std::getenv("ASAN_OPTIONS");
    return {{"DATABASE_URL", "sqlite:///" + file().string()},
            {"DISK_FAULTS", (folder_ / "fault").string()},
            {"LD_PRELOAD", TWINCHAT_DISK_FAULTS},
            {"ASAN_OPTIONS",
             (asan != nullptr ? std::string(asan) + ":" : "") + "verify_asan_link_order=0"}};
  }

  TempDir folder_;
  bool healthy_;
  ChatServer server_;
};

// A clear refusal that a client can act on: try again later.
void check_refused(const HttpResponse& response) {
  INFO(response.body);
  CHECK(response.status == 503);
  CHECK(response.header("retry-after"));
  const std::string error = json_of(response).at("error");
  CHECK(error.starts_with("The database "));
  CHECK(error.find('/') == std::string::npos);  // no path, no SQL, no URL
}

// Every kind of write is refused, and leaves no trace. `question` is said nowhere else.
void check_writes_refused(ChatServer& server, const std::string& id, const std::string& question) {
  const std::int64_t calls = server.gemini().stats().calls;
  for (int i = 0; i < 3; ++i) {
    check_refused(server.ask(id, question));
    check_refused(server.post("/api/chat/sessions/create_session/", "{}"));
    check_refused(
        server.post("/api/chat/sessions/update_user_details/",
                    Json{{"session_id", id}, {"user_details", {{"name", question}}}}.dump()));
  }
  // What cannot be kept is not worth asking the model for.
  CHECK(server.gemini().stats().calls == calls);
}

TEST_CASE("A disk that takes no writes refuses them, serves reads, and is forgotten once well") {
  const auto fault = GENERATE(FailingDisk::kFull, FailingDisk::kWriteError, FailingDisk::kSyncError,
                              FailingDisk::kReadOnly);
  INFO("fault " << static_cast<char>(fault));
  FailingDisk disk;
  ChatServer& server = disk.server();
  const std::string id = server.new_session();
  CHECK(server.ask(id, "Before").status == 200);
  Lines said{"u:Before", "b:Echo 1: Before"};

  for (int round = 0; round < 2; ++round) {
    disk.set(fault);
    check_writes_refused(server, id, "Lost");
    CHECK(server.said(id) == said);
    CHECK(server.get("/livez").status == 200);
    CHECK(server.process().running());
    const HttpResponse unready = server.get("/readyz");
    CHECK(unready.status == 503);
    CHECK(json_of(unready).at("status") == "database");

    disk.set(FailingDisk::kHealthy);
    CHECK(server.get("/readyz").status == 200);  // though no visitor has written meanwhile
    const std::string question = "Again " + std::to_string(round);
    const HttpResponse again = server.ask(id, question);
    INFO(again.body);
    CHECK(again.status == 200);
    said.push_back("u:" + question);
    said.push_back("b:Echo " + std::to_string(round + 2) + ": " + question);
    CHECK(server.said(id) == said);
    CHECK(json_of(server.post("/api/chat/sessions/create_session/", "{}")).contains("session_id"));
  }
  CHECK(server.session(id).at("user_name").is_null());
  // The same after a crash: the writes that were refused are not in the log either.
  server.restart(SIGKILL);
  CHECK(server.said(id) == said);
  CHECK(server.stop(SIGTERM) == 0);
  CHECK(damage(disk.file()) == Lines{});
}

TEST_CASE("An answer that comes when the disk has failed is not acknowledged, and can be retried") {
  const auto fault = GENERATE(FailingDisk::kFull, FailingDisk::kSyncError);
  INFO("fault " << static_cast<char>(fault));
  FailingDisk disk;
  ChatServer& server = disk.server();
  const std::string id = server.new_session();
  server.gemini().script({{"text", "Too late."}, {"latency_ms", 500}});
  const HttpHeaders key{{"Idempotency-Key", "k"}};
  HttpResponse response;
  std::jthread asking([&] { response = server.ask(id, "Hi", key); });
  REQUIRE(eventually([&] { return server.gemini().stats().in_flight == 1; }));
  disk.set(fault);
  asking.join();
  check_refused(response);
  disk.set(FailingDisk::kHealthy);
  CHECK(server.said(id) == Lines{"u:Hi"});
  // The turn that could not be closed is this server's own: it is known to have ended.
  const HttpResponse again = server.ask(id, "Hi", key);
  INFO(again.body);
  CHECK(again.status == 200);
  CHECK(server.said(id) == Lines{"u:Hi", "b:Echo 1: Hi"});
}

TEST_CASE("A disk that cannot be read refuses, and is forgotten once well") {
  FailingDisk disk;
  ChatServer& server = disk.server();
  const std::string id = server.new_session();
  CHECK(server.ask(id, "Before").status == 200);
  disk.set(FailingDisk::kReadError);
  for (int i = 0; i < 3; ++i) {
    check_refused(server.get("/api/chat/sessions/get_session/?session_id=" + id));
    CHECK(server.get("/readyz").status == 503);
    const HttpResponse asked = server.ask(id, "During");
    if (asked.status != 200) check_refused(asked);
  }
  CHECK(server.get("/livez").status == 200);
  disk.set(FailingDisk::kHealthy);
  CHECK(server.get("/readyz").status == 200);
  CHECK(server.ask(id, "After").status == 200);
  const Lines said = server.said(id);
  CHECK(Lines(said.begin(), said.begin() + 2) == Lines{"u:Before", "b:Echo 1: Before"});
  CHECK(said.at(said.size() - 2) == "u:After");
  CHECK(server.stop(SIGTERM) == 0);
  CHECK(damage(disk.file()) == Lines{});
}

TEST_CASE("A limit on the size of files is a full disk, not the end of the process") {
  const TempDir folder;
  const fs::path file = folder / "chat.db";
  ChatServer server({.env = {{"DATABASE_URL", "sqlite:///" + file.string()}}});
  const std::string id = server.new_session();
  CHECK(server.ask(id, "Before").status == 200);
  rlimit before{};
  REQUIRE(::prlimit(server.process().pid(), RLIMIT_FSIZE, nullptr, &before) == 0);
  rlimit full = before;
  full.rlim_cur = fs::file_size(file.string() + "-wal");
  REQUIRE(::prlimit(server.process().pid(), RLIMIT_FSIZE, &full, nullptr) == 0);
  check_writes_refused(server, id, "Lost");
  CHECK(server.said(id) == Lines{"u:Before", "b:Echo 1: Before"});
  REQUIRE(::prlimit(server.process().pid(), RLIMIT_FSIZE, &before, nullptr) == 0);
  CHECK(server.ask(id, "After").status == 200);
  CHECK(server.said(id) == Lines{"u:Before", "b:Echo 1: Before", "u:After", "b:Echo 2: After"});
  CHECK(server.stop(SIGTERM) == 0);
  CHECK(damage(file) == Lines{});
}

// --- Files that go away

// A server on a file that the test moves about, with a backup of it and one message more.
struct Moving {
  TempDir folder = {};
  fs::path file = folder / "chat.db";
  fs::path backup = folder / "backup.db";
  ChatServer server{{.env = {{"DATABASE_URL", "sqlite:///" + file.string()}}}};
  std::string id = server.new_session();

  Moving() {
    CHECK(server.ask(id, "One").status == 200);
    SqliteFile(file).exec("VACUUM INTO '" + backup.string() + "'");
    CHECK(server.ask(id, "Two").status == 200);
  }
  fs::path log() const { return file.string() + "-wal"; }

  // The server works on the backup, and nothing of the other file has got into it.
  void check_on_backup() {
    CHECK(server.get("/readyz").status == 200);
    CHECK(server.said(id) == Lines{"u:One", "b:Echo 1: One"});
    CHECK(server.ask(id, "Three").status == 200);
    server.restart(SIGKILL);
    CHECK(server.said(id) == Lines{"u:One", "b:Echo 1: One", "u:Three", "b:Echo 2: Three"});
    CHECK(server.stop(SIGTERM) == 0);
    CHECK(damage(file) == Lines{});
  }
};

TEST_CASE("A database that is removed is missed at once, and a backup in its place is served") {
  const bool with_log = GENERATE(true, false);
  INFO((with_log ? "with" : "without") << " its log");
  Moving moving;
  fs::remove(moving.file);
  if (with_log) {
    fs::remove(moving.log());
    fs::remove(moving.file.string() + "-shm");
  }
  check_refused(moving.server.get("/api/chat/sessions/get_session/?session_id=" + moving.id));
  check_writes_refused(moving.server, moving.id, "Lost");
  CHECK(moving.server.get("/readyz").status == 503);
  CHECK(moving.server.get("/livez").status == 200);
  CHECK_FALSE(fs::exists(moving.file));  // a new one would hide the loss

  fs::rename(moving.backup, moving.file);
  moving.check_on_backup();
}

TEST_CASE("A database that is replaced under the server is not mixed with the log of the old one") {
  const bool read_first = GENERATE(true, false);
  INFO((read_first ? "read" : "written") << " first");
  Moving moving;
  REQUIRE(fs::file_size(moving.log()) > 0);
  fs::rename(moving.backup, moving.file);
  if (!read_first) {
    CHECK(json_of(moving.server.post("/api/chat/sessions/create_session/", "{}"))
              .contains("session_id"));
  }
  moving.check_on_backup();
}

TEST_CASE("A log that is removed under the server takes nothing with it") {
  Moving moving;
  REQUIRE(fs::remove(moving.log()));
  const bool index_too = GENERATE(true, false);
  if (index_too) fs::remove(moving.file.string() + "-shm");
  CHECK(moving.server.ask(moving.id, "Three").status == 200);
  const Lines said{"u:One",         "b:Echo 1: One", "u:Two",
                   "b:Echo 2: Two", "u:Three",       "b:Echo 3: Three"};
  CHECK(moving.server.said(moving.id) == said);
  moving.server.restart(SIGKILL);
  CHECK(moving.server.said(moving.id) == said);
  CHECK(moving.server.stop(SIGTERM) == 0);
  CHECK(damage(moving.file) == Lines{});
}

}  // namespace
}  // namespace twinchat::testing
