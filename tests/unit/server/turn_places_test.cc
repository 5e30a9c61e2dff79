#include "api/turn_places.h"

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "catch.h"

namespace twinchat::server {
namespace {

using namespace std::chrono_literals;

// One place, and tasks that run when the test says so.
class Bench {
 public:
  explicit Bench(std::size_t max_queued = 8)
      : places(std::make_unique<TurnPlaces>(
            TurnPlacesOptions{.max_taken = 1,
                              .max_queued = max_queued,
                              .max_wait = 1h,
                              .executor = [this](std::function<void()> task) {
                                tasks.push_back(std::move(task));
                              }})) {}

  // Comes, and writes down what becomes of it.
  TurnPlaces::Ticket come(const std::string& name, bool stays = true) {
    const TurnPlaces::Ticket ticket = places->ticket();
    places->take(ticket, {.on_place =
                              [this, name](TurnPlaces::Place place) {
                                heard.push_back(name + ": placed");
                                held = std::move(place);
                              },
                          .on_shed =
                              [this, name](ShedReason reason) {
                                heard.push_back(name + ": " + name_of(reason));
                              },
                          .still_there = [stays] { return stays; }});
    return ticket;
  }
  // The one who has the place gives it back.
  void give_back() { TurnPlaces::Place given = std::move(held); }
  void run() {
    while (!tasks.empty()) {
      const auto task = std::move(tasks.front());
      tasks.pop_front();
      task();
    }
  }

  std::vector<std::string> heard;
  std::deque<std::function<void()>> tasks;
  TurnPlaces::Place held;
  std::unique_ptr<TurnPlaces> places;
};

using Heard = std::vector<std::string>;

TEST_CASE("A free place is given at once, one that becomes free to the first who waits") {
  Bench bench;
  bench.come("a");
  CHECK(bench.heard == Heard{"a: placed"});
  bench.come("b");
  bench.come("c");
  CHECK(bench.places->stats().queued == 2);
  bench.give_back();
  CHECK(bench.places->stats().taken == 1);
  bench.run();
  CHECK(bench.heard == Heard{"a: placed", "b: placed"});
  bench.give_back();
  bench.run();
  bench.give_back();
  CHECK(bench.heard == Heard{"a: placed", "b: placed", "c: placed"});
  CHECK(bench.places->stats().taken == 0);
}

TEST_CASE("Whoever leaves hears of it once, and a ticket that does not wait leaves nothing") {
  Bench bench;
  const TurnPlaces::Ticket placed = bench.come("a");
  const TurnPlaces::Ticket waits = bench.come("b");
  const TurnPlaces::Ticket unused = bench.places->ticket();
  placed.leave();
  unused.leave();
  waits.leave();
  waits.leave();
  bench.run();
  CHECK(bench.heard == Heard{"a: placed", "b: client_gone"});
  CHECK(bench.places->stats().queued == 0);
}

TEST_CASE("A place passes over those who are not there any more") {
  Bench bench;
  bench.come("a");
  bench.come("b", false);
  bench.come("c", false);
  bench.come("d");
  bench.give_back();
  bench.run();
  CHECK(bench.heard == Heard{"a: placed", "b: client_gone", "c: client_gone", "d: placed"});
}

TEST_CASE(
    "A full queue and a closed one turn away at once, and free places are given all the same") {
  Bench bench(1);
  bench.come("a");
  bench.come("b");
  bench.come("c");
  CHECK(bench.heard == Heard{"a: placed", "c: queue_full"});
  bench.places->close_queue();
  bench.come("d");
  bench.run();
  CHECK(bench.heard == Heard{"a: placed", "c: queue_full", "d: draining", "b: draining"});
  bench.give_back();
  bench.come("e");
  CHECK(bench.heard.back() == "e: placed");
  CHECK(bench.places->stats().shed == decltype(TurnPlacesStats::shed){1, 0, 2, 0});
}

TEST_CASE("A task that is dropped gives its place back") {
  Bench bench;
  bench.come("a");
  bench.come("b");
  bench.give_back();
  bench.tasks.clear();
  CHECK(bench.places->stats().taken == 0);
  CHECK(bench.heard == Heard{"a: placed"});
}

TEST_CASE("Places and tickets outlive what they came from") {
  Bench bench;
  bench.come("a");
  const TurnPlaces::Ticket waits = bench.come("b");
  bench.places.reset();
  waits.leave();
  bench.give_back();
  bench.run();
  waits.leave();
  CHECK(bench.heard == Heard{"a: placed"});
}

}  // namespace
}  // namespace twinchat::server
