#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <string>

#include "store/sqlite_connection.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_time.h"
#include "store/sqlite_verify.h"
#include "store/sqlite_write_lock.h"
#include "store/transfer_side.h"
#ifdef TWINCHAT_WITH_POSTGRES
#include "store/postgres_connection.h"
#endif

namespace twinchat {
namespace {

using sqlite::Connection;
using sqlite::Query;

constexpr std::chrono::seconds kTimeout{10};

std::string quoted(const char* name) {
  return std::string("\"") + name + '"';
}

std::string canonical_text(std::string text) {
#ifdef TWINCHAT_WITH_POSTGRES
  // So that both sides of a transfer to PostgreSQL say the same.
  return postgres::storable(text);
#else
  return text;
#endif
}

class SqliteSide final : public TransferSide {
 public:
  SqliteSide(std::filesystem::path file, bool is_target) : file_(std::move(file)) {
    sqlite::translated(file_, [&] {
      connection_ = is_target
                        ? std::make_unique<Connection>(file_, Connection::Access::kWrite, kTimeout)
                        : sqlite::open_for_reading(file_);
      if (is_target) connection_->exec("PRAGMA synchronous=FULL");
      sqlite::inspect(*connection_);
    });
  }

  void begin_reading() override {
    sqlite::translated(file_, [&] {
      connection_->exec("BEGIN");
      connection_->integer("SELECT count(*) FROM sqlite_master");
    });
  }

  std::vector<TransferRow> read(const TransferTable& table, const std::string& after,
                                std::size_t limit) override {
    return sqlite::translated(file_, [&] {
      std::vector<TransferRow> rows;
      const std::string sql = select(table);
      if (sql.empty()) return rows;
      Query query(*connection_, sql);
      const std::int64_t number = table.numbered && !after.empty()
                                      ? static_cast<std::int64_t>(std::stoll(after))
                                      : std::numeric_limits<std::int64_t>::min();
      if (table.numbered) {
        query.bind(number);
      } else {
        query.bind(after);
      }
      query.bind(static_cast<std::int64_t>(limit));
      while (query.step()) rows.push_back(row_of(query, table));
      return rows;
    });
  }

  bool has_data() override {
    return sqlite::translated(file_, [&] {
      for (const char* table : {"chat_chatsession", "chat_message", "twinchat_turn",
                                "twinchat_audit", "auth_user", "auth_group"}) {
        if (has_table(table) &&
            connection_->integer("SELECT EXISTS (SELECT 1 FROM " + std::string(table) + ")") != 0) {
          return true;
        }
      }
      return false;
    });
  }

  bool has_begun() override {
    return sqlite::translated(file_, [&] { return has_table("twinchat_import"); });
  }

  TransferMark mark(const TransferTable& table) override {
    return sqlite::translated(file_, [&] {
      Query query(*connection_, std::string("SELECT last_key, rows FROM twinchat_import WHERE name "
                                            "= ?"));
      const std::string name = table.name;
      query.bind(name);
      return query.step() ? TransferMark{query.text(0), query.integer(1)} : TransferMark();
    });
  }

  void begin() override {
    in_transaction([&] {
      sqlite::prepare_for_users(*connection_);
      // What was made just now would stand where the source's rows belong.
      connection_->exec(
          "DELETE FROM auth_permission; DELETE FROM django_content_type; DELETE FROM "
          "django_migrations; DELETE FROM twinchat_day; DELETE FROM twinchat_token; CREATE TABLE "
          "twinchat_import (name text NOT NULL PRIMARY KEY, last_key text NOT NULL, rows bigint "
          "NOT NULL)");
    });
  }

  void write(const TransferTable& table, const std::vector<TransferRow>& rows,
             const TransferMark& mark) override {
    in_transaction([&] {
      std::string names;
      std::string values;
      for (const TransferColumn& column : table.columns) {
        names += (names.empty() ? "" : ", ") + quoted(column.name);
        values += values.empty() ? "?" : ", ?";
      }
      Query query(*connection_,
                  "INSERT INTO " + quoted(table.name) + " (" + names + ") VALUES (" + values + ")");
      for (const TransferRow& row : rows) {
        query.restart();
        for (std::size_t i = 0; i < row.size(); ++i) bind(query, table.columns[i].type, row[i]);
        query.run();
      }
      const std::string name = table.name;
      Query(*connection_,
            std::string("INSERT INTO twinchat_import VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
                        "SET last_key = excluded.last_key, rows = excluded.rows"))
          .bind(name)
          .bind(mark.key)
          .bind(mark.rows)
          .run();
    });
  }

  // SQLite's counters have followed the ids.
  void finish() override {
    in_transaction([&] {
      sqlite::prepare_for_users(*connection_);  // a source without Django's users
      connection_->exec("DROP TABLE twinchat_import");
    });
  }

 private:
  template <class F>
  void in_transaction(F&& work) {
    sqlite::translated(file_, [&] {
      lock_.holding([&] {
        connection_->exec("BEGIN IMMEDIATE");
        try {
          work();
          connection_->exec("COMMIT");
        } catch (...) {
          if (connection_->in_transaction()) connection_->database().tryExec("ROLLBACK");
          throw;
        }
      });
    });
  }

  bool has_table(const std::string& name) {
    Query query(*connection_,
                std::string("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"));
    query.bind(name);
    return query.step();
  }

  // Empty when there is no such table.
  std::string select(const TransferTable& table) {
    const auto known = selects_.find(table.name);
    if (known != selects_.end()) return known->second;
    std::string& sql = selects_[table.name];
    if (!has_table(table.name)) return sql;
    std::string columns;
    for (const TransferColumn& column : table.columns) {
      const bool there = connection_->integer("SELECT count(*) FROM pragma_table_info('" +
                                              std::string(table.name) + "') WHERE name = '" +
                                              column.name + "'") != 0;
      columns += columns.empty() ? "" : ", ";
      columns += there ? quoted(column.name) : column.otherwise ? column.otherwise : "NULL";
    }
    const std::string key = quoted(table.columns.front().name);
    sql = "SELECT " + columns + " FROM " + quoted(table.name) + " WHERE " + key + " > ? ORDER BY " +
          key + " LIMIT ?";
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
          row.emplace_back(std::to_string(query.integer(at)));
          break;
        case TransferType::kBoolean:
          row.emplace_back(query.integer(at) != 0 ? "1" : "0");
          break;
        case TransferType::kText:
          row.emplace_back(canonical_text(query.text(at)));
          break;
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

  static void bind(Query& query, TransferType type, const std::optional<std::string>& value) {
    if (!value) {
      query.bind_null();
    } else if (type == TransferType::kInteger || type == TransferType::kSmall ||
               type == TransferType::kBoolean) {
      query.bind(static_cast<std::int64_t>(std::stoll(*value)));
    } else {
      query.bind(*value);
    }
  }

  const std::filesystem::path file_;
  std::unique_ptr<Connection> connection_;
  sqlite::WriteLock lock_{file_, kTimeout};
  std::map<std::string, std::string> selects_;
};

}  // namespace

std::unique_ptr<TransferSide> sqlite_side(const std::filesystem::path& file, bool is_target) {
  return std::make_unique<SqliteSide>(std::filesystem::absolute(file), is_target);
}

}  // namespace twinchat
