#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace twinchat::server {

// PBKDF2 rounds of new hashes: those of Django 6.0. About half a second of one core.
inline constexpr int kPasswordIterations = 1'200'000;

// "pbkdf2_sha256$<iterations>$<salt>$<hash>", as Django's make_password() writes it. Takes its
// time: for a TaskPool.
std::string hash_password(std::string_view password, int iterations = kPasswordIterations);

// What comparing a password with a stored hash gave.
struct PasswordCheck {
  bool correct = false;
  // The stored hash is weaker than new ones would be.
  bool outdated = false;
};

// Compares. A stored text that is no such hash (Django's "!" for "no password" included) is never
// correct. The time is that of `iterations` rounds, whatever is stored (unless that takes more) and
// whether or not it is correct.
PasswordCheck check_password(std::string_view password, std::string_view stored,
                             int iterations = kPasswordIterations);

// Everything that is wrong with a new password, as Django words it: shorter than 8 characters, too
// like one of `about` (the user's name, e-mail, first and last name), too common, entirely numeric.
// What counts as common is a list of the words that people take, with the digits and signs that
// they put around them or in the place of letters.
std::vector<std::string> password_problems(std::string_view password,
                                           const std::vector<std::string>& about);

}  // namespace twinchat::server
