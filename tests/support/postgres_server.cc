#include "postgres_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "wait.h"

namespace twinchat::testing {
namespace {

constexpr char kAdmin[] = "postgres";

// PostgreSQL and pgbouncer refuse to run as root.
std::vector<std::string> as_other_user(std::vector<std::string> argv) {
  if (geteuid() != 0) return argv;
  // Changing the user also forgets that the kernel is to end the process with its parent.
  std::vector<std::string> all{"setpriv",       "--reuid=postgres", "--regid=postgres",
                               "--init-groups", "--pdeathsig=QUIT", "--"};
  all.insert(all.end(), argv.begin(), argv.end());
  return all;
}

void give_to_other_user(const std::filesystem::path& path) {
  if (geteuid() != 0) return;
  const passwd* const user = getpwnam(kAdmin);
  if (user == nullptr) throw std::runtime_error("there is no user postgres");
  if (chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) {
    throw std::system_error(errno, std::generic_category(), "chown");
  }
}

void write_file(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file) << text;
  give_to_other_user(file);
}

std::string make_url(const std::string& user, const std::string& password, std::uint16_t port,
                     const std::string& database) {
  return "postgresql://" + user + (password.empty() ? "" : ":" + password) +
         "@127.0.0.1:" + std::to_string(port) + "/" + database;
}

void run(const std::vector<std::string>& argv) {
  Process process(as_other_user(argv));
  if (process.wait_exit() != 0) {
    throw std::runtime_error(argv.front() + ": " + process.output() + process.errors());
  }
}

// The server of this program alone.
class OwnPlace {
 public:
  OwnPlace() : bouncer_(server_.port()) {
    place = {server_.admin_url(), server_.port(), bouncer_.port()};
  }
  PostgresPlace place;

 private:
  PostgresServer server_;
  PgBouncer bouncer_;
};

std::string creation_of(const std::string& name) {
  return "CREATE DATABASE " + name + " OWNER " + kPostgresRole + " TEMPLATE template0";
}

// What postgres_fixture wrote, if its server is there.
std::optional<PostgresPlace> shared_place() {
  std::ifstream file(TWINCHAT_POSTGRES_PLACE);
  PostgresPlace place;
  if (!(file >> place.admin_url >> place.port >> place.bouncer_port)) return std::nullopt;
  try {
    PostgresClient(place.admin_url).exec("SELECT 1");
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
  return place;
}

}  // namespace

std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool found = fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(fd);
  if (!found) throw std::system_error(errno, std::generic_category(), "no free port");
  return ntohs(address.sin_port);
}

// --- PostgreSQL

PostgresServer::PostgresServer(PostgresOptions options) {
  give_to_other_user(folder_.path());
  const std::string data = folder_ / "data";
  run({TWINCHAT_POSTGRES_BIN "/initdb", "-D", data, "-U", kAdmin, "--auth=trust", "-E", "UTF8",
       "--locale=C.UTF-8", "--no-sync"});
  std::string settings =
      "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\n"
      "shared_buffers = 64MB\nmin_wal_size = 32MB\nlog_min_error_statement = panic\njit = off\n";
  if (!options.durable) settings += "fsync = off\nfull_page_writes = off\n";
  for (const std::string& line : options.settings) settings += line + "\n";
  write_file(folder_ / "data/postgresql.auto.conf", settings);
  // One role has to say its password.
  write_file(folder_ / "data/pg_hba.conf",
             std::string("host all ") + kPostgresLockedRole +
                 " 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n");
  // Another program may take the port between our look and its use.
  for (int tries = 0;; ++tries) {
    port_ = free_port();
    try {
      start();
      break;
    } catch (const std::runtime_error&) {
      if (tries == 5) throw;
    }
  }
  PostgresClient client(admin_url());
  for (const char* role : {kPostgresRole, kPostgresLockedRole}) {
    client.exec(std::string("CREATE ROLE ") + role + " LOGIN PASSWORD '" + kPostgresPassword + "'");
  }
}

PostgresServer::~PostgresServer() {
  stop(false);
}

std::string PostgresServer::url(const std::string& database) const {
  return make_url(kPostgresRole, kPostgresPassword, port_, database);
}

std::string PostgresServer::admin_url(const std::string& database) const {
  return make_url(kAdmin, "", port_, database);
}

void PostgresServer::start() {
  process_ =
      std::make_unique<Process>(as_other_user({TWINCHAT_POSTGRES_BIN "/postgres", "-D",
                                               folder_ / "data", "-p", std::to_string(port_)}),
                                Process::Options{.cwd = folder_.path()});
  if (!process_->wait_for_line("database system is ready to accept connections")) {
    throw std::runtime_error("postgres did not start: " + process_->errors());
  }
}

void PostgresServer::stop(bool orderly) {
  if (!process_) return;
  process_->signal(orderly ? SIGINT : SIGQUIT);
  process_->wait_exit();
  process_.reset();
}

// --- pgbouncer

PgBouncer::PgBouncer(std::uint16_t server_port, PgBouncerOptions options) {
  give_to_other_user(folder_.path());
  write_file(folder_ / "users.txt", std::string("\"") + kPostgresRole + "\" \"" +
                                        kPostgresPassword + "\"\n\"" + kAdmin + "\" \"\"\n");
  for (int tries = 0;; ++tries) {
    port_ = free_port();
    write_file(folder_ / "pgbouncer.ini",
               "[databases]\n* = host=127.0.0.1 port=" + std::to_string(server_port) +
                   "\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " +
                   std::to_string(port_) + "\nunix_socket_dir =\nauth_type = trust\nauth_file = " +
                   std::string(folder_ / "users.txt") +
                   "\npool_mode = transaction\nmax_client_conn = 500\ndefault_pool_size = " +
                   std::to_string(options.pool_size) + "\nignore_startup_parameters = " +
                   options.ignored_parameters + "\nserver_idle_timeout = 5\n");
    process_ =
        std::make_unique<Process>(as_other_user({TWINCHAT_PGBOUNCER, folder_ / "pgbouncer.ini"}));
    if (process_->wait_for_line("process up")) return;
    if (tries == 5) throw std::runtime_error("pgbouncer did not start: " + process_->errors());
  }
}

PgBouncer::~PgBouncer() {
  process_->signal(SIGTERM);
  process_->wait_exit(std::chrono::seconds(10));
}

std::string PgBouncer::url(const std::string& database) const {
  return make_url(kPostgresRole, kPostgresPassword, port_, database);
}

// --- A client

PostgresClient::PostgresClient(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
  if (PQstatus(connection_.get()) != CONNECTION_OK) {
    throw std::runtime_error(PQerrorMessage(connection_.get()));
  }
  PQsetNoticeReceiver(
      connection_.get(), [](void*, const PGresult*) {}, nullptr);
}

void PostgresClient::exec(const std::string& sql) {
  rows(sql);
}

std::vector<std::string> PostgresClient::rows(const std::string& sql) {
  struct Clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
  };
  const std::unique_ptr<PGresult, Clear> result(PQexec(connection_.get(), sql.c_str()));
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    throw std::runtime_error(PQerrorMessage(connection_.get()));
  }
  std::vector<std::string> rows;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    std::string& line = rows.emplace_back();
    for (int column = 0; column < PQnfields(result.get()); ++column) {
      line += (column == 0 ? "" : "|") + std::string(PQgetvalue(result.get(), row, column));
    }
  }
  return rows;
}

// --- Databases

const PostgresPlace& postgres_place() {
  static const std::optional<PostgresPlace> shared = shared_place();
  if (shared) return *shared;
  static const OwnPlace own;
  return own.place;
}

PostgresDatabase::PostgresDatabase(Kind kind) : kind_(kind), claim_(postgres_place().admin_url) {
  if (kind_ == Kind::kReused) {
    for (int number = 1; !claim(number); ++number) continue;
    return;
  }
  create("");
}

PostgresDatabase::PostgresDatabase(const std::string& options)
    : kind_(Kind::kNew), claim_(postgres_place().admin_url) {
  create(options);
}

void PostgresDatabase::create(const std::string& options) {
  static std::atomic<int> count{0};
  name_ = "new_" + std::to_string(getpid()) + "_" + std::to_string(++count);
  claim_.exec(creation_of(name_) + " " + options);
}

// Takes the database of that number, unless another test has it.
bool PostgresDatabase::claim(int number) {
  const std::string lock = std::to_string(number);
  if (claim_.value("SELECT pg_try_advisory_lock(" + lock + ")") != "t") return false;
  name_ = "reused_" + lock;
  if (claim_.rows("SELECT 1 FROM pg_database WHERE datname = '" + name_ + "'").empty()) {
    claim_.exec(creation_of(name_));
    return true;
  }
  PostgresClient client(admin_url());
  // Without looking at references, so that the order does not matter.
  std::string statements = "SET session_replication_role = replica";
  for (const std::string& table : client.rows(
           "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = "
           "'public'::regnamespace AND relname NOT IN ('twinchat_schema', 'twinchat_index', "
           "'django_migrations', 'django_content_type', 'auth_permission')")) {
    statements += "; DELETE FROM " + table;
  }
  client.exec(statements);
  if (!client.rows("SELECT 1 FROM pg_class WHERE relname = 'twinchat_index'").empty()) {
    client.exec(
        "UPDATE twinchat_index SET last_session = 0, last_message = 0, sessions = 0, messages = 0, "
        "leads = 0");
  }
  client.exec("SELECT setval(seqrelid, 1, false) FROM pg_sequence");
  return true;
}

PostgresDatabase::~PostgresDatabase() {
  if (kind_ == Kind::kReused) return;
  try {
    claim_.exec("DROP DATABASE " + name_ + " WITH (FORCE)");
  } catch (const std::runtime_error&) {
    // It goes with its server.
  }
}

std::string PostgresDatabase::url() const {
  return make_url(kPostgresRole, kPostgresPassword, postgres_place().port, name_);
}

std::string PostgresDatabase::bouncer_url() const {
  return make_url(kPostgresRole, kPostgresPassword, postgres_place().bouncer_port, name_);
}

std::string PostgresDatabase::admin_url() const {
  return make_url(kAdmin, "", postgres_place().port, name_);
}

}  // namespace twinchat::testing
