#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "process.h"
#include "temp_dir.h"

namespace twinchat::testing {

// The role that owns the databases of tests, no superuser, and its password.
inline constexpr char kPostgresRole[] = "twinchat";
// Another one, which is let in with that password only.
inline constexpr char kPostgresLockedRole[] = "locked";
inline constexpr char kPostgresPassword[] = "correct-horse-battery-staple";

struct PostgresOptions {
  // Waits for the disk at a commit. Tests that cut the power of nothing do without.
  bool durable = false;
  // Further lines of postgresql.conf.
  std::vector<std::string> settings = {};
};

// A PostgreSQL of one's own in a temporary folder, on a free port of the loopback interface. When
// the tests run as root it runs as the user `postgres`. The destructor ends it and removes all.
//
// Thread safety: every const member function may be called from any thread.
class PostgresServer {
 public:
  // Throws std::runtime_error with what the programs said.
  explicit PostgresServer(PostgresOptions options = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  std::uint16_t port() const { return port_; }
  // As the owner of databases; `database` need not be there yet.
  std::string url(const std::string& database) const;
  // As the superuser.
  std::string admin_url(const std::string& database = "postgres") const;

  // Ends it: orderly ("fast") or as a crash would ("immediate"). start() brings it back on the same
  // port with the same data.
  void stop(bool orderly);
  void start();
  pid_t pid() const { return process_->pid(); }
  // What it has logged since it was started.
  std::string log() const { return process_->errors(); }

 private:
  TempDir folder_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Process> process_;
};

struct PgBouncerOptions {
  // Connections to the server for each database.
  int pool_size = 20;
  // Startup parameters that it takes and ignores; without "options" it refuses those.
  std::string ignored_parameters = "extra_float_digits";
};

// A pgbouncer in transaction mode in front of a PostgreSQL on the loopback interface, for every
// database and for the role of the tests.
//
// Thread safety: every const member function may be called from any thread.
class PgBouncer {
 public:
  explicit PgBouncer(std::uint16_t server_port, PgBouncerOptions options = {});
  ~PgBouncer();
  PgBouncer(const PgBouncer&) = delete;
  PgBouncer& operator=(const PgBouncer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url(const std::string& database) const;

 private:
  TempDir folder_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Process> process_;
};

// Another program's view of a database, for looking at what a store wrote and for writing what a
// store is to find. Throws std::runtime_error with what PostgreSQL says.
//
// Thread safety: one thread at a time.
class PostgresClient {
 public:
  explicit PostgresClient(const std::string& url);

  // One or more statements.
  void exec(const std::string& sql);
  // The columns of every row, with '|' in between; NULL is empty.
  std::vector<std::string> rows(const std::string& sql);
  // The only row.
  std::string value(const std::string& sql) { return rows(sql).at(0); }

 private:
  struct Close {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  };
  std::unique_ptr<PGconn, Close> connection_;
};

// Where databases for tests are: the server that a whole run of ctest shares (see
// postgres_fixture.cc), or one that this program starts when it is run by itself.
struct PostgresPlace {
  std::string admin_url;
  std::uint16_t port = 0;          // of the server
  std::uint16_t bouncer_port = 0;  // of a pgbouncer in front of it
};
const PostgresPlace& postgres_place();

// A database of a test's own on the shared server.
//
// Thread safety: immutable after construction.
class PostgresDatabase {
 public:
  enum class Kind {
    kNew,     // without tables; making one takes most of a second, and the destructor drops it
    kReused,  // an earlier test's, whose tables were emptied: for tests that leave the schema alone
  };
  explicit PostgresDatabase(Kind kind = Kind::kNew);
  // A new one with these options of CREATE DATABASE, such as its locale.
  explicit PostgresDatabase(const std::string& options);
  ~PostgresDatabase();
  PostgresDatabase(const PostgresDatabase&) = delete;
  PostgresDatabase& operator=(const PostgresDatabase&) = delete;

  const std::string& name() const { return name_; }
  // To the server itself.
  std::string url() const;
  // Through pgbouncer in transaction mode.
  std::string bouncer_url() const;
  // As the superuser, to the server itself.
  std::string admin_url() const;

 private:
  bool claim(int number);
  void create(const std::string& options);

  const Kind kind_;
  std::string name_;
  PostgresClient claim_;  // keeps a reused one from other tests
};

// A port of the loopback interface that was free a moment ago.
std::uint16_t free_port();

}  // namespace twinchat::testing
