#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace twinchat::server {

// How a line of the log is written.
enum class LogFormat {
  kText,  // for people: time, level, words
  kJson,  // for programs: one JSON object a line
};

// What there is to say about one request and its answer. Nothing here is what a client wrote, but
// for the request id, which is of harmless characters.
struct AccessEntry {
  std::string_view method = {};      // see method_name()
  std::string_view route = {};       // the pattern, never the path
  std::string_view request_id = {};  // and the following ones: empty when there is none
  std::string_view trace_id = {};
  std::string_view session = {};  // a keyed hash
  std::string_view client = {};   // a keyed hash
  int status = 0;
  std::chrono::duration<double, std::milli> duration{0};
  // Of the answer's body, as it was handed over to be sent.
  std::size_t bytes = 0;
};

// A method as it may be logged: one of those that we know, "_OTHER" for any other text, "-" for
// none.
std::string_view method_name(std::string_view method);

// The log of the process, on standard error. Everything that is said through spdlog goes there, and
// the functions below. Nobody waits for standard error: see LineWriter for what happens when it is
// not read.
//
// Thread safety: every function may be called from any thread, set_up_log() once and first.

// Takes over spdlog's default logger, in the form of text. What the log holds when the process ends
// is written then, also when it ends by std::terminate().
void set_up_log();
void set_log_format(LogFormat format);

// A line about a request: a warning when its status is 5xx.
void log_access(const AccessEntry& entry);

// Why the program ends: in text the line that programs leave, "twinchat-server: ...".
void log_failure(std::string_view what);

// Lines that were lost because nobody read them.
std::uint64_t lost_log_lines();

// One line each, with its newline.
//
// Thread safety: pure functions.
std::string text_line(std::chrono::system_clock::time_point time, std::string_view level,
                      std::string_view message);
std::string json_line(std::chrono::system_clock::time_point time, std::string_view level,
                      std::string_view message);
std::string text_line(std::chrono::system_clock::time_point time, std::string_view level,
                      const AccessEntry& entry);
std::string json_line(std::chrono::system_clock::time_point time, std::string_view level,
                      const AccessEntry& entry);

}  // namespace twinchat::server
