#include "turn_runner.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "fingerprint.h"
#include "gemini/content_json.h"
#include "history_window.h"
#include "text.h"
#include "verdict.h"

namespace twinchat {
namespace {

constexpr std::size_t kMaxKeyBytes = 255;

// How much longer than its own deadline a turn may be pending before it counts as abandoned.
constexpr std::chrono::minutes kGrace{1};

[[noreturn]] void invalid(const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, what);
}

Usage sum(const Usage& a, const Usage& b) {
  return {.prompt_tokens = a.prompt_tokens + b.prompt_tokens,
          .cached_tokens = a.cached_tokens + b.cached_tokens,
          .output_tokens = a.output_tokens + b.output_tokens,
          .thought_tokens = a.thought_tokens + b.thought_tokens,
          .total_tokens = a.total_tokens + b.total_tokens};
}

// An answer that is nothing but its text needs no second copy beside the message.
bool is_just_text(const std::vector<Content>& contents, const std::string& text) {
  return contents.size() == 1 && contents.front().parts.size() == 1 &&
         contents.front().parts.front() == Part{.text = text};
}

// Another type's exception as an Error.
Error as_error(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return error;
  } catch (...) {
    return Error(ErrorCode::kUnknown, "Something failed with an exception of its own.");
  }
}

}  // namespace

void check_details(const UserDetailsUpdate& update) {
  const auto found = problems(update);
  if (!found.empty()) invalid(found.front().field + ": " + found.front().message);
}

TurnRunner::TurnRunner(const TurnHouse& house, std::string session_id, std::string text,
                       SendOptions options, TurnSurroundings surroundings)
    : house_(house),
      session_id_(std::move(session_id)),
      text_(std::move(text)),
      options_(std::move(options)),
      key_fingerprint_(options_.idempotency_key.empty() ? std::string()
                                                        : fingerprint(text_, options_.details)),
      surroundings_(std::move(surroundings)) {}

void TurnRunner::run(OnDone on_done) {
  on_done_ = std::move(on_done);
  try {
    validate();
    begin();
  } catch (...) {
    const Error error = as_error(std::current_exception());
    if (turn_id_ == 0) {
      done(error);
    } else {
      close_failed(error);
    }
  }
}

void TurnRunner::validate() const {
  const auto length = count_code_points(text_);
  if (!length) invalid("The message is not valid UTF-8.");
  if (*length == 0) invalid("The message is empty.");
  if (*length > house_.options.max_message_length) {
    invalid("The message has more than " + std::to_string(house_.options.max_message_length) +
            " characters.");
  }
  if (text_.find('\0') != std::string::npos) invalid("The message has a null character.");
  if (options_.idempotency_key.size() > kMaxKeyBytes) {
    invalid("The idempotency key is longer than 255 bytes.");
  }
  check_details(options_.details);
}

void TurnRunner::begin() {
  if (surroundings_.stop_token.stop_requested()) {
    done(Error(ErrorCode::kCancelled, "The answer was stopped."));
    return;
  }
  const auto left = surroundings_.deadline - std::chrono::steady_clock::now();
  if (left.count() <= 0) {
    done(Error(ErrorCode::kDeadlineExceeded, "the model took too long to answer.",
               {.retryable = true, .stage = "queue"}));
    return;
  }
  const Timestamp now = house_.options.now();
  BegunTurn begun = house_.store->begin_turn(
      {.session_id = session_id_,
       .create_session = options_.create_session,
       .details = options_.details,
       .text = text_,
       .idempotency_key = options_.idempotency_key,
       .fingerprint = key_fingerprint_,
       .now = now,
       .expires_at = now + std::chrono::ceil<std::chrono::microseconds>(left) + kGrace,
       .max_tokens_per_day = house_.options.daily_tokens});
  if (begun.kind == BegunTurn::Kind::kReplayed) {
    replay(std::move(begun.turn));
    return;
  }
  turn_id_ = begun.turn.id;
  if (options_.on_begin) options_.on_begin(begun.turn);

  const AssistantOptions& options = house_.options;
  // One more than fits, so that the window knows whether it cuts.
  const auto past =
      options.history_turns == 0
          ? std::vector<PastTurn>()
          : house_.store->past_turns(session_id_, turn_id_, options.history_turns + 1);
  request_.system_instruction = options.system_prompt;
  request_.contents = history_window(past, options.history_turns,
                                     static_cast<std::int64_t>(options.history_tokens));
  request_.contents.push_back(text_content(Role::kUser, text_));
  request_.config = options.generation.merged_with(options_.generation);
  for (const Tool& tool : options.tools) request_.functions.push_back(tool.declaration);
  asked_at_ = std::chrono::steady_clock::now();
  ask();
}

void TurnRunner::replay(Turn turn) {
  turn.replayed = true;
  if (options_.on_begin) options_.on_begin(turn);
  if (options_.on_text && turn.answer) {
    try {
      options_.on_text(turn.answer->text);
    } catch (...) {
      done(as_error(std::current_exception()));
      return;
    }
  }
  done(std::move(turn));
}

void TurnRunner::ask() {
  CallOptions call;
  call.stop_token = stop_model_.get_token();
  call.deadline = surroundings_.deadline;
  call.timeouts = options_.model_timeouts;
  if (options_.on_text) {
    call.on_text = [self = shared_from_this()](std::string_view text) {
      return self->arrive({.text = std::string(text), .answer = {}});
    };
  }
  // The token lives as long as the call: it goes with the callback.
  auto stop = std::make_shared<std::stop_callback<std::function<void()>>>(
      surroundings_.stop_token, [source = stop_model_]() mutable { source.request_stop(); });
  // Only tools lead to a second request of the same turn.
  GenerateRequest request = house_.options.tools.empty() ? std::move(request_) : request_;
  request.contents.insert(request.contents.end(), contents_.begin(), contents_.end());
  house_.model->start(request, std::move(call),
                      [self = shared_from_this(), stop](Result<ModelAnswer> answer) {
                        self->arrive({.text = {}, .answer = std::move(answer)});
                      });
}

bool TurnRunner::arrive(Arrived arrived) {
  bool read = false;
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.push_back(std::move(arrived));
    read = !std::exchange(reading_, true);
  }
  if (read) surroundings_.executor([self = shared_from_this()] { self->read_inbox(); });
  return !stop_model_.stop_requested();
}

void TurnRunner::read_inbox() {
  while (true) {
    Arrived next;
    {
      const std::lock_guard lock(inbox_mutex_);
      if (inbox_.empty()) {
        reading_ = false;
        return;
      }
      next = std::move(inbox_.front());
      inbox_.pop_front();
    }
    if (!next.text.empty()) show(next.text);
    if (next.answer) on_answer(*std::move(next.answer));
  }
}

void TurnRunner::show(const std::string& text) {
  // What comes after the stop was never shown, and is not stored either.
  if (stop_model_.stop_requested()) return;
  shown_ += text;
  bool go_on = false;
  try {
    go_on = options_.on_text(text);
  } catch (...) {
    go_on = false;
  }
  if (!go_on) {
    stopped_by_caller_ = true;
    stop_model_.request_stop();
  }
}

void TurnRunner::on_answer(Result<ModelAnswer> result) {
  try {
    if (!result.ok()) {
      close_failed(result.error());
      return;
    }
    ModelAnswer answer = std::move(result).value();
    usage_ = sum(usage_, answer.usage);
    attempts_ += answer.attempts;
    if (!stop_model_.stop_requested() && run_tools(answer)) {
      ask();
      return;
    }
    close_answered(answer);
  } catch (...) {
    close_failed(as_error(std::current_exception()));
  }
}

bool TurnRunner::run_tools(const ModelAnswer& answer) {
  if (answer.interruption || judge(answer) != Verdict::kAnswered) return false;
  Content responses{.role = Role::kUser};
  for (const Part& part : answer.content.parts) {
    if (!part.function_call) continue;
    const FunctionCall& call = *part.function_call;
    const auto& tools = house_.options.tools;
    const auto tool = std::find_if(tools.begin(), tools.end(), [&call](const Tool& candidate) {
      return candidate.declaration.name == call.name;
    });
    std::string response = R"({"error":"there is no such function"})";
    if (tool != tools.end()) {
      try {
        response = tool->function(call.args_json);
      } catch (...) {
        response = R"({"error":"the function failed"})";
      }
    }
    responses.parts.push_back(
        Part{.function_response =
                 FunctionResponse{.id = call.id, .name = call.name, .response_json = response}});
  }
  if (responses.parts.empty()) return false;
  if (++tool_rounds_ > house_.options.max_tool_rounds) {
    throw Error(ErrorCode::kInternal, "the model did not come to an answer.",
                {.reason = "TOO_MANY_TOOL_ROUNDS", .model = answer.model});
  }
  contents_.push_back(answer.content);
  contents_.push_back(std::move(responses));
  return true;
}

void TurnRunner::close_answered(const ModelAnswer& answer) {
  TurnStatus status = status_of(answer);
  // The caller's word counts, also when the answer was whole before the model heard of it.
  const bool stopped = surroundings_.stop_token.stop_requested() || stopped_by_caller_;
  if (stop_model_.stop_requested() && stopped) status = TurnStatus::kCancelled;

  FinishedTurn finished{.turn_id = turn_id_,
                        .status = status,
                        .finish_reason_raw = answer.finish_reason_raw,
                        .block_reason = answer.block_reason,
                        .model = answer.model.empty() ? house_.model->name() : answer.model,
                        .model_version = answer.model_version,
                        .response_id = answer.response_id};
  std::optional<Error> error;
  switch (status) {
    case TurnStatus::kComplete:
    case TurnStatus::kTruncated: {
      contents_.push_back(answer.content);
      std::string text;
      for (const Content& content : contents_) {
        if (content.role == Role::kModel) text += visible_text(content);
      }
      if (!is_just_text(contents_, text)) finished.contents = gemini::encode_contents(contents_);
      finished.answer = std::move(text);
      break;
    }
    case TurnStatus::kBlocked:
      finished.answer = house_.options.refusal;
      break;
    case TurnStatus::kCancelled:
      if (!shown_.empty()) finished.answer = shown_;
      if (!stopped_by_caller_) error.emplace(ErrorCode::kCancelled, "The answer was stopped.");
      break;
    case TurnStatus::kEmpty:
      error.emplace(ErrorCode::kInternal, "the model gave an empty answer.",
                    ErrorDetails{.retryable = true,
                                 .reason = "EMPTY_ANSWER",
                                 .model = finished.model,
                                 .attempts = attempts_});
      break;
    case TurnStatus::kPending:
    case TurnStatus::kFailed:
    case TurnStatus::kInterrupted:
      error.emplace(ErrorCode::kInternal, "the model failed to answer.",
                    ErrorDetails{.retryable = true,
                                 .reason = "MODEL_FAULT",
                                 .model = finished.model,
                                 .attempts = attempts_});
      break;
  }
  if (error) {
    finished.error_code = to_string(error->code());
  } else if (answer.interruption) {
    finished.error_code = to_string(answer.interruption->code());
  }
  close(std::move(finished), std::move(error));
}

void TurnRunner::close_failed(const Error& error) {
  const bool cancelled = error.code() == ErrorCode::kCancelled;
  FinishedTurn finished{.turn_id = turn_id_,
                        .status = cancelled ? TurnStatus::kCancelled : TurnStatus::kFailed,
                        .model = error.details().model,
                        .error_code = to_string(error.code())};
  // Text that was shown in an earlier round of this turn is not lost with the round that failed.
  if (cancelled && !shown_.empty()) finished.answer = shown_;
  attempts_ += error.details().attempts;
  if (cancelled && stopped_by_caller_) {
    close(std::move(finished), {});
  } else {
    close(std::move(finished), error);
  }
}

void TurnRunner::close(FinishedTurn finished, std::optional<Error> error) {
  const auto latency = std::chrono::steady_clock::now() - asked_at_;
  finished.usage = usage_;
  finished.attempts = attempts_;
  finished.latency = std::chrono::duration_cast<std::chrono::milliseconds>(latency);
  finished.now = house_.options.now();
  try {
    Turn turn = house_.store->finish_turn(finished);
    if (error) {
      done(*std::move(error));
    } else {
      done(std::move(turn));
    }
  } catch (...) {
    // The model's own failure is the better news of the two.
    done(error ? *std::move(error) : as_error(std::current_exception()));
  }
}

void TurnRunner::done(Result<Turn> result) {
  const auto on_done = std::exchange(on_done_, nullptr);
  on_done(std::move(result));
}

}  // namespace twinchat
