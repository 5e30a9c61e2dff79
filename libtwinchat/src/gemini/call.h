#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_set>
#include <vector>

#include "gemini/breaker.h"
#include "gemini/io_loop.h"
#include "gemini/response.h"
#include "gemini/retry.h"
#include "gemini/sse.h"
#include "twinchat/gemini.h"
#include "twinchat/model.h"

namespace twinchat::gemini {

class Call;

// What the calls of one model object share: its options, the state of each model, and the slots on
// the network.
//
// Thread safety: none; everything happens on the loop's thread.
class Client {
 public:
  // What is remembered of one model between calls.
  struct ModelState {
    CircuitBreaker breaker;
    RetryBudget budget;
    bool warned = false;
  };

  Client(GeminiOptions options, std::shared_ptr<IoLoop> loop, Random random);

  // The model and its stand-ins, in the order in which they are asked.
  std::vector<std::string> models() const;
  ModelState& state(const std::string& model);

  // How an attempt that the model's breaker allowed ended.
  enum class Outcome { kSuccess, kFailure, kNeither };
  void on_outcome(const std::string& model, Outcome outcome);

  // Calls begin here and are kept until they end.
  void begin(std::shared_ptr<Call> call);
  void ended(const std::shared_ptr<Call>& call);
  // Cancels all calls; those that begin later are cancelled too.
  void close();

  // A slot for one attempt: call->send() is run when there is one. False when too many wait.
  bool acquire(const std::shared_ptr<Call>& call);
  void release();
  void leave_queue(Call& call);

  const GeminiOptions options;
  const std::shared_ptr<IoLoop> loop;
  const Random random;

 private:
  std::map<std::string, ModelState> states_;
  std::unordered_set<std::shared_ptr<Call>> calls_;
  std::list<std::shared_ptr<Call>> waiting_;
  std::size_t in_flight_ = 0;
  bool closed_ = false;
};

// One call from its first attempt to its answer: attempts, pauses, models in their order, one
// deadline, cancellation.
//
// Thread safety: none after it was made; everything happens on the loop's thread.
class Call final : public TransferHandler, public std::enable_shared_from_this<Call> {
 public:
  Call(std::shared_ptr<Client> client, GenerateRequest request, CallOptions options,
       Model::OnAnswer on_answer);

  void begin();
  void cancel();
  // Sends the next attempt; the call holds a slot.
  void send();

  void on_head(int status, std::string_view retry_after) override;
  void on_body(std::string_view bytes) override;
  void on_end(const TransferEnd& end) override;

 private:
  friend class Client;

  const std::string& model() const { return models_[model_index_]; }
  std::optional<std::chrono::milliseconds> time_left() const;
  std::string url() const;
  std::vector<std::string> headers(const Timeouts& timeouts) const;

  void attempt();
  void on_event(std::string_view data, bool complete);
  void on_deadline();
  void show(const std::string& text);
  void conclude();
  // The attempt came to nothing: again, the next model, or the end. `answer` is what to end with in
  // place of the error.
  void attempt_failed(Error error, std::optional<ModelAnswer> answer = {});
  // How the attempt ended, for the breaker; the first word on it holds.
  void record_success();
  void record_outcome(const Error& error);
  // Ends with what was shown, cut off by `error`, or with the error when nothing was.
  void end_broken(Error error);
  void finish(Result<ModelAnswer> result);
  ErrorDetails details(const char* reason, bool retryable) const;
  void release_slot();

  const std::shared_ptr<Client> client_;
  const GenerateRequest request_;
  const CallOptions options_;
  Model::OnAnswer on_answer_;
  const std::vector<std::string> models_;
  const bool streaming_;

  std::optional<std::stop_callback<std::function<void()>>> on_stop_;
  IoLoop::TimerId deadline_timer_ = 0;
  IoLoop::TimerId pause_timer_ = 0;
  IoLoop::TransferId transfer_ = 0;
  std::list<std::shared_ptr<Call>>::iterator place_;
  bool queued_ = false;
  bool has_slot_ = false;
  bool done_ = false;
  bool shown_ = false;
  bool outcome_due_ = false;  // the breaker let an attempt through and waits for its outcome
  bool strip_signatures_ = false;
  std::size_t model_index_ = 0;
  int attempts_ = 0;  // to all models
  RetryCount count_;  // to the present one

  // Of the present attempt.
  int status_ = 0;
  std::string retry_after_;
  std::string body_;
  std::optional<AnswerBuilder> builder_;
  std::optional<SseParser> sse_;
  std::optional<Error> stream_error_;
};

}  // namespace twinchat::gemini
