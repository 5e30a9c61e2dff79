#include "admin/passwords.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>

#include "admin/common_passwords.h"
#include "admin/secrets.h"
#include "text.h"
#include "twinchat/error.h"

namespace twinchat::server {
namespace {

constexpr std::string_view kAlgorithm = "pbkdf2_sha256";
constexpr std::size_t kSaltSize = 22;
constexpr std::size_t kMinLength = 8;
// A stored hash that wants more rounds is not ours to compute: it would hold a thread for long.
constexpr int kMostIterations = 10'000'000;
constexpr double kMostSimilar = 0.7;

std::string derive(std::string_view password, std::string_view salt, int iterations) {
  std::array<unsigned char, 32> key{};
  if (PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                        reinterpret_cast<const unsigned char*>(salt.data()),
                        static_cast<int>(salt.size()), iterations, EVP_sha256(),
                        static_cast<int>(key.size()), key.data()) != 1) {
    throw Error(ErrorCode::kInternal, "A password could not be hashed.");
  }
  return to_base64({reinterpret_cast<const char*>(key.data()), key.size()});
}

struct StoredHash {
  int iterations = 0;
  std::string_view salt;
  std::string_view hash;
};

std::optional<StoredHash> parse(std::string_view stored) {
  std::array<std::string_view, 4> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t end = i + 1 < parts.size() ? stored.find('$') : stored.size();
    if (end == std::string_view::npos) return std::nullopt;
    parts[i] = stored.substr(0, end);
    stored.remove_prefix(std::min(end + 1, stored.size()));
  }
  StoredHash found{0, parts[2], parts[3]};
  const char* const end = parts[1].data() + parts[1].size();
  const auto [rest, error] = std::from_chars(parts[1].data(), end, found.iterations);
  if (parts[0] != kAlgorithm || error != std::errc() || rest != end || found.iterations < 1 ||
      found.iterations > kMostIterations || found.hash.empty()) {
    return std::nullopt;
  }
  return found;
}

std::string salt() {
  static constexpr char kLetters[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string text;
  while (text.size() < kSaltSize) {
    unsigned char byte = 0;
    if (RAND_bytes(&byte, 1) != 1) {
      throw Error(ErrorCode::kUnavailable, "The system has no randomness to make a salt from.");
    }
    if (byte < 248) text += kLetters[byte % 62];  // each letter as likely as the other
  }
  return text;
}

// How many bytes the two have in common, wherever they stand, against all they have: an upper bound
// of what Python's SequenceMatcher says, which is what Django asks first.
double similarity(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return 0;
  std::map<char, std::size_t> counts;
  for (const char c : b) ++counts[c];
  std::size_t common = 0;
  for (const char c : a) {
    if (auto& left = counts[c]; left > 0) {
      --left;
      ++common;
    }
  }
  return 2.0 * static_cast<double>(common) / static_cast<double>(a.size() + b.size());
}

// The length of the longest run of bytes that both have.
std::size_t longest_common_run(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::size_t longest = 0;
  for (const char c : a) {
    for (std::size_t j = b.size(); j > 0; --j) {
      row[j] = c == b[j - 1] ? row[j - 1] + 1 : 0;
      longest = std::max(longest, row[j]);
    }
  }
  return longest;
}

// Whether the password is a piece of the user's data or nearly so.
bool is_like(std::string_view password, std::string_view part) {
  if (part.size() < 3) return false;
  const std::string_view shorter = password.size() < part.size() ? password : part;
  // Same letters in another order are not alike.
  return similarity(password, part) >= kMostSimilar &&
         2 * longest_common_run(password, part) >= shorter.size();
}

}  // namespace

std::string hash_password(std::string_view password, int iterations) {
  const std::string salted_with = salt();
  return std::string(kAlgorithm) + "$" + std::to_string(iterations) + "$" + salted_with + "$" +
         derive(password, salted_with, iterations);
}

PasswordCheck check_password(std::string_view password, std::string_view stored, int iterations) {
  const std::optional<StoredHash> found = parse(stored);
  if (!found) {
    derive(password, "no such user", iterations);
    return {};
  }
  const std::string made = derive(password, found->salt, found->iterations);
  if (found->iterations < iterations) {
    derive(password, found->salt, iterations - found->iterations);
  }
  return {equal_secrets(made, found->hash),
          found->iterations < iterations || found->salt.size() < kSaltSize};
}

std::vector<std::string> password_problems(std::string_view password,
                                           const std::vector<std::string>& about) {
  static constexpr std::array kAbout{"username", "email address", "first name", "last name"};
  std::vector<std::string> problems;
  const std::string lower = ascii_lower(password);
  for (std::size_t i = 0; i < about.size() && i < kAbout.size(); ++i) {
    const std::string value = ascii_lower(about[i]);
    std::vector<std::string> parts{value};
    for (const char separator : {'@', '.', ' ', '-', '_'}) {
      for (std::string& part : split_list(value, separator)) parts.push_back(std::move(part));
    }
    if (std::any_of(parts.begin(), parts.end(),
                    [&](const std::string& part) { return is_like(lower, part); })) {
      problems.push_back(std::string("The password is too similar to the ") + kAbout[i] + ".");
      break;
    }
  }
  if (count_code_points(password) < kMinLength) {
    problems.push_back("This password is too short. It must contain at least 8 characters.");
  }
  if (is_common_password(lower)) problems.push_back("This password is too common.");
  if (!password.empty() && password.find_first_not_of("0123456789") == std::string_view::npos) {
    problems.push_back("This password is entirely numeric.");
  }
  return problems;
}

}  // namespace twinchat::server
