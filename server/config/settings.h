#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/prices.h"
#include "api/https_rules.h"
#include "config/settings_error.h"
#include "config/widget_settings.h"
#include "limits/client_address.h"
#include "limits/rate_limiter.h"
#include "log/log.h"
#include "twinchat/gemini.h"

namespace twinchat::server {

// Where to listen.
struct ListenAddress {
  std::string host = {};
  int port = 0;
};

// What the server is told, checked and typed. The defaults are in the table of setting_table(),
// which also has the words for --help and .env.example; a Settings made without load_settings()
// holds the bare C++ defaults below and is of use to tests only.
struct Settings {
  // DEBUG: for trying things out. Allows a missing SECRET_KEY and answers without a Gemini key.
  // Shows nothing to visitors that they would not see otherwise.
  bool debug = false;
  // SECRET_KEY: signs what the server hands out and takes back. Empty only under DEBUG.
  std::string secret_key = {};
  // ALLOWED_HOSTS: names in Host that are served; ".example.com" with its sub-domains, "*" all.
  std::vector<std::string> allowed_hosts = {};
  // CORS_ALLOWED_ORIGINS: "scheme://host[:port]" of the pages whose scripts may read answers.
  std::vector<std::string> cors_allowed_origins = {};
  // DATABASE_URL: what twinchat::open_store() takes.
  std::string database_url = {};
  // DATABASE_POOL_SIZE: connections to PostgreSQL at most.
  std::size_t database_pool_size = 16;
  // BACKUP_DIR: where the server puts backups; empty: it makes none. BACKUP_INTERVAL, BACKUP_KEEP:
  // how often, and how many are kept.
  std::string backup_dir = {};
  std::chrono::milliseconds backup_interval{0};
  std::size_t backup_keep = 0;
  // RETENTION_DAYS_CHATS, RETENTION_DAYS_LEADS: for how long sessions without and with a way to
  // reach the visitor are kept; 0 for ever.
  std::int64_t retention_days_chats = 0;
  std::int64_t retention_days_leads = 0;

  // HOST, PORT: where to listen. Port 0 takes any free one; the start-up line names it.
  std::string host = {};
  int port = 0;
  // TLS_CERTIFICATE, TLS_KEY: PEM files; both or none, which is plain HTTP.
  std::string tls_certificate = {};
  std::string tls_key = {};
  // SECURE_*: what depends on https; the proxies to be believed are left for the one who wires.
  HttpsOptions https = {};
  // SESSION_COOKIE_SECURE: the admin gives no cookie without https, not even on a loopback address.
  bool session_cookie_secure = false;
  // MAX_BODY_BYTES: the largest request body; one more byte is 413.
  std::size_t max_body_bytes = 65'536;
  // SHUTDOWN_TIMEOUT: how long requests under way may go on after SIGTERM.
  std::chrono::milliseconds shutdown_timeout{0};
  // DRAIN_DELAY: how long /readyz is 503 before the server stops taking requests.
  std::chrono::milliseconds drain_delay{0};
  // TRUSTED_PROXIES: from whom X-Forwarded-For is believed.
  std::vector<AddressRange> trusted_proxies = {};
  // METRICS_ADDRESS: where /metrics is; nullopt: nowhere.
  std::optional<ListenAddress> metrics_address = {};
  // Somebody asked for that address; otherwise the server does without when it is taken.
  bool metrics_address_given = false;
  // LOG_LEVEL: trace, debug, info, warning, error, critical or off.
  std::string log_level = "info";
  // LOG_FORMAT: how a line of the log is written.
  LogFormat log_format = LogFormat::kText;

  // GEMINI_API_KEY. Empty: the demo model (only under DEBUG).
  std::string gemini_api_key = {};
  // GEMINI_*: how Gemini is reached; api_key and on_warning are left for the one who wires.
  GeminiOptions gemini = {};
  // GEMINI_TEMPERATURE and the like: how answers are generated.
  GenerationConfig generation = {};

  // CHAT_SYSTEM_PROMPT: who the assistant is and how it speaks.
  std::string system_prompt = {};
  // CHAT_REFUSAL: what a visitor is told when the model refuses.
  std::string refusal = {};
  // CHAT_HISTORY_TURNS, CHAT_HISTORY_TOKENS: how much of a conversation goes along with a question.
  std::size_t history_turns = 0;
  std::size_t history_tokens = 0;
  // CHAT_TIMEOUT: the end of a turn, waiting and all attempts included.
  std::chrono::milliseconds chat_timeout{0};
  // CHAT_MAX_IN_FLIGHT: turns at the same time; one more waits.
  std::size_t chat_max_in_flight = 0;
  // CHAT_MAX_QUEUED, CHAT_QUEUE_WAIT: how many messages wait for their turn, and how long; then
  // 503.
  std::size_t chat_max_queued = 0;
  std::chrono::milliseconds chat_queue_wait{0};
  // CHAT_RATE_LIMITS: how often who may ask for what.
  RateLimits rate_limits = {};
  // CHAT_RATE_SHARE_INTERVAL: how often servers on one database tell each other what they counted;
  // zero: never.
  std::chrono::milliseconds rate_share_interval{0};
  // CHAT_DAILY_TOKENS: tokens of all turns of a UTC day; 0 for no limit.
  std::int64_t daily_tokens = 0;
  // GEMINI_PRICES: what tokens cost, for the admin's estimate; nullopt: nothing is estimated.
  std::optional<TokenPrices> prices = {};
  // CHAT_CREATE_UNKNOWN_SESSIONS: a message to an unknown session id that is a UUID creates it.
  bool create_unknown_sessions = true;
  // CHAT_HEARTBEAT: how long a stream may be silent before a comment keeps it alive.
  std::chrono::milliseconds heartbeat{0};
  // CHAT_RESUME_WINDOW, CHAT_RESUME_BYTES: how long a streamed answer with a key goes on without
  // its client, and how much of all such answers is kept for that.
  std::chrono::milliseconds resume_window{0};
  std::size_t resume_bytes = 0;
  // CHAT_PAGE: the page at / is served.
  bool chat_page = true;
  // CHAT_WIDGET: what the widget and the chat page show, and ask for.
  WidgetSettings widget = {};

  // What the operator should hear about: unknown names in .env that look like ours.
  std::vector<std::string> warnings = {};

  // No key was given, so the demo model answers.
  bool demo() const { return gemini_api_key.empty(); }
  // The database as anybody may read it: of a PostgreSQL URL without who logs in and how.
  std::string database_shown() const;
};

// One line of the table that drives parsing, flags, --help and .env.example.
struct Setting {
  std::string_view name;      // as in the environment
  std::string default_value;  // as text, as it would stand in .env
  std::string_view takes;     // "a whole number from 1 to 64": the end of "it takes ..."
  std::string_view help;      // one or two sentences
  // Never shown, has no flag (the process list is public), and NAME_FILE may name a file with it.
  bool secret = false;
  // NAME_FILE may name a file with the value.
  bool from_file = false;
  // An empty value is a value, and not the same as not giving one.
  bool may_be_empty = false;
  // Takes the text into the settings; false when the text is not what `takes` says.
  std::function<bool(Settings&, const std::string&)> apply = {};

  // "--gemini-model" for GEMINI_MODEL; empty for a secret.
  std::string flag() const;
};

// All settings, in the order in which they are documented.
const std::vector<Setting>& setting_table();

// Where values come from, the strongest first.
struct SettingSources {
  std::map<std::string, std::string> flags = {};  // by setting name
  std::map<std::string, std::string> environment = {};
  std::string env_file_text = {};
  std::string env_file_name = ".env";
  // Reads the file that a NAME_FILE setting names; nullopt when it cannot be read.
  std::function<std::optional<std::string>(const std::string& path)> read_file = {};
};

// Flags over environment over .env over defaults, all checked. SettingsError for the first thing
// that is wrong: a value that is not what the setting takes, a certificate without
// its key, a missing or weak SECRET_KEY, a missing GEMINI_API_KEY. With `for_serving` off (migrate,
// check on a machine without the keys) the two keys are not asked for.
//
// Thread safety: a pure function, apart from what read_file does.
Settings load_settings(const SettingSources& sources, bool for_serving = true);

// A setting as it is in force.
//
// Thread safety: a plain value.
struct EffectiveSetting {
  std::string name = {};
  // As text; of a secret "set" or "not set".
  std::string value = {};
  // "in the environment", "in .env line 3", "by default"
  std::string origin = {};
  // Of one that NAME_FILE gave: the file.
  std::string file = {};
  bool secret = false;
};

// All settings from these sources, in the order of the table. Errors as load_settings(), except
// that values are not judged.
std::vector<EffectiveSetting> effective_settings(const SettingSources& sources);

// LOG_FORMAT alone, for what is to be said before, or while, the settings are judged: text when it
// is not usable.
LogFormat log_format(const SettingSources& sources);

// Why that SECRET_KEY must not be used, as the end of a sentence; nullopt when it may.
std::optional<std::string> secret_key_weakness(std::string_view key);

// The text of .env.example: every setting with its words, the defaults commented out.
std::string env_example();

}  // namespace twinchat::server
