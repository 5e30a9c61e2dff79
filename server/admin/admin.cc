#include "admin/admin.h"

#include <utility>

#include "admin/web_files.h"

namespace twinchat::server {

Admin::Admin(std::shared_ptr<Store> store, std::shared_ptr<Records> records,
             std::shared_ptr<Accounts> accounts, const RequestLimits& limits, AdminOptions options)
    : store_(std::move(store)),
      records_(std::move(records)),
      accounts_(std::move(accounts)),
      gate_(*accounts_, limits, options.always_secure),
      account_routes_(*accounts_, gate_, limits, options.login_hash),
      record_routes_(*store_, *records_, *accounts_, gate_, std::move(options.records)) {}

void Admin::add_to(Router& router) {
  account_routes_.add_to(router);
  record_routes_.add_to(router);
  add_web_files(router, web_files());
}

}  // namespace twinchat::server
