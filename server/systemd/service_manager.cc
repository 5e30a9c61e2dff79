#include "systemd/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstring>
#include <ctime>

namespace twinchat::server {
namespace {

// A datagram socket connected to `name`; -1 when there is none.
int connect_to(std::string_view name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() < 2 || name.size() >= sizeof address.sun_path) return -1;
  if (name[0] != '/' && name[0] != '@') return -1;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  // An abstract name ends where the length says, a path with a zero.
  const std::size_t size = offsetof(sockaddr_un, sun_path) + name.size() + (name[0] == '/' ? 1 : 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(size)) !=
      0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

std::optional<std::int64_t> number(const char* text) {
  if (text == nullptr) return std::nullopt;
  std::int64_t value = 0;
  const char* end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, value);
  return error == std::errc{} && rest == end ? std::optional(value) : std::nullopt;
}

}  // namespace

ServiceManager::ServiceManager(const std::function<const char*(const char* name)>& variable) {
  if (const char* name = variable("NOTIFY_SOCKET")) fd_ = connect_to(name);
  const auto process = number(variable("WATCHDOG_PID"));
  const auto silence = number(variable("WATCHDOG_USEC"));
  if (fd_ >= 0 && silence && *silence > 0 && (!process || *process == ::getpid())) {
    watchdog_ = std::chrono::microseconds(*silence);
  }
}

ServiceManager::~ServiceManager() {
  if (fd_ >= 0) ::close(fd_);
}

void ServiceManager::notify(std::string_view state) const noexcept {
  if (fd_ >= 0) ::send(fd_, state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void ServiceManager::notify_reloading() const noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  char text[64];
  const auto end = fmt::format_to_n(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC={}",
                                    std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000);
  notify({text, end.size});
}

}  // namespace twinchat::server
