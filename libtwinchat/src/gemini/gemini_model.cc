#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <random>
#include <utility>

#include "gemini/call.h"
#include "gemini/curl_loop.h"
#include "require.h"
#include "twinchat/gemini.h"

namespace twinchat {
namespace {

using gemini::Call;
using gemini::Client;
using gemini::CurlLoop;

bool is_url_word(const std::string& text) {
  return !text.empty() && text.find("..") == std::string::npos &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '_' || c == '.' || c == '/' || c == '@';
         });
}

// A header value that could end the header and begin another is no credential.
bool is_header_value(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
}

GeminiOptions checked(GeminiOptions options) {
  require(options.bearer_token || !options.api_key.empty(),
          "Gemini needs an API key or a bearer token.");
  require(is_header_value(options.api_key), "The Gemini API key holds characters that no key has.");
  if (options.bearer_token) {
    options.bearer_token = [source = std::move(options.bearer_token)] {
      std::string token = source();
      if (token.empty() || !is_header_value(token)) {
        throw Error(ErrorCode::kUnauthenticated, "the model refused this service's credentials.",
                    {.reason = "BAD_TOKEN",
                     .diagnostic = "the bearer token is empty or holds characters no token has"});
      }
      return token;
    };
  }
  require(
      gemini::is_allowed_url(options.base_url),
      "The Gemini base URL has to be https:// (or http:// to this machine), without user, query "
      "or fragment.");
  require(is_url_word(options.model), "The Gemini model's name is not one.");
  require(std::all_of(options.fallback_models.begin(), options.fallback_models.end(), is_url_word),
          "The name of a fallback model is not one.");
  require(is_url_word(options.api_version) && is_url_word(options.model_path),
          "The Gemini API version or model path is not one.");
  require(options.max_output_tokens > 0 && options.max_in_flight > 0 &&
              options.max_connections > 0 && options.max_answer_bytes > 0 &&
              options.retry.max_attempts > 0,
          "A Gemini limit has to be at least 1.");
  const Timeouts& timeouts = options.timeouts;
  require(timeouts.connect.count() > 0 && timeouts.first_byte.count() > 0 &&
              timeouts.idle.count() > 0 && timeouts.total.count() > 0,
          "A Gemini timeout has to be longer than nothing.");
  return options;
}

gemini::Random random_source() {
  return [engine = std::mt19937_64(std::random_device{}())]() mutable {
    return std::uniform_real_distribution<double>(0.0, 1.0)(engine);
  };
}

class GeminiModel final : public Model {
 public:
  explicit GeminiModel(GeminiOptions options)
      : loop_(CurlLoop::start({.max_connections = options.max_connections,
                               .proxy = options.proxy,
                               .ca_file = options.ca_file})),
        client_(std::make_shared<Client>(std::move(options), loop_, random_source())) {}

  ~GeminiModel() override {
    loop_->post([client = client_] { client->close(); });
    loop_->stop();
  }

  std::string name() const override { return client_->options.model; }

  ModelAnswer generate(const GenerateRequest& request, const CallOptions& options) override {
    std::promise<Result<ModelAnswer>> promise;
    std::exception_ptr thrown;
    CallOptions guarded = options;
    if (options.on_text) {
      guarded.on_text = [&thrown, &options](std::string_view text) {
        try {
          return options.on_text(text);
        } catch (...) {
          thrown = std::current_exception();
          return false;
        }
      };
    }
    start(request, std::move(guarded),
          [&promise](Result<ModelAnswer> answer) { promise.set_value(std::move(answer)); });
    Result<ModelAnswer> answer = promise.get_future().get();
    if (thrown) std::rethrow_exception(thrown);
    return std::move(answer).value();
  }

  void start(const GenerateRequest& request, CallOptions options, OnAnswer on_answer) override {
    auto call = std::make_shared<Call>(client_, request, std::move(options), std::move(on_answer));
    loop_->post([client = client_, call = std::move(call)] { client->begin(call); });
  }

 private:
  const std::shared_ptr<CurlLoop> loop_;
  const std::shared_ptr<Client> client_;
};

}  // namespace

std::shared_ptr<Model> make_gemini_model(GeminiOptions options) {
  return std::make_shared<GeminiModel>(checked(std::move(options)));
}

}  // namespace twinchat
