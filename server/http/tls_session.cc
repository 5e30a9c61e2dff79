#include "http/tls_session.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>

namespace twinchat::server {
namespace {

constexpr unsigned char kHandshakeRecord = 22;
constexpr unsigned char kClientHello = 1;

// The largest ClientHello that is taken. Those of browsers have two thousand bytes and less;
// OpenSSL would make room for 128 KiB on the word of nine bytes.
constexpr std::size_t kHelloBytes = 16 * 1024;

// A client may ask for new keys now and then; each time costs the server more than the client.
constexpr std::uint32_t kMostMessages = 16;

}  // namespace

Greeting greeting_of(std::string_view bytes) {
  if (bytes.empty()) return Greeting::kUnclear;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (bytes[0] >= 'A' && bytes[0] <= 'Z') return Greeting::kPlainHttp;
  if (at(0) != kHandshakeRecord) return Greeting::kForeign;
  if (bytes.size() > 1 && at(1) != 3) return Greeting::kForeign;
  if (bytes.size() > 5 && at(5) != kClientHello) return Greeting::kForeign;
  if (bytes.size() < kGreetingBytes) return Greeting::kUnclear;
  const std::size_t size = std::size_t{at(6)} << 16 | std::size_t{at(7)} << 8 | at(8);
  return size <= kHelloBytes ? Greeting::kHello : Greeting::kForeign;
}

// The socket as OpenSSL sees it. OpenSSL's own would raise SIGPIPE, and ask again where a short
// read has told that nothing is left.
struct TlsSession::Bio {
  static const BIO_METHOD* method() {
    static const std::unique_ptr<BIO_METHOD, void (*)(BIO_METHOD*)> made(make(), BIO_meth_free);
    return made.get();
  }

 private:
  static BIO_METHOD* make() {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
    if (method == nullptr) throw std::bad_alloc();
    BIO_meth_set_read(method, read);
    BIO_meth_set_write(method, write);
    BIO_meth_set_ctrl(method, ctrl);
    return method;
  }

  static int read(BIO* bio, char* to, int size) noexcept {
    Socket& socket = *static_cast<Socket*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    while (socket.input) {
      const ssize_t count = ::recv(socket.fd, to, static_cast<std::size_t>(size), 0);
      if (count > 0) {
        // A short read has emptied the socket; new bytes are a new edge.
        socket.input = socket.ends || count == size;
        return static_cast<int>(count);
      }
      if (count == 0) return 0;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        socket.input = false;
      } else if (errno != EINTR) {
        return -1;
      }
    }
    BIO_set_retry_read(bio);
    return -1;
  }

  static int write(BIO* bio, const char* from, int size) noexcept {
    const Socket& socket = *static_cast<Socket*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    for (;;) {
      const ssize_t count = ::send(socket.fd, from, static_cast<std::size_t>(size), MSG_NOSIGNAL);
      if (count >= 0) return static_cast<int>(count);
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) BIO_set_retry_write(bio);
      return -1;
    }
  }

  static long ctrl(BIO*, int command, long, void*) noexcept {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }
};

void TlsSession::Free::operator()(ssl_st* ssl) const {
  SSL_free(ssl);
}

TlsSession::TlsSession(ssl_ctx_st* context, int fd) : socket_{fd}, ssl_(SSL_new(context)) {
  BIO* bio = ssl_ == nullptr ? nullptr : BIO_new(Bio::method());
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, &socket_);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
  SSL_set_msg_callback(ssl_.get(), on_message);
  SSL_set_msg_callback_arg(ssl_.get(), this);
}

TlsSession::~TlsSession() = default;

void TlsSession::input_came(bool ends) {
  socket_.input = true;
  socket_.ends = socket_.ends || ends;
}

void TlsSession::on_message(int write, int, int type, const void*, std::size_t, ssl_st*,
                            void* session) {
  TlsSession& self = *static_cast<TlsSession*>(session);
  if (self.open_ && write == 0 && type == kHandshakeRecord) ++self.messages_;
}

TlsSession::Status TlsSession::status_of(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Status::kWantInput;
    case SSL_ERROR_WANT_WRITE:
      return Status::kWantRoom;
    case SSL_ERROR_ZERO_RETURN:
      return Status::kEnded;
    default:
      return Status::kFailed;
  }
}

TlsSession::Status TlsSession::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) {
    const Status status = status_of(result);
    return status == Status::kEnded ? Status::kFailed : status;
  }
  open_ = true;
  return Status::kDone;
}

TlsSession::Progress TlsSession::read(char* to, std::size_t size) {
  for (;;) {
    ERR_clear_error();
    std::size_t count = 0;
    const int result = SSL_read_ex(ssl_.get(), to, size, &count);
    if (messages_ > kMostMessages) return {Status::kFailed};
    if (result == 1) return {Status::kDone, count};
    const Status status = status_of(result);
    // A record without data ends a read as an empty socket does.
    if (status == Status::kWantInput && socket_.input) continue;
    return {status};
  }
}

TlsSession::Progress TlsSession::write(std::string_view bytes) {
  ERR_clear_error();
  std::size_t count = 0;
  const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
  if (result == 1) return {Status::kDone, count};
  const Status status = status_of(result);
  return {status == Status::kWantRoom ? status : Status::kFailed};
}

TlsSession::Status TlsSession::shut_down() {
  ERR_clear_error();
  const int result = SSL_shutdown(ssl_.get());
  return result >= 0 ? Status::kDone : status_of(result);
}

bool TlsSession::holds_part() const {
  return SSL_has_pending(ssl_.get()) == 1;
}

}  // namespace twinchat::server
