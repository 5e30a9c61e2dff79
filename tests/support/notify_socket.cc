#include "notify_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <stdexcept>

namespace twinchat::testing {

NotifySocket::NotifySocket(const std::string& name)
    : name_(name), fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() >= sizeof address.sun_path) throw std::runtime_error("too long a name");
  std::memcpy(address.sun_path, name.data(), name.size());
  const bool abstract = name.starts_with('@');
  if (abstract) address.sun_path[0] = '\0';
  const std::size_t size = offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0 : 1);
  if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(size)) != 0) {
    ::close(fd_);
    throw std::runtime_error("cannot bind " + name);
  }
  thread_ = std::thread([this] { receive(); });
}

NotifySocket::~NotifySocket() {
  shutdown(fd_, SHUT_RD);
  thread_.join();
  ::close(fd_);
  if (!name_.starts_with('@')) unlink(name_.c_str());
}

void NotifySocket::receive() {
  std::array<char, 4096> bytes;
  for (;;) {
    const ssize_t size = recv(fd_, bytes.data(), bytes.size(), 0);
    if (size <= 0) return;
    const std::lock_guard lock(mutex_);
    received_.emplace_back(bytes.data(), static_cast<std::size_t>(size));
  }
}

std::vector<std::string> NotifySocket::received() const {
  const std::lock_guard lock(mutex_);
  return received_;
}

int NotifySocket::count(std::string_view line) const {
  int found = 0;
  for (const std::string& datagram : received()) {
    const std::string framed = "\n" + datagram + "\n";
    const std::string wanted =
        "\n" + (line.ends_with('*') ? std::string(line.substr(0, line.size() - 1))
                                    : std::string(line) + "\n");
    if (framed.find(wanted) != std::string::npos) ++found;
  }
  return found;
}

}  // namespace twinchat::testing
