#include "gemini/call.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "gemini/capabilities.h"
#include "gemini/request.h"
#include "gemini/upstream_error.h"
#include "verdict.h"

namespace twinchat::gemini {
namespace {

using std::chrono::milliseconds;

// Error bodies are small; what is longer is some proxy's page.
constexpr std::size_t kMaxErrorBody = 64 * 1024;

// Failures that say that the model or the way to it is down, for the breaker.
bool is_outage(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kInternal:
    case ErrorCode::kDeadlineExceeded:
      return true;
    default:
      return false;
  }
}

// Whether another model might answer where this one did not.
bool another_model_may_help(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kInternal:
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kNotFound:
      return true;
    default:
      return false;
  }
}

}  // namespace

Client::Client(GeminiOptions given, std::shared_ptr<IoLoop> io, Random source)
    : options(std::move(given)), loop(std::move(io)), random(std::move(source)) {}

std::vector<std::string> Client::models() const {
  std::vector<std::string> all{options.model};
  all.insert(all.end(), options.fallback_models.begin(), options.fallback_models.end());
  return all;
}

Client::ModelState& Client::state(const std::string& model) {
  const auto found = states_.find(model);
  if (found != states_.end()) return found->second;
  return states_
      .emplace(model, ModelState{.breaker = CircuitBreaker(options.breaker),
                                 .budget = RetryBudget(options.retry.budget_ratio)})
      .first->second;
}

void Client::on_outcome(const std::string& model, Outcome outcome) {
  CircuitBreaker& breaker = state(model).breaker;
  const bool was_open = breaker.open();
  switch (outcome) {
    case Outcome::kSuccess:
      breaker.on_success(loop->now());
      break;
    case Outcome::kFailure:
      breaker.on_failure(loop->now());
      break;
    case Outcome::kNeither:
      breaker.on_neither();
      break;
  }
  if (breaker.open() != was_open && options.on_breaker) options.on_breaker(model, breaker.open());
}

void Client::begin(std::shared_ptr<Call> call) {
  calls_.insert(call);
  call->begin();
  if (closed_) call->cancel();
}

void Client::ended(const std::shared_ptr<Call>& call) {
  calls_.erase(call);
}

void Client::close() {
  closed_ = true;
  const auto calls = calls_;
  for (const auto& call : calls) call->cancel();
}

bool Client::acquire(const std::shared_ptr<Call>& call) {
  if (in_flight_ < options.max_in_flight) {
    ++in_flight_;
    call->has_slot_ = true;
    call->send();
    return true;
  }
  if (waiting_.size() >= options.max_queued) return false;
  call->place_ = waiting_.insert(waiting_.end(), call);
  call->queued_ = true;
  return true;
}

void Client::release() {
  if (waiting_.empty()) {
    --in_flight_;
    return;
  }
  // The slot passes on. By way of the loop, so that a row of calls that fail at once is no
  // recursion.
  const auto next = waiting_.front();
  waiting_.pop_front();
  next->queued_ = false;
  next->has_slot_ = true;
  loop->post([next] {
    if (!next->done_) next->send();
  });
}

void Client::leave_queue(Call& call) {
  if (!call.queued_) return;
  call.queued_ = false;
  waiting_.erase(call.place_);
}

Call::Call(std::shared_ptr<Client> client, GenerateRequest request, CallOptions options,
           Model::OnAnswer on_answer)
    : client_(std::move(client)),
      request_(std::move(request)),
      options_(std::move(options)),
      on_answer_(std::move(on_answer)),
      models_(client_->models()),
      streaming_(static_cast<bool>(options_.on_text)) {}

std::optional<milliseconds> Call::time_left() const {
  if (!options_.deadline) return std::nullopt;
  return std::chrono::duration_cast<milliseconds>(*options_.deadline - client_->loop->now());
}

void Call::begin() {
  if (options_.deadline) {
    deadline_timer_ =
        client_->loop->at(*options_.deadline, [self = shared_from_this()] { self->on_deadline(); });
  }
  if (options_.stop_token.stop_possible()) {
    on_stop_.emplace(options_.stop_token, [weak = weak_from_this(), loop = client_->loop] {
      loop->post([weak] {
        if (const auto self = weak.lock()) self->cancel();
      });
    });
    if (options_.stop_token.stop_requested()) {
      cancel();
      return;
    }
  }
  if (const auto left = time_left(); left && left->count() <= 0) {
    on_deadline();
    return;
  }
  client_->state(model()).budget.on_call();
  attempt();
}

void Call::cancel() {
  if (done_) return;
  end_broken(Error(ErrorCode::kCancelled, "The answer was stopped.", details("CANCELLED", false)));
}

void Call::on_deadline() {
  deadline_timer_ = 0;
  ErrorDetails why = details("", true);
  why.stage = queued_ ? "queue" : "deadline";
  end_broken(
      Error(ErrorCode::kDeadlineExceeded, "the model took too long to answer.", std::move(why)));
}

void Call::attempt() {
  if (!client_->acquire(shared_from_this())) {
    ErrorDetails why = details("QUEUE_FULL", true);
    why.stage = "queue";
    finish(Error(ErrorCode::kResourceExhausted, "too many questions are waiting for the model.",
                 std::move(why)));
  }
}

void Call::send() {
  const auto now = client_->loop->now();
  auto& state = client_->state(model());
  if (!state.breaker.allow(now)) {
    ErrorDetails why = details("CIRCUIT_OPEN", true);
    why.retry_after = state.breaker.time_to_probe(now);
    attempt_failed(Error(ErrorCode::kUnavailable, "the model is overloaded or cannot be reached.",
                         std::move(why)));
    return;
  }
  outcome_due_ = true;
  ++attempts_;
  ++count_.attempts;
  status_ = 0;
  retry_after_.clear();
  body_.clear();
  stream_error_.reset();
  builder_.emplace(model());
  sse_.reset();
  if (streaming_) {
    sse_.emplace(client_->options.max_answer_bytes,
                 [this](std::string_view data, bool complete) { on_event(data, complete); });
  }
  HttpRequest http;
  http.timeouts = options_.timeouts.value_or(client_->options.timeouts);
  try {
    http.url = url();
    http.headers = headers(http.timeouts);
    http.body = build_request(
        request_, {.model = model(),
                   .capabilities = capabilities_of(model(), client_->options.capabilities),
                   .options = client_->options,
                   .strip_signatures = strip_signatures_});
  } catch (const Error& error) {
    finish(error);
    return;
  } catch (...) {
    finish(Error(ErrorCode::kUnknown, "the request could not be made.", details("", false)));
    return;
  }
  transfer_ = client_->loop->send(std::move(http), shared_from_this());
}

std::string Call::url() const {
  const GeminiOptions& options = client_->options;
  std::string_view base = options.base_url;
  while (base.ends_with('/')) base.remove_suffix(1);
  // A name with a folder of its own ("tunedModels/x") stands for itself.
  const bool has_folder = model().find('/') != std::string::npos;
  return fmt::format("{}/{}/{}{}:{}", base, options.api_version,
                     has_folder ? "" : options.model_path, model(),
                     streaming_ ? "streamGenerateContent?alt=sse" : "generateContent");
}

std::vector<std::string> Call::headers(const Timeouts& timeouts) const {
  const milliseconds limit =
      std::max(milliseconds(1), std::min(timeouts.total, time_left().value_or(timeouts.total)));
  std::vector<std::string> lines{
      "Content-Type: application/json",
      "Expect:",
      fmt::format("X-Server-Timeout: {}", std::chrono::ceil<std::chrono::seconds>(limit).count()),
  };
  const GeminiOptions& options = client_->options;
  // Exactly one credential: two are an error.
  lines.push_back(options.bearer_token ? "Authorization: Bearer " + options.bearer_token()
                                       : "x-goog-api-key: " + options.api_key);
  return lines;
}

void Call::on_head(int status, std::string_view retry_after) {
  status_ = status;
  retry_after_ = retry_after;
}

void Call::on_body(std::string_view bytes) {
  if (status_ != 200) {
    body_ += bytes.substr(0, kMaxErrorBody - std::min(kMaxErrorBody, body_.size()));
    return;
  }
  // Ending the transfer may let go of this object.
  const auto self = shared_from_this();
  bool too_large = false;
  if (sse_) {
    sse_->feed(bytes);
    if (done_) return;
    if (stream_error_) {
      // Nothing that could follow would be read: there is no reason to wait for the end.
      client_->loop->abort(std::exchange(transfer_, 0));
      attempt_failed(*std::exchange(stream_error_, {}));
      return;
    }
    too_large = sse_->too_large();
  } else {
    body_ += bytes;
    too_large = body_.size() > client_->options.max_answer_bytes;
  }
  if (too_large) {
    client_->loop->abort(std::exchange(transfer_, 0));
    attempt_failed(Error(ErrorCode::kInternal, "the model's answer is too large.",
                         details("ANSWER_TOO_LARGE", false)));
  }
}

void Call::on_event(std::string_view data, bool complete) {
  if (done_ || stream_error_) return;
  AnswerBuilder::Added added = builder_->add(data);
  if (!added.parsed) {
    // The last event of a broken stream may be cut anywhere; the missing finish reason will tell.
    if (complete) {
      stream_error_.emplace(ErrorCode::kInternal, "the model failed to answer.",
                            details("MALFORMED_ANSWER", true));
    }
    return;
  }
  if (streaming_ && !added.text.empty()) show(added.text);
  if (added.error) stream_error_ = std::move(added.error);
}

void Call::show(const std::string& text) {
  shown_ = true;
  bool go_on = false;
  try {
    go_on = options_.on_text(text);
  } catch (...) {
    go_on = false;
  }
  if (!go_on) {
    end_broken(Error(ErrorCode::kCancelled, "The answer was stopped.", details("STOPPED", false)));
  }
}

void Call::on_end(const TransferEnd& end) {
  const auto self = shared_from_this();
  transfer_ = 0;
  // What came before a break counts, up to the last whole event.
  if (status_ == 200 && sse_) sse_->finish();
  if (done_) return;
  if (stream_error_) {
    attempt_failed(*std::exchange(stream_error_, {}));
    return;
  }
  // An error status says what happened, also where the rest of its answer was lost.
  const bool has_failed = status_ != 0 && status_ != 200;
  switch (has_failed ? TransferEnd::Kind::kComplete : end.kind) {
    case TransferEnd::Kind::kTimeout: {
      ErrorDetails why = details("", true);
      why.stage = end.stage;
      attempt_failed(Error(ErrorCode::kDeadlineExceeded, "the model took too long to answer.",
                           std::move(why)));
      return;
    }
    case TransferEnd::Kind::kFailed: {
      ErrorDetails why = details(end.reason, std::string_view(end.reason) != "CERTIFICATE");
      why.diagnostic = end.diagnostic;
      attempt_failed(Error(ErrorCode::kUnavailable, "the model is overloaded or cannot be reached.",
                           std::move(why)));
      return;
    }
    case TransferEnd::Kind::kComplete:
      break;
  }
  if (status_ != 200) {
    Error error = upstream_error(std::string_view(body_), status_, model(), retry_after_);
    if (status_ == 400 && !strip_signatures_ && is_signature_error(body_)) {
      record_outcome(error);
      strip_signatures_ = true;
      release_slot();
      attempt();
      return;
    }
    attempt_failed(std::move(error));
    return;
  }
  const std::string& whole = sse_ ? sse_->body() : body_;
  if (!sse_ || !whole.empty()) on_event(whole, true);
  if (done_) return;
  if (stream_error_) {
    attempt_failed(*std::exchange(stream_error_, {}));
    return;
  }
  conclude();
}

void Call::conclude() {
  auto& state = client_->state(model());
  const std::string stage = builder_->model_stage();
  if (!state.warned && client_->options.on_warning &&
      (stage == "LEGACY" || stage == "DEPRECATED" || stage == "RETIRED")) {
    state.warned = true;
    try {
      client_->options.on_warning(
          fmt::format("The model {} is {}: choose another soon.", model(), stage));
    } catch (...) {
      // A warning that cannot be given must not cost the answer.
    }
  }
  ModelAnswer answer = builder_->take();
  answer.attempts = attempts_;
  switch (judge(answer)) {
    case Verdict::kAnswered:
    case Verdict::kBlocked:
    case Verdict::kEmptyByLimit:
      record_success();
      finish(std::move(answer));
      return;
    case Verdict::kCut: {
      Error error(ErrorCode::kUnavailable, "the model's answer was cut short.",
                  details("ANSWER_CUT", true));
      if (visible_text(answer.content).empty()) {
        attempt_failed(std::move(error));
      } else {
        record_outcome(error);
        answer.interruption = std::move(error);
        finish(std::move(answer));
      }
      return;
    }
    case Verdict::kEmpty: {
      record_success();
      ++count_.empty_answers;
      attempt_failed(Error(ErrorCode::kInternal, "the model gave an empty answer.",
                           details("EMPTY_ANSWER", true)),
                     std::move(answer));
      return;
    }
    case Verdict::kFaultOnce: {
      record_success();
      // A history that lost a signature is sent without any; calls get the word in their place.
      if (answer.finish_reason == FinishReason::kMissingThoughtSignature) strip_signatures_ = true;
      if (shown_) {
        finish(std::move(answer));
        return;
      }
      attempt_failed(
          Error(ErrorCode::kInternal, "the model failed to answer.", details("MODEL_FAULT", true)),
          std::move(answer));
      return;
    }
  }
}

void Call::record_success() {
  if (!std::exchange(outcome_due_, false)) return;
  client_->on_outcome(model(), Client::Outcome::kSuccess);
}

void Call::record_outcome(const Error& error) {
  if (!std::exchange(outcome_due_, false)) return;
  client_->on_outcome(model(),
                      is_outage(error) ? Client::Outcome::kFailure : Client::Outcome::kNeither);
}

void Call::attempt_failed(Error error, std::optional<ModelAnswer> answer) {
  record_outcome(error);
  if (shown_) {
    end_broken(std::move(error));
    return;
  }
  release_slot();
  if (is_rare_failure(error)) ++count_.rare;
  const auto delay =
      retry_delay(client_->options.retry, count_, error, time_left(), client_->random);
  if (delay && client_->state(model()).budget.take()) {
    pause_timer_ = client_->loop->at(client_->loop->now() + *delay, [self = shared_from_this()] {
      self->pause_timer_ = 0;
      self->attempt();
    });
    return;
  }
  if (model_index_ + 1 < models_.size() && another_model_may_help(error)) {
    ++model_index_;
    count_ = {};
    strip_signatures_ = false;
    client_->state(model()).budget.on_call();
    attempt();
    return;
  }
  if (answer) {
    finish(*std::move(answer));
    return;
  }
  ErrorDetails final_details = error.details();
  final_details.attempts = attempts_;
  final_details.model = model();
  finish(Error(error.code(), error.what(), std::move(final_details)));
}

void Call::end_broken(Error error) {
  if (!shown_) {
    finish(std::move(error));
    return;
  }
  ModelAnswer answer = builder_->take();
  answer.attempts = attempts_;
  answer.interruption = std::move(error);
  finish(std::move(answer));
}

void Call::finish(Result<ModelAnswer> result) {
  if (done_) return;
  done_ = true;
  const auto self = shared_from_this();
  on_stop_.reset();
  client_->loop->cancel(deadline_timer_);
  client_->loop->cancel(pause_timer_);
  if (transfer_ != 0) client_->loop->abort(std::exchange(transfer_, 0));
  // Neither good nor bad was heard: a probe that was cut off must not stay one.
  if (std::exchange(outcome_due_, false)) {
    client_->on_outcome(model(), Client::Outcome::kNeither);
  }
  client_->leave_queue(*this);
  release_slot();
  client_->ended(self);
  const auto on_answer = std::exchange(on_answer_, nullptr);
  on_answer(std::move(result));
}

ErrorDetails Call::details(const char* reason, bool retryable) const {
  return {.retryable = retryable, .reason = reason, .model = model(), .attempts = attempts_};
}

void Call::release_slot() {
  if (!has_slot_) return;
  has_slot_ = false;
  client_->release();
}

}  // namespace twinchat::gemini
