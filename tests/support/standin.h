#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "process.h"

namespace twinchat::testing {

// A running gemini-standin of one's own on a free loopback port; gemini_standin/README.md says how
// it answers and how it is scripted. The destructor ends it.
//
// Thread safety: every member function may be called from any thread.
class GeminiStandIn {
 public:
  struct Stats {
    std::int64_t calls = 0;
    std::int64_t open_connections = 0;
    std::int64_t connections_total = 0;
    std::int64_t in_flight = 0;
    std::int64_t max_in_flight = 0;
    std::int64_t aborted = 0;
    std::int64_t pending_replies = 0;  // of the script, not yet taken
  };

  // Starts the program and waits until it listens. `arguments` are further command line options;
  // with those for TLS only base_url() and process() are of use, for HttpClient speaks none.
  // Throws std::runtime_error with what the program said.
  explicit GeminiStandIn(std::vector<std::string> arguments = {});

  // "http://127.0.0.1:PORT", for the base URL of a Gemini client.
  const std::string& base_url() const { return base_url_; }
  Process& process() { return process_; }

  // Appends replies: one object, or an array of them. Throws std::invalid_argument when the
  // stand-in does not understand one.
  void script(const nlohmann::json& replies);
  // The calls so far, in order of arrival.
  nlohmann::json requests() const;
  Stats stats() const;
  // Forgets script and calls, and sets the counters to zero.
  void reset();

 private:
  Process process_;
  std::string base_url_;
};

}  // namespace twinchat::testing
