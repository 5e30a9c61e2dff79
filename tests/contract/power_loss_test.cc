// What "durable" means: an answer to a write is given after its sync, and nothing that was answered
// is lost when the power fails.

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "chance.h"
#include "fault_vfs.h"
#include "sqlite_file.h"
#include "stores.h"
#include "temp_dir.h"
#include "twinchat/sqlite_store.h"

namespace twinchat::testing {
namespace {

struct Losses {
  int acknowledged = 0;  // over all power failures
  int lost = 0;          // of these
  int unusable = 0;      // files that cannot be opened, or are damaged
  int half = 0;          // turns that are closed without their answer, or the reverse
};

// Lets the power fail again and again while several threads write to a new file, and adds what is
// lost each time.
void play(bool durable, int failures, std::mt19937& random, Losses& losses) {
  TempDir folder;
  TempDir remains;
  std::vector<std::set<std::string>> acknowledged_at;
  {
    FaultVfs vfs;
    const auto store = open_sqlite_store(folder / "chat.db", {.durable = durable});
    std::mutex mutex;
    std::set<std::string> acknowledged;
    std::atomic<bool> stop{false};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        for (int n = 0; !stop; ++n) {
          const std::string text = std::to_string(i) + "/" + std::to_string(n);
          NewTurn turn = new_turn("session " + std::to_string(n / 20), text);
          turn.create_session = true;
          FinishedTurn finished;
          finished.turn_id = store->begin_turn(turn).turn.id;
          finished.status = TurnStatus::kComplete;
          finished.answer = "re: " + text;
          finished.usage.output_tokens = n + 1;
          finished.contents = std::string(static_cast<std::size_t>(n % 50) * 100, 'c');
          {
            std::lock_guard lock(mutex);
            acknowledged.insert(text);
          }
          store->finish_turn(finished);
          std::lock_guard lock(mutex);
          acknowledged.insert(*finished.answer);
        }
      });
    }
    for (int k = 0; k < failures; ++k) {
      std::this_thread::sleep_for(
          std::chrono::microseconds(std::uniform_int_distribution<int>(0, 5'000)(random)));
      {
        std::lock_guard lock(mutex);
        acknowledged_at.push_back(acknowledged);
      }
      const auto image = remains / std::to_string(k);
      std::filesystem::create_directory(image);
      vfs.power_failure(image, random);
    }
    stop = true;
  }
  for (int k = 0; k < failures; ++k) {
    const auto file = remains / std::to_string(k) / "chat.db";
    const auto& acknowledged = acknowledged_at[static_cast<std::size_t>(k)];
    losses.acknowledged += static_cast<int>(acknowledged.size());
    try {
      open_sqlite_store(file);
      if (!damage(file).empty()) ++losses.unusable;
      SqliteFile left(file);
      const std::vector<std::string> texts = left.rows("SELECT content FROM chat_message");
      const std::set<std::string> there(texts.begin(), texts.end());
      for (const std::string& text : acknowledged) losses.lost += there.count(text) == 0;
      losses.half +=
          std::stoi(left.value("SELECT count(*) FROM twinchat_turn WHERE (status = 'complete') <> "
                               "(answer_message_id IS NOT NULL)"));
      // The count of the day goes with the turns.
      losses.half += left.value("SELECT coalesce(sum(output_tokens), 0) FROM twinchat_turn") !=
                     left.value("SELECT coalesce(sum(tokens), 0) FROM twinchat_day");
    } catch (const Error&) {
      ++losses.unusable;
    }
  }
}

// As many power failures as asked for, on a new file every so often: the files would grow, and
// what is found in the first seconds of a file's life would be found once only.
Losses play(bool durable, int failures) {
  constexpr int kFailuresOfOneFile = 30;
  const std::uint32_t seed = chance_seed();
  std::mt19937 random(seed);
  Losses losses;
  for (int left = failures; left > 0; left -= kFailuresOfOneFile) {
    play(durable, std::min(left, kFailuresOfOneFile), random, losses);
  }
  std::cerr << "TWINCHAT_SEED=" << seed << ": " << failures << " power failures, "
            << losses.acknowledged << " acknowledged messages looked for, " << losses.lost
            << " lost, " << losses.unusable << " files unusable, " << losses.half << " half turns"
            << std::endl;
  return losses;
}

TEST_CASE("A power failure loses nothing that was acknowledged and leaves no half turn") {
  const Losses losses = play(true, rounds("TWINCHAT_POWER_FAILURES", 60));
  CHECK(losses.acknowledged > 0);
  CHECK(losses.lost == 0);
  CHECK(losses.unusable == 0);
  CHECK(losses.half == 0);
}

TEST_CASE("Without durability a power failure loses the last writes, and nothing worse") {
  const Losses losses = play(false, 30);
  CHECK(losses.lost > 0);  // or the test above would prove nothing
  CHECK(losses.unusable == 0);
  CHECK(losses.half == 0);
}

TEST_CASE("Every write is synced when the store is durable, and none waits when it is not") {
  TempDir folder;
  FaultVfs vfs;
  const bool durable = GENERATE(true, false);
  const auto store = open_sqlite_store(folder / "chat.db", {.durable = durable});
  store->create_session("one", {}, moment());
  const int before = vfs.syncs();
  for (int i = 0; i < 10; ++i) store->update_user("one", {}, moment(i + 1));
  CHECK(vfs.syncs() - before == (durable ? 10 : 0));
}

TEST_CASE("A write whose sync fails is refused, and writing goes on when the disk has recovered") {
  TempDir folder;
  FaultVfs vfs;
  const auto store = open_sqlite_store(folder / "chat.db");
  store->create_session("one", {}, moment());
  vfs.fail_syncs(true);
  CHECK_NOTHROW(store->check());  // nobody has tried to write
  for (int i = 0; i < 3; ++i) {
    CHECK(code_of([&] { store->begin_turn(new_turn("one", "lost")); }) == ErrorCode::kUnavailable);
    CHECK(store->messages("one", {}).empty());
    CHECK(code_of([&] { store->check(); }) == ErrorCode::kUnavailable);
  }
  vfs.fail_syncs(false);
  CHECK_NOTHROW(store->check());
  whole_turn(*store, "one", "q", "a");
  CHECK(store->messages("one", {}).size() == 2);
}

}  // namespace
}  // namespace twinchat::testing
