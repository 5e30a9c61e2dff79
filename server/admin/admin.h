#pragma once

#include <memory>

#include "admin/account_routes.h"
#include "admin/gate.h"
#include "admin/record_routes.h"

namespace twinchat::server {

struct AdminOptions {
  // No cookie without https, not even on a loopback address.
  bool always_secure = false;
  // By which log-ins that failed are counted: the same in every server on the database.
  KeyedHash login_hash = {};
  RecordRouteOptions records = {};
};

// The admin: its API and its page.
//
// Thread safety: as its routes.
class Admin {
 public:
  // `limits` must outlive it.
  Admin(std::shared_ptr<Store> store, std::shared_ptr<Records> records,
        std::shared_ptr<Accounts> accounts, const RequestLimits& limits, AdminOptions options);

  // Puts the routes on the table. `this` must outlive the router's use.
  void add_to(Router& router);

  // Ends what goes on by itself (live conversations, exports), so that the server can go down.
  void stop_streams() { record_routes_.stop(); }

 private:
  const std::shared_ptr<Store> store_;
  const std::shared_ptr<Records> records_;
  const std::shared_ptr<Accounts> accounts_;
  const Gate gate_;
  AccountRoutes account_routes_;
  RecordRoutes record_routes_;
};

}  // namespace twinchat::server
