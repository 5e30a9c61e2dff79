// A function of the program's that the model calls: it answers out of a person's own readings,
// which lie in glucose.csv ("2026-11-20,5.8" a line, mmol/l) and of which it is told nothing else.
//   GEMINI_API_KEY=... tool "How was my blood sugar lately?"
#include <algorithm>
#include <exception>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "gemini_from_environment.h"
#include "twinchat/twinchat.h"

namespace {

std::vector<double> readings(const std::string& file) {
  std::vector<double> values;
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    const auto comma = line.find(',');
    if (comma != std::string::npos) values.push_back(std::stod(line.substr(comma + 1)));
  }
  return values;
}

// shown: tool
// Arguments and result are JSON. What the function throws the model hears of only as "failed".
twinchat::Tool average_glucose() {
  return {.declaration = {.name = "average_glucose",
                          .description = "The mean of the person's newest blood sugar readings, "
                                         "in mmol/l.",
                          .parameters_json_schema = R"({
                            "type": "object",
                            "properties": {"readings": {"type": "integer", "minimum": 1}},
                            "required": ["readings"]})"},
          .function = [](const std::string& args_json) {
            const auto args = nlohmann::json::parse(args_json);
            const auto values = readings("glucose.csv");
            const auto count = std::min(args.at("readings").get<std::size_t>(), values.size());
            if (count == 0) return std::string(R"({"error": "there are no readings"})");
            const auto first = values.end() - static_cast<std::ptrdiff_t>(count);
            const double sum = std::accumulate(first, values.end(), 0.0);
            return nlohmann::json{{"mean", sum / static_cast<double>(count)}, {"readings", count}}
                .dump();
          }};
}
// shown: end

}  // namespace

int main(int argc, char** argv) {
  try {
    // shown: offer
    twinchat::Assistant assistant(
        twinchat::open_store("sqlite:///chat.db"),
        twinchat::make_gemini_model(gemini_from_environment()),
        {.system_prompt = "You explain a person's blood sugar. You are no doctor.",
         .tools = {average_glucose()}});
    // shown: end
    const std::string id = assistant.create_session().session_id;
    const char* question = argc > 1 ? argv[1] : "How was my blood sugar lately?";
    std::cout << assistant.send(id, question).text() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "tool: " << error.what() << "\n";
    return 1;
  }
}
