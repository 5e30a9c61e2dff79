#include "check/deployment.h"

#include <functional>

#include "catch.h"
#include "check/known_faults.h"

namespace twinchat::server {
namespace {

using std::chrono::hours;

constexpr std::string_view kKey = "q8Zt1vXw3Lr6Pn0sKd7Yb2Hf5Jm9Gc4A-deployment";

// An installation that is as it should be.
struct Installation {
  Settings settings;
  Surroundings around;
};

Installation good() {
  SettingSources sources;
  sources.environment = {{"SECRET_KEY", std::string(kKey)},
                         {"GEMINI_API_KEY", "AIza-key"},
                         {"ALLOWED_HOSTS", "chat.example.com"},
                         {"CORS_ALLOWED_ORIGINS", "https://www.example.com"},
                         {"TLS_CERTIFICATE", "/c.pem"},
                         {"TLS_KEY", "/k.pem"},
                         {"SECURE_HSTS_SECONDS", "31536000"},
                         {"CHAT_DAILY_TOKENS", "1000000"},
                         {"CHAT_CREATE_UNKNOWN_SESSIONS", "False"},
                         {"BACKUP_DIR", "/backups"},
                         {"RETENTION_DAYS_CHATS", "90"},
                         {"RETENTION_DAYS_LEADS", "365"}};
  Installation installation{load_settings(sources), {}};
  Surroundings& around = installation.around;
  around.now = std::chrono::sys_days(std::chrono::year{2027} / 1 / 1);
  around.secret_files = {{".env", 0600}, {"/k.pem", 0400}};
  around.database_mode = 0600;
  around.database_folder_mode = 0755;
  around.disk_free = std::uint64_t{100} << 30;
  around.superusers = 1;
  around.sqlite_version = "3.51.3";
  around.certificate_expires = around.now + hours(60 * 24);
  around.newest_backup = around.now - hours(1);
  around.open_files = 65'536;
  return installation;
}

std::vector<std::string> ids_of(const Installation& installation) {
  std::vector<std::string> ids;
  for (const Finding& finding : judge_deployment(installation.settings, installation.around)) {
    CHECK(finding.what.ends_with('.'));
    CHECK(finding.what.find(kKey) == std::string::npos);
    CHECK_FALSE(finding.remedy.empty());
    ids.push_back(finding.id);
  }
  return ids;
}

void behind_a_proxy(Installation& i) {
  i.settings.tls_certificate.clear();
  i.settings.tls_key.clear();
  i.settings.https.redirect = true;
  i.settings.trusted_proxies = {AddressRange::parse("10.0.0.1").value()};
  i.around.certificate_expires.reset();
}

TEST_CASE("An installation that is as it should be has no findings") {
  CHECK(ids_of(good()).empty());
  Installation proxied = good();
  behind_a_proxy(proxied);
  CHECK(ids_of(proxied).empty());
  Installation postgres = good();
  postgres.settings.database_url = "postgresql://chat@db.example/chat?sslmode=verify-full";
  postgres.around.sqlite_version = "3.40.1";
  CHECK(ids_of(postgres).empty());
  postgres.settings.database_url = "postgresql:///chat?host=/run/postgresql";
  CHECK(ids_of(postgres).empty());
}

TEST_CASE("Whatever is wrong is found, and nothing else with it") {
  struct Case {
    const char* id;
    Severity severity;
    std::function<void(Installation&)> spoil;
  };
  const Severity kError = Severity::kError;
  const Severity kWarning = Severity::kWarning;
  const Severity kNote = Severity::kNote;
  const std::vector<Case> cases = {
      {"debug", kError, [](Installation& i) { i.settings.debug = true; }},
      {"secret-key", kError, [](Installation& i) { i.settings.secret_key = "short"; }},
      {"secret-key", kError, [](Installation& i) { i.settings.secret_key.clear(); }},
      {"gemini-key", kError, [](Installation& i) { i.settings.gemini_api_key.clear(); }},
      {"gemini-http", kError,
       [](Installation& i) { i.settings.gemini.base_url = "http://127.0.0.1:1"; }},
      {"hosts-any", kError, [](Installation& i) { i.settings.allowed_hosts.push_back("*"); }},
      {"hosts-local", kError,
       [](Installation& i) {
         i.settings.allowed_hosts = {"localhost", "127.0.0.1", "[::1]"};
       }},
      {"cors-local", kWarning,
       [](Installation& i) { i.settings.cors_allowed_origins = {"http://localhost:3000"}; }},
      {"cors-local", kWarning,
       [](Installation& i) { i.settings.cors_allowed_origins = {"https://127.0.0.1"}; }},
      {"cors-http", kWarning,
       [](Installation& i) { i.settings.cors_allowed_origins = {"http://www.example.com"}; }},
      {"https-none", kError,
       [](Installation& i) {
         i.settings.tls_certificate.clear();
         i.around.certificate_expires.reset();
       }},
      {"plain-listen", kNote,
       [](Installation& i) {
         behind_a_proxy(i);
         i.settings.host = "0.0.0.0";
       }},
      {"proxies-any", kError,
       [](Installation& i) {
         i.settings.trusted_proxies = {AddressRange::parse("0.0.0.0/0").value()};
       }},
      {"proxies-any", kError,
       [](Installation& i) { i.settings.trusted_proxies = {AddressRange::parse("::/0").value()}; }},
      {"redirect-off", kNote,
       [](Installation& i) {
         behind_a_proxy(i);
         i.settings.https.redirect = false;
       }},
      {"proxy-header-off", kWarning,
       [](Installation& i) {
         behind_a_proxy(i);
         i.settings.https.proxy_header.clear();
       }},
      {"hsts-off", kWarning,
       [](Installation& i) { i.settings.https.hsts = std::chrono::seconds(0); }},
      {"hsts-preload", kWarning, [](Installation& i) { i.settings.https.hsts_preload = true; }},
      {"referrer-policy", kWarning,
       [](Installation& i) { i.settings.https.referrer_policy = "unsafe-url"; }},
      {"certificate", kError, [](Installation& i) { i.around.certificate_error = "no file"; }},
      {"certificate-expired", kError,
       [](Installation& i) { i.around.certificate_expires = i.around.now; }},
      {"certificate-expires", kWarning,
       [](Installation& i) { i.around.certificate_expires = i.around.now + hours(24); }},
      {"rate-limits-off", kError,
       [](Installation& i) { i.settings.rate_limits = RateLimits::parse("off", {}).value(); }},
      {"rate-limits-address", kWarning,
       [](Installation& i) {
         i.settings.rate_limits =
             RateLimits::parse("miss.address=off", i.settings.rate_limits).value();
       }},
      {"daily-tokens-off", kWarning, [](Installation& i) { i.settings.daily_tokens = 0; }},
      {"unknown-sessions", kNote,
       [](Installation& i) { i.settings.create_unknown_sessions = true; }},
      {"secret-file-mode", kWarning,
       [](Installation& i) { i.around.secret_files[0].second = 0640; }},
      {"secret-file-mode", kWarning,
       [](Installation& i) { i.around.secret_files[1].second = 0604; }},
      {"database-mode", kWarning, [](Installation& i) { i.around.database_mode = 0644; }},
      {"database-folder-mode", kWarning,
       [](Installation& i) { i.around.database_folder_mode = 01777; }},
      {"database-memory", kError, [](Installation& i) { i.settings.database_url = "memory:"; }},
      {"database", kError, [](Installation& i) { i.around.database_error = "It is damaged."; }},
      {"database-absent", kNote, [](Installation& i) { i.around.database_absent = true; }},
      {"database-network", kError, [](Installation& i) { i.around.database_on_network = true; }},
      {"postgres-sslmode", kWarning,
       [](Installation& i) { i.settings.database_url = "postgresql://u:word@db/chat"; }},
      {"postgres-sslmode", kWarning,
       [](Installation& i) { i.settings.database_url = "postgresql://db/chat?sslmode=require"; }},
      {"sqlite-wal-reset", kNote, [](Installation& i) { i.around.sqlite_version = "3.40.1"; }},
      {"superuser-none", kNote, [](Installation& i) { i.around.superusers = 0; }},
      {"backups-off", kWarning,
       [](Installation& i) {
         i.settings.backup_dir.clear();
         i.around.newest_backup.reset();
       }},
      {"backup-none", kWarning, [](Installation& i) { i.around.newest_backup.reset(); }},
      {"backup-old", kWarning,
       [](Installation& i) { i.around.newest_backup = i.around.now - hours(1000); }},
      {"retention-unset", kWarning, [](Installation& i) { i.settings.retention_days_chats = 0; }},
      {"retention-unset", kWarning, [](Installation& i) { i.settings.retention_days_leads = 0; }},
      {"root", kError, [](Installation& i) { i.around.is_root = true; }},
      {"open-files", kWarning, [](Installation& i) { i.around.open_files = 1024; }},
      {"disk-space", kWarning, [](Installation& i) { i.around.disk_free = 1000; }},
      {"disk-space", kWarning,
       [](Installation& i) { i.around.database_bytes = std::uint64_t{300} << 30; }},
      {"clock-wrong", kError,
       [](Installation& i) {
         i.around.now = {};
         i.around.newest_backup = i.around.now;
       }},
      {"clock-free", kNote, [](Installation& i) { i.around.clock_synchronised = false; }},
      {"log-level", kWarning, [](Installation& i) { i.settings.log_level = "off"; }},
      {"log-level", kNote, [](Installation& i) { i.settings.log_level = "trace"; }},
      {"metrics-off", kNote, [](Installation& i) { i.settings.metrics_address.reset(); }},
      {"metrics-public", kNote,
       [](Installation& i) { i.settings.metrics_address->host = "0.0.0.0"; }},
  };
  for (const Case& c : cases) {
    CAPTURE(c.id);
    Installation installation = good();
    c.spoil(installation);
    CHECK(ids_of(installation) == std::vector<std::string>{c.id});
    for (const Finding& f : judge_deployment(installation.settings, installation.around)) {
      CHECK(f.severity == c.severity);
      CHECK(f.what.find("word") == std::string::npos);
    }
  }
}

TEST_CASE("The worst comes first") {
  Installation installation = good();
  installation.around.superusers = 0;
  installation.settings.daily_tokens = 0;
  installation.settings.debug = true;
  CHECK(ids_of(installation) ==
        std::vector<std::string>{"debug", "daily-tokens-off", "superuser-none"});
}

TEST_CASE(
    "Faults are known by the version in which they came and those in which they were mended") {
  for (const char* version : {"3.7.0", "3.40.1", "3.44.5", "3.45.0", "3.50.6", "3.51.2"}) {
    CAPTURE(version);
    CHECK(has_wal_reset_fault(version));
  }
  for (const char* version : {"3.6.23", "3.44.6", "3.50.7", "3.51.3", "3.52.0", "4.0.0"}) {
    CAPTURE(version);
    CHECK_FALSE(has_wal_reset_fault(version));
  }
  const auto has = [](std::string_view library, std::string_view version, std::string_view id) {
    for (const KnownFault& fault : known_faults(library, version)) {
      if (fault.id == id) return true;
    }
    return false;
  };
  CHECK(has("cpp-httplib", "0.11.4", "CVE-2026-45372"));
  CHECK_FALSE(has("cpp-httplib", "0.11.4", "CVE-2025-0825"));
  CHECK(has("cpp-httplib", "0.18.3", "CVE-2025-0825"));
  CHECK(known_faults("cpp-httplib", "0.53.1").empty());
  CHECK(has("libcurl", "7.88.1", "CVE-2023-38545"));
  CHECK_FALSE(has("libcurl", "8.4.0-DEV", "CVE-2023-38545"));
  CHECK(has("OpenSSL", "3.0.6", "CVE-2022-3602"));
  CHECK_FALSE(has("OpenSSL", "3.0.22", "CVE-2024-13176"));
  CHECK(has("OpenSSL", "3.1.7", "CVE-2024-13176"));
  CHECK_FALSE(has("OpenSSL", "1.1.1", "CVE-2024-13176"));
  CHECK(known_faults("libpq", "15.1").empty());
}

TEST_CASE("Settings in force are told with where they come from, secrets never") {
  SettingSources sources;
  sources.flags = {{"PORT", "1"}};
  sources.environment = {{"SECRET_KEY", std::string(kKey)}, {"GEMINI_API_KEY_FILE", "/g"}};
  sources.env_file_text = "LOG_LEVEL=debug\n";
  sources.read_file = [](const std::string&) { return std::optional<std::string>("sesame"); };
  const std::vector<EffectiveSetting> all = effective_settings(sources);
  const auto one = [&](std::string_view name) {
    for (const EffectiveSetting& setting : all) {
      if (setting.name == name) return setting;
    }
    return EffectiveSetting{};
  };
  CHECK(all.size() == setting_table().size());
  CHECK(one("PORT").value == "1");
  CHECK(one("PORT").origin == "on the command line");
  CHECK(one("LOG_LEVEL").origin == "in .env line 1");
  CHECK(one("HOST").value == "127.0.0.1");
  CHECK(one("HOST").origin == "by default");
  CHECK(one("SECRET_KEY").value == "set");
  CHECK(one("GEMINI_API_KEY").value == "set");
  CHECK(one("GEMINI_API_KEY").file == "/g");
  CHECK(one("GEMINI_API_KEY").origin == "in the file that GEMINI_API_KEY_FILE names");
}

}  // namespace
}  // namespace twinchat::server
