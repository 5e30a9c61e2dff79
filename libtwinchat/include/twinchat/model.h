#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "twinchat/content.h"
#include "twinchat/error.h"
#include "twinchat/export.h"

namespace twinchat {

// How an answer is to be generated. What is not set is left to the model; a setting that the model
// in use does not know is left out of the request.
struct GenerationConfig {
  std::optional<double> temperature = {};     // 0..2; ignored by the newest models
  std::optional<double> top_p = {};           // 0..1; likewise
  std::optional<int> top_k = {};              // likewise
  std::optional<int> max_output_tokens = {};  // thoughts count towards it
  std::optional<std::vector<std::string>> stop_sequences = {};  // at most 5
  std::optional<int> seed = {};                  // the same seed gives similar answers
  std::optional<double> presence_penalty = {};   // against words that were there before
  std::optional<double> frequency_penalty = {};  // the more often they were
  std::optional<int> thinking_budget = {};       // tokens; 0 off, -1 automatic; gemini-2.5
  std::optional<std::string> thinking_level =
      {};                                     // "MINIMAL", "LOW", "MEDIUM", "HIGH"; gemini-3 on
  std::optional<bool> include_thoughts = {};  // summaries of the thinking come as parts
  std::optional<std::string> response_mime_type = {};    // "application/json" for JSON
  std::optional<std::string> response_json_schema = {};  // a JSON schema as text

  // This configuration with every field that `over` sets taken from `over`.
  TWINCHAT_EXPORT GenerationConfig merged_with(const GenerationConfig& over) const;

  friend bool operator==(const GenerationConfig&, const GenerationConfig&) = default;
};

// A function that the model may ask to be called.
struct FunctionDeclaration {
  std::string name;                         // letters, digits, _ : . -; at most 64
  std::string description = {};             // what it does and when to use it: the model reads this
  std::string parameters_json_schema = {};  // a JSON schema for an object; empty: no parameters
};

// What a model is asked.
struct GenerateRequest {
  // Instructions of ours, apart from what anybody said; empty for none.
  std::string system_instruction = {};
  // The conversation: roles alternate, the first and the last are the user's.
  std::vector<Content> contents = {};
  GenerationConfig config = {};                     // how to answer
  std::vector<FunctionDeclaration> functions = {};  // what the model may ask to be called
};

// The limits of one call. All are finite by default; the call ends at the first that is reached.
struct Timeouts {
  std::chrono::milliseconds connect{10'000};  // until connected, TLS included
  std::chrono::milliseconds first_byte{
      60'000};                               // from there to the first byte of the answer's body
  std::chrono::milliseconds idle{60'000};    // between two bytes of the body
  std::chrono::milliseconds total{180'000};  // of one attempt

  friend bool operator==(const Timeouts&, const Timeouts&) = default;
};

// Around one call.
struct CallOptions {
  // Receives the visible text as it comes, piece by piece; return false to stop the model there.
  // Given: the answer is streamed. Called one piece at a time on a thread of the model's, which
  // it must not hold up.
  std::function<bool(std::string_view)> on_text = {};
  // Stops the call wherever it is.
  std::stop_token stop_token = {};
  // The end of the whole call, attempts and pauses included.
  std::optional<std::chrono::steady_clock::time_point> deadline = {};
  // In place of the model's own.
  std::optional<Timeouts> timeouts = {};
};

// What a model gave.
struct ModelAnswer {
  Content content = {.role = Role::kModel};  // all parts as they came, streamed pieces merged
  FinishReason finish_reason = FinishReason::kStop;  // kNone: none was given, the answer is cut
  std::string finish_reason_raw = {};                // as the upstream spelled it
  std::string block_reason = {};   // the prompt was refused, and why; there is no content then
  Usage usage = {};                // tokens, where they were counted
  std::string model = {};          // the model that was asked
  std::string model_version = {};  // the one that says it answered
  std::string response_id = {};    // the upstream's name for the answer
  int attempts = 0;                // requests that were sent
  // Why the answer ends where it does, when it was broken off after visible text had come: the
  // content holds what came. kCancelled when the caller stopped it.
  std::optional<Error> interruption = {};
};

// Something that answers. Derive from it to use another service, or none.
//
// generate() is all one must write. It is asked from many threads at once.
//
// Thread safety: every function may be called from any number of threads at once.
class TWINCHAT_EXPORT Model {
 public:
  // Receives the answer, or the Error that generate() would have thrown.
  using OnAnswer = std::function<void(Result<ModelAnswer>)>;

  Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model();

  // The model's name, as it is recorded with the turns.
  virtual std::string name() const = 0;

  // Asks and waits for the answer. An answer that was refused, empty or cut is an answer; Error is
  // thrown when there is none: kCancelled when stopped before any text came, kDeadlineExceeded,
  // kUnavailable, kResourceExhausted and so on.
  virtual ModelAnswer generate(const GenerateRequest& request, const CallOptions& options) = 0;

  // Asks and returns at once, done with `request`; `on_answer` is called exactly once, on a thread
  // of the model's, which it must not hold up, or before start() returns. An exception of another
  // type than Error comes as kUnknown. The default runs generate() on a thread made for the call. A
  // derived class that relies on it and whose generate() uses members calls wait_for_started() in
  // its destructor.
  virtual void start(const GenerateRequest& request, CallOptions options, OnAnswer on_answer);

 protected:
  // Waits until every generate() that the default start() began has returned.
  void wait_for_started() noexcept;

 private:
  struct TWINCHAT_NO_EXPORT Started;
  std::shared_ptr<Started> started_;
};

}  // namespace twinchat
