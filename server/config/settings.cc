#include "config/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "config/env_file.h"
#include "prompt.h"
#include "text.h"
#include "twinchat/assistant.h"

namespace twinchat::server {
namespace {

using std::chrono::milliseconds;
using Apply = std::function<bool(Settings&, const std::string&)>;

// The documented start of a real key, which people leave in place.
constexpr std::string_view kGeminiKeyPlaceholder = "your-gemini-api-key";

template <class Number>
std::optional<Number> number(std::string_view text, Number least, Number most) {
  text = trim(text);
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (!(value >= least && value <= most)) return std::nullopt;
  return value;
}

// Each of these makes an `apply` for one kind of value; `place` says where it goes.
template <class Place>
Apply text_to(Place place) {
  return [place](Settings& settings, const std::string& text) {
    place(settings) = text;
    return true;
  };
}

template <class Place>
Apply boolean_to(Place place) {
  return [place](Settings& settings, const std::string& text) {
    static const std::set<std::string> yes = {"true", "1", "yes", "on", "y", "t"};
    static const std::set<std::string> no = {"false", "0", "no", "off", "n", "f"};
    const std::string word = ascii_lower(trim(text));
    if (!yes.contains(word) && !no.contains(word)) return false;
    place(settings) = yes.contains(word);
    return true;
  };
}

template <class Number, class Place>
Apply number_to(Place place, Number least, Number most) {
  return [=](Settings& settings, const std::string& text) {
    const auto value = number<Number>(text, least, most);
    if (value) place(settings) = *value;
    return value.has_value();
  };
}

template <class Place>
Apply seconds_to(Place place, double least, double most) {
  return [=](Settings& settings, const std::string& text) {
    const auto value = number<double>(text, least, most);
    if (value) place(settings) = milliseconds(std::llround(*value * 1000));
    return value.has_value();
  };
}

template <class Place>
Apply word_to(Place place, std::vector<std::string> words) {
  return [=](Settings& settings, const std::string& text) {
    for (const std::string& word : words) {
      if (ascii_lower(word) != ascii_lower(trim(text))) continue;
      place(settings) = word;
      return true;
    }
    return false;
  };
}

bool set_hosts(Settings& settings, const std::string& text) {
  settings.allowed_hosts = split_list(ascii_lower(text), ',');
  return !settings.allowed_hosts.empty() &&
         std::none_of(settings.allowed_hosts.begin(), settings.allowed_hosts.end(),
                      [](const std::string& host) {
                        return host.find_first_of(" \t/@\"'") != std::string::npos;
                      });
}

// "scheme://host" with an optional port, as a browser writes it in Origin.
bool is_origin(std::string_view text) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) return false;
  const std::string_view scheme = text.substr(0, colon);
  const std::string_view rest = text.substr(colon + 3);
  return (scheme == "http" || scheme == "https") && !rest.empty() &&
         rest.find_first_of("/?#@* \t\"'\\") == std::string_view::npos;
}

bool set_origins(Settings& settings, const std::string& text) {
  settings.cors_allowed_origins.clear();
  for (std::string origin : split_list(ascii_lower(text), ',')) {
    if (origin.ends_with('/')) origin.pop_back();
    if (!is_origin(origin)) return false;
    settings.cors_allowed_origins.push_back(std::move(origin));
  }
  return true;
}

bool set_proxies(Settings& settings, const std::string& text) {
  settings.trusted_proxies.clear();
  for (const std::string& part : split_list(text, ',')) {
    const auto range = AddressRange::parse(part);
    if (!range) return false;
    settings.trusted_proxies.push_back(*range);
  }
  return true;
}

// As Django writes it, HTTP_X_FORWARDED_PROTO,https, or with the header's own name.
bool set_proxy_ssl_header(Settings& settings, const std::string& text) {
  constexpr std::string_view kDjangoPrefix = "http_";
  settings.https.proxy_header.clear();
  settings.https.proxy_value.clear();
  if (ascii_lower(trim(text)) == "off") return true;
  const std::vector<std::string> parts = split_list(text, ',');
  if (parts.size() != 2) return false;
  std::string name = ascii_lower(parts[0]);
  if (name.starts_with(kDjangoPrefix)) {
    name.erase(0, kDjangoPrefix.size());
    std::replace(name.begin(), name.end(), '_', '-');
  }
  settings.https.proxy_header = name;
  settings.https.proxy_value = parts[1];
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

bool set_redirect_host(Settings& settings, const std::string& text) {
  std::string& host = settings.https.redirect_host;
  host = ascii_lower(trim(text));
  return std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':' ||
           c == '[' || c == ']';
  });
}

bool set_redirect_exempt(Settings& settings, const std::string& text) {
  std::vector<std::string>& exempt = settings.https.redirect_exempt;
  exempt = split_list(text, ',');
  return std::all_of(exempt.begin(), exempt.end(),
                     [](const std::string& path) { return path.starts_with('/'); });
}

bool set_hsts(Settings& settings, const std::string& text) {
  const auto seconds = number<int>(text, 0, 315'360'000);
  settings.https.hsts = std::chrono::seconds(seconds.value_or(0));
  return seconds.has_value();
}

bool set_metrics_address(Settings& settings, const std::string& text) {
  settings.metrics_address.reset();
  const std::string address = ascii_lower(trim(text));
  if (address == "off") return true;
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  const auto port = number<int>(std::string_view(address).substr(colon + 1), 0, 65535);
  std::string host = address.substr(0, colon);
  const bool brackets = host.starts_with('[') && host.ends_with(']');
  if (brackets) host = host.substr(1, host.size() - 2);
  // Only the brackets tell an IPv6 address from its port.
  if (!port || host.empty() || brackets != (host.find(':') != std::string::npos)) return false;
  settings.metrics_address = ListenAddress{.host = host, .port = *port};
  return true;
}

bool set_rate_limits(Settings& settings, const std::string& text) {
  static const RateLimits defaults = RateLimits::parse(kDefaultRateLimits, {}).value();
  const auto limits = RateLimits::parse(text, defaults);
  if (limits) settings.rate_limits = *limits;
  return limits.has_value();
}

bool set_database(Settings& settings, const std::string& value) {
  const std::string text(trim(value));
  settings.database_url = text;
  return text == "memory:" || (text.starts_with("sqlite:///") && text.size() > 10) ||
         text.starts_with("postgresql://") || text.starts_with("postgres://");
}

bool set_safety(Settings& settings, const std::string& text) {
  settings.gemini.safety_settings.clear();
  for (const std::string& pair : split_list(text, ',')) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos) return false;
    const std::string category(trim(std::string_view(pair).substr(0, equals)));
    const std::string threshold(trim(std::string_view(pair).substr(equals + 1)));
    if (category.empty() || threshold.empty()) return false;
    settings.gemini.safety_settings.push_back({category, threshold});
  }
  return true;
}

bool is_url(std::string_view text) {
  return (text.starts_with("https://") && text.size() > 8) ||
         (text.starts_with("http://") && text.size() > 7);
}

Apply url_to(std::string GeminiOptions::*field) {
  return [field](Settings& settings, const std::string& text) {
    settings.gemini.*field = text;
    return is_url(text);
  };
}

Apply timeout_to(milliseconds Timeouts::*field) {
  return seconds_to(
      [field](Settings & s) -> auto& { return s.gemini.timeouts.*field; }, 0.001, 3600);
}

#define TWINCHAT_AT(place)    \
  [](Settings & s) -> auto& { \
    return s.place;           \
  }

std::vector<Setting> make_table() {
  constexpr std::size_t kMany = 1'000'000;
  return {
      {.name = "DEBUG",
       .default_value = "False",
       .takes = "True or False",
       .help = "For trying things out on your own machine: SECRET_KEY may be missing, and without "
               "GEMINI_API_KEY an offline demo model answers. Never on a public server.",
       .apply = boolean_to(TWINCHAT_AT(debug))},
      {.name = "SECRET_KEY",
       .default_value = "",
       .takes = "a random text of at least 32 characters",
       .help = "Signs what the server hands out. Make one with: openssl rand -base64 48",
       .secret = true,
       .apply = text_to(TWINCHAT_AT(secret_key))},
      {.name = "GEMINI_API_KEY",
       .default_value = "",
       .takes = "the key as Google AI Studio shows it",
       .help = "The key for the Gemini API, from https://aistudio.google.com (Get API key).",
       .secret = true,
       .apply =
           [](Settings& s, const std::string& text) {
             const bool placeholder = text.starts_with(kGeminiKeyPlaceholder);
             s.gemini_api_key = placeholder ? std::string() : text;
             return std::all_of(text.begin(), text.end(),
                                [](char c) { return c > ' ' && c < 127; });
           }},
      {.name = "ALLOWED_HOSTS",
       .default_value = "localhost,127.0.0.1",
       .takes = "a comma-separated list of host names without port",
       .help = "The names under which the server is reached; requests for others get 400. "
               "\".example.com\" allows the domain and all below it, \"*\" allows everything.",
       .apply = set_hosts},
      {.name = "CORS_ALLOWED_ORIGINS",
       .default_value = "http://localhost:8080,http://localhost:5173,http://localhost:3000,"
                        "http://localhost:8000,http://127.0.0.1:8080,http://127.0.0.1:5173,"
                        "http://127.0.0.1:3000,http://127.0.0.1:8000",
       .takes = "a comma-separated list of origins such as https://www.example.com",
       .help = "The web pages (scheme, host and port) whose scripts may use the API.",
       .may_be_empty = true,
       .apply = set_origins},
      {.name = "DATABASE_URL",
       .default_value = "sqlite:///twinchat.db",
       .takes = "sqlite:///relative/path.db, sqlite:////absolute/path.db, "
                "postgresql://user:password@host/name or memory:",
       .help = "Where sessions and messages are kept. Many servers may use one PostgreSQL "
               "database. With memory: they are gone at the end.",
       .from_file = true,
       .apply = set_database},
      {.name = "DATABASE_POOL_SIZE",
       .default_value = "16",
       .takes = "a whole number from 1 to 1000",
       .help = "Connections to PostgreSQL at most. None is held while the model is awaited.",
       .apply = number_to<std::size_t>(TWINCHAT_AT(database_pool_size), 1, 1'000)},
      {.name = "BACKUP_DIR",
       .default_value = "",
       .takes = "the path of a folder",
       .help = "Where the server puts backups of its database while it serves; it makes none when "
               "this is empty. Another disk is better, and another machine should fetch them.",
       .may_be_empty = true,
       .apply = text_to(TWINCHAT_AT(backup_dir))},
      {.name = "BACKUP_INTERVAL",
       .default_value = "86400",
       .takes = "seconds from 1 to 31536000",
       .help = "From one backup to the next.",
       .apply = seconds_to(TWINCHAT_AT(backup_interval), 1, 31'536'000)},
      {.name = "BACKUP_KEEP",
       .default_value = "14",
       .takes = "a whole number from 1 to 100000",
       .help = "How many backups are kept in BACKUP_DIR. What is erased is gone from them when the "
               "last one from before has gone.",
       .apply = number_to<std::size_t>(TWINCHAT_AT(backup_keep), 1, 100'000)},
      {.name = "RETENTION_DAYS_CHATS",
       .default_value = "0",
       .takes = "a whole number from 0 to 36500",
       .help =
           "After so many days without a message or a change a session is erased, if nobody can "
           "be reached by it (no e-mail address, no phone number). 0 keeps them.",
       .apply = number_to<std::int64_t>(TWINCHAT_AT(retention_days_chats), 0, 36'500)},
      {.name = "RETENTION_DAYS_LEADS",
       .default_value = "0",
       .takes = "a whole number from 0 to 36500",
       .help = "The same for sessions with an e-mail address or a phone number.",
       .apply = number_to<std::int64_t>(TWINCHAT_AT(retention_days_leads), 0, 36'500)},

      {.name = "HOST",
       .default_value = "127.0.0.1",
       .takes = "an IP address or a host name",
       .help = "The address to listen on; 0.0.0.0 for all.",
       .apply = text_to(TWINCHAT_AT(host))},
      {.name = "PORT",
       .default_value = "8000",
       .takes = "a whole number from 0 to 65535",
       .help = "The port to listen on; 0 takes a free one, which the start-up line names.",
       .apply = number_to<int>(TWINCHAT_AT(port), 0, 65535)},
      {.name = "TLS_CERTIFICATE",
       .default_value = "",
       .takes = "the name of a PEM file",
       .help =
           "The server's certificate, followed by those of its issuers: with it and TLS_KEY the "
           "server speaks https on PORT. Both are read again at SIGHUP.",
       .apply = text_to(TWINCHAT_AT(tls_certificate))},
      {.name = "TLS_KEY",
       .default_value = "",
       .takes = "the name of a PEM file",
       .help = "The certificate's private key, without a passphrase.",
       .apply = text_to(TWINCHAT_AT(tls_key))},
      {.name = "MAX_BODY_BYTES",
       .default_value = "65536",
       .takes = "a whole number from 1024 to 16777216",
       .help = "The largest request body; a larger one gets 413.",
       .apply = number_to<std::size_t>(TWINCHAT_AT(max_body_bytes), 1024, 16'777'216)},
      {.name = "SHUTDOWN_TIMEOUT",
       .default_value = "20",
       .takes = "seconds from 0 to 3600",
       .help = "How long requests under way may go on after SIGTERM or Ctrl-C.",
       .apply = seconds_to(TWINCHAT_AT(shutdown_timeout), 0, 3600)},
      {.name = "DRAIN_DELAY",
       .default_value = "0",
       .takes = "seconds from 0 to 3600",
       .help = "How long /readyz says 503 after SIGTERM before the server stops taking requests: "
               "time for a load balancer to turn elsewhere.",
       .apply = seconds_to(TWINCHAT_AT(drain_delay), 0, 3600)},
      {.name = "TRUSTED_PROXIES",
       .default_value = "",
       .takes = "a comma-separated list of IP addresses and ranges such as 10.0.0.0/8",
       .help = "The proxies in front of the server: only from them X-Forwarded-For is believed. "
               "Without it behind a proxy all visitors are one address to the rate limits.",
       .may_be_empty = true,
       .apply = set_proxies},
      {.name = "SECURE_PROXY_SSL_HEADER",
       .default_value = "HTTP_X_FORWARDED_PROTO,https",
       .takes = "off, or a header and the value that means https such as X-Forwarded-Proto,https",
       .help =
           "How a proxy says that its client came by https. Believed from TRUSTED_PROXIES only.",
       .apply = set_proxy_ssl_header},
      {.name = "SECURE_SSL_REDIRECT",
       .default_value = "False",
       .takes = "True or False",
       .help = "Sends whoever comes to a proxy by http to https. /livez and /readyz are answered "
               "all the same.",
       .apply = boolean_to(TWINCHAT_AT(https.redirect))},
      {.name = "SECURE_SSL_HOST",
       .default_value = "",
       .takes = "a host name, with a port if it is not 443",
       .help = "Where they are sent; to the host that was asked for when empty.",
       .may_be_empty = true,
       .apply = set_redirect_host},
      {.name = "SECURE_REDIRECT_EXEMPT",
       .default_value = "",
       .takes = "a comma-separated list of paths such as /static/*",
       .help = "Paths that are answered without https, too; with a * at the end all that begin so.",
       .may_be_empty = true,
       .apply = set_redirect_exempt},
      {.name = "SECURE_HSTS_SECONDS",
       .default_value = "0",
       .takes = "a whole number from 0 to 315360000",
       .help = "For how long browsers shall come by https only (Strict-Transport-Security). Begin "
               "with an hour; 31536000 is a year. 0 says nothing, but for the admin a year.",
       .apply = set_hsts},
      {.name = "SECURE_HSTS_INCLUDE_SUBDOMAINS",
       .default_value = "False",
       .takes = "True or False",
       .help = "Whether that goes for all names below the host's, too.",
       .apply = boolean_to(TWINCHAT_AT(https.hsts_subdomains))},
      {.name = "SECURE_HSTS_PRELOAD",
       .default_value = "False",
       .takes = "True or False",
       .help = "Whether browsers' makers may put the host on their lists, from which it comes off "
               "slowly.",
       .apply = boolean_to(TWINCHAT_AT(https.hsts_preload))},
      {.name = "SECURE_REFERRER_POLICY",
       .default_value = "same-origin",
       .takes = "one of no-referrer, no-referrer-when-downgrade, origin, origin-when-cross-origin, "
                "same-origin, strict-origin, strict-origin-when-cross-origin and unsafe-url",
       .help = "What browsers tell others of the pages' addresses. The admin says no-referrer.",
       .apply = word_to(
           TWINCHAT_AT(https.referrer_policy),
           {"no-referrer", "no-referrer-when-downgrade", "origin", "origin-when-cross-origin",
            "same-origin", "strict-origin", "strict-origin-when-cross-origin", "unsafe-url"})},
      {.name = "SESSION_COOKIE_SECURE",
       .default_value = "False",
       .takes = "True or False",
       .help = "Whether the admin gives no cookie without https even on this machine. Everywhere "
               "else its cookie is always Secure; there is no CSRF cookie.",
       .apply = boolean_to(TWINCHAT_AT(session_cookie_secure))},
      {.name = "METRICS_ADDRESS",
       .default_value = "127.0.0.1:9464",
       .takes = "off, or an address and a port such as 127.0.0.1:9464 or [::1]:9464",
       .help = "Where Prometheus finds /metrics: never on the visitors' port. Port 0 takes a free "
               "one, which the log names. When the default is taken the server goes on without.",
       .apply = set_metrics_address},
      {.name = "LOG_LEVEL",
       .default_value = "info",
       .takes = "one of trace, debug, info, warning, error, critical and off",
       .help = "How much is written to the log (standard error).",
       .apply = word_to(TWINCHAT_AT(log_level),
                        {"trace", "debug", "info", "warning", "error", "critical", "off"})},
      {.name = "LOG_FORMAT",
       .default_value = "text",
       .takes = "text or json",
       .help = "How the log is written: lines for people, or one JSON object a line.",
       .apply =
           [](Settings& s, const std::string& text) {
             const std::string word = ascii_lower(trim(text));
             s.log_format = word == "json" ? LogFormat::kJson : LogFormat::kText;
             return word == "json" || word == "text";
           }},

      {.name = "GEMINI_MODEL",
       .default_value = "gemini-3.5-flash-lite",
       .takes = "a model name",
       .help = "The model that answers.",
       .apply = text_to(TWINCHAT_AT(gemini.model))},
      {.name = "GEMINI_FALLBACK_MODELS",
       .default_value = "",
       .takes = "a comma-separated list of model names",
       .help = "Asked in this order when the model cannot answer now.",
       .may_be_empty = true,
       .apply =
           [](Settings& s, const std::string& text) {
             s.gemini.fallback_models = split_list(text, ',');
             return true;
           }},
      {.name = "GEMINI_BASE_URL",
       .default_value = "https://generativelanguage.googleapis.com",
       .takes = "an https:// URL (http:// to a loopback address)",
       .help = "Where the Gemini API is; a path is kept, so that a gateway can be named.",
       .apply = url_to(&GeminiOptions::base_url)},
      {.name = "GEMINI_API_VERSION",
       .default_value = "v1beta",
       .takes = "v1beta or v1",
       .help = "The version of the Gemini API.",
       .apply = word_to(TWINCHAT_AT(gemini.api_version), {"v1beta", "v1"})},
      {.name = "GEMINI_PROXY",
       .default_value = "",
       .takes = "an http:// or https:// URL",
       .help = "A proxy for the way to Gemini; without it the environment's https_proxy counts.",
       .apply = url_to(&GeminiOptions::proxy)},
      {.name = "GEMINI_CA_FILE",
       .default_value = "",
       .takes = "the path of a PEM file",
       .help = "Certificate authorities in place of the system's.",
       .apply = text_to(TWINCHAT_AT(gemini.ca_file))},
      {.name = "GEMINI_TEMPERATURE",
       .default_value = "",
       .takes = "a number from 0 to 2",
       .help = "How freely the model chooses its words; left to the model when empty. The newest "
               "models take none.",
       .apply = number_to<double>(TWINCHAT_AT(generation.temperature), 0, 2)},
      {.name = "GEMINI_TOP_P",
       .default_value = "",
       .takes = "a number from 0 to 1",
       .help = "Likewise.",
       .apply = number_to<double>(TWINCHAT_AT(generation.top_p), 0, 1)},
      {.name = "GEMINI_TOP_K",
       .default_value = "",
       .takes = "a whole number from 1 to 1000",
       .help = "Likewise.",
       .apply = number_to<int>(TWINCHAT_AT(generation.top_k), 1, 1000)},
      {.name = "GEMINI_MAX_OUTPUT_TOKENS",
       .default_value = "8192",
       .takes = "a whole number from 1 to 1000000",
       .help = "The cap on an answer, the model's thoughts included.",
       .apply = number_to<int>(TWINCHAT_AT(gemini.max_output_tokens), 1, 1'000'000)},
      {.name = "GEMINI_THINKING_LEVEL",
       .default_value = "",
       .takes = "one of MINIMAL, LOW, MEDIUM and HIGH",
       .help = "How much the model thinks before it answers (gemini-3 and later).",
       .apply =
           word_to(TWINCHAT_AT(generation.thinking_level), {"MINIMAL", "LOW", "MEDIUM", "HIGH"})},
      {.name = "GEMINI_THINKING_BUDGET",
       .default_value = "",
       .takes = "a whole number from -1 to 1000000",
       .help = "The same in tokens (gemini-2.5): 0 for no thinking, -1 for as much as it likes.",
       .apply = number_to<int>(TWINCHAT_AT(generation.thinking_budget), -1, 1'000'000)},
      {.name = "GEMINI_SAFETY_SETTINGS",
       .default_value = "",
       .takes = "a comma-separated list such as HARM_CATEGORY_HARASSMENT=BLOCK_ONLY_HIGH",
       .help =
           "From which probability of harm on an answer is blocked; the model's own when empty.",
       .apply = set_safety},
      {.name = "GEMINI_MAX_ATTEMPTS",
       .default_value = "4",
       .takes = "a whole number from 1 to 10",
       .help = "How often a request is sent at most when Gemini fails in a way that may pass.",
       .apply = number_to<int>(TWINCHAT_AT(gemini.retry.max_attempts), 1, 10)},
      {.name = "GEMINI_CONNECT_TIMEOUT",
       .default_value = "10",
       .takes = "seconds from 0.001 to 3600",
       .help = "Until connected to Gemini.",
       .apply = timeout_to(&Timeouts::connect)},
      {.name = "GEMINI_FIRST_BYTE_TIMEOUT",
       .default_value = "60",
       .takes = "seconds from 0.001 to 3600",
       .help = "From there to the beginning of the answer.",
       .apply = timeout_to(&Timeouts::first_byte)},
      {.name = "GEMINI_IDLE_TIMEOUT",
       .default_value = "60",
       .takes = "seconds from 0.001 to 3600",
       .help = "Between two pieces of the answer.",
       .apply = timeout_to(&Timeouts::idle)},
      {.name = "GEMINI_TOTAL_TIMEOUT",
       .default_value = "180",
       .takes = "seconds from 0.001 to 3600",
       .help = "For one attempt, from its beginning to the end of the answer.",
       .apply = timeout_to(&Timeouts::total)},
      {.name = "GEMINI_MAX_CONNECTIONS",
       .default_value = "1024",
       .takes = "a whole number from 1 to 1000000",
       .help = "Connections to Gemini at the same time.",
       .apply = number_to<std::size_t>(TWINCHAT_AT(gemini.max_connections), 1, kMany)},

      {.name = "GEMINI_PRICES",
       .default_value = "",
       .takes = "prices of a million tokens such as input=0.3,cached=0.075,output=2.5,currency=USD",
       .help = "What the model costs, for the estimate in the admin. Nothing is estimated without.",
       .apply =
           [](Settings& s, const std::string& text) {
             s.prices = TokenPrices::parse(text);
             return s.prices.has_value();
           }},
      {.name = "CHAT_SYSTEM_PROMPT",
       .default_value = "",
       .takes = "a text",
       .help = "Who the assistant is and how it speaks. Without it a prompt for the Twin Health "
               "assistant is used.",
       .from_file = true,
       .apply = text_to(TWINCHAT_AT(system_prompt))},
      {.name = "CHAT_REFUSAL",
       .default_value = AssistantOptions{}.refusal,
       .takes = "a text",
       .help = "What a visitor is told when the model refuses to answer.",
       .apply = text_to(TWINCHAT_AT(refusal))},
      {.name = "CHAT_HISTORY_TURNS",
       .default_value = "20",
       .takes = "a whole number from 0 to 1000",
       .help = "How many earlier questions, with their answers, go along with a new one.",
       .apply = number_to<std::size_t>(TWINCHAT_AT(history_turns), 0, 1000)},
      {.name = "CHAT_HISTORY_TOKENS",
       .default_value = "16384",
       .takes = "a whole number from 0 to 1000000",
       .help = "And about how many tokens of them at most.",
       .apply = number_to<std::size_t>(TWINCHAT_AT(history_tokens), 0, kMany)},
      {.name = "CHAT_TIMEOUT",
       .default_value = "180",
       .takes = "seconds from 0.1 to 3600",
       .help = "The time for one message in all: waiting, attempts and pauses included.",
       .apply = seconds_to(TWINCHAT_AT(chat_timeout), 0.1, 3600)},
      {.name = "CHAT_MAX_IN_FLIGHT",
       .default_value = "1024",
       .takes = "a whole number from 1 to 1000000",
       .help = "Messages that may be awaiting their answer at the same time; one more has to wait.",
       .apply = number_to<std::size_t>(TWINCHAT_AT(chat_max_in_flight), 1, kMany)},
      {.name = "CHAT_MAX_QUEUED",
       .default_value = "64",
       .takes = "a whole number from 0 to 1000000",
       .help = "How many messages may wait until another has its answer; one more gets 503.",
       .apply = number_to<std::size_t>(TWINCHAT_AT(chat_max_queued), 0, kMany)},
      {.name = "CHAT_QUEUE_WAIT",
       .default_value = "2",
       .takes = "seconds from 0.001 to 3600",
       .help = "How long a message may wait so; then it gets 503.",
       .apply = seconds_to(TWINCHAT_AT(chat_queue_wait), 0.001, 3600)},
      {.name = "CHAT_RATE_LIMITS",
       .default_value = std::string(kDefaultRateLimits),
       .takes =
           "off, or a comma-separated list of limits such as message.session=20/min; classes "
           "create, message, lookup, miss; scopes address, session, all; rates 5/s, 5/min, 5/h "
           "or off",
       .help =
           "How often one client address (IPv6: one /64), one session and all together may ask; "
           "more gets 429. So many may come at once, then they are spread evenly. What is not "
           "named keeps its default. Limits by address allow for a school or an office behind "
           "one address; off turns all limits off.",
       .apply = set_rate_limits},
      {.name = "CHAT_RATE_SHARE_INTERVAL",
       .default_value = "0.2",
       .takes = "seconds from 0 to 60",
       .help = "How often servers on one PostgreSQL database, which have the same SECRET_KEY, tell "
               "each "
               "other what they counted against CHAT_RATE_LIMITS: until then each of them may let "
               "through what the others have. 0: each counts for itself.",
       .apply = seconds_to(TWINCHAT_AT(rate_share_interval), 0, 60)},
      {.name = "CHAT_DAILY_TOKENS",
       .default_value = "0",
       .takes = "a whole number from 0 to 1000000000000",
       .help = "How many tokens (prompts, answers and thoughts) all messages of one day, in UTC, "
               "may use; from then on new ones get 429 until midnight, also after a restart. 0 for "
               "no limit.",
       .apply = number_to<std::int64_t>(TWINCHAT_AT(daily_tokens), 0, 1'000'000'000'000)},
      {.name = "CHAT_CREATE_UNKNOWN_SESSIONS",
       .default_value = "True",
       .takes = "True or False",
       .help = "Whether a message to an unknown session_id that is a UUID creates the session.",
       .apply = boolean_to(TWINCHAT_AT(create_unknown_sessions))},
      {.name = "CHAT_HEARTBEAT",
       .default_value = "10",
       .takes = "seconds from 0.05 to 3600",
       .help = "How long a stream may be silent before a comment is sent to keep it alive.",
       .apply = seconds_to(TWINCHAT_AT(heartbeat), 0.05, 3600)},
      {.name = "CHAT_RESUME_WINDOW",
       .default_value = "60",
       .takes = "seconds from 0 to 3600",
       .help = "How long a streamed answer with an idempotency key goes on without its client, who "
               "may come back for the rest; then it is cancelled.",
       .apply = seconds_to(TWINCHAT_AT(resume_window), 0, 3600)},
      {.name = "CHAT_RESUME_BYTES",
       .default_value = "33554432",
       .takes = "a whole number from 0 to 1073741824",
       .help = "How much text of streamed answers under way is kept for that, all together; an "
               "answer that no longer fits ends with its client.",
       .apply = number_to<std::size_t>(TWINCHAT_AT(resume_bytes), 0, 1'073'741'824)},
      {.name = "CHAT_PAGE",
       .default_value = "True",
       .takes = "True or False",
       .help = "Whether the server has a page to chat on at /. /widget.js, for other sites' pages, "
               "is there either way.",
       .apply = boolean_to(TWINCHAT_AT(chat_page))},
      {.name = "CHAT_WIDGET",
       .default_value = "",
       .takes = "a JSON object as GET /api/chat/widget/ shows it, or the part of one that differs",
       .help = "What the widget and the chat page show and ask for: texts by language, quick "
               "actions, details, consent, feedback.",
       .from_file = true,
       .apply =
           [](Settings& s, const std::string& text) {
             s.widget = WidgetSettings::parse(text);
             return true;
           }},
  };
}

#undef TWINCHAT_AT

// A value and the words for where it was found.
struct Found {
  std::string value;
  std::string origin;
};

class Loader {
 public:
  explicit Loader(const SettingSources& sources)
      : sources_(sources),
        env_file_(parse_env_file(sources.env_file_text, sources.env_file_name)) {}

  Settings load(bool for_serving) {
    for (const Setting& setting : setting_table()) take(setting);
    settings_.metrics_address_given = find("METRICS_ADDRESS", false).has_value();
    if (settings_.system_prompt.empty()) settings_.system_prompt = kDefaultSystemPrompt;
    warn_of_unknown_names();
    if (settings_.tls_certificate.empty() != settings_.tls_key.empty()) {
      throw SettingsError("TLS_CERTIFICATE and TLS_KEY belong together: set both, or none.");
    }
    if (for_serving) check_keys();
    return std::move(settings_);
  }

  std::vector<EffectiveSetting> effective() const {
    std::vector<EffectiveSetting> all;
    for (const Setting& setting : setting_table()) {
      EffectiveSetting& one = all.emplace_back();
      one.name = setting.name;
      const auto found = find(one.name, setting.may_be_empty);
      if (const auto file = find_in_file(setting); !found && file) {
        one.value = file->value;
        one.origin = file->origin;
        one.file = find(one.name + "_FILE", false)->value;
      } else {
        one.value = found ? found->value : std::string(setting.default_value);
        one.origin = found ? found->origin : "by default";
      }
      one.secret = setting.secret;
      if (one.secret) one.value = one.value.empty() ? "not set" : "set";
    }
    return all;
  }

  LogFormat log_format() {
    for (const Setting& setting : setting_table()) {
      if (setting.name == "LOG_FORMAT") take(setting);
    }
    return settings_.log_format;
  }

 private:
  // The value of that name from the strongest source that gives one.
  std::optional<Found> find(const std::string& name, bool may_be_empty) const {
    const auto usable = [&](const std::string& value) { return may_be_empty || !value.empty(); };
    if (const auto it = sources_.flags.find(name); it != sources_.flags.end()) {
      return Found{it->second, "on the command line"};
    }
    if (const auto it = sources_.environment.find(name);
        it != sources_.environment.end() && usable(it->second)) {
      return Found{it->second, "in the environment"};
    }
    for (auto it = env_file_.rbegin(); it != env_file_.rend(); ++it) {
      if (it->name == name && usable(it->value)) {
        return Found{it->value, fmt::format("in {} line {}", sources_.env_file_name, it->line)};
      }
    }
    return std::nullopt;
  }

  std::optional<Found> find_in_file(const Setting& setting) const {
    if (!setting.secret && !setting.from_file) return std::nullopt;
    const std::string name = std::string(setting.name) + "_FILE";
    const auto path = find(name, false);
    if (!path) return std::nullopt;
    auto text = sources_.read_file ? sources_.read_file(path->value) : std::nullopt;
    if (!text) {
      throw SettingsError(
          fmt::format("{} {} names a file that cannot be read.", name, path->origin));
    }
    if (setting.secret) text = std::string(trim(*text));
    return Found{std::move(*text), fmt::format("in the file that {} names", name)};
  }

  void take(const Setting& setting) {
    auto found = find(std::string(setting.name), setting.may_be_empty);
    const auto in_file = find_in_file(setting);
    if (found && in_file) {
      throw SettingsError(
          fmt::format("{0} is given twice, {1} and by {0}_FILE: leave one of them out.",
                      setting.name, found->origin));
    }
    if (!found) found = in_file;
    if (!found) {
      if (setting.default_value.empty() && !setting.may_be_empty) return;
      found = Found{std::string(setting.default_value), "by default"};
    }
    bool usable = false;
    try {
      usable = is_utf8(found->value) && setting.apply(settings_, found->value);
    } catch (const SettingsError& error) {
      // What is wrong within the value.
      throw SettingsError(
          fmt::format("{} {} is not usable: {}", setting.name, found->origin, error.what()));
    }
    if (!usable) {
      throw SettingsError(fmt::format("{} {} is not usable: it takes {}.", setting.name,
                                      found->origin, setting.takes));
    }
  }

  void warn_of_unknown_names() {
    static constexpr std::array<std::string_view, 16> kOurPrefixes = {
        "BACKUP_",   "RETENTION_", "GEMINI_",  "CHAT_",  "CORS_", "ALLOWED_",
        "DATABASE_", "TLS_",       "SECRET_",  "LOG_",   "DEBUG", "SHUTDOWN_",
        "DRAIN_",    "TRUSTED_",   "METRICS_", "SECURE_"};
    for (const EnvEntry& entry : env_file_) {
      const bool ours = std::any_of(kOurPrefixes.begin(), kOurPrefixes.end(), [&](auto prefix) {
        return std::string_view(entry.name).starts_with(prefix);
      });
      if (ours && !is_known(entry.name)) {
        settings_.warnings.push_back(fmt::format("{} line {}: there is no setting {}",
                                                 sources_.env_file_name, entry.line, entry.name));
      }
    }
  }

  static bool is_known(std::string_view name) {
    return std::any_of(setting_table().begin(), setting_table().end(), [&](const Setting& s) {
      return name == s.name || ((s.secret || s.from_file) && name == std::string(s.name) + "_FILE");
    });
  }

  void check_keys() const {
    if (settings_.debug) return;
    if (const auto weakness = secret_key_weakness(settings_.secret_key)) {
      throw SettingsError(
          fmt::format("SECRET_KEY {}: set it to a random text of at least 32 characters (openssl "
                      "rand -base64 48 makes one), or set DEBUG=True on your own machine.",
                      *weakness));
    }
    if (settings_.gemini_api_key.empty()) {
      throw SettingsError(
          "GEMINI_API_KEY is missing: get one at https://aistudio.google.com and set it in the "
          "environment or in .env, or set DEBUG=True to try the server with its offline demo "
          "model.");
    }
  }

  const SettingSources& sources_;
  std::vector<EnvEntry> env_file_;
  Settings settings_;
};

// Text as it may stand behind NAME= and be read back the same.
std::string env_quoted(const std::string& value) {
  if (value.find_first_of(" \t\n#'\"\\") == std::string::npos) return value;
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

// `text` in comment lines of at most 100 columns.
std::string comment(std::string_view text) {
  std::string lines = "#";
  std::size_t column = 1;
  for (const std::string& word : split_list(text, ' ')) {
    if (column + 1 + word.size() > 100) {
      lines += "\n#";
      column = 1;
    }
    lines += ' ' + word;
    column += 1 + word.size();
  }
  return lines + '\n';
}

}  // namespace

std::string Setting::flag() const {
  if (secret) return {};
  std::string flag = "--" + ascii_lower(name);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

const std::vector<Setting>& setting_table() {
  static const std::vector<Setting> table = make_table();
  return table;
}

std::string Settings::database_shown() const {
  const std::size_t scheme = database_url.find("://");
  if (scheme == std::string::npos || !database_url.starts_with("postgres")) return database_url;
  // libpq takes a password as it is, whatever it consists of.
  std::string place = database_url.substr(scheme + 3);
  const std::size_t parameters = place.find('?');
  const std::size_t at = place.rfind('@', parameters);
  if (parameters != std::string::npos) place.resize(parameters);
  if (at != std::string::npos) {
    place.erase(0, at + 1);
  } else if (database_url.find('@') != std::string::npos) {
    place = "...";
  }
  return "postgresql://" + place;
}

Settings load_settings(const SettingSources& sources, bool for_serving) {
  return Loader(sources).load(for_serving);
}

std::vector<EffectiveSetting> effective_settings(const SettingSources& sources) {
  return Loader(sources).effective();
}

LogFormat log_format(const SettingSources& sources) {
  try {
    return Loader(sources).log_format();
  } catch (const SettingsError&) {
    return LogFormat::kText;
  }
}

std::optional<std::string> secret_key_weakness(std::string_view key) {
  if (key.empty()) return "is missing";
  if (key.size() < 32) return "is too short";
  const std::string lower = ascii_lower(key);
  for (const std::string_view known :
       {"django-insecure", "your-secret-key", "change-me", "changeme"}) {
    if (lower.find(known) != std::string::npos) return "is a placeholder that everybody knows";
  }
  if (std::set<char>(key.begin(), key.end()).size() < 10) return "is not random";
  return std::nullopt;
}

std::string env_example() {
  std::string text =
      comment(
          "Settings of twinchat-server. Copy this file to .env and change what you need; what is "
          "commented out shows the default.") +
      comment(
          "A flag (twinchat-server serve --help) is stronger than the environment, which is "
          "stronger than this file.");
  for (const Setting& setting : setting_table()) {
    text += '\n' + comment(setting.help) + comment(fmt::format("It takes {}.", setting.takes));
    if (setting.secret || setting.from_file) {
      text += comment(fmt::format("{}_FILE may name a file that holds it instead.", setting.name));
    }
    text += fmt::format("# {}={}\n", setting.name, env_quoted(setting.default_value));
  }
  return text;
}

}  // namespace twinchat::server
