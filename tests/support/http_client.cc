#include "http_client.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "answer_record.h"

namespace twinchat::testing {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::size_t parse_size(std::string_view text, int base) {
  std::size_t size = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), size, base);
  if (error != std::errc() || rest == text.data()) {
    throw HttpError("not a length: " + std::string(text));
  }
  return size;
}

bool given(const HttpHeaders& headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(),
                     [&](const auto& header) { return lower(header.first) == name; });
}

bool wait_for(int socket, short event, std::chrono::milliseconds limit) {
  pollfd polled{socket, event, 0};
  return poll(&polled, 1, static_cast<int>(limit.count())) > 0;
}

}  // namespace

std::optional<std::string> HttpResponse::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return std::nullopt;
}

HttpClient::HttpClient(std::string_view base_url, std::chrono::milliseconds limit) : limit_(limit) {
  constexpr std::string_view kPlain = "http://";
  constexpr std::string_view kSecure = "https://";
  secure_ = base_url.starts_with(kSecure);
  if (!secure_ && !base_url.starts_with(kPlain)) {
    throw std::invalid_argument("not a URL: " + std::string(base_url));
  }
  if (secure_) port_ = 443;
  base_url.remove_prefix(secure_ ? kSecure.size() : kPlain.size());
  base_url = base_url.substr(0, base_url.find('/'));
  const std::size_t colon = base_url.rfind(':');
  if (colon != std::string_view::npos) {
    port_ = static_cast<std::uint16_t>(parse_size(base_url.substr(colon + 1), 10));
  }
  host_ = base_url.substr(0, colon);
}

HttpClient::~HttpClient() {
  close();
}

void HttpClient::connect() {
  close();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host_.c_str(), std::to_string(port_).c_str(), &hints, &found) != 0) {
    throw HttpError("unknown host " + host_);
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    socket_ = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);
    if (socket_ < 0) continue;
    if (::connect(socket_, address->ai_addr, address->ai_addrlen) == 0) break;
    ::close(socket_);
    socket_ = -1;
  }
  if (socket_ < 0) throw HttpError("cannot connect to port " + std::to_string(port_));
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ++connections_made_;
  if (secure_) shake_hands();
}

void HttpClient::shake_hands() {
  tls_ = std::make_unique<TlsClient>(tls_options_);
  try {
    bool done = tls_->handshake();
    send_below(tls_->give());
    while (!done) {
      std::string bytes;
      if (!receive(bytes)) throw HttpError("the connection ended inside the TLS handshake");
      tls_->take(bytes);
      done = tls_->handshake();
      send_below(tls_->give());
    }
  } catch (const HttpError&) {
    close();
    throw;
  } catch (const std::runtime_error& error) {
    close();
    throw HttpError(error.what());
  }
}

void HttpClient::close() {
  if (socket_ >= 0) ::close(socket_);
  tls_.reset();
  socket_ = -1;
  buffer_.clear();
}

void HttpClient::reset() {
  if (socket_ >= 0) {
    const linger at_once{1, 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  close();
}

void HttpClient::shutdown_write() {
  if (socket_ < 0) return;
  if (tls_) {
    tls_->end();
    send_below(tls_->give());
  }
  shutdown(socket_, SHUT_WR);
}

void HttpClient::send_raw(std::string_view bytes) {
  if (!connected()) connect();
  note_request(bytes);
  if (!tls_) return send_below(bytes);
  tls_->write(bytes);
  send_below(tls_->give());
}

void HttpClient::send_below(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!wait_for(socket_, POLLOUT, limit_)) throw HttpError("the peer takes no more bytes");
    const ssize_t count = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno != EINTR && errno != EAGAIN) {
      throw HttpError(std::string("send: ") + std::strerror(errno));
    }
  }
}

// For the record: what is asked by the first bytes after an answer. Where that is not clear it
// stays unknown, as it does for the second of several requests.
void HttpClient::note_request(std::string_view bytes) {
  asked_ = {};
  const std::string_view line = bytes.substr(0, bytes.find("\r\n"));
  const std::size_t first = line.find(' ');
  const std::size_t second = line.find(' ', first + 1);
  if (second == std::string_view::npos || line.substr(second) != " HTTP/1.1") return;
  asked_.method = line.substr(0, first);
  asked_.target = line.substr(first + 1, second - first - 1);
}

// False at the end of the connection.
bool HttpClient::fill() {
  if (!tls_) return receive(buffer_);
  try {
    for (;;) {
      const std::string text = tls_->read();
      buffer_ += text;
      if (!text.empty()) return true;
      if (tls_->ended()) return false;
      send_below(tls_->give());
      std::string bytes;
      if (!receive(bytes)) throw HttpError("the connection ended without an end of TLS");
      tls_->take(bytes);
    }
  } catch (const HttpError&) {
    throw;
  } catch (const std::runtime_error& error) {
    throw HttpError(error.what());
  }
}

// The bytes that come next, as they are; false at the end of the connection.
bool HttpClient::receive(std::string& into) {
  if (!connected()) throw HttpError("not connected");
  std::array<char, 65536> bytes;
  for (;;) {
    if (!wait_for(socket_, POLLIN, limit_)) throw HttpError("nothing came within the limit");
    const ssize_t count = recv(socket_, bytes.data(), bytes.size(), 0);
    if (count > 0) {
      into.append(bytes.data(), static_cast<std::size_t>(count));
      return true;
    }
    if (count == 0) return false;
    if (errno != EINTR) throw HttpError(std::string("receive: ") + std::strerror(errno));
  }
}

std::string HttpClient::receive_raw() {
  if (buffer_.empty() && !fill()) return "";
  return std::exchange(buffer_, {});
}

bool HttpClient::closed_by_peer(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  std::array<char, 4096> bytes;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() < 0 || !wait_for(socket_, POLLIN, left)) return false;
    const ssize_t count = recv(socket_, bytes.data(), bytes.size(), 0);
    if (count == 0 || (count < 0 && errno != EINTR)) return true;
  }
}

std::string HttpClient::take_line() {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!fill()) throw HttpError("the connection ended inside a line");
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

HttpResponse HttpClient::read_response(bool head_request,
                                       const std::function<bool(std::string_view)>& on_body) {
  const RecordedRequest asked = std::exchange(asked_, {});
  if (!records_answers()) return read_answer(head_request, on_body);
  std::string body;
  bool whole = true;
  HttpResponse response = read_answer(head_request, [&](std::string_view piece) {
    body += piece;
    return whole = on_body(piece);
  });
  record_answer(asked, response, body, whole);
  return response;
}

HttpResponse HttpClient::read_answer(bool head_request,
                                     const std::function<bool(std::string_view)>& on_body) {
  HttpResponse response;
  bool keep = true;
  do {
    response = {};
    const std::string status_line = take_line();
    if (!status_line.starts_with("HTTP/1.") || status_line.size() < 12) {
      throw HttpError("not a status line");
    }
    keep = status_line.starts_with("HTTP/1.1");
    response.status = static_cast<int>(parse_size(status_line.substr(9, 3), 10));
    for (std::string line = take_line(); !line.empty(); line = take_line()) {
      const std::size_t colon = line.find(':');
      if (colon == std::string::npos) throw HttpError("not a header line");
      response.headers.emplace_back(lower(line.substr(0, colon)),
                                    trim(std::string_view(line).substr(colon + 1)));
    }
  } while (response.status >= 100 && response.status < 200);
  if (lower(response.header("connection").value_or("")) == "close") keep = false;

  bool wanted = true;
  const auto pass_on = [&](std::size_t size) {
    wanted = on_body(std::string_view(buffer_).substr(0, size));
    buffer_.erase(0, size);
  };
  const auto length = response.header("content-length");
  if (head_request || response.status == 204 || response.status == 304) {
    // no body
  } else if (lower(response.header("transfer-encoding").value_or("")) == "chunked") {
    for (;;) {
      std::size_t left = parse_size(take_line(), 16);
      if (left == 0) {
        while (!take_line().empty()) {
        }
        break;
      }
      while (left > 0 && wanted) {
        if (buffer_.empty() && !fill()) throw HttpError("the connection ended inside a chunk");
        const std::size_t size = std::min(left, buffer_.size());
        pass_on(size);
        left -= size;
      }
      if (!wanted) break;
      if (!take_line().empty()) throw HttpError("a chunk is longer than it says");
    }
  } else if (length) {
    std::size_t left = parse_size(*length, 10);
    while (left > 0 && wanted) {
      if (buffer_.empty() && !fill()) throw HttpError("the connection ended inside the body");
      const std::size_t size = std::min(left, buffer_.size());
      pass_on(size);
      left -= size;
    }
  } else {
    keep = false;
    do {
      if (!buffer_.empty()) pass_on(buffer_.size());
    } while (wanted && fill());
  }
  if (!keep || !wanted) close();
  return response;
}

HttpResponse HttpClient::stream(std::string_view method, std::string_view target,
                                HttpHeaders headers, std::string_view body,
                                const std::function<bool(std::string_view)>& on_body) {
  if (!given(headers, "host")) headers.emplace_back("Host", host_ + ":" + std::to_string(port_));
  const bool takes_body = method == "POST" || method == "PUT" || method == "PATCH";
  if ((takes_body || !body.empty()) && !given(headers, "content-length") &&
      !given(headers, "transfer-encoding")) {
    headers.emplace_back("Content-Length", std::to_string(body.size()));
  }
  std::string head = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\n";
  for (const auto& [name, value] : headers) head += name + ": " + value + "\r\n";
  send_raw(head + "\r\n" + std::string(body));
  asked_ = {std::string(method), std::string(target), std::string(body)};
  try {
    return read_response(method == "HEAD", on_body);
  } catch (const HttpError&) {
    close();  // what is left of the answer must not become the next one's beginning
    throw;
  }
}

HttpResponse HttpClient::request(std::string_view method, std::string_view target,
                                 HttpHeaders headers, std::string_view body) {
  std::string received;
  HttpResponse response =
      stream(method, target, std::move(headers), body, [&](std::string_view piece) {
        received += piece;
        return true;
      });
  response.body = std::move(received);
  return response;
}

HttpResponse HttpClient::post_json(std::string_view target, std::string_view json,
                                   HttpHeaders headers) {
  headers.emplace_back("Content-Type", "application/json");
  return request("POST", target, std::move(headers), json);
}

HttpResponse HttpClient::receive_response(bool head_request) {
  std::string received;
  HttpResponse response = read_response(head_request, [&](std::string_view piece) {
    received += piece;
    return true;
  });
  response.body = std::move(received);
  return response;
}

}  // namespace twinchat::testing
