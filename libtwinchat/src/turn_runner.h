#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "twinchat/assistant.h"
#include "worker_threads.h"

namespace twinchat {

// Throws kInvalidArgument with the first problem of the details, if there is one.
void check_details(const UserDetailsUpdate& update);

// What the turns of an assistant have in common.
struct TurnHouse {
  std::shared_ptr<Store> store;
  std::shared_ptr<Model> model;
  AssistantOptions options;
};

// What one turn runs in.
struct TurnSurroundings {
  std::stop_token stop_token;
  std::chrono::steady_clock::time_point deadline;
  Executor executor;
};

// One turn from the visitor's message to the stored answer: design.md's "a turn's life" is this
// file.
//
// Thread safety: run() is called once. The steps of a turn follow one another, each as a task of
// the executor, so nothing in here is guarded but the inbox that the model's thread fills;
// stop_as_caller() may be called beside them.
class TurnRunner : public std::enable_shared_from_this<TurnRunner> {
 public:
  using OnDone = std::function<void(Result<Turn>)>;

  // `house` must outlive the turn.
  TurnRunner(const TurnHouse& house, std::string session_id, std::string text, SendOptions options,
             TurnSurroundings surroundings);

  // The key of the options, empty for none, and what tells the message under it from others.
  const std::string& idempotency_key() const noexcept { return options_.idempotency_key; }
  const std::string& key_fingerprint() const noexcept { return key_fingerprint_; }

  // Has the turn end as if on_text had returned false, once its stop token is stopped. Any thread.
  void stop_as_caller() noexcept { stopped_by_caller_ = true; }

  // Begins the turn on the calling thread, a task of the executor. `on_done` is called once, there
  // or in a later task.
  void run(OnDone on_done);

 private:
  // What the model's thread leaves for the turn.
  struct Arrived {
    std::string text;
    std::optional<Result<ModelAnswer>> answer;  // last
  };

  void validate() const;
  void begin();
  void replay(Turn turn);
  void ask();
  bool arrive(Arrived arrived);
  void read_inbox();
  void show(const std::string& text);
  void on_answer(Result<ModelAnswer> result);
  bool run_tools(const ModelAnswer& answer);
  void close_answered(const ModelAnswer& answer);
  void close_failed(const Error& error);
  // Stores the end of the turn and reports it: as a Turn, or as `error` when there is one.
  void close(FinishedTurn finished, std::optional<Error> error);
  void done(Result<Turn> result);

  const TurnHouse& house_;
  const std::string session_id_;
  const std::string text_;
  const SendOptions options_;
  const std::string key_fingerprint_;  // empty without a key
  const TurnSurroundings surroundings_;
  OnDone on_done_;

  std::int64_t turn_id_ = 0;
  std::chrono::steady_clock::time_point asked_at_;
  GenerateRequest request_;
  std::vector<Content> contents_;  // what came after the visitor's message: answers, calls, results
  Usage usage_;
  int attempts_ = 0;
  int tool_rounds_ = 0;
  std::string shown_;
  std::atomic<bool> stopped_by_caller_{false};
  // Stops the model: on the caller's token, or when on_text wants no more.
  std::stop_source stop_model_;

  std::mutex inbox_mutex_;
  std::deque<Arrived> inbox_;  // guarded by inbox_mutex_, as is
  bool reading_ = false;       // a task of the executor is reading the inbox
};

}  // namespace twinchat
