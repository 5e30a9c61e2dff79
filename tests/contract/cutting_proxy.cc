#include "cutting_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

namespace twinchat::testing {
namespace {

// As it stands in a Parse message, and in the server's CommandComplete.
constexpr std::string_view kCommit("COMMIT\0", 7);

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

CuttingProxy::CuttingProxy(std::uint16_t server_port) : server_port_(server_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (listener_ < 0 || bind(listener_, generic, size) != 0 || listen(listener_, 64) != 0 ||
      getsockname(listener_, generic, &size) != 0) {
    throw std::system_error(errno, std::generic_category(), "proxy");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { accept_all(); });
}

CuttingProxy::~CuttingProxy() {
  stopping_ = true;
  thread_.join();
  for (std::thread& connection : connections_) connection.join();
  close(listener_);
}

void CuttingProxy::set(Mode mode, Mode then) {
  then_ = then;
  mode_ = mode;
}

bool CuttingProxy::takes(Mode mode) {
  Mode expected = mode;
  if (!mode_.compare_exchange_strong(expected, then_)) return false;
  ++cuts_;
  return true;
}

void CuttingProxy::accept_all() {
  while (!stopping_) {
    pollfd polled{listener_, POLLIN, 0};
    if (poll(&polled, 1, 50) <= 0) continue;
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    if (mode_ == Mode::kRefuse) {
      close(client);
      continue;
    }
    const std::lock_guard lock(mutex_);
    connections_.emplace_back([this, client] { serve(client); });
  }
}

void CuttingProxy::serve(int client) {
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(server_port_);
  bool open = connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  std::array<char, 65536> buffer;
  bool swallow = false;  // the answer to a COMMIT
  while (open && !stopping_ && mode_ != Mode::kRefuse) {
    std::array<pollfd, 2> polled{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
    if (poll(polled.data(), polled.size(), 50) <= 0) continue;
    for (const pollfd& from : polled) {
      if (from.revents == 0 || !open) continue;
      const ssize_t count = recv(from.fd, buffer.data(), buffer.size(), 0);
      if (count <= 0) {
        open = false;
        break;
      }
      const std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
      const bool commit = bytes.find(kCommit) != bytes.npos;
      if (from.fd == client) {
        if (commit && takes(Mode::kCutBefore)) {
          open = false;
          break;
        }
        swallow = swallow || (commit && takes(Mode::kCutAfter));
        open = send_all(server, bytes) && !(commit && takes(Mode::kCutSilent));
      } else if (swallow && commit) {
        open = false;
      } else {
        open = send_all(client, bytes);
      }
    }
  }
  close(client);
  close(server);
}

}  // namespace twinchat::testing
