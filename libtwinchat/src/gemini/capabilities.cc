#include "gemini/capabilities.h"

#include <array>

namespace twinchat::gemini {
namespace {

struct Row {
  std::string_view prefix;
  bool sampling;
  bool thinking_budget;
  bool thinking_level;
  bool minimal_thinking;
  bool zero_thinking_budget;
};

// Models from July 2026 on ignore sampling parameters and are announced to refuse them; thinking is
// steered by a budget up to 2.5 and by a level from 3 on. The first row is for models that nobody
// has heard of yet: they get only what all of the newest accept.
constexpr std::array<Row, 10> kTable{{
    {"", false, false, true, false, false},
    {"gemini-2.5", true, true, false, false, true},
    {"gemini-2.5-pro", true, true, false, false, false},
    {"gemini-3", true, false, true, true, false},
    {"gemini-3.5-flash-lite", false, false, true, true, false},
    {"gemini-3.6", false, false, true, true, false},
    {"gemini-3.7", false, false, true, false, false},
    {"gemini-3.8", false, false, true, false, false},
    {"gemini-3.9", false, false, true, false, false},
    {"gemini-4", false, false, true, false, false},
}};

}  // namespace

ModelCapabilities capabilities_of(std::string_view model,
                                  const std::vector<ModelCapabilities>& own) {
  const ModelCapabilities* best = nullptr;
  for (const ModelCapabilities& row : own) {
    if (model.starts_with(row.model_prefix) &&
        (best == nullptr || row.model_prefix.size() > best->model_prefix.size())) {
      best = &row;
    }
  }
  if (best != nullptr) return *best;
  // A name may come with a folder: "models/gemini-2.5-flash".
  model.remove_prefix(model.rfind('/') + 1);
  const Row* found = &kTable.front();
  for (const Row& row : kTable) {
    if (model.starts_with(row.prefix) && row.prefix.size() > found->prefix.size()) found = &row;
  }
  return {.model_prefix = std::string(found->prefix),
          .sampling = found->sampling,
          .thinking_budget = found->thinking_budget,
          .thinking_level = found->thinking_level,
          .minimal_thinking = found->minimal_thinking,
          .zero_thinking_budget = found->zero_thinking_budget};
}

}  // namespace twinchat::gemini
