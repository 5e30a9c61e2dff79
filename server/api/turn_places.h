#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "twinchat/assistant.h"

namespace twinchat::server {

// Why a message got no place.
enum class ShedReason {
  kQueueFull,   // too many were waiting already
  kQueueWait,   // it had waited for as long as one may
  kDraining,    // the server is going down
  kClientGone,  // nobody waited for the answer any more
  kCount,
};

// The label of the reason in /metrics: lower case, underscores.
const char* name_of(ShedReason reason);

struct TurnPlacesOptions {
  // Places.
  std::size_t max_taken = 1024;
  // Messages that may wait for one; 0: none waits.
  std::size_t max_queued = 64;
  // How long a message may wait.
  std::chrono::milliseconds max_wait{2'000};
  // Where the waiting hear of their place, or that there is none. Must run or drop the task.
  Executor executor = {};
};

// A snapshot. `shed` only grows.
struct TurnPlacesStats {
  std::size_t taken = 0;
  std::size_t queued = 0;
  std::array<std::uint64_t, static_cast<std::size_t>(ShedReason::kCount)> shed = {};
};

// The places for messages that are being answered at the same time, and the short queue in front of
// them. First come, first served; waiting holds no thread.
//
// Thread safety: every function may be called from any number of threads at once.
class TurnPlaces {
  class Queue;

 public:
  // Whoever holds it, has it; it is given back when the last copy goes.
  using Place = std::shared_ptr<void>;

  // What one message brings along. on_place or on_shed is called once: before take() returns, or by
  // the executor.
  struct Visit {
    std::function<void(Place)> on_place = {};
    std::function<void(ShedReason)> on_shed = {};
    // Whether somebody still waits for the answer; asked before a place is given to one who had to
    // wait. Must not block.
    std::function<bool()> still_there = {};
  };

  // Stands for a visit before, while and after it waits.
  class Ticket {
   public:
    // Gives up waiting: on_shed(kClientGone). Nothing happens when the visit does not wait.
    void leave() const;

   private:
    friend class TurnPlaces;
    Ticket(std::weak_ptr<Queue> queue, std::uint64_t number)
        : queue_(std::move(queue)), number_(number) {}
    std::weak_ptr<Queue> queue_;
    std::uint64_t number_;
  };

  explicit TurnPlaces(TurnPlacesOptions options);
  // Drops those who wait. Places may be given back later.
  ~TurnPlaces();
  TurnPlaces(const TurnPlaces&) = delete;
  TurnPlaces& operator=(const TurnPlaces&) = delete;

  // For one take().
  Ticket ticket();
  void take(const Ticket& ticket, Visit visit);

  // Nobody waits from here on: neither those who do now nor those who come. Free places are still
  // given.
  void close_queue();

  TurnPlacesStats stats() const;

 private:
  const std::shared_ptr<Queue> queue_;
  std::jthread clock_;  // ends the waits
};

}  // namespace twinchat::server
