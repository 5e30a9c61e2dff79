#include "store/stored_rows.h"

#include <limits>

namespace twinchat {

TurnStatus stored_status(const std::string& text) {
  if (const std::optional<TurnStatus> status = turn_status_from(text)) return *status;
  throw Error(ErrorCode::kDataLoss, "The database holds a turn status that cannot be read.");
}

std::int64_t sql_limit(std::size_t limit) {
  constexpr auto kMost = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(limit, kMost));
}

std::size_t PastTurnReader::walk_length(std::size_t limit) {
  constexpr std::size_t kMost = 1'000'000;
  return std::min(limit, kMost) * 16 + 1'024;
}

}  // namespace twinchat
