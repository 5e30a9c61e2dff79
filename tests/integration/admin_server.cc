#include "admin_server.h"

#include <utility>

#include "catch.h"

namespace twinchat::testing {

AdminClient& AdminClient::log_in(const std::string& username, const std::string& password) {
  const HttpResponse response =
      post("/api/admin/login/", {{"username", username}, {"password", password}});
  INFO(response.body);
  REQUIRE(response.status == 200);
  take(response);
  return *this;
}

AdminClient& AdminClient::use_token(std::string token) {
  token_ = std::move(token);
  return *this;
}

void AdminClient::take(const HttpResponse& response) {
  const std::string field = response.header("set-cookie").value();
  cookie_ = field.substr(0, field.find(';'));
  csrf_ = json_of(response).at("csrf_token");
}

HttpResponse AdminClient::request(std::string_view method, std::string_view target,
                                  std::string_view body, HttpHeaders headers) const {
  if (!token_.empty()) {
    headers.emplace_back("Authorization", "Bearer " + token_);
  } else if (!cookie_.empty()) {
    headers.emplace_back("Cookie", "other=1; " + cookie_);
    headers.emplace_back("X-CSRFToken", csrf_);
  }
  if (!body.empty()) headers.emplace_back("Content-Type", "application/json");
  return server_->request(method, target, std::move(headers), body);
}

Json AdminClient::read(std::string_view target) const {
  const HttpResponse response = get(target);
  INFO(target << ": " << response.body);
  REQUIRE(response.status == 200);
  return json_of(response);
}

void make_superuser(const std::string& database_url, const std::filesystem::path& folder,
                    const std::string& username) {
  const auto command = start_program(
      {"createsuperuser", "--no-input", "--username", username},
      {{"DATABASE_URL", database_url}, {"DJANGO_SUPERUSER_PASSWORD", kPassword}}, folder);
  const auto status = command->wait_exit();
  INFO(command->output() << command->errors());
  REQUIRE(status == 0);
}

void make_superuser(const ChatServer& server, const std::string& username) {
  make_superuser(server.database_url(), server.folder(), username);
}

void make_staff(const AdminClient& boss, const std::string& username,
                const std::vector<std::string>& permissions) {
  Json names = Json::array();
  for (const std::string& name : permissions) names.push_back("chat." + name);
  const HttpResponse response = boss.post("/api/admin/users/", {{"username", username},
                                                                {"password1", kPassword},
                                                                {"password2", kPassword},
                                                                {"permissions", names}});
  INFO(response.body);
  REQUIRE(response.status == 201);
}

}  // namespace twinchat::testing
