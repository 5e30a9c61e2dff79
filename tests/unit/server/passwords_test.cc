#include "admin/passwords.h"

#include <string>
#include <vector>

#include "admin/common_passwords.h"
#include "catch.h"

namespace twinchat::server {
namespace {

using Strings = std::vector<std::string>;

constexpr int kFew = 1'000;  // rounds, for tests

TEST_CASE("A hash is of Django's form and checks its password alone") {
  const std::string hash = hash_password("correct horse", kFew);
  CHECK(hash.starts_with("pbkdf2_sha256$1000$"));
  CHECK(hash.size() < 128);
  CHECK(hash_password("correct horse", kFew) != hash);
  CHECK(check_password("correct horse", hash, kFew).correct);
  CHECK_FALSE(check_password("correct horse", hash, kFew).outdated);
  CHECK_FALSE(check_password("correct horsf", hash, kFew).correct);
  CHECK_FALSE(check_password("", hash, kFew).correct);
  const PasswordCheck later = check_password("correct horse", hash, kFew + 1);
  CHECK(later.correct);
  CHECK(later.outdated);
}

TEST_CASE("A hash that Python made is understood") {
  // base64.b64encode(hashlib.pbkdf2_hmac("sha256", b"lètmein", b"seasalt", 1000))
  const std::string hash =
      "pbkdf2_sha256$1000$seasalt$JgZryXe2Ga8ysg6XbzkLpTdyPQrHqsinbL9BnnhgX4A=";
  const PasswordCheck found = check_password("l\xC3\xA8tmein", hash, kFew);
  CHECK(found.correct);
  CHECK(found.outdated);  // its salt is short
}

TEST_CASE("What is no hash is never the right password") {
  for (const char* stored :
       {"", "!", "!random", "plain", "md5$salt$hash", "pbkdf2_sha256$1000$salt$",
        "pbkdf2_sha256$0$salt$aGFzaA==", "pbkdf2_sha256$-1$salt$aGFzaA==",
        "pbkdf2_sha256$99999999999$salt$aGFzaA==", "pbkdf2_sha256$1e3$salt$aGFzaA==",
        "pbkdf2_sha1$1000$salt$aGFzaA==", "pbkdf2_sha256$1000$salt", "$$$"}) {
    CAPTURE(stored);
    CHECK_FALSE(check_password("plain", stored, 1).correct);
  }
}

TEST_CASE("A password that would not do gets every reason") {
  const Strings about{"janedoe", "jane.doe@example.com", "Jane", "Doering"};
  CHECK(password_problems("correct horse battery", about).empty());
  CHECK(password_problems("Xk3-vq", about) ==
        Strings{"This password is too short. It must contain at least 8 characters."});
  CHECK(password_problems("1234567", about) ==
        Strings{"This password is too short. It must contain at least 8 characters.",
                "This password is too common.", "This password is entirely numeric."});
  CHECK(password_problems("JaneDoe1", about) ==
        Strings{"The password is too similar to the username."});
  CHECK(password_problems("jane.doe@example", about).size() == 1);
  CHECK(password_problems("doering9", about) ==
        Strings{"The password is too similar to the last name."});
  CHECK(password_problems("84629173", {}) == Strings{"This password is entirely numeric."});
  // Eight characters, not bytes.
  CHECK(password_problems("\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F", {}).size() == 1);
}

TEST_CASE("Common passwords are known in their disguises") {
  for (const char* common : {"password", "p4ssw0rd!", "qwerty123", "123456789", "iloveyou1",
                             "00000000", "abcdefgh", "dragondragon", "2024summer", "letmein!!"}) {
    CAPTURE(common);
    CHECK(is_common_password(common));
  }
  for (const char* fine : {"correct horse battery", "xk3vq-82mmw", "diabetes reverse plan",
                           "summerhouse by the lake"}) {
    CAPTURE(fine);
    CHECK_FALSE(is_common_password(fine));
  }
}

}  // namespace
}  // namespace twinchat::server
