#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "twinchat/error.h"
#include "twinchat/session.h"

namespace twinchat::postgres {

using Clock = std::chrono::steady_clock;

// What PostgreSQL or the way to it reported, already as the library's Error. Its texts are our own
// words and names out of the schema: PostgreSQL's messages can quote what was stored.
class SqlError : public Error {
 public:
  // What the server said. `names` are what of the schema it is about, "constraint x"; may be empty.
  SqlError(std::string_view sqlstate, const std::string& names);
  // The connection was lost, or never came about; `sqlstate` is the server's last word, if any.
  // `why` is for operators.
  static SqlError lost(std::string_view sqlstate, const std::string& why);

  // Five characters; empty where the server said nothing.
  const std::string& sqlstate() const noexcept { return sqlstate_; }
  // Whether the connection is of no further use.
  bool connection_lost() const noexcept { return lost_; }
  // Whether another try of the whole transaction is what the server asks for.
  bool wants_retry() const noexcept { return sqlstate_ == "40001" || sqlstate_ == "40P01"; }
  // Whether a statement took longer than it may.
  bool timed_out() const noexcept;
  // Whether a unique index was in the way.
  bool is_duplicate() const noexcept { return sqlstate_ == "23505"; }
  // Whether trying to connect again would end likewise: a wrong password, no such database.
  bool is_permanent() const noexcept;

 private:
  SqlError(ErrorCode code, const std::string& message, ErrorDetails details,
           std::string_view sqlstate, bool lost);

  std::string sqlstate_;
  bool lost_ = false;
};

// Of the libpq that is loaded, "15.14".
std::string libpq_version();

// Whether PostgreSQL can hold the text: UTF-8 without a NUL character.
bool is_storable(std::string_view text) noexcept;

// The text with U+FFFD for everything that PostgreSQL cannot hold.
std::string storable(std::string_view text);

// Where and how to connect, taken from a URL as libpq knows them: several hosts, sslmode,
// target_session_attrs and all its other parameters.
//
// Thread safety: immutable after construction.
class Target {
 public:
  // kInvalidArgument for what libpq does not understand; the text does not repeat it.
  explicit Target(std::string_view url);

  struct Host {
    std::string name;     // as `host`
    std::string address;  // as `hostaddr`
    std::string port;
  };
  // In the order in which they are tried; at least one, which may be empty (libpq's default).
  const std::vector<Host>& hosts() const noexcept { return hosts_; }
  // Parameters and their values, for that host.
  std::vector<std::pair<std::string, std::string>> parameters(const Host& host) const;
  // The URL's connect_timeout.
  std::optional<std::chrono::milliseconds> connect_timeout() const noexcept { return timeout_; }
  // "a.example:5432, b.example:5432": for operators. Never the password.
  std::string description() const;

 private:
  std::vector<std::pair<std::string, std::string>> parameters_;  // all but those of the hosts
  std::vector<Host> hosts_;
  std::optional<std::chrono::milliseconds> timeout_;
};

struct Limits {
  // For each host that is tried.
  std::chrono::milliseconds connect{5'000};
  // For one statement. The server is asked to keep to it, where it takes such settings; who asked
  // waits a little longer than that and then gives the connection up.
  std::chrono::milliseconds statement{10'000};
  // How long a statement may wait for a lock.
  std::chrono::milliseconds lock{5'000};
  // How long a server lets a transaction lie idle, whose client may have died.
  std::chrono::milliseconds idle_in_transaction{30'000};
};

// A connection to PostgreSQL: the one place of libpq. It keeps no state between transactions, so
// that a pooler like pgbouncer in transaction mode may stand in between.
//
// Every function throws SqlError.
//
// Thread safety: one thread at a time.
class Connection {
 public:
  // Tries the hosts one after another. The limits of statements are asked for with the connection
  // unless `plain`: a pooler may refuse that with SQLSTATE 08P01. Looking up the name of a host may
  // take as long as the system's resolver likes.
  Connection(const Target& target, const Limits& limits, bool plain);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // A statement without parameters and without rows. Returns the command's tag, "COMMIT".
  std::string exec(const char* sql);

  // Statements of this transaction may take so long: a SET LOCAL. Not for what visitors wait for.
  void allow(std::chrono::milliseconds statement);

  // Sends ROLLBACK if a transaction is open. Returns false when the connection has to go.
  bool clean_up() noexcept;
  // Whether a transaction is open, failed or not.
  bool in_transaction() const noexcept;
  // Whether it was found to be lost.
  bool lost() const noexcept { return lost_; }
  Clock::time_point opened_at() const noexcept { return opened_at_; }
  // As 150020. A pooler says what it likes.
  int server_version() const noexcept;

 private:
  friend class Query;

  struct CloseConnection {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  };
  struct ClearResult {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
  };
  using Result = std::unique_ptr<PGresult, ClearResult>;

  struct Parameters {
    std::vector<Oid> types;
    std::vector<const char*> values;
    std::vector<int> lengths;
    std::vector<int> formats;
  };

  void connect(const Target& target, const Target::Host& host, const Limits& limits, bool plain);
  Result execute(const char* sql, const Parameters& parameters);
  Result execute_kept(const char* sql, const Parameters& parameters);
  // The answer to what was sent.
  Result receive();
  bool is_direct();
  // Waits until the socket can be read, or also written. False when `deadline` has passed.
  bool wait(bool also_write, Clock::time_point deadline) const;
  [[noreturn]] void lose(const std::string& why);
  // Waits for whoever it is that answers.
  void cancel() noexcept;

  std::unique_ptr<PGconn, CloseConnection> connection_;
  std::chrono::milliseconds statement_limit_;
  std::optional<std::chrono::milliseconds> allowed_;  // for the rest of the transaction
  std::string last_sqlstate_;                         // that the server reported
  bool lost_ = false;
  bool keeps_ = false;  // the server's process is ours alone
  // Nobody else stops a statement that takes too long. PostgreSQL itself, which was asked to, would
  // not hear this either when it has not.
  bool cancels_ = false;
  std::unordered_map<const char*, std::string> kept_ = {};  // names of statements that it knows
  Clock::time_point opened_at_ = Clock::now();
};

// A statement with static lifetime that is used again and again: a connection that leads to
// PostgreSQL itself has it planned once. One that leads to a pooler, where the next transaction may
// meet another process, has it planned each time like every other.
struct Kept {
  const char* sql;
};

// One use of a statement: bind in the order of $1, $2, ...; step, read. All rows are there after
// the first step.
//
//   Query query(connection, kFindSession);
//   query.bind(session_id);
//   if (query.step()) ... query.integer(0)
//
// Bound strings are not copied: they must live as long as the Query. Parameters and results travel
// in binary form, so that no setting of the server's has a say in how they are spelled.
//
// Thread safety: as the Connection's.
class Query {
 public:
  // `sql` must live as long as the Query.
  Query(Connection& connection, const char* sql) : connection_(connection), sql_(sql) {}
  Query(Connection& connection, Kept statement)
      : connection_(connection), sql_(statement.sql), kept_(true) {}
  // A statement made for this one use.
  Query(Connection& connection, std::string sql)
      : connection_(connection), own_(std::move(sql)), sql_(own_.c_str()) {}
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  Query& bind(std::int64_t value);
  Query& bind(int value) { return bind(static_cast<std::int64_t>(value)); }
  Query& bind(bool value);
  Query& bind(Timestamp value);
  Query& bind(std::chrono::sys_days value);
  // Text; what PostgreSQL cannot hold is replaced as storable() says.
  Query& bind(const std::string& value);
  Query& bind(std::string&&) = delete;
  Query& bind(const char*) = delete;
  Query& bind(const std::optional<std::string>& value);
  Query& bind(std::optional<std::string>&&) = delete;
  Query& bind(const std::optional<Timestamp>& value);
  // Arrays, for `= ANY($1)`: bigint[] and text[].
  Query& bind(const std::vector<std::int64_t>& values);
  Query& bind(const std::vector<std::string>& values);
  // bytea.
  Query& bind_bytes(const std::string& value);
  Query& bind_bytes(std::string&&) = delete;
  // Of a type that the server works out.
  Query& bind_null();

  // Whether there is a (further) row. The first call runs the statement.
  bool step();
  // Runs a statement that gives no rows. Returns how many it changed.
  std::int64_t run();

  // The columns of the row, from 0.
  // Of type smallint, integer, bigint or boolean; 0 for NULL.
  std::int64_t integer(int column) const;
  bool boolean(int column) const { return integer(column) != 0; }
  // Of type text, varchar or bytea; empty for NULL.
  std::string text(int column) const;
  std::optional<std::string> optional_text(int column) const;
  bool is_null(int column) const;
  // Of type timestamptz. kDataLoss for what is no moment, like infinity.
  Timestamp time(int column) const;
  std::optional<Timestamp> optional_time(int column) const;
  // Of type date.
  std::chrono::sys_days day(int column) const;

 private:
  Query& bind_value(Oid type, std::string_view value, bool binary);
  std::string_view value(int column) const;

  Connection& connection_;
  const std::string own_ = {};
  const char* const sql_;
  const bool kept_ = false;
  Connection::Result execute();
  Connection::Parameters parameters_;
  std::deque<std::string> made_;  // values that nobody else keeps
  Connection::Result result_;
  int row_ = -1;
};

}  // namespace twinchat::postgres
