#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twinchat {

// One way to write the values of rows, whatever database they come from: numbers in decimal, truth
// as 0 and 1, times as SQLite's files have them, days as 2026-11-26. nullopt is NULL.
using TransferRow = std::vector<std::optional<std::string>>;

enum class TransferType { kInteger, kSmall, kBoolean, kText, kBytes, kTime, kDay };

struct TransferColumn {
  const char* name;
  TransferType type;
  // What rows have that were written before there was the column; nullptr for NULL.
  const char* otherwise = nullptr;
};

// A table that is transferred row by row in the order of its first column.
struct TransferTable {
  const char* name;
  std::vector<TransferColumn> columns;
  bool numbered = true;  // the first column is a number that the database gives
};

// In an order in which what is referred to comes first.
const std::vector<TransferTable>& transfer_tables();

// How far a table has come.
struct TransferMark {
  std::string key = {};  // of the last row
  std::int64_t rows = 0;
};

// One database of a transfer. Errors are Error.
//
// Thread safety: one thread at a time.
class TransferSide {
 public:
  TransferSide() = default;
  TransferSide(const TransferSide&) = delete;
  TransferSide& operator=(const TransferSide&) = delete;
  virtual ~TransferSide() = default;

  // Up to `limit` rows behind that key, "" for the first ones, in their order; all calls see the
  // same moment once begin_reading() was called.
  virtual void begin_reading() = 0;
  virtual std::vector<TransferRow> read(const TransferTable& table, const std::string& after,
                                        std::size_t limit) = 0;

  // Of the target. Whether there is anything that a transfer would mix with.
  virtual bool has_data() = 0;
  // Whether a transfer has begun and did not end.
  virtual bool has_begun() = 0;
  // How far that table has come in it.
  virtual TransferMark mark(const TransferTable& table) = 0;
  // Makes room for Django's tables, and the table of marks.
  virtual void begin() = 0;
  // Adds the rows and moves the mark, in one transaction.
  virtual void write(const TransferTable& table, const std::vector<TransferRow>& rows,
                     const TransferMark& mark) = 0;
  // New ids go on behind the greatest; the marks go.
  virtual void finish() = 0;
};

std::unique_ptr<TransferSide> sqlite_side(const std::filesystem::path& file, bool is_target);
// kUnimplemented in a build without PostgreSQL.
std::unique_ptr<TransferSide> postgres_side(std::string_view url);

}  // namespace twinchat
