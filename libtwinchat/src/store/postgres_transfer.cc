#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <string>

#include "store/postgres_connection.h"
#include "store/postgres_schema.h"
#include "store/sqlite_time.h"
#include "store/transfer_side.h"
#include "twinchat/error.h"

namespace twinchat {
namespace {

using postgres::Connection;
using postgres::Query;

// Rows of one INSERT: a statement takes 65,535 parameters.
constexpr std::size_t kRowsOfStatement = 200;

// Reading a batch is quick; a check of references at the end of a transaction may not be.
postgres::Limits patient() {
  postgres::Limits limits;
  limits.statement = std::chrono::minutes(30);
  return limits;
}

std::string quoted(const char* name) {
  return std::string("\"") + name + '"';
}

const char* cast_of(TransferType type) {
  switch (type) {
    case TransferType::kInteger:
      return "::bigint";
    case TransferType::kSmall:
      return "::bigint::smallint";
    case TransferType::kBoolean:
      return "::boolean";
    case TransferType::kText:
      return "::text";
    case TransferType::kBytes:
      return "::bytea";
    case TransferType::kTime:
      return "::timestamptz";
    case TransferType::kDay:
      return "::text::date";
  }
  return "";
}

bool is_day_table(const TransferTable& table) {
  return table.columns.front().type == TransferType::kDay;
}

class PostgresSide final : public TransferSide {
 public:
  explicit PostgresSide(std::string_view url)
      : connection_(postgres::Target(url), patient(), true) {
    postgres::inspect(connection_);
  }

  void begin_reading() override {
    connection_.exec("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  }

  std::vector<TransferRow> read(const TransferTable& table, const std::string& after,
                                std::size_t limit) override {
    std::vector<TransferRow> rows;
    const std::string& sql = select(table);
    if (sql.empty()) return rows;
    Query query(connection_, sql);
    const std::string first_day = after.empty() ? "0001-01-01" : after;
    if (table.numbered) {
      query.bind(after.empty() ? std::numeric_limits<std::int64_t>::min()
                               : static_cast<std::int64_t>(std::stoll(after)));
    } else {
      query.bind(first_day);
    }
    query.bind(static_cast<std::int64_t>(limit));
    while (query.step()) rows.push_back(row_of(query, table));
    return rows;
  }

  bool has_data() override {
    for (const char* table : {"chat_chatsession", "chat_message", "twinchat_turn", "twinchat_audit",
                              "auth_user", "auth_group"}) {
      if (!has_table(table)) continue;
      Query query(connection_, "SELECT EXISTS (SELECT 1 FROM " + quoted(table) + ")");
      if (query.step() && query.boolean(0)) return true;
    }
    return false;
  }

  bool has_begun() override { return has_table("twinchat_import"); }

  TransferMark mark(const TransferTable& table) override {
    Query query(connection_, "SELECT last_key, rows FROM twinchat_import WHERE name = $1");
    const std::string name = table.name;
    query.bind(name);
    return query.step() ? TransferMark{query.text(0), query.integer(1)} : TransferMark();
  }

  void begin() override {
    in_transaction([&] {
      postgres::prepare_for_users(connection_);
      for (const char* sql :
           {"DELETE FROM auth_permission", "DELETE FROM django_content_type",
            "DELETE FROM django_migrations", "DELETE FROM twinchat_day",
            "DELETE FROM twinchat_token",
            "CREATE TABLE twinchat_import (name text NOT NULL PRIMARY KEY, last_key text NOT NULL, "
            "rows bigint NOT NULL)"}) {
        connection_.exec(sql);
      }
    });
  }

  void write(const TransferTable& table, const std::vector<TransferRow>& rows,
             const TransferMark& mark) override {
    in_transaction([&] {
      for (std::size_t at = 0; at < rows.size(); at += kRowsOfStatement) {
        insert(table, rows, at, std::min(rows.size(), at + kRowsOfStatement));
      }
      const std::string name = table.name;
      Query query(
          connection_,
          "INSERT INTO twinchat_import VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET "
          "last_key = excluded.last_key, rows = excluded.rows");
      query.bind(name).bind(mark.key).bind(mark.rows).run();
    });
  }

  void finish() override {
    in_transaction([&] {
      for (const TransferTable& table : transfer_tables()) {
        if (!table.numbered) continue;
        Query query(connection_, "SELECT setval(pg_get_serial_sequence('" +
                                     std::string(table.name) +
                                     "', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL) FROM " +
                                     quoted(table.name));
        query.step();
      }
      postgres::prepare_for_users(connection_);  // a source without Django's users
      connection_.exec("DROP TABLE twinchat_import");
    });
  }

 private:
  template <class F>
  void in_transaction(F&& work) {
    connection_.exec("BEGIN ISOLATION LEVEL READ COMMITTED");
    try {
      work();
      if (connection_.exec("COMMIT") != "COMMIT") {
        throw Error(ErrorCode::kUnavailable, "The database did not keep what was written.");
      }
    } catch (...) {
      connection_.clean_up();
      throw;
    }
  }

  bool has_table(const std::string& name) {
    Query query(connection_, "SELECT to_regclass($1) IS NOT NULL");
    query.bind(name);
    return query.step() && query.boolean(0);
  }

  bool has_column(const std::string& table, const std::string& column) {
    Query query(connection_,
                "SELECT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass($1) AND "
                "attname = $2 AND NOT attisdropped)");
    query.bind(table).bind(column);
    return query.step() && query.boolean(0);
  }

  // Empty when there is no such table.
  const std::string& select(const TransferTable& table) {
    const auto [known, is_new] = selects_.try_emplace(table.name);
    std::string& sql = known->second;
    if (!is_new || !has_table(table.name)) return sql;
    if (is_day_table(table)) {
      sql =
          "SELECT to_char(day, 'YYYY-MM-DD'), sum(tokens)::bigint FROM twinchat_day WHERE day > "
          "$1::text::date GROUP BY day ORDER BY day LIMIT $2";
      return sql;
    }
    std::string columns;
    for (const TransferColumn& column : table.columns) {
      columns += columns.empty() ? "" : ", ";
      if (has_column(table.name, column.name)) {
        columns += quoted(column.name);
      } else {
        columns += std::string(column.otherwise ? column.otherwise : "NULL") + cast_of(column.type);
      }
    }
    const std::string key = quoted(table.columns.front().name);
    sql = "SELECT " + columns + " FROM " + quoted(table.name) + " WHERE " + key +
          " > $1 ORDER BY " + key + " LIMIT $2";
    return sql;
  }

  static TransferRow row_of(const Query& query, const TransferTable& table) {
    TransferRow row;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      const int at = static_cast<int>(i);
      if (query.is_null(at)) {
        row.emplace_back();
        continue;
      }
      switch (table.columns[i].type) {
        case TransferType::kInteger:
        case TransferType::kSmall:
        case TransferType::kBoolean:
          row.emplace_back(std::to_string(query.integer(at)));
          break;
        case TransferType::kText:
        case TransferType::kBytes:
        case TransferType::kDay:
          row.emplace_back(query.text(at));
          break;
        case TransferType::kTime:
          row.emplace_back(sqlite::time_text(query.time(at)));
          break;
      }
    }
    return row;
  }

  void insert(const TransferTable& table, const std::vector<TransferRow>& rows, std::size_t from,
              std::size_t to) {
    std::string sql = "INSERT INTO " + quoted(table.name) + " (";
    for (const TransferColumn& column : table.columns) {
      sql += (&column == &table.columns.front() ? "" : ", ") + quoted(column.name);
    }
    sql += is_day_table(table) ? ", \"shard\") VALUES " : ") VALUES ";
    std::size_t parameter = 0;
    for (std::size_t row = from; row < to; ++row) {
      sql += row == from ? "(" : ", (";
      for (const TransferColumn& column : table.columns) {
        sql += (&column == &table.columns.front() ? "$" : ", $") + std::to_string(++parameter) +
               cast_of(column.type);
      }
      sql += is_day_table(table) ? ", 0)" : ")";
    }
    Query query(connection_, std::move(sql));
    for (std::size_t row = from; row < to; ++row) {
      for (std::size_t i = 0; i < table.columns.size(); ++i) {
        bind(query, table.columns[i].type, rows[row][i]);
      }
    }
    query.run();
  }

  // `value` lives as long as the query.
  static void bind(Query& query, TransferType type, const std::optional<std::string>& value) {
    if (!value) {
      query.bind_null();
      return;
    }
    switch (type) {
      case TransferType::kInteger:
      case TransferType::kSmall:
        query.bind(static_cast<std::int64_t>(std::stoll(*value)));
        break;
      case TransferType::kBoolean:
        query.bind(*value == "1");
        break;
      case TransferType::kText:
      case TransferType::kDay:
        query.bind(*value);
        break;
      case TransferType::kBytes:
        query.bind_bytes(*value);
        break;
      case TransferType::kTime:
        query.bind(sqlite::time_from_text(*value).value());
        break;
    }
  }

  Connection connection_;
  std::map<std::string, std::string> selects_;
};

}  // namespace

std::unique_ptr<TransferSide> postgres_side(std::string_view url) {
  return std::make_unique<PostgresSide>(url);
}

}  // namespace twinchat
