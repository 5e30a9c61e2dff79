#pragma once

#include <string>
#include <string_view>

namespace twinchat::server {

// What log-ins and tokens are made of. All are pure functions but for the randomness, safe from any
// thread.

// 256 random bits as text that may stand in a cookie or a header. Throws Error when the system has
// no randomness.
std::string random_token();

// The SHA-256 of a token in hexadecimal digits: what is stored in its place.
std::string token_hash(std::string_view token);

// Whether the two are equal, in a time that does not say where they differ.
bool equal_secrets(std::string_view a, std::string_view b);

// A short text that changes with the given one; what versions of objects are made of.
std::string digest(std::string_view text);

// Base64 with padding, as Django stores hashes.
std::string to_base64(std::string_view bytes);

}  // namespace twinchat::server
