#include "check/deployment.h"

#include <fmt/format.h>

#include <algorithm>

#include "check/known_faults.h"
#include "limits/client_address.h"
#include "maintenance/postgres_tools.h"
#include "text.h"

namespace twinchat::server {
namespace {

using std::chrono::hours;

// Earlier than this version can be running.
constexpr std::chrono::sys_days kFirstPossibleDay{std::chrono::year{2026} / 11 / 1};
constexpr hours kCertificateNotice{14 * 24};
constexpr std::size_t kFewOpenFiles = 4096;
constexpr std::uint64_t kLittleSpace = std::uint64_t{1} << 30;
constexpr unsigned kOthers = 077;

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.");
}

bool is_local_origin(std::string_view origin) {
  const std::size_t scheme = origin.find("://");
  const std::string_view host = origin.substr(scheme == std::string_view::npos ? 0 : scheme + 3);
  return is_loopback(host.substr(0, host.rfind(':')));
}

// The value of that parameter in the query of a URL.
std::string parameter(const std::string& url, std::string_view name) {
  return query_value(url, name).value_or("");
}

class Judge {
 public:
  Judge(const Settings& settings, const Surroundings& around)
      : settings_(settings), around_(around) {}

  std::vector<Finding> judge() {
    keys();
    names();
    https();
    limits();
    files();
    database();
    machine();
    watching();
    std::stable_sort(findings_.begin(), findings_.end(), [](const Finding& a, const Finding& b) {
      return static_cast<int>(a.severity) > static_cast<int>(b.severity);
    });
    return std::move(findings_);
  }

 private:
  void error(const char* id, std::string what, std::string remedy) {
    findings_.push_back({id, Severity::kError, std::move(what), std::move(remedy)});
  }
  void warn(const char* id, std::string what, std::string remedy) {
    findings_.push_back({id, Severity::kWarning, std::move(what), std::move(remedy)});
  }
  void note(const char* id, std::string what, std::string remedy) {
    findings_.push_back({id, Severity::kNote, std::move(what), std::move(remedy)});
  }

  void keys() {
    if (settings_.debug) {
      error("debug", "DEBUG is on.", "Set DEBUG=False, or leave it out.");
    }
    if (const auto weakness = secret_key_weakness(settings_.secret_key)) {
      error("secret-key", fmt::format("SECRET_KEY {}.", *weakness),
            "Set it to what `openssl rand -base64 48` prints.");
    }
    if (settings_.demo()) {
      error("gemini-key", "GEMINI_API_KEY is missing: visitors would talk to the offline demo.",
            "Get a key at https://aistudio.google.com and set it.");
    }
    if (settings_.gemini.base_url.starts_with("http://")) {
      error("gemini-http",
            "GEMINI_BASE_URL is plain http: the key and what visitors write go over "
            "the network unencrypted.",
            "Name an https URL.");
    }
  }

  void names() {
    const auto& hosts = settings_.allowed_hosts;
    if (std::find(hosts.begin(), hosts.end(), "*") != hosts.end()) {
      error("hosts-any", "ALLOWED_HOSTS has *: requests for any host name are served.",
            "Name the hosts under which the server is reached.");
    } else if (std::all_of(hosts.begin(), hosts.end(),
                           [](const std::string& host) { return is_loopback(host); })) {
      error("hosts-local", "ALLOWED_HOSTS names this machine alone: visitors would get 400.",
            "Name the hosts under which the server is reached.");
    }
    for (const std::string& origin : settings_.cors_allowed_origins) {
      if (is_local_origin(origin)) {
        warn("cors-local",
             fmt::format("CORS_ALLOWED_ORIGINS has {}: any page that a visitor serves "
                         "on their own machine may use the API.",
                         origin),
             "Name the origins of your own pages only; an empty value allows none.");
        break;
      }
    }
    for (const std::string& origin : settings_.cors_allowed_origins) {
      if (origin.starts_with("http://") && !is_local_origin(origin)) {
        warn("cors-http",
             fmt::format("CORS_ALLOWED_ORIGINS has {}: whoever is between a visitor and "
                         "that page can change it.",
                         origin),
             "Serve the page by https and name that origin.");
        break;
      }
    }
  }

  void https() {
    const bool tls = !settings_.tls_certificate.empty();
    const bool proxied = !settings_.trusted_proxies.empty();
    if (!tls && !proxied) {
      error("https-none",
            "Nothing speaks https: neither TLS_CERTIFICATE nor TRUSTED_PROXIES is set.",
            "Set TLS_CERTIFICATE and TLS_KEY, or put a proxy with https in front and name its "
            "address in TRUSTED_PROXIES.");
    }
    if (!tls && proxied && !is_loopback(settings_.host)) {
      note("plain-listen",
           fmt::format("HOST is {}: the way from the proxy is plain http, and who "
                       "reaches the port goes past the proxy.",
                       settings_.host),
           "Listen on 127.0.0.1, or let the firewall admit the proxy alone.");
    }
    for (const AddressRange& range : settings_.trusted_proxies) {
      if (range.bits == 0 || (range.first.is_v4() && range.bits <= 96)) {
        error("proxies-any",
              "TRUSTED_PROXIES takes everybody for a proxy: any client can say who "
              "it is.",
              "Name the addresses of your proxies only.");
        break;
      }
    }
    if (!tls && proxied && !settings_.https.redirect) {
      note("redirect-off",
           "SECURE_SSL_REDIRECT is off: who comes by http is served if the proxy "
           "lets it through.",
           "Set SECURE_SSL_REDIRECT=True, unless the proxy redirects.");
    }
    if (!tls && proxied && settings_.https.proxy_header.empty()) {
      warn("proxy-header-off", "SECURE_PROXY_SSL_HEADER is off: nothing tells who came by https.",
           "Leave it at its default, and let the proxy set X-Forwarded-Proto.");
    }
    if (settings_.https.hsts.count() == 0) {
      warn("hsts-off",
           "SECURE_HSTS_SECONDS is 0: a visitor's first request can be caught before it "
           "is sent to https.",
           "Set it to 3600, and to 31536000 once all goes well.");
    }
    if (settings_.https.hsts_preload && (!settings_.https.hsts_subdomains ||
                                         settings_.https.hsts < std::chrono::seconds(31'536'000))) {
      warn("hsts-preload", "SECURE_HSTS_PRELOAD is on without what browsers' makers ask for.",
           "Set SECURE_HSTS_INCLUDE_SUBDOMAINS=True and SECURE_HSTS_SECONDS to at least 31536000, "
           "or "
           "leave it off.");
    }
    if (settings_.https.referrer_policy == "unsafe-url" ||
        settings_.https.referrer_policy == "no-referrer-when-downgrade") {
      warn("referrer-policy", "SECURE_REFERRER_POLICY tells other sites whole addresses of ours.",
           "Leave it at same-origin.");
    }
    if (!around_.certificate_error.empty()) {
      error("certificate",
            fmt::format("The certificate cannot be used: {}.", around_.certificate_error),
            "Mend TLS_CERTIFICATE and TLS_KEY.");
    } else if (around_.certificate_expires && *around_.certificate_expires <= around_.now) {
      error("certificate-expired", "The certificate has expired.",
            "Renew it and send the server SIGHUP.");
    } else if (around_.certificate_expires &&
               *around_.certificate_expires - around_.now < kCertificateNotice) {
      warn("certificate-expires",
           fmt::format("The certificate expires in {} days.",
                       std::chrono::duration_cast<std::chrono::days>(*around_.certificate_expires -
                                                                     around_.now)
                           .count()),
           "Renew it and send the server SIGHUP; see that this happens by itself.");
    }
  }

  void limits() {
    const auto off = [&](RateClass rate_class, RateScope scope) {
      return settings_.rate_limits.at(rate_class, scope).count == 0;
    };
    if (off(RateClass::kMessage, RateScope::kAddress) &&
        off(RateClass::kMessage, RateScope::kSession) &&
        off(RateClass::kMessage, RateScope::kAll)) {
      error("rate-limits-off",
            "CHAT_RATE_LIMITS limits no messages: one client can spend all your "
            "tokens.",
            "Leave CHAT_RATE_LIMITS at its default, or name limits of your own.");
    } else if (off(RateClass::kMessage, RateScope::kAddress) ||
               off(RateClass::kCreate, RateScope::kAddress) ||
               off(RateClass::kMiss, RateScope::kAddress)) {
      warn("rate-limits-address", "CHAT_RATE_LIMITS leaves a limit for one address out.",
           "Limit message.address, create.address and miss.address.");
    }
    if (settings_.daily_tokens == 0) {
      warn("daily-tokens-off", "CHAT_DAILY_TOKENS is 0: nothing caps what a day may cost.",
           "Set it to a few times what a busy day uses; the admin's figures tell.");
    }
    if (settings_.create_unknown_sessions) {
      note("unknown-sessions",
           "CHAT_CREATE_UNKNOWN_SESSIONS is on: clients may choose their own "
           "session ids.",
           "Turn it off, unless a client of yours makes its ids itself.");
    }
  }

  void files() {
    for (const auto& [name, mode] : around_.secret_files) {
      if ((mode & kOthers) == 0) continue;
      warn("secret-file-mode",
           fmt::format("{} holds secrets and has the mode {:04o}: others can "
                       "read it.",
                       name, mode),
           fmt::format("chmod 600 {}", name));
    }
    if (around_.database_mode && (*around_.database_mode & kOthers) != 0) {
      warn("database-mode",
           fmt::format("The database file has the mode {:04o}: others can read "
                       "what visitors wrote.",
                       *around_.database_mode),
           "chmod 600 the file and its -wal and "
           "-shm; start the server with umask 077.");
    }
    if (around_.database_folder_mode && (*around_.database_folder_mode & 022) != 0) {
      warn("database-folder-mode",
           fmt::format("The database's folder has the mode {:04o}: others "
                       "can put a file in the database's place.",
                       *around_.database_folder_mode),
           "chmod 700 the folder.");
    }
  }

  void database() {
    const std::string& url = settings_.database_url;
    if (url == "memory:") {
      error("database-memory", "DATABASE_URL is memory: all is lost when the server ends.",
            "Name a SQLite file or a PostgreSQL database.");
    }
    if (!around_.database_error.empty()) {
      error("database", fmt::format("The database cannot be used: {}", around_.database_error),
            "See *Database* in README.md.");
    } else if (around_.database_absent) {
      note("database-absent", "The database is not there yet.", "serve or migrate makes it.");
    }
    if (around_.database_on_network) {
      error("database-network",
            "The SQLite file is on a network file system, whose locks cannot be "
            "relied on.",
            "Move it to a local disk, or use PostgreSQL.");
    }
    if (is_postgres(url)) {
      const std::string mode = parameter(url, "sslmode");
      const bool socket = url.find("@/") != std::string::npos ||
                          url.find(":///") != std::string::npos || !parameter(url, "host").empty();
      if (!socket && mode != "verify-full") {
        warn("postgres-sslmode",
             fmt::format("DATABASE_URL has sslmode {}: whoever is on the way to "
                         "PostgreSQL can pretend to be it.",
                         mode.empty() ? "prefer (the default)" : mode),
             "Add sslmode=verify-full and sslrootcert to its query.");
      }
    } else if (url != "memory:" && has_wal_reset_fault(around_.sqlite_version)) {
      note("sqlite-wal-reset",
           fmt::format("SQLite {} can damage a database that two connections "
                       "write to at the same moment. The server writes on one; a second program "
                       "must not write "
                       "meanwhile.",
                       around_.sqlite_version),
           "Use SQLite 3.51.3 (or 3.50.7, 3.44.6), or let no other program write to the file while "
           "the server runs.");
    }
    if (around_.superusers && *around_.superusers == 0) {
      note("superuser-none", "Nobody can log in to the admin.", "twinchat-server createsuperuser");
    }
    if (settings_.backup_dir.empty()) {
      warn("backups-off", "BACKUP_DIR is not set: the server makes no backups.",
           "Set BACKUP_DIR, or see that something else makes backups, and try a restore.");
    } else if (!around_.newest_backup) {
      warn("backup-none", "There is no backup in BACKUP_DIR.",
           "The server makes one when it starts; otherwise: twinchat-server backup.");
    } else if (around_.now - *around_.newest_backup > 2 * settings_.backup_interval) {
      warn("backup-old",
           fmt::format(
               "The newest backup is {} hours old.",
               std::chrono::duration_cast<hours>(around_.now - *around_.newest_backup).count()),
           "Look into the server's log for what keeps it from making backups.");
    }
    if (settings_.retention_days_chats == 0 || settings_.retention_days_leads == 0) {
      warn("retention-unset",
           "RETENTION_DAYS_CHATS or RETENTION_DAYS_LEADS is 0: what visitors "
           "wrote is kept for ever.",
           "Set both to what your privacy notice says.");
    }
  }

  void machine() {
    if (around_.is_root) {
      error("root", "The server runs as root.",
            "Run it as a user of its own, as the systemd unit "
            "and the container do.");
    }
    if (around_.open_files < kFewOpenFiles) {
      warn("open-files",
           fmt::format("The process may open {} files, so it serves few connections at "
                       "once.",
                       around_.open_files),
           "Raise the hard limit (LimitNOFILE=, ulimit -Hn) to 65536.");
    }
    const std::uint64_t wanted = std::max(kLittleSpace, around_.database_bytes / 2);
    if (around_.disk_free && *around_.disk_free < wanted) {
      warn("disk-space",
           fmt::format("{} MiB are free where the database is.", *around_.disk_free >> 20),
           fmt::format("Make room: {} MiB at least.", wanted >> 20));
    }
    if (around_.now < kFirstPossibleDay) {
      error("clock-wrong",
            "The clock is behind: certificates, limits by the day and log-ins depend "
            "on it.",
            "Set it, and let it be synchronised (systemd-timesyncd, chrony).");
    } else if (!around_.clock_synchronised) {
      note("clock-free", "Nothing synchronises the clock.",
           "Run systemd-timesyncd or chrony, here or on the host of the container.");
    }
  }

  void watching() {
    const std::string& level = settings_.log_level;
    if (level == "trace" || level == "debug") {
      note("log-level", fmt::format("LOG_LEVEL is {}: the log grows fast.", level),
           "Set LOG_LEVEL=info.");
    } else if (level == "error" || level == "critical" || level == "off") {
      warn("log-level",
           fmt::format("LOG_LEVEL is {}: the log has neither requests nor warnings.", level),
           "Set LOG_LEVEL=info.");
    }
    if (!settings_.metrics_address) {
      note("metrics-off", "METRICS_ADDRESS is off: nothing can watch the server.",
           "Set it to 127.0.0.1:9464 and let Prometheus read it.");
    } else if (!is_loopback(settings_.metrics_address->host)) {
      note("metrics-public",
           fmt::format("The metrics are at {}, where others may read them.",
                       settings_.metrics_address->host),
           "Listen on 127.0.0.1, or let the firewall admit Prometheus alone.");
    }
  }

  const Settings& settings_;
  const Surroundings& around_;
  std::vector<Finding> findings_;
};

}  // namespace

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::kNote:
      return "note";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "";
}

std::vector<Finding> judge_deployment(const Settings& settings, const Surroundings& around) {
  return Judge(settings, around).judge();
}

}  // namespace twinchat::server
