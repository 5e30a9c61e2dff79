#pragma once

#include <stdexcept>

namespace twinchat::server {

// The program was given settings it cannot work with. what() is one sentence for the operator: it
// names the setting, where it came from and what it takes, and never the value of a secret.
//
// Thread safety: immutable after construction, like any exception.
class SettingsError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace twinchat::server
