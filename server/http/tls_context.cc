#include "http/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <ctime>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "http/tls_session.h"

namespace twinchat::server {
namespace {

constexpr char kCiphersOfTls12[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr char kCiphersOfTls13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr char kGroups[] = "X25519:P-256:P-384";
constexpr unsigned char kProtocol[] = "\x08http/1.1";

// What OpenSSL says of its last failure: words of its own, never bytes of a file.
std::string openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason == nullptr ? "unknown error" : reason;
}

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, kProtocol, sizeof kProtocol - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

// A key that wants a passphrase must not make the server ask for one on a terminal.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

void require(bool done, std::string_view what) {
  if (!done) throw std::runtime_error(std::string(what) + ": " + openssl_reason());
}

}  // namespace

TlsContext::TlsContext(std::string certificate_file, std::string key_file)
    : certificate_file_(std::move(certificate_file)),
      key_file_(std::move(key_file)),
      current_(load(certificate_file_, key_file_)) {}

TlsContext::~TlsContext() = default;

TlsContext::Handle TlsContext::load(const std::string& certificate_file,
                                    const std::string& key_file) {
  ERR_clear_error();
  const Handle handle(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (handle == nullptr) throw std::bad_alloc();
  SSL_CTX* context = handle.get();
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  require(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
              SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
              SSL_CTX_set_cipher_list(context, kCiphersOfTls12) == 1 &&
              SSL_CTX_set_ciphersuites(context, kCiphersOfTls13) == 1 &&
              SSL_CTX_set1_groups_list(context, kGroups) == 1,
          "TLS cannot be set up");
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // Or one read would go on for as long as a client sends records without data.
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);

  require(SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) == 1,
          "the key in " + key_file + " is not usable");
  require(SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) == 1,
          "the certificate in " + certificate_file + " is not usable");
  // A key of another certificate was dropped without a word.
  if (SSL_CTX_check_private_key(context) != 1) {
    ERR_clear_error();
    throw std::runtime_error("the key in " + key_file + " is not that of the certificate in " +
                             certificate_file);
  }
  return handle;
}

void TlsContext::reload() {
  Handle next = load(certificate_file_, key_file_);
  const std::lock_guard lock(mutex_);
  current_.swap(next);
}

std::chrono::system_clock::time_point TlsContext::expires() const {
  const std::lock_guard lock(mutex_);
  std::tm time{};
  ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(current_.get())), &time);
  return std::chrono::system_clock::from_time_t(timegm(&time));
}

std::unique_ptr<TlsSession> TlsContext::new_session(int fd) const {
  const std::lock_guard lock(mutex_);
  return std::make_unique<TlsSession>(current_.get(), fd);  // which shares the context
}

}  // namespace twinchat::server
