#include "http/exchange.h"

#include <utility>

#include "http/connection.h"

namespace twinchat::server {

Exchange::Exchange(std::shared_ptr<Connection> connection, const httplib::Request& request,
                   std::string_view body, httplib::Response& response)
    : connection_(std::move(connection)), request_(request), body_(body), response_(response) {}

Exchange::~Exchange() = default;

const std::string& Exchange::client_address() const {
  return connection_->client_address();
}

bool Exchange::secure() const {
  return connection_->secure();
}

std::shared_ptr<Reply> Exchange::defer() {
  if (reply_ == nullptr) reply_ = std::make_shared<Reply>(connection_);
  return reply_;
}

}  // namespace twinchat::server
