#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace twinchat::server {

// systemd, or whoever else started the server and wants to hear how it is: sd_notify(3) without its
// library, which is a datagram to the socket that NOTIFY_SOCKET names.
//
// Thread safety: immutable after construction; every function may be called from any thread.
class ServiceManager {
 public:
  // One that nobody listens to.
  ServiceManager() = default;

  // What the environment says: NOTIFY_SOCKET (a path, or @ and an abstract name), WATCHDOG_USEC and
  // WATCHDOG_PID, which may name another process. `variable` gives the value of a variable, or
  // null. A socket that cannot be had is as none.
  explicit ServiceManager(const std::function<const char*(const char* name)>& variable);
  ~ServiceManager();
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  bool listens() const { return fd_ >= 0; }

  // How long the server may be silent before it is taken for dead; nullopt: for ever.
  std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

  // "READY=1"; several assignments stand on lines of their own. Does not block and does not fail:
  // what the socket does not take is lost.
  void notify(std::string_view state) const noexcept;

  // RELOADING=1 with the time, as systemd asks for it; READY=1 ends it.
  void notify_reloading() const noexcept;

 private:
  int fd_ = -1;
  std::optional<std::chrono::microseconds> watchdog_ = {};
};

}  // namespace twinchat::server
