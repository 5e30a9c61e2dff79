#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/gate.h"
#include "limits/client_address.h"
#include "limits/keyed_hash.h"
#include "twinchat/accounts.h"

namespace twinchat::server {

// Slows down who guesses passwords. After three failures of a name from an address (IPv6: a /64)
// each further one doubles the wait, up to a quarter of an hour; after twenty failures of an
// address with whatever names likewise. All together may fail sixty times a minute; who has logged
// in from an address before is not held up by that. Nobody is locked out for what strangers
// elsewhere do.
//
// Counted in the database, so that it holds for all servers on it together and outlives a restart:
// names and addresses as keyed hashes, for a day after the last failure, who has logged in for 90
// days. Whether there is a user of that name is not asked.
//
// Errors as of Store. Blocking: both functions wait for the database.
//
// Thread safety: every function may be called from any thread.
class LoginThrottle {
 public:
  // Keeps the reference. Servers that are to count together have the same hash.
  LoginThrottle(Accounts& accounts, KeyedHash hash) : accounts_(accounts), hash_(hash) {}

  // How long to wait before trying, if it is to wait. What is tried counts as failed until
  // succeeded() is called: many attempts at once are not better than one after the other.
  std::optional<std::chrono::seconds> attempt(std::string_view username, const IpAddress& address,
                                              Timestamp now = server::now());
  void succeeded(std::string_view username, const IpAddress& address,
                 Timestamp now = server::now());

 private:
  std::vector<std::string> keys_of(std::string_view username, const IpAddress& address) const;

  Accounts& accounts_;
  const KeyedHash hash_;
};

}  // namespace twinchat::server
