#include "log/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>

#include "log/line_writer.h"

namespace twinchat::server {
namespace {

using std::chrono::system_clock;
using LogJson = nlohmann::ordered_json;

constexpr std::chrono::milliseconds kPatienceAtTheEnd{2'000};

std::string rfc3339(system_clock::time_point time) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
  const std::time_t seconds = ms / 1000;
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

LogJson head(system_clock::time_point time, std::string_view level) {
  return {{"time", rfc3339(time)}, {"level", level}};
}

std::string line_of(const LogJson& object) {
  return object.dump(-1, ' ', false, LogJson::error_handler_t::replace) + '\n';
}

std::string_view name_of(spdlog::level::level_enum level) {
  const auto name = spdlog::level::to_string_view(level);
  return {name.data(), name.size()};
}

// Where spdlog's lines and ours meet.
class Log final : public spdlog::sinks::sink {
 public:
  Log()
      : writer_({.lost_line =
                     [this](std::uint64_t lost) {
                       return line(
                           "warning",
                           fmt::format("{} line{} of the log {} lost here: standard error "
                                       "was not read in time",
                                       lost, lost == 1 ? "" : "s", lost == 1 ? "was" : "were"));
                     },
                 .patience = kPatienceAtTheEnd}) {}

  void log(const spdlog::details::log_msg& message) override {
    const std::string_view text(message.payload.data(), message.payload.size());
    writer_.write(line(name_of(message.level), text, message.time));
  }
  void flush() override {}  // the writer does nothing else
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

  template <class What>
  std::string line(std::string_view level, const What& what,
                   system_clock::time_point time = system_clock::now()) const {
    return format_ == LogFormat::kJson ? json_line(time, level, what)
                                       : text_line(time, level, what);
  }

  LogFormat format() const { return format_; }
  void set_format(LogFormat format) { format_ = format; }
  LineWriter& writer() { return writer_; }

 private:
  std::atomic<LogFormat> format_{LogFormat::kText};
  LineWriter writer_;
};

std::shared_ptr<Log> g_log;  // set once, before there are other threads
std::terminate_handler g_terminate = nullptr;

[[noreturn]] void on_terminate() {
  g_log->writer().flush(kPatienceAtTheEnd);
  if (g_terminate) g_terminate();
  std::abort();
}

}  // namespace

std::string_view method_name(std::string_view method) {
  static constexpr std::array<std::string_view, 9> kKnown = {
      "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"};
  if (method.empty()) return "-";
  const auto found = std::find(kKnown.begin(), kKnown.end(), method);
  return found != kKnown.end() ? *found : "_OTHER";
}

void set_up_log() {
  g_log = std::make_shared<Log>();
  g_terminate = std::set_terminate(on_terminate);
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("twinchat", g_log));
}

void set_log_format(LogFormat format) {
  if (g_log) g_log->set_format(format);
}

void log_access(const AccessEntry& entry) {
  const auto level = entry.status >= 500 ? spdlog::level::warn : spdlog::level::info;
  if (!g_log || !spdlog::should_log(level)) return;
  g_log->writer().write(g_log->line(name_of(level), entry));
}

void log_failure(std::string_view what) {
  if (!g_log) return;
  g_log->writer().write(g_log->format() == LogFormat::kJson
                            ? g_log->line("critical", what)
                            : fmt::format("twinchat-server: {}\n", what));
}

std::uint64_t lost_log_lines() {
  return g_log ? g_log->writer().lost() : 0;
}

std::string text_line(system_clock::time_point time, std::string_view level,
                      std::string_view message) {
  std::string line = fmt::format("{} {} {}", rfc3339(time), level, message);
  // One line is one thing said, whatever an error's text holds.
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return line + '\n';
}

std::string json_line(system_clock::time_point time, std::string_view level,
                      std::string_view message) {
  LogJson object = head(time, level);
  object["message"] = message;
  return line_of(object);
}

std::string text_line(system_clock::time_point time, std::string_view level,
                      const AccessEntry& entry) {
  std::string line =
      fmt::format("{} {} {} {} {} {:.1f} ms bytes={}", rfc3339(time), level, entry.method,
                  entry.route, entry.status, entry.duration.count(), entry.bytes);
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) line += fmt::format(" {}={}", name, value);
  };
  add("request", entry.request_id);
  add("session", entry.session);
  add("client", entry.client);
  add("trace", entry.trace_id);
  return line + '\n';
}

std::string json_line(system_clock::time_point time, std::string_view level,
                      const AccessEntry& entry) {
  LogJson object = head(time, level);
  const auto add = [&](const char* name, std::string_view value) {
    if (!value.empty()) object[name] = value;
  };
  add("request_id", entry.request_id);
  add("trace_id", entry.trace_id);
  object["method"] = entry.method;
  object["route"] = entry.route;
  object["status"] = entry.status;
  object["duration_ms"] = std::round(entry.duration.count() * 1000) / 1000;
  object["bytes"] = entry.bytes;
  add("session", entry.session);
  add("client", entry.client);
  return line_of(object);
}

}  // namespace twinchat::server
