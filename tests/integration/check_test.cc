// check --deploy and doctor, run as an operator runs them.
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "catch.h"
#include "chat_server.h"
#include "ended.h"
#include "test_certificate.h"

namespace twinchat::testing {
namespace {

std::set<std::string> ids_of(const Json& report) {
  std::set<std::string> ids;
  for (const Json& finding : report.at("findings")) ids.insert(finding.at("id"));
  return ids;
}

TEST_CASE("check --deploy finds what a try-out has wrong, and fails from the level asked for") {
  const TempDir folder;
  std::ofstream(folder / ".env") << "DEBUG=True\nCHAT_RATE_LIMITS=off\nSECRET_KEY=sesame\n";
  ::chmod((folder / ".env").c_str(), 0644);
  const auto check = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"check", "--deploy"});
    return run(std::move(more), {}, folder.path());
  };
  const Ended json = check({"--json"});
  CHECK(json.status == 1);
  const std::set<std::string> ids = ids_of(Json::parse(json.output));
  for (const char* id : {"debug", "secret-key", "gemini-key", "hosts-local", "https-none",
                         "rate-limits-off", "secret-file-mode", "database-absent", "hsts-off"}) {
    CAPTURE(id);
    CHECK(ids.contains(id));
  }
  CHECK(json.output.find("sesame") == std::string::npos);
  CHECK(json.errors.find("sesame") == std::string::npos);
  // It made nothing.
  CHECK_FALSE(std::filesystem::exists(folder / "twinchat.db"));
  const Ended text = check({"--fail-level", "never"});
  CHECK(text.status == 0);
  CHECK_THAT(text.output, Catch::Contains("error    debug: DEBUG is on."));
  CHECK(check({"--fail-level", "sometimes"}).status == 2);
}

TEST_CASE("check --deploy has nothing against an installation that was mended") {
  const TempDir folder;
  const TestCertificate certificate;
  std::filesystem::create_directory(folder / "backups");
  ::chmod(certificate.key_file().c_str(), 0600);
  const Environment settings = {{"SECRET_KEY", kSecretKey},
                                {"GEMINI_API_KEY", kGeminiKey},
                                {"ALLOWED_HOSTS", "chat.example.com"},
                                {"CORS_ALLOWED_ORIGINS", "https://www.example.com"},
                                {"DATABASE_URL", "sqlite:///chat.db"},
                                {"TLS_CERTIFICATE", certificate.certificate_file()},
                                {"TLS_KEY", certificate.key_file()},
                                {"SECURE_HSTS_SECONDS", "3600"},
                                {"CHAT_DAILY_TOKENS", "1000000"},
                                {"CHAT_CREATE_UNKNOWN_SESSIONS", "False"},
                                {"BACKUP_DIR", "backups"},
                                {"RETENTION_DAYS_CHATS", "90"},
                                {"RETENTION_DAYS_LEADS", "90"},
                                {"DJANGO_SUPERUSER_PASSWORD", "correct horse battery"}};
  REQUIRE(run({"createsuperuser", "--no-input", "--username", "boss"}, settings, folder.path())
              .status == 0);
  REQUIRE(run({"backup", "backups/"}, settings, folder.path()).status == 0);
  ::chmod((folder / "chat.db").c_str(), 0600);
  ::chmod(folder.path().c_str(), 0700);
  const Ended ended = run({"check", "--deploy", "--json"}, settings, folder.path());
  std::set<std::string> ids = ids_of(Json::parse(ended.output));
  // Of the machine that runs this test, not of the installation. Its certificate is a week's.
  for (const char* id : {"root", "open-files", "disk-space", "clock-free", "sqlite-wal-reset",
                         "database-network", "certificate-expires"}) {
    ids.erase(id);
  }
  INFO(ended.output);
  CHECK(ids.empty());
}

TEST_CASE("doctor tells settings, versions and the database, and no secret") {
  ChatServer server({.env = {{"GEMINI_API_KEY", ""}, {"DEBUG", "True"}}});
  server.new_session();
  const Environment environment = {{"SECRET_KEY", kSecretKey},
                                   {"GEMINI_API_KEY", kGeminiKey},
                                   {"GEMINI_BASE_URL", server.gemini().base_url()},
                                   {"DATABASE_URL", "sqlite:///chat.db"}};
  const Ended ended = run({"doctor", "--json", "--online"}, environment, server.folder());
  INFO(ended.output << ended.errors);
  CHECK(ended.status == 0);
  const Json report = Json::parse(ended.output);
  CHECK(report.at("database").at("reached") == true);
  CHECK(report.at("database").at("sessions") == 1);
  CHECK(report.at("gemini").at("reached") == true);
  std::set<std::string> libraries;
  for (const Json& library : report.at("libraries")) {
    libraries.insert(library.at("name"));
    CHECK(library.at("version").get<std::string>().find('.') != std::string::npos);
  }
  for (const char* name : {"SQLite", "libcurl", "OpenSSL", "cpp-httplib"}) {
    CHECK(libraries.contains(name));
  }
  for (const Ended& any : {ended, run({"doctor"}, environment, server.folder())}) {
    CHECK(any.output.find(kSecretKey) == std::string::npos);
    CHECK(any.output.find(kGeminiKey) == std::string::npos);
  }
  CHECK_THAT(run({"doctor"}, environment, server.folder()).output,
             Catch::Contains("DATABASE_URL=sqlite:///chat.db  (in the environment)") &&
                 Catch::Contains("SECRET_KEY=set  (in the environment)"));
}

TEST_CASE("doctor fails when the database or Gemini cannot be reached, and makes nothing") {
  const TempDir folder;
  const Ended absent =
      run({"doctor", "--json"}, {{"DATABASE_URL", "sqlite:///no.db"}}, folder.path());
  CHECK(absent.status == 1);
  CHECK(Json::parse(absent.output).at("database").at("reached") == false);
  CHECK_FALSE(std::filesystem::exists(folder / "no.db"));
  REQUIRE(run({"migrate"}, {{"DATABASE_URL", "sqlite:///no.db"}}, folder.path()).status == 0);
  const Ended offline = run({"doctor", "--json", "--online"},
                            {{"DATABASE_URL", "sqlite:///no.db"},
                             {"GEMINI_API_KEY", kGeminiKey},
                             {"GEMINI_BASE_URL", "http://127.0.0.1:1"}},
                            folder.path());
  CHECK(offline.status == 1);
  CHECK(Json::parse(offline.output).at("gemini").at("reached") == false);
  CHECK(offline.output.find(kGeminiKey) == std::string::npos);
}

}  // namespace
}  // namespace twinchat::testing
