// An answer is put together from any pieces, shows what it holds, and survives being stored.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gemini/content_json.h"
#include "gemini/response.h"
#include "require.h"
#include "verdict.h"

using namespace twinchat;
using namespace twinchat::gemini;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);

  // One piece a line, as a stream brings them; and all of it as one piece.
  for (const bool by_line : {true, false}) {
    AnswerBuilder builder("model");
    std::string shown;
    std::string_view rest = input;
    while (true) {
      const std::size_t end = by_line ? rest.find('\n') : std::string_view::npos;
      const AnswerBuilder::Added added = builder.add(rest.substr(0, end));
      require(added.parsed || (added.text.empty() && !added.error));
      shown += added.text;
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
    require(builder.has_text() == !shown.empty());
    const ModelAnswer answer = builder.take();
    require(visible_text(answer.content) == shown);
    require(status_of(answer) != TurnStatus::kPending);

    const std::string stored = encode_contents({answer.content});
    const std::vector<Content> back = decode_contents(stored);
    require(back.size() == 1 && back.front() == answer.content);
    require(encode_contents(back) == stored);
  }

  // A store may hold anything.
  const std::vector<Content> contents = decode_contents(input);
  const std::string stored = encode_contents(contents);
  require(decode_contents(stored) == contents);
  if (const auto json = parse_json(input)) {
    const Part part = part_from_json(*json);
    require(part_from_json(part_to_json(part)) == part);
  }
  return 0;
}
