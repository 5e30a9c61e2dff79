// However a stream is cut on its way, the events are the same, and none is larger than allowed.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gemini/sse.h"
#include "require.h"

namespace {

struct Parsed {
  std::vector<std::pair<std::string, bool>> events;
  std::string body;
  bool too_large = false;
};

// Feeds `stream` in pieces of the sizes that `cuts` gives in turn.
Parsed parse(std::string_view stream, std::size_t limit, const std::vector<std::size_t>& cuts) {
  Parsed parsed;
  twinchat::gemini::SseParser parser(limit, [&parsed](std::string_view data, bool complete) {
    parsed.events.emplace_back(std::string(data), complete);
  });
  for (std::size_t i = 0; !stream.empty(); ++i) {
    const std::string_view piece = stream.substr(0, cuts[i % cuts.size()]);
    parser.feed(piece);
    stream.remove_prefix(piece.size());
  }
  parser.finish();
  parsed.body = parser.body();
  parsed.too_large = parser.too_large();
  return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::size_t first = 1 + data[0] % 16u;
  const std::size_t second = 1 + data[1];
  const std::size_t small_limit = data[2];
  const std::string_view stream(reinterpret_cast<const char*>(data) + 3, size - 3);

  const std::size_t no_limit = size + 1;
  const Parsed whole = parse(stream, no_limit, {no_limit});
  require(!whole.too_large);
  for (const auto& cuts : std::vector<std::vector<std::size_t>>{{1}, {first, second}}) {
    const Parsed cut = parse(stream, no_limit, cuts);
    require(cut.events == whole.events && cut.body == whole.body && !cut.too_large);
  }
  for (const auto& [event, complete] : whole.events) {
    require(!event.empty());
    require(complete || &event == &whole.events.back().first);
  }
  // With a limit the events are the first of those without, and none is larger.
  const Parsed limited = parse(stream, small_limit, {first, second});
  require(limited.events.size() <= whole.events.size());
  for (std::size_t i = 0; i < limited.events.size(); ++i) {
    require(limited.events[i].first == whole.events[i].first);
    require(limited.events[i].first.size() <= small_limit);
  }
  if (!limited.too_large) require(limited.events == whole.events && limited.body == whole.body);
  return 0;
}
