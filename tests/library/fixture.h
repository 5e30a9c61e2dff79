#pragma once

#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "standin.h"
#include "twinchat/twinchat.h"

namespace twinchat::testing {

// Options for a Gemini model that asks the stand-in and does not dawdle between attempts.
inline GeminiOptions options_for(const GeminiStandIn& standin) {
  return {.api_key = "test-key",
          .base_url = standin.base_url(),
          .retry = {.initial_backoff = std::chrono::milliseconds(5),
                    .max_backoff = std::chrono::milliseconds(20)}};
}

// The texts of the contents of a recorded request, each with its role before it: "user: Hello".
inline std::vector<std::string> sent_contents(const nlohmann::json& call) {
  std::vector<std::string> texts;
  for (const auto& content : call.at("body").at("contents")) {
    std::string text = content.at("role").get<std::string>() + ": ";
    for (const auto& part : content.at("parts")) text += part.value("text", "");
    texts.push_back(std::move(text));
  }
  return texts;
}

// How many turns each thread of the test of many threads makes: TWINCHAT_TEST_TURNS, or few.
inline int turns_per_thread() {
  const char* given = std::getenv("TWINCHAT_TEST_TURNS");
  return given != nullptr ? std::atoi(given) : 10;
}

// An assistant on a store in memory that asks a stand-in of its own.
struct AssistantFixture {
  GeminiStandIn standin;
  std::shared_ptr<Store> store = make_memory_store();
  std::shared_ptr<Model> model = make_gemini_model(options_for(standin));
  Assistant assistant{store, model, {.system_prompt = "You are a test."}};

  std::string new_session() { return assistant.create_session().session_id; }
};

}  // namespace twinchat::testing
