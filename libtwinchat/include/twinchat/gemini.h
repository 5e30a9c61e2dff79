#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "twinchat/export.h"
#include "twinchat/model.h"

namespace twinchat {

// When and how often a failed request is sent again. A request is sent again only while nothing of
// its answer has been shown, only when the failure may pass, and only if there is time before the
// deadline. The pause is random between 0 and `initial_backoff` doubled with every attempt up to
// `max_backoff`, and never shorter than what the server asked for.
struct RetryOptions {
  int max_attempts = 4;  // per model, the first included; 1 turns retries off
  std::chrono::milliseconds initial_backoff{500};  // the longest first pause
  std::chrono::milliseconds max_backoff{20'000};   // the longest of all
  // A server that asks for more than this is not waited for: the call fails with retry_after.
  std::chrono::milliseconds max_server_delay{60'000};
  // How often an answer that ended well but has no text is asked for again.
  int max_empty_retries = 2;
  // Retries may be at most this share of the calls of late (with a small allowance to begin with),
  // so that an outage is not doubled; 0 sets no limit.
  double budget_ratio = 0.2;
};

// Stops asking a model that does not answer. It opens when, of at least `min_calls` attempts in the
// last `window`, `failure_ratio` or more failed; calls then fail at once (or go to the next
// model) until, after `open_for`, one of them is let through as a probe.
struct BreakerOptions {
  bool enabled = true;                        // off, every call goes out
  std::chrono::milliseconds window{30'000};   // how far back attempts count
  int min_calls = 20;                         // fewer attempts than that say nothing
  double failure_ratio = 0.5;                 // 0..1
  std::chrono::milliseconds open_for{5'000};  // until a call is let through to try
};

// One category of harm and from which probability on it is blocked, in the API's own words:
// {"HARM_CATEGORY_HARASSMENT", "BLOCK_ONLY_HIGH"}.
struct SafetySetting {
  std::string category;   // the kind of harm
  std::string threshold;  // from which probability on it is blocked
};

// What a family of models accepts. Found by the longest prefix of the model's name.
struct ModelCapabilities {
  std::string model_prefix;          // "" matches every model
  bool sampling = true;              // temperature, topP, topK; else they are left out
  bool thinking_budget = true;       // else it is left out
  bool thinking_level = true;        // else it is left out
  bool minimal_thinking = true;      // thinking level MINIMAL; else LOW is sent
  bool zero_thinking_budget = true;  // thinking budget 0; else it is left out
};

// How Gemini is reached and asked.
struct GeminiOptions {
  // The key, sent in the header x-goog-api-key and nowhere else. Its form is not checked.
  std::string api_key = {};
  // In place of a key: gives a bearer token for every request (Vertex AI). Called on the
  // client's I/O thread; must not block.
  std::function<std::string()> bearer_token = {};
  // The model that is asked first.
  std::string model = "gemini-3.5-flash-lite";
  // Asked in this order when the one before cannot answer now (overload, quota, retired).
  std::vector<std::string> fallback_models = {};
  // A path is kept, so that a gateway can be named. https, or http to a loopback address.
  std::string base_url = "https://generativelanguage.googleapis.com";
  std::string api_version = "v1beta";  // or "v1"
  // Between the API version and the model's name; for Vertex AI
  // "projects/<id>/locations/<place>/publishers/google/models/".
  std::string model_path = "models/";
  std::vector<SafetySetting> safety_settings = {};  // empty: the model's own
  // The cap on output when a request sets none: finite, and generous because thoughts count.
  int max_output_tokens = 8192;
  Timeouts timeouts = {};       // unless a call brings its own
  RetryOptions retry = {};      // when a request is sent again
  BreakerOptions breaker = {};  // when a model is left alone
  // Before the built-in table.
  std::vector<ModelCapabilities> capabilities = {};
  // Requests on the network at the same time; further ones wait in a queue.
  std::size_t max_in_flight = 1'024;
  // Connections to the server at the same time.
  std::size_t max_connections = 1'024;
  // Calls that wait; one more fails with kResourceExhausted.
  std::size_t max_queued = 16'384;
  // http:// or https:// proxy; empty: the environment's (https_proxy, no_proxy).
  std::string proxy = {};
  // PEM file of certificate authorities in place of the system's.
  std::string ca_file = {};
  // The largest answer that is read, in bytes.
  std::size_t max_answer_bytes = 8u << 20;
  // Told in plain words about what an operator should know (a model that is being retired). Called
  // on the client's I/O thread; must not block.
  std::function<void(const std::string&)> on_warning = {};
  // Told when a model's breaker opens (it fails and is left alone) and when it closes (it answers
  // again). Called on the client's I/O thread; must not block or throw.
  std::function<void(const std::string& model, bool open)> on_breaker = {};
};

// A model that asks Google's Gemini API over HTTP (generateContent, or streamGenerateContent when
// there is an on_text).
//
// One I/O thread carries all calls, over few connections (HTTP/2 where the server offers it), and
// no thread is held while an answer is awaited. start() never blocks; on_text and on_answer are
// called on the I/O thread. Destroying the model cancels what is under way, calls the on_answer of
// each with kCancelled, and does not wait for the network.
//
// kInvalidArgument when the options cannot work: neither key nor token, an unusable URL, a
// limit that is not positive.
TWINCHAT_EXPORT std::shared_ptr<Model> make_gemini_model(GeminiOptions options);

}  // namespace twinchat
