#include "store/process_owner.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <vector>

namespace twinchat {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string pid_namespace() {
  char target[64];
  const ssize_t size = ::readlink("/proc/self/ns/pid", target, sizeof target);
  return size > 0 ? std::string(target, static_cast<std::size_t>(size)) : std::string();
}

// Field 22 of /proc/<pid>/stat; empty when it cannot be read, "ended" for a process that has ended
// and whose parent has not asked how. The second field is the program's name in parentheses and may
// hold anything, so counting begins behind the last one.
std::string start_time(long pid) {
  const std::string stat = first_line("/proc/" + std::to_string(pid) + "/stat");
  std::size_t at = stat.rfind(')');
  if (at == std::string::npos) return {};
  if (stat.compare(at, 3, ") Z") == 0 || stat.compare(at, 3, ") X") == 0) return "ended";
  for (int field = 2; field < 22; ++field) {
    at = stat.find(' ', at + 1);
    if (at == std::string::npos) return {};
  }
  const std::size_t end = stat.find(' ', at + 1);
  return stat.substr(at + 1, end == std::string::npos ? end : end - at - 1);
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> fields;
  for (;;) {
    const std::size_t at = text.find('/');
    fields.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return fields;
    text.remove_prefix(at + 1);
  }
}

}  // namespace

std::string this_process() {
  const std::string boot = first_line("/proc/sys/kernel/random/boot_id");
  const std::string space = pid_namespace();
  const std::string start = start_time(::getpid());
  if (boot.empty() || space.empty() || start.empty()) return {};
  return boot + '/' + space + '/' + std::to_string(::getpid()) + '/' + start;
}

bool has_surely_ended(std::string_view process, ProcessesOf whose) {
  const std::vector<std::string_view> fields = split(process);
  if (fields.size() != 4) return false;
  const std::string boot = first_line("/proc/sys/kernel/random/boot_id");
  if (boot.empty()) return false;
  if (fields[0] != boot) return whose == ProcessesOf::kOneMachine;
  if (fields[1] != pid_namespace()) return false;
  long pid = 0;
  const auto parsed = std::from_chars(fields[2].data(), fields[2].data() + fields[2].size(), pid);
  if (parsed.ec != std::errc() || pid <= 0) return false;
  const std::string start = start_time(pid);
  if (!start.empty()) return start != fields[3];
  // Gone, or hidden from us (hidepid): a signal that is not sent tells which.
  return ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
}

}  // namespace twinchat
