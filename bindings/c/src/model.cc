#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "guard.h"
#include "handles.h"
#include "options.h"
#include "reply.h"
#include "user_data.h"

// What a model of the program's is shown.
//
// Thread safety: immutable.
struct twinchat_request {
  const twinchat::GenerateRequest& asked;
  const twinchat::CallOptions& call;
  std::vector<std::string> texts;  // of asked.contents

  bool out_of_time() const {
    return call.deadline && *call.deadline <= std::chrono::steady_clock::now();
  }
  bool stopped() const { return call.stop_token.stop_requested() || out_of_time(); }
};

namespace twinchat::c {
namespace {

// A model that a C function is.
//
// Thread safety: as every Model.
class CallbackModel : public Model {
 public:
  CallbackModel(std::string name, twinchat_generate generate, std::shared_ptr<UserData> data)
      : name_(std::move(name)), generate_(generate), data_(std::move(data)) {}
  ~CallbackModel() override { wait_for_started(); }

  std::string name() const override { return name_; }

  ModelAnswer generate(const GenerateRequest& request, const CallOptions& options) override {
    twinchat_request asked{.asked = request, .call = options, .texts = {}};
    for (const Content& content : request.contents) asked.texts.push_back(visible_text(content));
    twinchat_reply reply;
    reply.on_text = options.on_text;
    reply.wanted = [&asked] { return !asked.stopped(); };
    generate_(data_->get(), &asked, &reply);
    if (reply.thrown) std::rethrow_exception(reply.thrown);

    ModelAnswer answer{.content = text_content(Role::kModel, reply.text),
                       .finish_reason = finish_reason_from(reply.finish_reason),
                       .finish_reason_raw = reply.finish_reason,
                       .usage = reply.usage,
                       .model = name_,
                       .model_version = name_,
                       .attempts = 1};
    answer.content.model = name_;
    if (auto why = interruption(asked, reply)) {
      if (reply.text.empty()) throw *std::move(why);
      answer.finish_reason = FinishReason::kNone;
      answer.finish_reason_raw.clear();
      answer.interruption = std::move(why);
    }
    return answer;
  }

 private:
  // Why the reply is not whole, if it is not.
  std::optional<Error> interruption(const twinchat_request& asked,
                                    const twinchat_reply& reply) const {
    if (reply.failure) {
      ErrorDetails details = reply.failure->details();
      details.model = name_;
      details.attempts = 1;
      return Error(reply.failure->code(), reply.failure->what(), std::move(details));
    }
    if (asked.call.stop_token.stop_requested()) {
      return Error(ErrorCode::kCancelled, "The answer was stopped.");
    }
    if (asked.out_of_time() && (reply.stopped || reply.text.empty())) {
      return Error(ErrorCode::kDeadlineExceeded, "the model took too long to answer.",
                   {.retryable = true, .stage = "deadline", .model = name_, .attempts = 1});
    }
    if (reply.stopped) return Error(ErrorCode::kCancelled, "The answer was stopped.");
    return std::nullopt;
  }

  const std::string name_;
  const twinchat_generate generate_;
  const std::shared_ptr<UserData> data_;
};

bool may_pass(ErrorCode code) {
  return code == ErrorCode::kUnavailable || code == ErrorCode::kResourceExhausted ||
         code == ErrorCode::kDeadlineExceeded || code == ErrorCode::kInternal;
}

}  // namespace
}  // namespace twinchat::c

using namespace twinchat::c;

twinchat_code twinchat_model_gemini(const twinchat_gemini_options* options, twinchat_model** model,
                                    twinchat_error** error) {
  return guarded(error, [&] {
    cleared(model, "model");
    *model = new_handle<twinchat_model>(twinchat::make_gemini_model(gemini_options_from(options)));
  });
}

twinchat_code twinchat_model_from_callback(const char* name, twinchat_generate generate,
                                           void* user_data, twinchat_release release,
                                           twinchat_model** model, twinchat_error** error) {
  return guarded(error, [&] {
    cleared(model, "model");
    const auto data = std::make_shared<UserData>(user_data, release);
    *model = new_handle<twinchat_model>(
        std::make_shared<CallbackModel>(needed(name, "name"), needed(generate, "generate"), data));
    data->keep();
  });
}

void twinchat_model_free(twinchat_model* model) {
  release(model);
}

const char* twinchat_request_system_prompt(const twinchat_request* request) {
  return request != nullptr ? request->asked.system_instruction.c_str() : "";
}

size_t twinchat_request_count(const twinchat_request* request) {
  return request != nullptr ? request->texts.size() : 0;
}

twinchat_role twinchat_request_role(const twinchat_request* request, size_t index) {
  const bool model = index < twinchat_request_count(request) &&
                     request->asked.contents[index].role == twinchat::Role::kModel;
  return model ? TWINCHAT_MODEL : TWINCHAT_USER;
}

const char* twinchat_request_text(const twinchat_request* request, size_t index, size_t* length) {
  const bool there = index < twinchat_request_count(request);
  if (length != nullptr) *length = there ? request->texts[index].size() : 0;
  return there ? request->texts[index].c_str() : nullptr;
}

int twinchat_request_stopped(const twinchat_request* request) {
  return request != nullptr && request->stopped() ? 1 : 0;
}

int64_t twinchat_request_time_left_ms(const twinchat_request* request) {
  if (request == nullptr || !request->call.deadline) return -1;
  const auto left = *request->call.deadline - std::chrono::steady_clock::now();
  return std::max<int64_t>(0, std::chrono::floor<std::chrono::milliseconds>(left).count());
}

int twinchat_reply_add(twinchat_reply* reply, const char* text, size_t length) {
  if (reply == nullptr || reply->stopped || reply->thrown) return 0;
  try {
    const std::string_view piece = text_of(text, length);
    if (piece.empty()) return 1;
    reply->stopped = reply->wanted && !reply->wanted();
    if (reply->stopped) return 0;
    reply->text += piece;
    reply->stopped = reply->on_text && !reply->on_text(piece);
  } catch (...) {
    reply->thrown = std::current_exception();
  }
  return reply->stopped || reply->thrown ? 0 : 1;
}

void twinchat_reply_fail(twinchat_reply* reply, twinchat_code code, const char* message,
                         int64_t retry_after_ms) {
  if (reply == nullptr) return;
  try {
    const twinchat::ErrorCode why = error_code_of(code);
    twinchat::ErrorDetails details{.retryable = may_pass(why)};
    if (retry_after_ms >= 0) details.retry_after = std::chrono::milliseconds(retry_after_ms);
    reply->failure.emplace(why, message != nullptr ? message : "the model failed to answer.",
                           std::move(details));
  } catch (...) {
    reply->thrown = std::current_exception();
  }
}

void twinchat_reply_set_finish_reason(twinchat_reply* reply, const char* reason) {
  if (reply == nullptr || reason == nullptr) return;
  try {
    reply->finish_reason = reason;
  } catch (...) {
    reply->thrown = std::current_exception();
  }
}

void twinchat_reply_set_usage(twinchat_reply* reply, int64_t prompt_tokens, int64_t output_tokens) {
  if (reply == nullptr) return;
  reply->usage = {.prompt_tokens = prompt_tokens,
                  .output_tokens = output_tokens,
                  .total_tokens = prompt_tokens + output_tokens};
}
