// A program of somebody else's, with a store and a model of its own: what crosses the border of a
// shared library in either direction.
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "twinchat/twinchat.h"

namespace {

// Stops the program when `holds` does not, also in a build with NDEBUG.
void expect(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "not as it should be: " << what << "\n";
  std::exit(1);
}

// Answers in two pieces, or fails when asked to.
class EchoModel : public twinchat::Model {
 public:
  // The default start() runs generate() on a thread of its own.
  ~EchoModel() override { wait_for_started(); }

  std::string name() const override { return "echo"; }

  twinchat::ModelAnswer generate(const twinchat::GenerateRequest& request,
                                 const twinchat::CallOptions& options) override {
    const std::string text = twinchat::visible_text(request.contents.back());
    if (text == "fail") {
      throw twinchat::Error(twinchat::ErrorCode::kUnavailable, "the echo is away.",
                            {.retry_after = std::chrono::seconds(7)});
    }
    if (text == "break") throw std::out_of_range("not an error of the library's");
    for (const std::string& piece : {std::string("echo: "), text}) {
      if (options.on_text && !options.on_text(piece)) break;
    }
    return {.content = twinchat::text_content(twinchat::Role::kModel, "echo: " + text)};
  }
};

// Counts the turns on their way to another store.
class CountingStore : public twinchat::Store {
 public:
  explicit CountingStore(std::shared_ptr<twinchat::Store> store) : store_(std::move(store)) {}

  twinchat::Session create_session(std::string_view session_id, const twinchat::UserDetails& user,
                                   twinchat::Timestamp now) override {
    return store_->create_session(session_id, user, now);
  }
  std::optional<twinchat::Session> find_session(std::string_view session_id) override {
    return store_->find_session(session_id);
  }
  twinchat::Session update_user(std::string_view session_id,
                                const twinchat::UserDetailsUpdate& update,
                                twinchat::Timestamp now) override {
    return store_->update_user(session_id, update, now);
  }
  std::vector<twinchat::Message> messages(std::string_view session_id,
                                          const twinchat::MessageQuery& query) override {
    return store_->messages(session_id, query);
  }
  std::vector<twinchat::Turn> turns(std::string_view session_id, std::size_t limit) override {
    return store_->turns(session_id, limit);
  }
  twinchat::BegunTurn begin_turn(const twinchat::NewTurn& turn) override {
    ++begun;
    return store_->begin_turn(turn);
  }
  twinchat::Turn finish_turn(const twinchat::FinishedTurn& turn) override {
    return store_->finish_turn(turn);
  }
  std::vector<twinchat::PastTurn> past_turns(std::string_view session_id, std::int64_t before_turn,
                                             std::size_t limit) override {
    return store_->past_turns(session_id, before_turn, limit);
  }
  std::vector<twinchat::Turn> answered_turns(std::string_view session_id, std::int64_t first_answer,
                                             std::int64_t last_answer) override {
    return store_->answered_turns(session_id, first_answer, last_answer);
  }
  twinchat::Turn set_feedback(std::string_view session_id, std::int64_t answer_id,
                              twinchat::Feedback feedback, twinchat::Timestamp now) override {
    return store_->set_feedback(session_id, answer_id, feedback, now);
  }
  twinchat::Consent record_consent(const twinchat::NewConsent& consent) override {
    return store_->record_consent(consent);
  }
  std::vector<twinchat::Consent> consents(std::string_view session_id) override {
    return store_->consents(session_id);
  }
  std::vector<twinchat::Consent> withdraw_consents(std::string_view session_id,
                                                   twinchat::Timestamp now) override {
    return store_->withdraw_consents(session_id, now);
  }

  std::atomic<int> begun = 0;

 private:
  std::shared_ptr<twinchat::Store> store_;
};

// The Error that `call` throws, caught as what it is.
template <class Call>
twinchat::Error error_of(Call call) {
  try {
    call();
  } catch (const twinchat::Error& error) {
    return error;
  } catch (const std::exception& error) {
    std::cerr << "an exception of another type: " << error.what() << "\n";
    std::exit(1);
  }
  std::cerr << "no error\n";
  std::exit(1);
}

}  // namespace

int main() {
  using twinchat::ErrorCode;

  const std::string headers = std::to_string(TWINCHAT_VERSION_MAJOR) + "." +
                              std::to_string(TWINCHAT_VERSION_MINOR) + "." +
                              std::to_string(TWINCHAT_VERSION_PATCH);
  expect(headers == twinchat::version(), "headers and library are of one version");

  const auto store = std::make_shared<CountingStore>(twinchat::make_memory_store());
  twinchat::Assistant assistant(store, std::make_shared<EchoModel>());
  const twinchat::Session session = assistant.create_session({.name = "Jane"});

  std::string streamed;
  const twinchat::Turn turn =
      assistant.send(session.session_id, "hello", {.on_text = [&](std::string_view piece) {
                       streamed += piece;
                       return true;
                     }});
  expect(turn.text() == "echo: hello" && streamed == turn.text(), "the model's answer comes back");
  expect(store->begun == 1, "the turn went through the store of ours");
  expect(assistant.messages(session.session_id).size() == 2, "both messages are stored");

  expect(error_of([&] { assistant.session("nobody"); }).code() == ErrorCode::kNotFound,
         "an error of the library's is caught");
  const twinchat::Error unavailable = error_of([&] { assistant.send(session.session_id, "fail"); });
  expect(unavailable.code() == ErrorCode::kUnavailable &&
             unavailable.retry_after() == std::chrono::seconds(7),
         "an error of ours passes through the library");
  expect(
      error_of([&] { assistant.send(session.session_id, "break"); }).code() == ErrorCode::kUnknown,
      "the library catches what is no error of its own");
  try {
    const auto stop = [](std::string_view) -> bool { throw std::out_of_range("ours"); };
    assistant.send(session.session_id, "hello", {.on_text = stop});
    expect(false, "an exception of a callback comes out of send()");
  } catch (const std::out_of_range&) {
  }

  const std::shared_ptr<twinchat::Store> ours = store;
  const std::shared_ptr<twinchat::Store> theirs = twinchat::open_store("sqlite:///consumer.db");
  expect(dynamic_cast<CountingStore*>(ours.get()) == store.get(), "our store is told apart ...");
  expect(dynamic_cast<CountingStore*>(theirs.get()) == nullptr, "... from the library's");
  theirs->check();

  expect(error_of([] { twinchat::make_gemini_model({}); }).code() == ErrorCode::kInvalidArgument,
         "the Gemini model is linked");
  std::cout << "libtwinchat " << twinchat::version() << "\n";
}
