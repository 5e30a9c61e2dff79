#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "twinchat/error.h"
#include "twinchat/store.h"

namespace twinchat::testing {

// One kind of store that the contract holds for.
struct StoreKind {
  std::string name;
  // Makes an empty store; what it needs on disk goes in `folder`.
  std::function<std::shared_ptr<Store>(const std::filesystem::path& folder)> make;
  // Whether a text may hold any bytes. Otherwise what is not UTF-8, and NUL, comes back as U+FFFD.
  bool any_bytes = true;

  friend std::ostream& operator<<(std::ostream& out, const StoreKind& kind) {
    return out << kind.name;
  }
};

// All of them. A new store is one line here.
const std::vector<StoreKind>& store_kinds();

// A moment for tests: `micros` after 2025-12-26 12:00:00 UTC.
Timestamp moment(std::int64_t micros = 0);

// A turn to begin in `session_id`, far from expiring.
NewTurn new_turn(std::string session_id, std::string text, Timestamp now = moment());

// Begins and finishes a turn; the answer is left out when it is empty.
Turn whole_turn(Store& store, const std::string& session_id, const std::string& text,
                const std::string& answer, TurnStatus status = TurnStatus::kComplete);

// The code of the Error that `body` throws; nullopt when it throws none.
std::optional<ErrorCode> code_of(const std::function<void()>& body);

}  // namespace twinchat::testing
