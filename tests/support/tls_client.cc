#include "tls_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <stdexcept>

namespace twinchat::testing {
namespace {

[[noreturn]] void fail(const char* what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  throw std::runtime_error(std::string(what) + ": " + (reason ? reason : "unknown"));
}

}  // namespace

struct TlsClient::State {
  explicit State(const TlsClientOptions& options)
      : context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
    if (options.weak) {
      SSL_CTX_set_security_level(context.get(), 0);
      SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
      SSL_CTX_set_cipher_list(context.get(), "ALL:@SECLEVEL=0");
    }
    SSL_CTX_set_max_proto_version(context.get(), options.newest_version);
    // OpenSSL takes the list as unsigned bytes; 0 is success here.
    SSL_CTX_set_alpn_protos(context.get(),
                            reinterpret_cast<const unsigned char*>(options.protocols.data()),
                            static_cast<unsigned>(options.protocols.size()));
    open();
  }
  State(std::shared_ptr<SSL_CTX> the_context, SSL_SESSION* session)
      : context(std::move(the_context)) {
    open();
    SSL_set_session(ssl.get(), session);
  }

  void open() {
    ssl.reset(SSL_new(context.get()));
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(ssl.get()), -1);
    SSL_set_connect_state(ssl.get());
  }

  std::shared_ptr<SSL_CTX> context;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl{nullptr, SSL_free};
};

TlsClient::TlsClient(const TlsClientOptions& options) : state_(std::make_unique<State>(options)) {}

TlsClient::TlsClient(std::unique_ptr<State> state) : state_(std::move(state)) {}

TlsClient::~TlsClient() = default;

bool TlsClient::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(state_->ssl.get());
  if (result == 1) return true;
  if (SSL_get_error(state_->ssl.get(), result) != SSL_ERROR_WANT_READ) fail("TLS handshake");
  return false;
}

void TlsClient::take(std::string_view bytes) {
  BIO_write(SSL_get_rbio(state_->ssl.get()), bytes.data(), static_cast<int>(bytes.size()));
}

std::string TlsClient::give() {
  std::string bytes;
  std::array<char, 16384> piece;
  for (;;) {
    const int count = BIO_read(SSL_get_wbio(state_->ssl.get()), piece.data(), piece.size());
    if (count <= 0) return bytes;
    bytes.append(piece.data(), static_cast<std::size_t>(count));
  }
}

void TlsClient::write(std::string_view text) {
  if (text.empty()) return;
  ERR_clear_error();
  std::size_t count = 0;
  if (SSL_write_ex(state_->ssl.get(), text.data(), text.size(), &count) != 1) fail("TLS write");
}

std::string TlsClient::read() {
  ERR_clear_error();
  std::string text(16384, '\0');
  std::size_t count = 0;
  const int result = SSL_read_ex(state_->ssl.get(), text.data(), text.size(), &count);
  if (result != 1) {
    const int error = SSL_get_error(state_->ssl.get(), result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_ZERO_RETURN) fail("TLS read");
  }
  text.resize(count);
  return text;
}

bool TlsClient::ended() const {
  return (SSL_get_shutdown(state_->ssl.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
}

void TlsClient::end() {
  SSL_shutdown(state_->ssl.get());
}

void TlsClient::renew() {
  ERR_clear_error();
  SSL* ssl = state_->ssl.get();
  const bool begun = SSL_version(ssl) >= TLS1_3_VERSION
                         ? SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1
                         : SSL_renegotiate(ssl) == 1;
  if (!begun) fail("TLS renewal");
  SSL_do_handshake(ssl);
}

std::string TlsClient::version() const {
  return SSL_get_version(state_->ssl.get());
}

std::string TlsClient::cipher() const {
  return SSL_get_cipher_name(state_->ssl.get());
}

std::string TlsClient::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(state_->ssl.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string TlsClient::peer() const {
  std::array<char, 256> name{};
  if (X509* certificate = SSL_get0_peer_certificate(state_->ssl.get())) {
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                              name.size());
  }
  return name.data();
}

bool TlsClient::resumed() const {
  return SSL_session_reused(state_->ssl.get()) == 1;
}

std::unique_ptr<TlsClient> TlsClient::successor() const {
  const std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session(
      SSL_get1_session(state_->ssl.get()), SSL_SESSION_free);
  return std::unique_ptr<TlsClient>(
      new TlsClient(std::make_unique<State>(state_->context, session.get())));
}

}  // namespace twinchat::testing
