#include "store/postgres_connection.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <limits>

#include "text.h"

namespace twinchat::postgres {
namespace {

// Of pg_type; they never change.
constexpr Oid kBool = 16;
constexpr Oid kBytea = 17;
constexpr Oid kInt8 = 20;
constexpr Oid kText = 25;
constexpr Oid kInt8Array = 1016;
constexpr Oid kTextArray = 1009;
constexpr Oid kDate = 1082;
constexpr Oid kTimestamptz = 1184;

// PostgreSQL's times count from here.
constexpr std::chrono::sys_days kEpoch = std::chrono::year(2000) / 1 / 1;

// What the server says when it stops a statement.
constexpr char kTooSlow[] = "57014";

// Given to the server's own limit before the connection is given up.
constexpr std::chrono::milliseconds kGrace{2'000};

struct Meaning {
  ErrorCode code;
  bool retryable;
  const char* sentence;
};

// The one table from SQLSTATEs to ours.
Meaning meaning_of(std::string_view sqlstate) noexcept {
  const auto is_class = [&](std::string_view two) { return sqlstate.substr(0, 2) == two; };
  if (sqlstate.empty() || is_class("08")) {
    return {ErrorCode::kUnavailable, true, "The database cannot be reached."};
  }
  if (is_class("40")) {
    return {ErrorCode::kUnavailable, true, "The database is too busy with the same data."};
  }
  if (sqlstate == "53100") {
    return {ErrorCode::kUnavailable, true, "The database cannot be written: the disk is full."};
  }
  if (is_class("53") || is_class("55") || is_class("57") || is_class("58")) {
    return {ErrorCode::kUnavailable, true, "The database could not do this now."};
  }
  if (is_class("25")) {
    // A standby, a transaction that lay idle for too long.
    return {ErrorCode::kUnavailable, true, "The database cannot be written now."};
  }
  if (is_class("28") || sqlstate == "42501") {
    return {ErrorCode::kFailedPrecondition, false, "The database does not allow us to do this."};
  }
  if (sqlstate == "3D000") {
    return {ErrorCode::kNotFound, false, "The database does not exist."};
  }
  if (sqlstate == "22001" || sqlstate == "54000") {
    return {ErrorCode::kInvalidArgument, false, "The text is too long to be stored."};
  }
  if (is_class("22")) {
    return {ErrorCode::kInvalidArgument, false, "The database cannot hold this value."};
  }
  if (is_class("23")) {
    return {ErrorCode::kFailedPrecondition, false,
            "The database has a rule that does not allow this."};
  }
  if (sqlstate == "42P01" || sqlstate == "42703" || sqlstate == "3F000") {
    return {ErrorCode::kFailedPrecondition, false, "The database lacks tables or columns."};
  }
  if (sqlstate == "XX001" || sqlstate == "XX002") {
    return {ErrorCode::kDataLoss, false, "The database is damaged."};
  }
  return {ErrorCode::kInternal, false, "The database failed in an unexpected way."};
}

ErrorDetails details_of(const Meaning& meaning, std::string_view sqlstate,
                        const std::string& names) {
  ErrorDetails details;
  details.retryable = meaning.retryable;
  details.diagnostic =
      sqlstate.empty() ? "PostgreSQL" : "PostgreSQL error " + std::string(sqlstate);
  if (!names.empty()) details.diagnostic += ": " + names;
  return details;
}

template <class T>
std::string big_endian(T value) {
  std::string bytes(sizeof value, '\0');
  auto rest = static_cast<std::make_unsigned_t<T>>(value);
  for (std::size_t i = sizeof value; i-- > 0;) {
    bytes[i] = static_cast<char>(rest & 0xff);
    rest = static_cast<std::make_unsigned_t<T>>(rest >> 8 * (sizeof value > 1));
  }
  return bytes;
}

// Signed, of any length up to eight.
std::int64_t from_big_endian(std::string_view bytes) {
  std::uint64_t value = !bytes.empty() && (bytes[0] & 0x80) != 0 ? ~std::uint64_t{0} : 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return static_cast<std::int64_t>(value);
}

// The five characters that PQERRORS_SQLSTATE leaves of a message: "FATAL:  28P01".
std::string sqlstate_in(std::string_view message) {
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) {
    message.remove_suffix(1);
  }
  if (message.size() < 5) return {};
  const std::string_view last = message.substr(message.size() - 5);
  const bool is_code = std::all_of(last.begin(), last.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
  });
  return is_code && message.find(":  ") != message.npos ? std::string(last) : std::string();
}

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? std::string() : std::string(text);
}

// The names of the schema that an error is about.
std::string names_in(const PGresult* result) {
  std::string names;
  const auto add = [&](const char* what, int code) {
    const std::string name = field(result, code);
    if (!name.empty()) names += (names.empty() ? "" : ", ") + std::string(what) + " " + name;
  };
  add("table", PG_DIAG_TABLE_NAME);
  add("column", PG_DIAG_COLUMN_NAME);
  add("constraint", PG_DIAG_CONSTRAINT_NAME);
  return names;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts(1);
  for (const char c : list) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

bool starts_character(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

// The length of the character that `text` begins with; 0 when it begins with none.
std::size_t character_length(std::string_view text) noexcept {
  std::size_t length = 1;
  while (length < text.size() && length < 4 && !starts_character(text[length])) ++length;
  for (; length > 0; --length) {
    if (count_code_points(text.substr(0, length)) == 1) return length;
  }
  return 0;
}

}  // namespace

// --- Errors

SqlError::SqlError(ErrorCode code, const std::string& message, ErrorDetails details,
                   std::string_view sqlstate, bool lost)
    : Error(code, message, std::move(details)), sqlstate_(sqlstate), lost_(lost) {}

SqlError::SqlError(std::string_view sqlstate, const std::string& names)
    : SqlError(meaning_of(sqlstate).code, meaning_of(sqlstate).sentence,
               details_of(meaning_of(sqlstate), sqlstate, names), sqlstate, false) {}

SqlError SqlError::lost(std::string_view sqlstate, const std::string& why) {
  Meaning meaning = meaning_of(sqlstate);
  if (meaning.code == ErrorCode::kInternal) meaning = meaning_of("");
  ErrorDetails details = details_of(meaning, sqlstate, why);
  details.reason = "CONNECTION_LOST";
  return SqlError(meaning.code, meaning.sentence, std::move(details), sqlstate, true);
}

bool SqlError::timed_out() const noexcept {
  return sqlstate_ == kTooSlow;
}

bool SqlError::is_permanent() const noexcept {
  return code() == ErrorCode::kFailedPrecondition || code() == ErrorCode::kNotFound ||
         code() == ErrorCode::kInvalidArgument;
}

// --- Texts

std::string libpq_version() {
  const int number = PQlibVersion();
  return std::to_string(number / 10'000) + "." + std::to_string(number % 10'000);
}

bool is_storable(std::string_view text) noexcept {
  return text.find('\0') == text.npos && count_code_points(text).has_value();
}

std::string storable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = text.front() == '\0' ? 0 : character_length(text);
    result += length == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

// --- Where to connect

Target::Target(std::string_view url) {
  const std::string text(url);
  struct Free {
    void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
  };
  char* message = nullptr;
  const std::unique_ptr<PQconninfoOption, Free> options(PQconninfoParse(text.c_str(), &message));
  PQfreemem(message);  // it quotes the URL
  if (!options || text.find('\0') != text.npos) {
    throw Error(ErrorCode::kInvalidArgument,
                "The database URL is not valid: PostgreSQL's library does not understand it.");
  }
  Host lists;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string_view keyword = option->keyword;
    const std::string value = option->val;
    if (keyword == "host") {
      lists.name = value;
    } else if (keyword == "hostaddr") {
      lists.address = value;
    } else if (keyword == "port") {
      lists.port = value;
    } else if (keyword == "connect_timeout") {
      int seconds = 0;
      const auto parsed = std::from_chars(value.data(), value.data() + value.size(), seconds);
      if (parsed.ec == std::errc() && seconds > 0) timeout_ = std::chrono::seconds(seconds);
    } else {
      parameters_.emplace_back(keyword, value);
    }
  }
  const std::vector<std::string> names = split(lists.name);
  const std::vector<std::string> addresses = split(lists.address);
  const std::vector<std::string> ports = split(lists.port);
  const std::size_t count = std::max(names.size(), addresses.size());
  const auto at = [&](const std::vector<std::string>& list, std::size_t i) {
    return list.size() == 1 ? list.front() : i < list.size() ? list[i] : std::string();
  };
  for (std::size_t i = 0; i < count; ++i) {
    hosts_.push_back({at(names, i), at(addresses, i), at(ports, i)});
  }
}

std::vector<std::pair<std::string, std::string>> Target::parameters(const Host& host) const {
  std::vector<std::pair<std::string, std::string>> all{
      // A peer that is gone is noticed within a minute, whatever the URL leaves out.
      {"keepalives_idle", "20"},
      {"keepalives_interval", "10"},
      {"keepalives_count", "3"},
      {"tcp_user_timeout", "20000"},
      {"fallback_application_name", "twinchat"}};
  all.insert(all.end(), parameters_.begin(), parameters_.end());
  all.emplace_back("client_encoding", "UTF8");
  if (!host.name.empty()) all.emplace_back("host", host.name);
  if (!host.address.empty()) all.emplace_back("hostaddr", host.address);
  if (!host.port.empty()) all.emplace_back("port", host.port);
  return all;
}

std::string Target::description() const {
  std::string text;
  for (const Host& host : hosts_) {
    if (!text.empty()) text += ", ";
    text += host.name.empty() ? host.address : host.name;
    if (!host.port.empty()) text += ":" + host.port;
  }
  return text;
}

// --- Connection

Connection::Connection(const Target& target, const Limits& limits, bool plain)
    : statement_limit_(limits.statement) {
  const std::vector<Target::Host>& hosts = target.hosts();
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    try {
      connect(target, hosts[i], limits, plain);
      keeps_ = is_direct();
      cancels_ = plain || !keeps_;
      return;
    } catch (const SqlError& error) {
      if (i + 1 == hosts.size()) throw;
    }
  }
}

Connection::~Connection() = default;

void Connection::connect(const Target& target, const Target::Host& host, const Limits& limits,
                         bool plain) {
  std::vector<std::pair<std::string, std::string>> parameters = target.parameters(host);
  if (!plain) {
    const auto setting = [](const char* name, std::chrono::milliseconds value) {
      return std::string("-c ") + name + "=" + std::to_string(value.count()) + " ";
    };
    std::string options =
        setting("statement_timeout", limits.statement) + setting("lock_timeout", limits.lock) +
        setting("idle_in_transaction_session_timeout", limits.idle_in_transaction);
    // The URL's own come behind ours and so have the last word.
    for (auto& [name, value] : parameters) {
      if (name == "options") options += value;
    }
    parameters.emplace_back("options", options);
  }
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : parameters) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);

  const auto deadline = Clock::now() + target.connect_timeout().value_or(limits.connect);
  connection_.reset(PQconnectStartParams(names.data(), values.data(), 0));
  if (!connection_) throw SqlError::lost("", "no memory for a connection");
  // Its messages quote whatever the server likes to say; the code is enough, and in no language.
  PQsetErrorVerbosity(connection_.get(), PQERRORS_SQLSTATE);
  PQsetNoticeReceiver(
      connection_.get(), [](void*, const PGresult*) {}, nullptr);
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK) {
    if (PQstatus(connection_.get()) == CONNECTION_BAD || next == PGRES_POLLING_FAILED) {
      const std::string sqlstate = sqlstate_in(PQerrorMessage(connection_.get()));
      const std::string where = host.name.empty() ? host.address : host.name;
      connection_.reset();
      lost_ = true;
      throw SqlError::lost(
          sqlstate, "could not connect to " + (where.empty() ? std::string("the server") : where));
    }
    if (!wait(next == PGRES_POLLING_WRITING, deadline)) {
      connection_.reset();
      lost_ = true;
      throw SqlError::lost("", "no connection within the limit of time");
    }
    next = PQconnectPoll(connection_.get());
  }
  PQsetnonblocking(connection_.get(), 1);
  lost_ = false;
}

bool Connection::wait(bool also_write, Clock::time_point deadline) const {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd polled{PQsocket(connection_.get()),
                  static_cast<short>(also_write ? POLLIN | POLLOUT : POLLIN), 0};
    const int ready = ::poll(
        &polled, 1,
        static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max())));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return true;  // reading will tell
    if (left <= 0) return false;
  }
}

void Connection::lose(const std::string& why) {
  lost_ = true;
  throw SqlError::lost(last_sqlstate_, why);
}

void Connection::cancel() noexcept {
  struct Free {
    void operator()(PGcancel* cancel) const noexcept { PQfreeCancel(cancel); }
  };
  const std::unique_ptr<PGcancel, Free> cancel(PQgetCancel(connection_.get()));
  char message[256];
  if (cancel) PQcancel(cancel.get(), message, sizeof message);
}

Connection::Result Connection::execute(const char* sql, const Parameters& parameters) {
  if (lost_) lose("the connection was lost before");
  if (PQsendQueryParams(connection_.get(), sql, static_cast<int>(parameters.values.size()),
                        parameters.types.data(), parameters.values.data(),
                        parameters.lengths.data(), parameters.formats.data(), 1) != 1) {
    lose("the statement could not be sent");
  }
  return receive();
}

Connection::Result Connection::execute_kept(const char* sql, const Parameters& parameters) {
  if (!keeps_) return execute(sql, parameters);
  if (lost_) lose("the connection was lost before");
  PGconn* const connection = connection_.get();
  const int count = static_cast<int>(parameters.values.size());
  auto kept = kept_.find(sql);
  if (kept == kept_.end()) {
    std::string made = "twinchat_" + std::to_string(kept_.size());
    if (PQsendPrepare(connection, made.c_str(), sql, count, parameters.types.data()) != 1) {
      lose("the statement could not be sent");
    }
    receive();
    kept = kept_.emplace(sql, std::move(made)).first;
  }
  if (PQsendQueryPrepared(connection, kept->second.c_str(), count, parameters.values.data(),
                          parameters.lengths.data(), parameters.formats.data(), 1) != 1) {
    lose("the statement could not be sent");
  }
  try {
    return receive();
  } catch (const SqlError& error) {
    // A migration changed what a plan stands on, or somebody took the statements away: another
    // connection knows none of them.
    if (error.sqlstate() != "0A000" && error.sqlstate() != "26000") throw;
  }
  lose("a kept statement is of no further use");
}

// A pooler tells its clients of processes that are not PostgreSQL's.
bool Connection::is_direct() {
  const Result answer = execute("SELECT pg_backend_pid()::bigint", {});
  const std::string_view value{PQgetvalue(answer.get(), 0, 0),
                               static_cast<std::size_t>(PQgetlength(answer.get(), 0, 0))};
  return from_big_endian(value) == PQbackendPID(connection_.get());
}

Connection::Result Connection::receive() {
  last_sqlstate_.clear();
  PGconn* const connection = connection_.get();
  const auto deadline = Clock::now() + allowed_.value_or(statement_limit_) + kGrace;
  Result first;
  for (;;) {
    const int unsent = PQflush(connection);
    if (unsent < 0) lose("the statement could not be sent");
    if (unsent == 0 && PQisBusy(connection) == 0) {
      Result result(PQgetResult(connection));
      if (!result) break;
      // An error behind an error is the end of the connection, which says more.
      if (!first || PQresultStatus(result.get()) == PGRES_FATAL_ERROR) first = std::move(result);
      if (PQstatus(connection) == CONNECTION_BAD) break;
      continue;
    }
    if (!wait(unsent > 0, deadline)) {
      if (cancels_) cancel();
      last_sqlstate_ = kTooSlow;
      lose("no answer within the limit of time");
    }
    if (PQconsumeInput(connection) != 1) {
      // What the server said before it left may have arrived.
      if (Result last{PQgetResult(connection)}) {
        last_sqlstate_ = field(last.get(), PG_DIAG_SQLSTATE);
      }
      lose("the server closed the connection");
    }
  }
  const ExecStatusType status = first ? PQresultStatus(first.get()) : PGRES_FATAL_ERROR;
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return first;
  const std::string sqlstate = first ? field(first.get(), PG_DIAG_SQLSTATE) : std::string();
  last_sqlstate_ = sqlstate;
  if (PQstatus(connection) == CONNECTION_BAD || sqlstate.empty() ||
      field(first.get(), PG_DIAG_SEVERITY_NONLOCALIZED) != "ERROR") {
    lose("the server closed the connection");
  }
  throw SqlError(sqlstate, names_in(first.get()));
}

std::string Connection::exec(const char* sql) {
  const Result result = execute(sql, {});
  return PQcmdStatus(result.get());
}

void Connection::allow(std::chrono::milliseconds statement) {
  exec(("SET LOCAL statement_timeout = " + std::to_string(statement.count())).c_str());
  allowed_ = statement;
}

bool Connection::in_transaction() const noexcept {
  return PQtransactionStatus(connection_.get()) != PQTRANS_IDLE;
}

bool Connection::clean_up() noexcept {
  allowed_.reset();
  if (lost_) return false;
  if (!in_transaction()) return true;
  try {
    exec("ROLLBACK");
  } catch (const Error&) {
    return false;
  }
  return !in_transaction();
}

int Connection::server_version() const noexcept {
  return PQserverVersion(connection_.get());
}

// --- Query

Query& Query::bind_value(Oid type, std::string_view value, bool binary) {
  if (value.size() > static_cast<std::size_t>(std::numeric_limits<int>::max() / 2)) {
    throw SqlError("54000", "");
  }
  parameters_.types.push_back(type);
  parameters_.values.push_back(value.data());
  parameters_.lengths.push_back(static_cast<int>(value.size()));
  parameters_.formats.push_back(binary ? 1 : 0);
  return *this;
}

Query& Query::bind(std::int64_t value) {
  return bind_value(kInt8, made_.emplace_back(big_endian(value)), true);
}

Query& Query::bind(bool value) {
  return bind_value(kBool, made_.emplace_back(1, value ? '\1' : '\0'), true);
}

Query& Query::bind(Timestamp value) {
  const std::int64_t micros = (value - kEpoch).count();
  return bind_value(kTimestamptz, made_.emplace_back(big_endian(micros)), true);
}

Query& Query::bind(std::chrono::sys_days value) {
  const auto days = static_cast<std::int32_t>((value - kEpoch).count());
  return bind_value(kDate, made_.emplace_back(big_endian(days)), true);
}

Query& Query::bind(const std::string& value) {
  return bind_value(kText, is_storable(value) ? value : made_.emplace_back(storable(value)), true);
}

Query& Query::bind(const std::optional<std::string>& value) {
  return value ? bind(*value) : bind_null();
}

Query& Query::bind(const std::optional<Timestamp>& value) {
  return value ? bind(*value) : bind_null();
}

// The binary form of an array: dimensions, whether there are NULLs, the type; the length and the
// first index of each dimension; then every value behind its length.
Query& Query::bind(const std::vector<std::int64_t>& values) {
  std::string bytes = big_endian(std::int32_t{values.empty() ? 0 : 1}) +
                      big_endian(std::int32_t{0}) + big_endian(static_cast<std::int32_t>(kInt8));
  if (!values.empty()) {
    bytes += big_endian(static_cast<std::int32_t>(values.size())) + big_endian(std::int32_t{1});
  }
  for (const std::int64_t value : values) bytes += big_endian(std::int32_t{8}) + big_endian(value);
  return bind_value(kInt8Array, made_.emplace_back(std::move(bytes)), true);
}

Query& Query::bind(const std::vector<std::string>& values) {
  std::string bytes = big_endian(std::int32_t{values.empty() ? 0 : 1}) +
                      big_endian(std::int32_t{0}) + big_endian(static_cast<std::int32_t>(kText));
  if (!values.empty()) {
    bytes += big_endian(static_cast<std::int32_t>(values.size())) + big_endian(std::int32_t{1});
  }
  for (const std::string& value : values) {
    const std::string text = storable(value);
    bytes += big_endian(static_cast<std::int32_t>(text.size())) + text;
  }
  return bind_value(kTextArray, made_.emplace_back(std::move(bytes)), true);
}

Query& Query::bind_bytes(const std::string& value) {
  return bind_value(kBytea, value, true);
}

Query& Query::bind_null() {
  parameters_.types.push_back(0);
  parameters_.values.push_back(nullptr);
  parameters_.lengths.push_back(0);
  parameters_.formats.push_back(0);
  return *this;
}

Connection::Result Query::execute() {
  return kept_ ? connection_.execute_kept(sql_, parameters_)
               : connection_.execute(sql_, parameters_);
}

bool Query::step() {
  if (!result_) result_ = execute();
  return ++row_ < PQntuples(result_.get());
}

std::int64_t Query::run() {
  result_ = execute();
  const std::string_view text = PQcmdTuples(result_.get());
  std::int64_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return count;
}

std::string_view Query::value(int column) const {
  return {PQgetvalue(result_.get(), row_, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), row_, column))};
}

bool Query::is_null(int column) const {
  return PQgetisnull(result_.get(), row_, column) != 0;
}

std::int64_t Query::integer(int column) const {
  return from_big_endian(value(column).substr(0, 8));
}

std::string Query::text(int column) const {
  return std::string(value(column));
}

std::optional<std::string> Query::optional_text(int column) const {
  if (is_null(column)) return std::nullopt;
  return text(column);
}

Timestamp Query::time(int column) const {
  const std::int64_t micros = integer(column);
  constexpr std::int64_t kInfinity = std::numeric_limits<std::int64_t>::max();
  // What cannot be said in our count is infinity, or a time some 290,000 years away.
  if (value(column).size() != 8 ||
      micros > kInfinity - Timestamp(kEpoch).time_since_epoch().count() ||
      micros == std::numeric_limits<std::int64_t>::min()) {
    throw Error(ErrorCode::kDataLoss, "The database holds a time that cannot be read.");
  }
  return Timestamp(kEpoch) + std::chrono::microseconds(micros);
}

std::optional<Timestamp> Query::optional_time(int column) const {
  if (is_null(column)) return std::nullopt;
  return time(column);
}

std::chrono::sys_days Query::day(int column) const {
  return kEpoch + std::chrono::days(integer(column));
}

}  // namespace twinchat::postgres
