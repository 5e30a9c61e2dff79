// Plays scenarios.json with libtwinchat and prints, as one JSON line a scenario, what it ended
// with. The exit status is 1 when one did not end as the file says.
//
// Usage: our_client scenarios.json
#include <algorithm>
#include <fstream>
#include <future>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "standin.h"
#include "twinchat/twinchat.h"

namespace {

using nlohmann::json;

constexpr const char* kQuestion = "scenario question";

struct End {
  std::string text;
  std::string status;
  std::string error;
};

End end_of(twinchat::Assistant& assistant, const std::string& session,
           const twinchat::Result<twinchat::Turn>& result) {
  End end;
  if (result.ok()) {
    const twinchat::Turn& turn = result.value();
    end.status = to_string(turn.status);
    // The refusal is ours, not the model's text.
    if (turn.status != twinchat::TurnStatus::kBlocked) end.text = turn.text();
    return end;
  }
  end.error = to_string(result.error().code());
  end.status = to_string(assistant.history(session).back().status);
  return end;
}

bool asks(const json& contents, const std::string& text) {
  return std::any_of(contents.begin(), contents.end(), [&text](const json& content) {
    return std::any_of(content["parts"].begin(), content["parts"].end(),
                       [&text](const json& part) { return part.value("text", "") == text; });
  });
}

json play(twinchat::testing::GeminiStandIn& standin, const json& scenario,
          const std::string& model_name) {
  standin.reset();
  const std::string kind = scenario.at("kind");
  twinchat::AssistantOptions options;
  if (kind == "function") {
    options.tools.push_back(
        {.declaration = {.name = "lookup", .description = "Finds something"},
         .function = [](const std::string&) -> std::string { return R"({"result":"nothing"})"; }});
  }
  twinchat::Assistant assistant(
      twinchat::make_memory_store(),
      twinchat::make_gemini_model({.api_key = "conformance",
                                   .model = model_name,
                                   .base_url = standin.base_url(),
                                   .retry = {.initial_backoff = std::chrono::milliseconds(20),
                                             .max_backoff = std::chrono::milliseconds(100)}}),
      options);
  const std::string session = assistant.create_session().session_id;
  assistant.send(session, "first question");
  standin.reset();
  standin.script(scenario.at("script"));

  std::vector<End> ends(scenario.value("at_once", 1u));
  std::vector<std::future<End>> running;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    running.push_back(std::async(std::launch::async, [&] {
      twinchat::SendOptions send;
      int pieces = 0;
      std::string shown;
      if (kind != "generate") {
        send.on_text = [&](std::string_view text) {
          shown += text;
          return ++pieces != scenario.value("stop_after_pieces", 0);
        };
      }
      std::promise<End> promise;
      assistant.start_send(session, kQuestion, send, [&](twinchat::Result<twinchat::Turn> result) {
        End end = end_of(assistant, session, result);
        // What was shown is what is stored, unless it was withdrawn.
        if (kind != "generate" && end.status != "blocked" && end.text != shown) {
          end.text = "(shown and stored differ)";
        }
        promise.set_value(std::move(end));
      });
      return promise.get_future().get();
    }));
  }
  for (std::size_t i = 0; i < ends.size(); ++i) ends[i] = running[i].get();
  const json calls = standin.requests();

  standin.reset();
  std::string after;
  try {
    assistant.send(session, "last question");
  } catch (const twinchat::Error& error) {
    after = to_string(error.code());
  }
  const json contents = standin.requests().back()["body"]["contents"];
  const json& expect = scenario.at("expect");
  const bool sent_later = asks(contents, kQuestion);
  bool as_expected = sent_later == expect.at("sent_later") && after.empty();
  for (const End& end : ends) {
    as_expected = as_expected && end.text == expect.at("text") &&
                  end.status == expect.at("status") &&
                  (!expect.contains("error") || end.error == expect.at("error"));
  }
  if (scenario.contains("echo_signature")) {
    as_expected =
        as_expected && contents.dump().find(scenario["echo_signature"]) != std::string::npos;
  }
  if (expect.contains("calls")) as_expected = as_expected && calls.size() == expect["calls"];
  if (scenario.contains("at_once")) {
    json before = calls.back()["body"]["contents"];
    before.erase(before.size() - 1);
    as_expected = as_expected && asks(before, kQuestion);
  }
  if (expect.contains("min_wait_ms")) {
    as_expected = as_expected && calls.size() > 1 &&
                  calls[1]["arrival_ms"].get<double>() - calls[0]["arrival_ms"].get<double>() >=
                      expect["min_wait_ms"].get<double>();
  }
  return {{"client", "libtwinchat"},
          {"scenario", scenario.at("name")},
          {"text", ends.front().text},
          {"status", ends.front().status},
          {"error", ends.front().error.empty() ? json() : json(ends.front().error)},
          {"calls", calls.size()},
          {"sent_later", sent_later},
          {"next_message_error", after.empty() ? json() : json(after)},
          {"as_expected", as_expected}};
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::ifstream file(argc == 2 ? argv[1] : "");
    const json all = json::parse(file);
    twinchat::testing::GeminiStandIn standin;
    bool good = true;
    for (const json& scenario : all.at("scenarios")) {
      const json result = play(standin, scenario, all.at("model"));
      std::cout << result.dump() << std::endl;
      good = good && result["as_expected"].get<bool>();
    }
    return good ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "our_client: " << error.what() << "\n";
    return 2;
  }
}
