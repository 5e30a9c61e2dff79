#include "history_window.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "catch.h"
#include "gemini/content_json.h"

using namespace twinchat;

namespace {

PastTurn turn(std::int64_t id, std::int64_t output_tokens = 10) {
  return {.turn_id = id,
          .user_text = "question " + std::to_string(id),
          .answer_text = "answer " + std::to_string(id),
          .contents = {},
          .usage = {.output_tokens = output_tokens}};
}

std::vector<PastTurn> turns(std::int64_t first, std::int64_t last) {
  std::vector<PastTurn> all;
  for (std::int64_t id = first; id <= last; ++id) all.push_back(turn(id));
  return all;
}

// What the store gives for the newest of `all`: one more than the window holds.
std::vector<PastTurn> newest(const std::vector<PastTurn>& all, std::size_t max_turns) {
  const std::size_t count = std::min(all.size(), max_turns + 1);
  return {all.end() - static_cast<std::ptrdiff_t>(count), all.end()};
}

constexpr std::int64_t kPlenty = 1'000'000;

void check_alternates(const std::vector<Content>& contents) {
  for (std::size_t i = 0; i < contents.size(); ++i) {
    CHECK(contents[i].role == (i % 2 == 0 ? Role::kUser : Role::kModel));
  }
  CHECK(contents.size() % 2 == 0);
}

struct Walk {
  std::size_t moves = 0;     // how often the first content changed
  std::size_t shortest = 0;  // in turns, once the window was full
  bool only_forward = true;
};

// What 200 turns of one session see, their ids `id_step` apart.
Walk walk(std::size_t max_turns, std::int64_t max_tokens, std::int64_t first_id,
          std::int64_t id_step) {
  Walk result{.shortest = max_turns};
  std::vector<PastTurn> all;
  std::string first;
  std::int64_t first_turn = first_id;
  for (int i = 0; i < 200; ++i) {
    all.push_back(turn(first_id + i * id_step));
    const auto contents = history_window(newest(all, max_turns), max_turns, max_tokens);
    check_alternates(contents);
    CHECK(contents.size() <= 2 * max_turns);
    REQUIRE_FALSE(contents.empty());
    CHECK(visible_text(contents.back()) == all.back().answer_text);
    const std::string now_first = visible_text(contents.front());
    if (!first.empty() && now_first != first) ++result.moves;
    first = now_first;
    const std::int64_t id = std::stoll(now_first.substr(std::string("question ").size()));
    if (id < first_turn) result.only_forward = false;
    first_turn = id;
    if (all.size() > max_turns) result.shortest = std::min(result.shortest, contents.size() / 2);
  }
  return result;
}

}  // namespace

TEST_CASE("A history that fits is sent whole, questions and answers in turn") {
  CHECK(history_window({}, 20, kPlenty).empty());
  const auto contents = history_window(turns(1, 20), 20, kPlenty);
  REQUIRE(contents.size() == 40);
  check_alternates(contents);
  for (int i = 0; i < 20; ++i) {
    const auto at = static_cast<std::size_t>(2 * i);
    CHECK(visible_text(contents[at]) == "question " + std::to_string(i + 1));
    CHECK(visible_text(contents[at + 1]) == "answer " + std::to_string(i + 1));
  }
}

TEST_CASE("No more turns than allowed are sent, and always the newest") {
  for (std::size_t max_turns = 1; max_turns <= 45; ++max_turns) {
    INFO(max_turns);
    const auto contents = history_window(turns(1, 50), max_turns, kPlenty);
    check_alternates(contents);
    REQUIRE_FALSE(contents.empty());
    CHECK(contents.size() <= 2 * max_turns);
    CHECK(visible_text(contents.back()) == "answer 50");
  }
  CHECK(history_window(turns(1, 50), 0, kPlenty).empty());
}

TEST_CASE("Never more than half of the window is given away for a place to begin") {
  for (std::int64_t first = 1; first <= 300; ++first) {
    for (const std::size_t max_turns : {1u, 2u, 3u, 5u, 8u, 20u}) {
      const auto last = first + static_cast<std::int64_t>(max_turns);
      const auto contents = history_window(turns(first, last), max_turns, kPlenty);
      if (contents.size() < max_turns)
        FAIL(contents.size() << " contents of " << max_turns << " turns from " << first);
    }
  }
}

TEST_CASE("Turns that are too many tokens are left out from the oldest on") {
  std::vector<PastTurn> all;
  for (std::int64_t id = 1; id <= 10; ++id) all.push_back(turn(id, 100));
  const std::int64_t each = 100 + estimated_tokens("question 1");
  CHECK(history_window(all, 20, 10 * each + 1).size() == 20);
  for (std::int64_t fit = 1; fit < 10; ++fit) {
    const auto contents = history_window(all, 20, fit * each);
    check_alternates(contents);
    CHECK(contents.size() <= 2 * static_cast<std::size_t>(fit));
    REQUIRE_FALSE(contents.empty());
    CHECK(visible_text(contents.back()) == "answer 10");
  }
  CHECK(history_window(all, 20, each - 1).empty());
  CHECK(history_window(all, 20, 0).empty());
}

TEST_CASE("A turn of more tokens than can be counted does not fit, and all before it neither") {
  std::vector<PastTurn> all = turns(1, 3);
  all[1] = turn(2, std::numeric_limits<std::int64_t>::max());
  for (const std::int64_t most : {kPlenty, std::numeric_limits<std::int64_t>::max()}) {
    CHECK(history_window(all, 10, most).size() == 2);
  }
}

TEST_CASE("Where the model counted nothing, answers are estimated") {
  PastTurn long_answer = turn(1, 0);
  long_answer.answer_text = std::string(4'000, 'x');
  CHECK(history_window({long_answer}, 20, 900).empty());
  CHECK(history_window({long_answer}, 20, 1'100).size() == 2);
  long_answer.usage.output_tokens = 5;
  CHECK(history_window({long_answer}, 20, 900).size() == 2);
}

TEST_CASE("Tokens are estimated by length, and other scripts than Latin take more") {
  CHECK(estimated_tokens("") == 1);
  CHECK(estimated_tokens(std::string(400, 'x')) == 101);
  CHECK(estimated_tokens("\xE2\x82\xAC\xE2\x82\xAC") == 4);
}

TEST_CASE("Consecutive requests share their beginning most of the time") {
  for (const std::int64_t id_step : {1, 2, 3, 4, 5, 7, 8, 16, 64, 1000}) {
    for (const std::int64_t first_id : {1, 12'345}) {
      INFO("ids from " << first_id << ", " << id_step << " apart");
      const Walk by_turns = walk(20, kPlenty, first_id, id_step);
      CHECK(by_turns.only_forward);
      CHECK(by_turns.shortest >= 10);
      // A window that slides with every turn would move 180 times.
      CHECK(by_turns.moves <= 70);
      const Walk by_tokens = walk(40, 20 * 15, first_id, id_step);
      CHECK(by_tokens.only_forward);
      CHECK(by_tokens.moves <= 70);
    }
  }
}

TEST_CASE("A turn with parts of its own is sent as it was, with the model that made it") {
  PastTurn signed_turn = turn(1);
  const std::vector<Content> made{
      {.role = Role::kModel,
       .parts = {{.function_call = FunctionCall{.name = "f"}, .thought_signature = "s"}},
       .model = "m"},
      {.role = Role::kUser, .parts = {{.function_response = FunctionResponse{.name = "f"}}}},
      {.role = Role::kModel, .parts = {{.text = "done", .thought_signature = "t"}}, .model = "m"}};
  signed_turn.contents = gemini::encode_contents(made);
  const auto contents = history_window({signed_turn}, 20, kPlenty);
  REQUIRE(contents.size() == 4);
  check_alternates(contents);
  CHECK(contents[0] == text_content(Role::kUser, "question 1"));
  CHECK(std::vector<Content>(contents.begin() + 1, contents.end()) == made);
}

TEST_CASE("Parts that cannot be read give way to the answer's text") {
  for (const char* broken : {"nonsense", "[", "{}", "[]", "null"}) {
    PastTurn damaged = turn(1);
    damaged.contents = broken;
    const auto contents = history_window({damaged}, 20, kPlenty);
    REQUIRE(contents.size() == 2);
    CHECK(contents[1] == text_content(Role::kModel, "answer 1"));
  }
}

TEST_CASE("Pairs that another program wrote are a history too") {
  std::vector<PastTurn> all;
  std::size_t moves = 0;
  std::string first;
  for (int i = 0; i < 200; ++i) {
    all.push_back({.turn_id = 0,
                   .user_text = "question " + std::to_string(i),
                   .answer_text = "answer " + std::to_string(i),
                   .contents = {},
                   .usage = {}});
    const auto contents = history_window(newest(all, 20), 20, kPlenty);
    check_alternates(contents);
    REQUIRE_FALSE(contents.empty());
    CHECK(visible_text(contents.back()) == all.back().answer_text);
    const std::string now_first = visible_text(contents.front());
    if (!first.empty() && now_first != first) ++moves;
    first = now_first;
  }
  CHECK(moves <= 90);
  // The same question over and over gives no place to begin, and still a history.
  const std::vector<PastTurn> same(
      21, {.turn_id = 0, .user_text = "again", .answer_text = "yes", .contents = {}, .usage = {}});
  CHECK(history_window(same, 20, kPlenty).size() >= 20);
}
