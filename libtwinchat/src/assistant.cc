#include "twinchat/assistant.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

#include "require.h"
#include "store/turn_rules.h"
#include "text.h"
#include "turn_runner.h"
#include "uuid.h"

namespace twinchat {
namespace {

constexpr std::size_t kMaxConsentVersion = 64;
constexpr std::size_t kMaxConsentLanguage = 35;  // of a BCP 47 tag with script, region and variants

// Tasks for the thread that waits in send().
//
// Thread safety: any thread may post; one runs.
class WaitingThread {
 public:
  void post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    work_.notify_one();
  }

  // Runs tasks until `done` holds, which a task must bring about.
  template <class Predicate>
  void run_until(Predicate done) {
    std::unique_lock lock(mutex_);
    while (!done()) {
      work_.wait(lock, [this] { return !tasks_.empty(); });
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::function<void()>> tasks_;
};

AssistantOptions checked(AssistantOptions options) {
  require(options.max_tool_rounds >= 0, "max_tool_rounds must not be negative.");
  require(options.daily_tokens >= 0, "daily_tokens must not be negative.");
  require(options.max_message_length > 0, "max_message_length has to be at least 1.");
  require(options.turn_timeout.count() > 0, "turn_timeout has to be longer than nothing.");
  for (const Tool& tool : options.tools) {
    require(!tool.declaration.name.empty() && tool.function, "A tool needs a name and a function.");
  }
  if (!options.now) {
    options.now = [] {
      return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    };
  }
  return options;
}

}  // namespace

// The sends of an assistant, in one lane a session.
class Assistant::Impl : public std::enable_shared_from_this<Assistant::Impl> {
 public:
  Impl(std::shared_ptr<Store> store, std::shared_ptr<Model> model, AssistantOptions given)
      : house_{.store = std::move(store),
               .model = std::move(model),
               .options = checked(std::move(given))} {
    require(house_.store != nullptr, "An assistant needs a store.");
    require(house_.model != nullptr, "An assistant needs a model.");
  }

  const TurnHouse& house() const { return house_; }

  void start(std::string_view session_id, std::string_view text, SendOptions options,
             OnDone on_done) {
    auto send = std::make_shared<Send>();
    send->session_id = session_id;
    send->executor =
        options.executor ? options.executor
        : house_.options.executor
            ? house_.options.executor
            : Executor([this](std::function<void()> task) { threads_.post(std::move(task)); });
    const auto timeout = options.timeout.value_or(house_.options.turn_timeout);
    send->deadline = std::chrono::steady_clock::now() + timeout;
    send->on_done = std::move(on_done);
    send->user_token = options.stop_token;
    send->turn = std::make_shared<TurnRunner>(house_, std::string(session_id), std::string(text),
                                              std::move(options),
                                              TurnSurroundings{.stop_token = send->stop.get_token(),
                                                               .deadline = send->deadline,
                                                               .executor = send->executor});

    std::optional<Error> refusal;
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      Lane& lane = lanes_[send->session_id];
      if (closing_) {
        refusal.emplace(ErrorCode::kCancelled, "The assistant is being closed.");
      } else if (const auto twin = find_twin(lane, *send)) {
        refusal = twin->turn->key_fingerprint() == send->turn->key_fingerprint()
                      ? key_in_use()
                      : key_used_otherwise();
      } else if (lane.running && lane.waiting.size() >= house_.options.max_queued_per_session) {
        refusal.emplace(ErrorCode::kResourceExhausted,
                        "too many messages of this session are waiting.",
                        ErrorDetails{.retryable = true, .reason = "QUEUE_FULL", .stage = "queue"});
      } else {
        sends_.insert(send);
        first = lane.running == nullptr;
        if (first) {
          lane.running = send;
        } else {
          lane.waiting.push_back(send);
          send->waits = true;
          // Nothing else would end a wait whose time is up.
          send->timer = threads_.at(send->deadline, [weak = weak_from_this(), send] {
            if (const auto self = weak.lock()) self->leave_lane(send, ErrorCode::kDeadlineExceeded);
          });
        }
      }
    }
    if (refusal) {
      send->executor([send, error = *std::move(refusal)] { send->on_done(error); });
      return;
    }
    if (first) run(send);
    // After it is in its lane: a token that was stopped before calls back here and now.
    send->on_internal_stop.emplace(send->stop.get_token(),
                                   [weak = weak_from_this(), weak_send = std::weak_ptr(send)] {
                                     const auto self = weak.lock();
                                     const auto held = weak_send.lock();
                                     if (self && held)
                                       self->leave_lane(held, ErrorCode::kCancelled);
                                   });
    if (send->user_token.stop_possible()) {
      send->on_user_stop.emplace(send->user_token,
                                 [stop = send->stop]() mutable { stop.request_stop(); });
    }
    send->armed();
  }

  bool stop(std::string_view session_id, std::string_view key) {
    std::shared_ptr<Send> found;
    {
      const std::lock_guard lock(mutex_);
      const auto lane = lanes_.find(std::string(session_id));
      if (lane == lanes_.end()) return false;
      found = key.empty() ? lane->second.running : find_key(lane->second, key);
      if (!found) return false;
      if (!found->waits) found->turn->stop_as_caller();
    }
    return found->stop.request_stop();
  }

  void close() {
    std::vector<std::shared_ptr<Send>> all;
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
      all.assign(sends_.begin(), sends_.end());
    }
    for (const auto& send : all) send->stop.request_stop();
    all.clear();
    std::unique_lock lock(mutex_);
    none_left_.wait(lock, [this] { return sends_.empty(); });
    lock.unlock();
    // The last task may still hold this object, and its thread must not be left to end itself.
    threads_.stop();
  }

  std::size_t in_flight() const {
    const std::lock_guard lock(mutex_);
    return sends_.size();
  }

 private:
  using StopCallback = std::stop_callback<std::function<void()>>;

  struct Send {
    std::string session_id;
    std::shared_ptr<TurnRunner> turn;  // while it is in its lane, and on to its end
    Executor executor;
    OnDone on_done;
    std::chrono::steady_clock::time_point deadline;
    std::stop_token user_token;
    std::stop_source stop;
    bool waits = false;                // in its lane; guarded by Impl::mutex_
    WorkerThreads::TimerId timer = 0;  // while it waits; guarded by Impl::mutex_
    std::optional<StopCallback> on_internal_stop;
    std::optional<StopCallback> on_user_stop;

    // The callbacks are taken down by whoever comes second: the thread that set them up, or the
    // one that ended the send.
    void armed() {
      if (sides_.fetch_add(1) == 1) disarm();
    }
    void ended() {
      if (sides_.fetch_add(1) == 1) disarm();
    }

   private:
    void disarm() {
      on_user_stop.reset();
      on_internal_stop.reset();
    }
    std::atomic<int> sides_{0};
  };

  struct Lane {
    std::shared_ptr<Send> running;
    std::deque<std::shared_ptr<Send>> waiting;
  };

  // The send of that lane, running or waiting, that has the same idempotency key.
  static std::shared_ptr<Send> find_twin(const Lane& lane, const Send& send) {
    const std::string& key = send.turn->idempotency_key();
    return key.empty() ? nullptr : find_key(lane, key);
  }

  // The send of that lane, running or waiting, that has the key.
  static std::shared_ptr<Send> find_key(const Lane& lane, std::string_view key) {
    const auto has_key = [key](const std::shared_ptr<Send>& other) {
      return other->turn->idempotency_key() == key;
    };
    if (lane.running && has_key(lane.running)) return lane.running;
    const auto twin = std::find_if(lane.waiting.begin(), lane.waiting.end(), has_key);
    return twin == lane.waiting.end() ? nullptr : *twin;
  }

  void run(const std::shared_ptr<Send>& send) {
    send->executor([self = shared_from_this(), send] {
      const auto turn = send->turn;  // end() lets go of it while it is still running
      turn->run([self, send](Result<Turn> result) { self->end(send, std::move(result)); });
    });
  }

  // Takes a send out of the queue of its lane, if it is still there.
  void leave_lane(const std::shared_ptr<Send>& send, ErrorCode why) {
    {
      const std::lock_guard lock(mutex_);
      if (!send->waits) return;
      send->waits = false;
      threads_.cancel(send->timer);
      std::erase(lanes_[send->session_id].waiting, send);
    }
    Error error(why,
                why == ErrorCode::kCancelled ? "The answer was stopped."
                                             : "the model took too long to answer.",
                ErrorDetails{.retryable = why != ErrorCode::kCancelled, .stage = "queue"});
    send->executor(
        [self = shared_from_this(), send, error = std::move(error)] { self->report(send, error); });
  }

  // A turn has ended: the next of its session begins.
  void end(const std::shared_ptr<Send>& send, Result<Turn> result) {
    std::shared_ptr<Send> next;
    {
      const std::lock_guard lock(mutex_);
      const auto lane = lanes_.find(send->session_id);
      if (lane->second.waiting.empty()) {
        lanes_.erase(lane);
      } else {
        next = std::move(lane->second.waiting.front());
        lane->second.waiting.pop_front();
        lane->second.running = next;
        next->waits = false;
        threads_.cancel(next->timer);
      }
    }
    if (next) run(next);
    report(send, std::move(result));
  }

  void report(const std::shared_ptr<Send>& send, Result<Turn> result) {
    send->ended();
    const auto on_done = std::exchange(send->on_done, nullptr);
    send->turn.reset();
    on_done(std::move(result));
    const std::lock_guard lock(mutex_);
    sends_.erase(send);
    if (sends_.empty()) none_left_.notify_all();
  }

  const TurnHouse house_;
  mutable std::mutex mutex_;
  std::condition_variable none_left_;
  bool closing_ = false;                         // guarded by mutex_, as are the next two
  std::unordered_map<std::string, Lane> lanes_;  // of the sessions with a turn under way
  std::set<std::shared_ptr<Send>> sends_;
  WorkerThreads threads_{kThreads};

  // Work that nobody gave an executor for; the store's calls are short.
  static constexpr std::size_t kThreads = 4;
};

Assistant::Assistant(std::shared_ptr<Store> store, std::shared_ptr<Model> model,
                     AssistantOptions options)
    : impl_(std::make_shared<Impl>(std::move(store), std::move(model), std::move(options))) {}

Assistant::~Assistant() {
  impl_->close();
}

Session Assistant::create_session(const UserDetails& user) {
  check_details({.name = user.name, .email = user.email, .phone = user.phone});
  const TurnHouse& house = impl_->house();
  return house.store->create_session(random_uuid(), user, house.options.now());
}

std::optional<Session> Assistant::find_session(std::string_view session_id) {
  return impl_->house().store->find_session(session_id);
}

Session Assistant::session(std::string_view session_id) {
  auto found = find_session(session_id);
  if (!found) throw Error(ErrorCode::kNotFound, "Session not found");
  return *std::move(found);
}

Session Assistant::update_user(std::string_view session_id, const UserDetailsUpdate& update) {
  check_details(update);
  const TurnHouse& house = impl_->house();
  return house.store->update_user(session_id, update, house.options.now());
}

std::vector<Message> Assistant::messages(std::string_view session_id, const MessageQuery& query) {
  return impl_->house().store->messages(session_id, query);
}

std::vector<Turn> Assistant::history(std::string_view session_id, std::size_t limit) {
  return impl_->house().store->turns(session_id, limit);
}

std::vector<Turn> Assistant::answered_turns(std::string_view session_id, std::int64_t first_answer,
                                            std::int64_t last_answer) {
  return impl_->house().store->answered_turns(session_id, first_answer, last_answer);
}

Turn Assistant::set_feedback(std::string_view session_id, std::int64_t answer_id,
                             Feedback feedback) {
  const TurnHouse& house = impl_->house();
  return house.store->set_feedback(session_id, answer_id, feedback, house.options.now());
}

Consent Assistant::record_consent(std::string_view session_id, std::string_view version,
                                  std::string_view language, std::string_view text) {
  require(!version.empty() && version.size() <= kMaxConsentVersion,
          "The version of a consent has 1 to 64 bytes.");
  require(language.size() <= kMaxConsentLanguage, "The language of a consent has up to 35 bytes.");
  for (const std::string_view each : {version, language, text}) {
    require(count_code_points(each) && each.find('\0') == std::string_view::npos,
            "A consent is not valid UTF-8, or has a null character.");
  }
  const TurnHouse& house = impl_->house();
  return house.store->record_consent({.session_id = std::string(session_id),
                                      .version = std::string(version),
                                      .language = std::string(language),
                                      .text = std::string(text),
                                      .now = house.options.now()});
}

std::vector<Consent> Assistant::consents(std::string_view session_id) {
  return impl_->house().store->consents(session_id);
}

std::vector<Consent> Assistant::withdraw_consents(std::string_view session_id) {
  const TurnHouse& house = impl_->house();
  return house.store->withdraw_consents(session_id, house.options.now());
}

Turn Assistant::send(std::string_view session_id, std::string_view text, SendOptions options) {
  const auto thread = std::make_shared<WaitingThread>();
  options.executor = [thread](std::function<void()> task) { thread->post(std::move(task)); };
  std::exception_ptr thrown;
  if (options.on_text) {
    options.on_text = [&thrown, on_text = std::move(options.on_text)](std::string_view piece) {
      try {
        return on_text(piece);
      } catch (...) {
        thrown = std::current_exception();
        return false;
      }
    };
  }
  std::optional<Result<Turn>> result;
  impl_->start(session_id, text, std::move(options),
               [&result](Result<Turn> done) { result.emplace(std::move(done)); });
  thread->run_until([&result] { return result.has_value(); });
  if (thrown) std::rethrow_exception(thrown);
  return std::move(*result).value();
}

void Assistant::start_send(std::string_view session_id, std::string_view text, SendOptions options,
                           OnDone on_done) {
  impl_->start(session_id, text, std::move(options), std::move(on_done));
}

bool Assistant::stop(std::string_view session_id, std::string_view idempotency_key) {
  return impl_->stop(session_id, idempotency_key);
}

std::size_t Assistant::in_flight() const {
  return impl_->in_flight();
}

}  // namespace twinchat
