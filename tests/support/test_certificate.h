#pragma once

#include <string>

#include "temp_dir.h"

namespace twinchat::testing {

// A certificate that signed itself, and its key (P-256), as PEM files in a folder of their own.
//
// Thread safety: the const functions may be called from any thread.
class TestCertificate {
 public:
  // For localhost and 127.0.0.1, with that common name. Throws std::runtime_error.
  explicit TestCertificate(const std::string& name = "localhost");

  std::string certificate_file() const { return (folder_ / "certificate.pem").string(); }
  std::string key_file() const { return (folder_ / "key.pem").string(); }

  // Puts a new certificate with that name, and a new key, in the place of the files.
  void renew(const std::string& name) const;

 private:
  TempDir folder_;
};

}  // namespace twinchat::testing
