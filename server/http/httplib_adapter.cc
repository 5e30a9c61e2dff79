#include "http/httplib_adapter.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace twinchat::server {
namespace {

// The head of one request to read from, and nowhere to write to.
//
// The pure virtual functions of httplib::Stream were renamed and added to between 0.11 and 0.53.
// All names are declared, none with `override`: whichever the header at hand asks for is there.
class MemoryStream : public httplib::Stream {
 public:
  MemoryStream(std::string_view head, const std::string& client_address)
      : head_(head), client_address_(client_address) {}

  bool is_readable() const { return true; }
  bool wait_readable() const { return true; }
  bool is_writable() const { return true; }
  bool wait_writable() const { return true; }
  bool is_peer_alive() const { return true; }
  time_t duration() const { return 0; }
  void set_read_timeout(time_t, time_t) {}

  ssize_t read(char* to, size_t size) {
    size = std::min(size, head_.size());
    std::memcpy(to, head_.data(), size);
    head_.remove_prefix(size);
    return static_cast<ssize_t>(size);
  }
  ssize_t write(const char*, size_t size) { return static_cast<ssize_t>(size); }

  void get_remote_ip_and_port(std::string& ip, int& port) const {
    ip = client_address_;
    port = 0;
  }
  void get_local_ip_and_port(std::string& ip, int& port) const {
    ip.clear();
    port = 0;
  }
  socket_t socket() const { return INVALID_SOCKET; }

 private:
  std::string_view head_;
  const std::string& client_address_;
};

bool is_forwarded_for(std::string_view name) {
  constexpr std::string_view kName = "x-forwarded-for";
  return std::equal(name.begin(), name.end(), kName.begin(), kName.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

// The call this thread is in; the pre-routing handler is one for all threads.
struct Call {
  const HttplibAdapter::Dispatch* dispatch;
  bool dispatched = false;
};
thread_local Call* current_call = nullptr;

}  // namespace

HttplibAdapter::HttplibAdapter() {
  set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
    current_call->dispatched = true;
    (*current_call->dispatch)(request, response);
    return httplib::Server::HandlerResponse::Handled;
  });
}

bool HttplibAdapter::process(const FramedRequest& framed, const std::string& client_address,
                             const Dispatch& dispatch) {
  // Always GET and 1.1, whatever the client sent: no version then looks for a body or refuses a
  // method; the true ones are put in below.
  std::string head;
  head.reserve(framed.target.size() + 32);
  head.append("GET ").append(framed.target).append(" HTTP/1.1\r\nHost: -\r\n\r\n");

  auto fill = [&framed](httplib::Request& request) {
    request.method = framed.method;
    request.version = framed.http_1_0 ? "HTTP/1.0" : "HTTP/1.1";
    request.headers.clear();
    for (const FramedRequest::Field& field : framed.fields) {
      // A list that a proxy continued in a field of its own: newer httplib::Headers do not keep the
      // order of equal names, which tells whom to believe.
      const auto first = is_forwarded_for(field.name) ? request.headers.find("X-Forwarded-For")
                                                      : request.headers.end();
      if (first != request.headers.end()) {
        first->second.append(", ").append(field.value);
        continue;
      }
      request.headers.emplace(std::string(field.name), std::string(field.value));
    }
  };

  Call call{&dispatch};
  current_call = &call;
  MemoryStream stream(head, client_address);
  bool closed = false;
  // 0.11: (stream, close, closed, setup); since 0.18: also addresses; since 0.33: also `upgraded`.
  auto run = [&](auto& self) {
    const std::string none;
    bool upgraded = false;
    if constexpr (requires { self.process_request(stream, false, closed, fill); }) {
      self.process_request(stream, false, closed, fill);
    } else if constexpr (requires {
                           self.process_request(stream, client_address, 0, none, 0, false, closed,
                                                fill);
                         }) {
      self.process_request(stream, client_address, 0, none, 0, false, closed, fill);
    } else {
      self.process_request(stream, client_address, 0, none, 0, false, closed, fill, &upgraded);
    }
  };
  run(*this);
  current_call = nullptr;
  return call.dispatched;
}

}  // namespace twinchat::server
