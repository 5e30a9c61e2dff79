#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace twinchat::testing {

struct TlsClientOptions {
  // The newest version that is offered: 0x0303 for TLS 1.2, 0x0304 for 1.3; 0: OpenSSL's newest.
  int newest_version = 0;
  // Also offers what is out of date, 1.0 and 1.1 and the ciphers for them.
  bool weak = false;
  // Protocols for ALPN, each behind a byte with its length; empty: none are offered.
  std::string protocols = "\x08http/1.1";
};

// The client's side of TLS without a socket: what the peer sent goes in as bytes, what is to be
// sent comes out. Certificates are taken as they are. Failures are a std::runtime_error with
// OpenSSL's reason.
//
// Thread safety: none.
class TlsClient {
 public:
  explicit TlsClient(const TlsClientOptions& options = {});
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  // True when the handshake is done; otherwise it goes on when more has come.
  bool handshake();
  // Bytes from the peer.
  void take(std::string_view bytes);
  // Bytes for the peer, since the last call.
  std::string give();

  void write(std::string_view text);
  // What can be read; empty: nothing without more from the peer.
  std::string read();
  // The peer has said that nothing more will come.
  bool ended() const;
  // Says so to the peer.
  void end();
  // Asks for new keys (TLS 1.3), or for a new handshake (1.2).
  void renew();

  // "TLSv1.3"
  std::string version() const;
  std::string cipher() const;
  // What ALPN chose.
  std::string protocol() const;
  // The common name in the peer's certificate.
  std::string peer() const;
  // The handshake was short: the session is an earlier one.
  bool resumed() const;

  // The next client made with it begins with this one's session.
  std::unique_ptr<TlsClient> successor() const;

 private:
  struct State;
  explicit TlsClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace twinchat::testing
