// The code of libtwinchat/doc/tutorial.md that belongs to no other example, as one program.
//   GEMINI_API_KEY=... tutorial
#include <chrono>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "gemini_from_environment.h"
#include "twinchat/twinchat.h"

namespace {

void handle_errors(twinchat::Assistant& assistant, const std::string& id) {
  // shown: errors
  try {
    const twinchat::Turn turn = assistant.send(id, "What is insulin?");
    std::cout << turn.text() << "\n";
    if (turn.status == twinchat::TurnStatus::kTruncated) std::cout << "(the answer was cut)\n";
  } catch (const twinchat::Error& error) {
    std::cout << error.what() << "\n";  // a sentence that anybody may see
    if (const auto wait = error.retry_after()) {
      std::cout << "Come back in " << wait->count() / 1000 << " seconds.\n";
    }
    std::clog << to_string(error.code()) << " after " << error.details().attempts << " attempts, "
              << error.details().reason << "\n";  // for whoever runs the program
  }
  // shown: end
}

void look_back(twinchat::Assistant& assistant, const std::string& id) {
  // shown: history
  for (const twinchat::Turn& turn : assistant.history(id)) {
    std::cout << turn.user_message.text << " [" << to_string(turn.status) << "] " << turn.text()
              << "\n";
  }
  // shown: end
}

void send_again(twinchat::Assistant& assistant, const std::string& id) {
  // shown: idempotency
  const twinchat::SendOptions named{.idempotency_key = "message-4711"};
  const twinchat::Turn first = assistant.send(id, "What is a metabolism?", named);
  const twinchat::Turn again = assistant.send(id, "What is a metabolism?", named);
  std::cout << first.text() << (again.replayed ? " = " : " and ") << again.text() << "\n";
  // shown: end
}

void set_details(twinchat::Assistant& assistant, const std::string& id) {
  // shown: details
  const twinchat::UserDetailsUpdate update{.name = "Jane Doe", .phone = nullptr};
  for (const twinchat::FieldProblem& problem : problems(update)) {
    std::cout << problem.field << ": " << problem.message << "\n";
  }
  assistant.update_user(id, update);  // the e-mail address stays, the phone number is cleared
  // shown: end
}

void ask_for_json(twinchat::Assistant& assistant, const std::string& id) {
  // shown: settings
  assistant.send(id, "Name three foods that are rich in fibre.",
                 {.timeout = std::chrono::seconds(20),
                  .generation = {.response_mime_type = "application/json",
                                 .response_json_schema =
                                     R"({"type": "array", "items": {"type": "string"}})"}});
  // shown: end
}

// shown: offline
// For tests of one's own: answers at once, and asks nobody.
class Parrot final : public twinchat::Model {
 public:
  std::string name() const override { return "parrot"; }
  twinchat::ModelAnswer generate(const twinchat::GenerateRequest& request,
                                 const twinchat::CallOptions&) override {
    return {.content = twinchat::text_content(twinchat::Role::kModel,
                                              visible_text(request.contents.back()))};
  }
};

std::string what_the_parrot_says(std::string_view text) {
  twinchat::Assistant assistant(twinchat::make_memory_store(), std::make_shared<Parrot>());
  return assistant.send(assistant.create_session().session_id, text).text();
}
// shown: end

}  // namespace

int main() {
  try {
    // shown: options
    twinchat::GeminiOptions gemini = gemini_from_environment();
    gemini.fallback_models = {"gemini-3.1-flash-lite"};
    gemini.timeouts.first_byte = std::chrono::seconds(20);
    gemini.retry.max_attempts = 3;
    gemini.on_warning = [](const std::string& warning) { std::clog << warning << "\n"; };
    twinchat::Assistant assistant(twinchat::open_store("sqlite:///chat.db"),
                                  twinchat::make_gemini_model(std::move(gemini)),
                                  {.system_prompt = "Answer in two sentences.",
                                   .history_turns = 10,
                                   .turn_timeout = std::chrono::seconds(60),
                                   .daily_tokens = 2'000'000});
    // shown: end
    const std::string id = assistant.create_session({.phone = "555-0100"}).session_id;
    handle_errors(assistant, id);
    send_again(assistant, id);
    look_back(assistant, id);
    set_details(assistant, id);
    ask_for_json(assistant, id);
    std::cout << what_the_parrot_says("Hello") << "\n";
  } catch (const std::exception& error) {
    std::cerr << "tutorial: " << error.what() << "\n";
    return 1;
  }
}
