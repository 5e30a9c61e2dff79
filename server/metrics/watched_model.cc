#include "metrics/watched_model.h"

#include <optional>
#include <string_view>
#include <utility>

namespace twinchat::server {
namespace {

using Clock = std::chrono::steady_clock;

// One call from its beginning to its end, which is told once: at the latest when this goes.
//
// Thread safety: as the call's own callbacks, one after the other.
class WatchedCall {
 public:
  explicit WatchedCall(Metrics& metrics) : metrics_(metrics) { metrics_.model_call_began(); }
  ~WatchedCall() {
    if (!ended_) end({.model = {}, .error = ErrorCode::kUnknown});
  }
  WatchedCall(const WatchedCall&) = delete;
  WatchedCall& operator=(const WatchedCall&) = delete;

  void on_text() {
    if (!first_chunk_) first_chunk_ = Clock::now() - began_;
  }
  void on_answer(const ModelAnswer& answer) {
    std::optional<ErrorCode> error;
    if (answer.interruption) error = answer.interruption->code();
    end({.model = answer.model, .error = error, .usage = answer.usage});
  }
  void on_error(const Error& error) {
    end({.model = error.details().model, .error = error.code()});
  }

 private:
  void end(ModelCall call) {
    ended_ = true;
    call.took = Clock::now() - began_;
    call.first_chunk = first_chunk_;
    metrics_.model_call_ended(call);
  }

  Metrics& metrics_;
  const Clock::time_point began_ = Clock::now();
  std::optional<Clock::duration> first_chunk_;
  bool ended_ = false;
};

// The options with an ear on the text, where it is streamed.
CallOptions watched(CallOptions options, const std::shared_ptr<WatchedCall>& call) {
  if (options.on_text) {
    options.on_text = [call, on_text = std::move(options.on_text)](std::string_view text) {
      call->on_text();
      return on_text(text);
    };
  }
  return options;
}

}  // namespace

ModelAnswer WatchedModel::generate(const GenerateRequest& request, const CallOptions& options) {
  const auto call = std::make_shared<WatchedCall>(metrics_);
  try {
    ModelAnswer answer = model_->generate(request, watched(options, call));
    call->on_answer(answer);
    return answer;
  } catch (const Error& error) {
    call->on_error(error);
    throw;
  }
}

void WatchedModel::start(GenerateRequest request, CallOptions options, OnAnswer on_answer) {
  const auto call = std::make_shared<WatchedCall>(metrics_);
  model_->start(std::move(request), watched(std::move(options), call),
                [call, on_answer = std::move(on_answer)](Result<ModelAnswer> answer) {
                  if (answer.ok()) {
                    call->on_answer(answer.value());
                  } else {
                    call->on_error(answer.error());
                  }
                  on_answer(std::move(answer));
                });
}

}  // namespace twinchat::server
