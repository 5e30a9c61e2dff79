#include "api/turn_places.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

namespace twinchat::server {

const char* name_of(ShedReason reason) {
  switch (reason) {
    case ShedReason::kQueueFull:
      return "queue_full";
    case ShedReason::kQueueWait:
      return "queue_wait";
    case ShedReason::kDraining:
      return "draining";
    case ShedReason::kClientGone:
      return "client_gone";
    case ShedReason::kCount:
      break;
  }
  return "";
}

// What the places given out and the tickets share with the TurnPlaces. No function of a visit, and
// nothing that a visit owns, is let go under the mutex.
class TurnPlaces::Queue : public std::enable_shared_from_this<Queue> {
 public:
  explicit Queue(TurnPlacesOptions options) : options_(std::move(options)) {}

  std::uint64_t next_number() { return ++last_number_; }

  void take(std::uint64_t number, Visit visit) {
    std::unique_lock lock(mutex_);
    if (taken_ < options_.max_taken) {
      ++taken_;
      lock.unlock();
      return visit.on_place(place());
    }
    const bool waits = !closed_ && waiting_.size() < options_.max_queued;
    if (!waits) {
      const ShedReason reason = closed_ ? ShedReason::kDraining : ShedReason::kQueueFull;
      count(reason);
      lock.unlock();
      return visit.on_shed(reason);
    }
    waiting_.push_back({number, Clock::now() + options_.max_wait, std::move(visit)});
    if (waiting_.size() == 1) wake_.notify_one();
  }

  void leave(std::uint64_t number) {
    std::vector<Waiting> gone;
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                      [&](const Waiting& w) { return w.number == number; });
      if (found == waiting_.end()) return;
      gone.push_back(std::move(*found));
      waiting_.erase(found);
    }
    shed(std::move(gone), ShedReason::kClientGone);
  }

  // Sheds those who have waited too long, until it is told to stop.
  void run_clock(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      wake_.wait(lock, stop, [&] { return !waiting_.empty(); });
      if (waiting_.empty()) continue;
      // All wait equally long: the first is the first whose time is up.
      const Clock::time_point until = waiting_.front().until;
      wake_.wait_until(lock, stop, until, [] { return false; });
      std::vector<Waiting> late;
      while (!waiting_.empty() && waiting_.front().until <= Clock::now()) {
        late.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
      lock.unlock();
      shed(std::move(late), ShedReason::kQueueWait);
      lock.lock();
    }
  }

  void close() {
    std::vector<Waiting> rest;
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      rest.assign(std::move_iterator(waiting_.begin()), std::move_iterator(waiting_.end()));
      waiting_.clear();
    }
    shed(std::move(rest), ShedReason::kDraining);
  }

  void drop() {
    std::deque<Waiting> dropped;
    const std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(waiting_);
  }

  TurnPlacesStats stats() const {
    const std::lock_guard lock(mutex_);
    return {.taken = taken_, .queued = waiting_.size(), .shed = shed_};
  }

 private:
  using Clock = std::chrono::steady_clock;

  struct Waiting {
    std::uint64_t number;
    Clock::time_point until;
    Visit visit;
  };

  // A place that is counted already.
  Place place() {
    return {this, [self = shared_from_this()](void*) { self->give_back(); }};
  }

  // The place goes to the first who is still there.
  void give_back() {
    while (true) {
      std::vector<Waiting> next;
      {
        const std::lock_guard lock(mutex_);
        if (waiting_.empty()) {
          --taken_;
          return;
        }
        next.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
      if (next.front().visit.still_there()) {
        // The place goes with the task: should that be dropped, it is given back.
        options_.executor([on_place = std::move(next.front().visit.on_place), place = place()] {
          on_place(place);
        });
        return;
      }
      shed(std::move(next), ShedReason::kClientGone);
    }
  }

  void shed(std::vector<Waiting> visits, ShedReason reason) {
    {
      const std::lock_guard lock(mutex_);
      for (std::size_t i = 0; i < visits.size(); ++i) count(reason);
    }
    for (Waiting& waiting : visits) {
      options_.executor([on_shed = std::move(waiting.visit.on_shed), reason] { on_shed(reason); });
    }
  }

  // With the mutex held.
  void count(ShedReason reason) { ++shed_[static_cast<std::size_t>(reason)]; }

  const TurnPlacesOptions options_;
  std::atomic<std::uint64_t> last_number_{0};
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable_any wake_;
  std::deque<Waiting> waiting_;
  std::size_t taken_ = 0;
  bool closed_ = false;
  decltype(TurnPlacesStats::shed) shed_ = {};
};

TurnPlaces::TurnPlaces(TurnPlacesOptions options)
    : queue_(std::make_shared<Queue>(std::move(options))),
      clock_([queue = queue_](const std::stop_token& stop) { queue->run_clock(stop); }) {}

TurnPlaces::~TurnPlaces() {
  clock_.request_stop();
  clock_.join();
  queue_->drop();
}

TurnPlaces::Ticket TurnPlaces::ticket() {
  return {queue_, queue_->next_number()};
}

void TurnPlaces::take(const Ticket& ticket, Visit visit) {
  queue_->take(ticket.number_, std::move(visit));
}

void TurnPlaces::close_queue() {
  queue_->close();
}

TurnPlacesStats TurnPlaces::stats() const {
  return queue_->stats();
}

void TurnPlaces::Ticket::leave() const {
  if (const auto queue = queue_.lock()) queue->leave(number_);
}

}  // namespace twinchat::server
