#include "test_certificate.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>

namespace twinchat::testing {
namespace {

// Written beside and moved there, as whoever renews certificates does.
void write(const std::string& path, const std::function<int(FILE*)>& write_pem) {
  const std::string beside = path + ".new";
  FILE* file = std::fopen(beside.c_str(), "w");
  const bool written = file && write_pem(file) == 1;
  if (file) std::fclose(file);
  if (!written) throw std::runtime_error("cannot write " + beside);
  std::filesystem::rename(beside, path);
}

}  // namespace

TestCertificate::TestCertificate(const std::string& name) {
  renew(name);
}

void TestCertificate::renew(const std::string& name) const {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), X509_free);
  if (!key || !made) throw std::runtime_error("no certificate could be made");
  X509* certificate = made.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 7 * 86400);
  X509_set_pubkey(certificate, key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> names(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1"),
      X509_EXTENSION_free);
  X509_add_ext(certificate, names.get(), -1);
  X509_sign(certificate, key.get(), EVP_sha256());
  write(key_file(), [&](FILE* file) {
    return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  write(certificate_file(), [&](FILE* file) { return PEM_write_X509(file, certificate); });
}

}  // namespace twinchat::testing
