#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chat_server.h"
#include "http_client.h"

namespace twinchat::testing {

// The password of everybody whom the tests make.
inline const std::string kPassword = "correct horse battery";

// Somebody who uses the admin's API: with a cookie and its CSRF token, with a token, or with
// nothing.
//
// Thread safety: none.
class AdminClient {
 public:
  explicit AdminClient(const ChatServer& server) : server_(&server) {}

  // Logs in and stays so. Fails the test when that does not work.
  AdminClient& log_in(const std::string& username, const std::string& password = kPassword);
  // Uses the token from here on.
  AdminClient& use_token(std::string token);

  HttpResponse request(std::string_view method, std::string_view target, std::string_view body = {},
                       HttpHeaders headers = {}) const;
  HttpResponse get(std::string_view target) const { return request("GET", target); }
  HttpResponse post(std::string_view target, const Json& body = Json::object()) const {
    return request("POST", target, body.dump());
  }
  HttpResponse patch(std::string_view target, const Json& body) const {
    return request("PATCH", target, body.dump());
  }
  HttpResponse remove(std::string_view target) const { return request("DELETE", target); }
  // The body of a GET that has to be 200.
  Json read(std::string_view target) const;

  const std::string& cookie() const { return cookie_; }
  const std::string& csrf() const { return csrf_; }
  // Takes cookie and token over from an answer.
  void take(const HttpResponse& response);

 private:
  const ChatServer* server_;
  std::string cookie_;
  std::string csrf_;
  std::string token_;
};

// Runs createsuperuser on the database, in that folder.
void make_superuser(const std::string& database_url, const std::filesystem::path& folder,
                    const std::string& username);
void make_superuser(const ChatServer& server, const std::string& username);

// Adds a staff user with these permissions ("view_message", without "chat.").
void make_staff(const AdminClient& boss, const std::string& username,
                const std::vector<std::string>& permissions);

}  // namespace twinchat::testing
