// One question and its answer, remembered in a file. Needs GEMINI_API_KEY in the environment.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include "twinchat/twinchat.h"

namespace {

std::string from_environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : otherwise;
}

}  // namespace

int main() {
  const std::string key = from_environment("GEMINI_API_KEY", "");
  const std::string url =
      from_environment("GEMINI_BASE_URL", twinchat::GeminiOptions{}.base_url.c_str());
  try {
    // shown: quickstart
    twinchat::Assistant assistant(
        twinchat::open_store("sqlite:///chat.db"),
        twinchat::make_gemini_model({.api_key = key, .base_url = url}),
        {.system_prompt = "You are a friendly assistant. Answer in two sentences."});

    const twinchat::Session session = assistant.create_session({.name = "Jane"});
    const auto print = [](std::string_view text) { return bool(std::cout << text << std::flush); };
    assistant.send(session.session_id, "How can I reverse diabetes?", {.on_text = print});
    // shown: end
    std::cout << "\n" << assistant.messages(session.session_id).size() << " messages stored\n";
  } catch (const std::exception& error) {
    std::cerr << "quickstart: " << error.what() << "\n";
    return 1;
  }
}
