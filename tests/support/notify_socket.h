#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace twinchat::testing {

// A datagram socket in the place of systemd's: what is sent to it is kept.
//
// Thread safety: the const functions may be called from any thread.
class NotifySocket {
 public:
  // `name` as NOTIFY_SOCKET has it: a path that is not there yet, or @ and an abstract name. Throws
  // std::runtime_error.
  explicit NotifySocket(const std::string& name);
  ~NotifySocket();
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  const std::string& name() const { return name_; }
  // All datagrams so far, in their order.
  std::vector<std::string> received() const;
  // How many of them have that line, or, with a * at its end, one that begins so.
  int count(std::string_view line) const;

 private:
  void receive();

  const std::string name_;
  int fd_ = -1;
  mutable std::mutex mutex_;
  std::vector<std::string> received_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace twinchat::testing
