// TLS on one socket. Internal: connections use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

struct ssl_st;
struct ssl_ctx_st;

namespace twinchat::server {

// What the first bytes of a connection are the beginning of.
enum class Greeting {
  kUnclear,    // too few to say
  kHello,      // a ClientHello of a size that occurs
  kPlainHttp,  // a request without TLS
  kForeign,
};

// Looks at the bytes with which a client begins, at most kGreetingBytes of them: a connection gets
// no memory for TLS before it has shown that it speaks it.
inline constexpr std::size_t kGreetingBytes = 9;
Greeting greeting_of(std::string_view bytes);

// The server's side of TLS on a non-blocking socket that somebody else owns and watches, edge
// triggered. Between requests it holds no buffers.
//
// Thread safety: none; a connection's mutex guards it.
class TlsSession {
 public:
  enum class Status {
    kDone,
    kWantInput,  // go on when more has come
    kWantRoom,   // go on when the socket takes more
    kEnded,      // the client has sent its last byte, with or without saying so
    kFailed,     // the connection is of no use any more
  };
  struct Progress {
    Status status = Status::kDone;
    std::size_t bytes = 0;  // more than 0 with kDone alone
  };

  // Bytes that OpenSSL holds for a record of which a part is missing, or not taken.
  static constexpr std::size_t kRecordBytes = 17 * 1024;

  TlsSession(ssl_ctx_st* context, int fd);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // To be called when the socket may hold bytes; `ends` when the client's end was announced too,
  // of which no edge would tell.
  void input_came(bool ends);

  Status handshake();
  Progress read(char* to, std::size_t size);
  // Takes the beginning of `bytes`. After kWantRoom the next call has to begin with the same bytes,
  // and at least as many: the record they are in is under way.
  Progress write(std::string_view bytes);
  // Says that nothing more will come.
  Status shut_down();

  // Whether read() may find something without more coming.
  bool input_waits() const { return socket_.input || holds_part(); }

  // Whether part of a record has come, or more of one than was read.
  bool holds_part() const;

 private:
  struct Socket {
    int fd;
    bool input = true;  // the socket may hold bytes
    bool ends = false;
  };
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  struct Bio;

  Status status_of(int result);
  static void on_message(int write, int version, int type, const void* bytes, std::size_t size,
                         ssl_st* ssl, void* session);

  Socket socket_;
  std::uint32_t messages_ = 0;  // of the handshake protocol, that came after the handshake
  bool open_ = false;           // the handshake is done
  std::unique_ptr<ssl_st, Free> ssl_;
};

}  // namespace twinchat::server
