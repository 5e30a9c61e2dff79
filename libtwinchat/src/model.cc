#include "twinchat/model.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "start_thread.h"

namespace twinchat {

GenerationConfig GenerationConfig::merged_with(const GenerationConfig& over) const {
  GenerationConfig merged = *this;
  const auto take = [](auto& field, const auto& from) {
    if (from) field = from;
  };
  take(merged.temperature, over.temperature);
  take(merged.top_p, over.top_p);
  take(merged.top_k, over.top_k);
  take(merged.max_output_tokens, over.max_output_tokens);
  take(merged.stop_sequences, over.stop_sequences);
  take(merged.seed, over.seed);
  take(merged.presence_penalty, over.presence_penalty);
  take(merged.frequency_penalty, over.frequency_penalty);
  take(merged.include_thoughts, over.include_thoughts);
  take(merged.response_mime_type, over.response_mime_type);
  take(merged.response_json_schema, over.response_json_schema);
  // One of the two ways to steer thinking displaces the other: together they are an error.
  if (over.thinking_budget || over.thinking_level) {
    merged.thinking_budget = over.thinking_budget;
    merged.thinking_level = over.thinking_level;
  }
  return merged;
}

// The calls that the default start() began and that have not ended.
struct Model::Started {
  std::mutex mutex;
  std::condition_variable none_left;
  int count = 0;
};

Model::Model() : started_(std::make_shared<Started>()) {}

Model::~Model() {
  wait_for_started();
}

void Model::start(const GenerateRequest& request, CallOptions options, OnAnswer on_answer) {
  {
    const std::lock_guard lock(started_->mutex);
    ++started_->count;
  }
  const auto ended = [started = started_] {
    const std::lock_guard lock(started->mutex);
    if (--started->count == 0) started->none_left.notify_all();
  };
  try {
    // The thread is counted, not joined: it may end inside on_answer, which may be what
    // lets the model be destroyed.
    start_thread([this, ended, request, options = std::move(options),
                  on_answer = std::move(on_answer)]() mutable {
      auto answer = [&]() -> Result<ModelAnswer> {
        try {
          return generate(request, options);
        } catch (const Error& error) {
          return error;
        } catch (...) {
          return Error(ErrorCode::kUnknown, "The model failed with an exception of its own.");
        }
      }();
      ended();
      on_answer(std::move(answer));
    }).detach();
  } catch (...) {
    ended();
    throw;
  }
}

void Model::wait_for_started() noexcept {
  std::unique_lock lock(started_->mutex);
  started_->none_left.wait(lock, [this] { return started_->count == 0; });
}

}  // namespace twinchat
