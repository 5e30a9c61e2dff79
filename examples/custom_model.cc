// A model of one's own: what sounds like an emergency is answered at once with words that a doctor
// has approved, whatever the network does. Everything else goes to the model behind it.
//   GEMINI_API_KEY=... custom_model "My father has chest pain" "What is insulin?"
#include <algorithm>
#include <array>
#include <cctype>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "gemini_from_environment.h"
#include "twinchat/twinchat.h"

namespace {

// shown: model
// Thread safety: as every Model.
class EmergencyFirst final : public twinchat::Model {
 public:
  explicit EmergencyFirst(std::shared_ptr<twinchat::Model> behind) : behind_(std::move(behind)) {}

  std::string name() const override { return behind_->name(); }

  twinchat::ModelAnswer generate(const twinchat::GenerateRequest& request,
                                 const twinchat::CallOptions& options) override {
    return is_emergency(request) ? approved_answer(options) : behind_->generate(request, options);
  }

  // The default would hold a thread for as long as the model behind takes; passing the call on
  // holds none.
  void start(const twinchat::GenerateRequest& request, twinchat::CallOptions options,
             OnAnswer on_answer) override {
    if (is_emergency(request)) {
      on_answer(approved_answer(options));
    } else {
      behind_->start(request, std::move(options), std::move(on_answer));
    }
  }

 private:
  static bool is_emergency(const twinchat::GenerateRequest& request) {
    std::string text = visible_text(request.contents.back());
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    constexpr std::array<std::string_view, 4> signs = {"chest pain", "unconscious", "overdose",
                                                       "can't breathe"};
    return std::any_of(signs.begin(), signs.end(), [&text](std::string_view sign) {
      return text.find(sign) != std::string::npos;
    });
  }

  static twinchat::ModelAnswer approved_answer(const twinchat::CallOptions& options) {
    const std::string text =
        "This may be an emergency. Please call your local emergency number now.";
    if (options.on_text) options.on_text(text);
    return {.content = twinchat::text_content(twinchat::Role::kModel, text),
            .model = "emergency-list"};
  }

  std::shared_ptr<twinchat::Model> behind_;
};
// shown: end

}  // namespace

int main(int argc, char** argv) {
  try {
    auto gemini = twinchat::make_gemini_model(gemini_from_environment());
    twinchat::Assistant assistant(twinchat::open_store("sqlite:///chat.db"),
                                  std::make_shared<EmergencyFirst>(std::move(gemini)));
    const std::string id = assistant.create_session().session_id;
    for (int i = 1; i < argc; ++i) {
      const twinchat::Turn turn = assistant.send(id, argv[i]);
      std::cout << turn.model << ": " << turn.text() << "\n";
    }
  } catch (const std::exception& error) {
    std::cerr << "custom_model: " << error.what() << "\n";
    return 1;
  }
}
