// The certificate that the HTTP server shows, and how it speaks TLS. OpenSSL stands behind this and
// tls_session.h.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

struct ssl_ctx_st;

namespace twinchat::server {

class TlsSession;

// TLS 1.2 and 1.3 with forward secrecy and authenticated ciphers alone; no renegotiation, no
// compression, no early data (a request in it could be played again). ALPN chooses http/1.1 and
// refuses clients that offer other protocols only. Sessions are resumed by tickets, for which the
// server remembers nothing; reload() also makes new keys for them, so that what was recorded before
// stays closed to whoever gets at the process later.
//
// Thread safety: every function may be called from any thread.
class TlsContext {
 public:
  // Reads a PEM file with the certificate, followed by those of its issuers up to the root, and one
  // with its private key (both may be the same file). std::runtime_error when one cannot be read,
  // the two do not belong together, the key asks for a passphrase, or OpenSSL finds them too weak;
  // the message names the file, and nothing of the key.
  TlsContext(std::string certificate_file, std::string key_file);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Reads the same two files again. Connections that come from here on get the new certificate,
  // those that are open go on with the old one. Throws as the constructor does, and then leaves
  // everything as it is. Blocks for the files.
  void reload();

  // Until when the certificate is valid.
  std::chrono::system_clock::time_point expires() const;

  // The server's side of a connection whose client is about to speak. std::bad_alloc without
  // memory.
  std::unique_ptr<TlsSession> new_session(int fd) const;

 private:
  using Handle = std::shared_ptr<ssl_ctx_st>;

  static Handle load(const std::string& certificate_file, const std::string& key_file);

  const std::string certificate_file_;
  const std::string key_file_;
  mutable std::mutex mutex_;
  Handle current_;  // guarded by mutex_
};

}  // namespace twinchat::server
