#include "application.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <mutex>
#include <optional>
#include <system_error>

#include "config/settings_error.h"
#include "demo_model.h"
#include "metrics/metrics_server.h"
#include "metrics/watched_model.h"
#include "metrics/watched_store.h"
#include "pages/api_docs.h"
#include "pages/chat_page.h"
#include "twinchat/gemini.h"
#include "twinchat/postgres_store.h"
#include "twinchat/sqlite_store.h"

namespace twinchat::server {
namespace {

constexpr std::size_t kOpenFiles = 65'536;

std::unique_ptr<Metrics> make_metrics(const Settings& settings) {
  if (!settings.metrics_address) return nullptr;
  if (settings.demo()) {
    return std::make_unique<Metrics>(std::vector<std::string>{DemoModel().name()}, "twinchat");
  }
  std::vector<std::string> models{settings.gemini.model};
  models.insert(models.end(), settings.gemini.fallback_models.begin(),
                settings.gemini.fallback_models.end());
  return std::make_unique<Metrics>(std::move(models), "gcp.gemini");
}

std::shared_ptr<Model> make_model(const Settings& settings, Metrics* metrics) {
  if (settings.demo()) return std::make_shared<DemoModel>();
  GeminiOptions options = settings.gemini;
  options.api_key = settings.gemini_api_key;
  options.max_in_flight = settings.chat_max_in_flight;
  options.on_warning = [](const std::string& what) { spdlog::warn("Gemini: {}", what); };
  if (metrics) {
    options.on_breaker = [metrics](const std::string& model, bool open) {
      metrics->breaker_changed(model, open);
    };
  }
  return make_gemini_model(std::move(options));
}

std::shared_ptr<TlsContext> make_tls(const Settings& settings) {
  if (settings.tls_certificate.empty()) return nullptr;
  try {
    return std::make_shared<TlsContext>(settings.tls_certificate, settings.tls_key);
  } catch (const std::runtime_error& error) {
    throw SettingsError(fmt::format("TLS_CERTIFICATE, TLS_KEY: {}.", error.what()));
  }
}

// "http://[::1]:8000"
std::string url_of(std::string_view scheme, const std::string& host, int port) {
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", scheme, v6 ? "[" : "", host, v6 ? "]" : "", port);
}

// The size of the database's write-ahead log; 0 when there is none.
std::uint64_t wal_bytes(std::string_view database_url) {
  const auto file = sqlite_file(database_url);
  if (!file) return 0;
  std::error_code none;
  const auto size = std::filesystem::file_size(file->string() + "-wal", none);
  return none ? 0 : size;
}

// Starts the metrics' own server. Null when nobody wants it, or when the default address is taken.
std::unique_ptr<MetricsServer> serve_metrics(const Settings& settings,
                                             std::function<std::string()> text) {
  if (!settings.metrics_address) return nullptr;
  const auto& [host, port] = *settings.metrics_address;
  try {
    auto server = std::make_unique<MetricsServer>(host, port, std::move(text));
    spdlog::info("metrics at {}/metrics", url_of("http", host, server->port()));
    return server;
  } catch (const std::system_error& error) {
    if (settings.metrics_address_given) throw;
    spdlog::warn("no /metrics: {}", error.what());
    return nullptr;
  }
}

}  // namespace

Database open_database(const Settings& settings, bool create, bool take_time) {
  const std::string& url = settings.database_url;
  const auto warn = [](const std::string& what) { spdlog::warn("database: {}", what); };
  if (url.starts_with("postgres")) {
    PostgresStoreOptions options;
    options.max_connections = settings.database_pool_size;
    options.create = create;
    options.build_indexes = take_time;
    options.on_warning = warn;
    return open_postgres_database(url, options);
  }
  const auto file = sqlite_file(url);
  if (!file) return twinchat::open_database(url);
  SqliteStoreOptions options;
  options.create = create;
  options.on_warning = warn;
  return open_sqlite_database(*file, options);
}

const ServiceManager& Application::nobody() {
  static const ServiceManager nobody;
  return nobody;
}

RetentionRules retention_rules(const Settings& settings) {
  return {std::chrono::days(settings.retention_days_chats),
          std::chrono::days(settings.retention_days_leads)};
}

Application::Application(const Settings& settings, const ServiceManager& manager)
    : settings_(settings),
      manager_(manager),
      tls_(make_tls(settings)),
      limits_(settings.rate_limits, settings.trusted_proxies, KeyedHash(settings.secret_key)),
      metrics_(make_metrics(settings)),
      router_(AccessRules(settings.allowed_hosts, settings.cors_allowed_origins), router_options()),
      http_(http_options(), [this](Exchange& exchange) { handle(exchange); }) {
  raise_open_file_limit(kOpenFiles);
  AssistantOptions options;
  options.system_prompt = settings.system_prompt;
  options.history_turns = settings.history_turns;
  options.history_tokens = settings.history_tokens;
  options.generation = settings.generation;
  options.refusal = settings.refusal;
  options.turn_timeout = settings.chat_timeout;
  options.daily_tokens = settings.daily_tokens;
  options.executor = [this](std::function<void()> task) { http_.post(std::move(task)); };
  ChatRouteOptions routes;
  routes.create_unknown_sessions = settings.create_unknown_sessions;
  routes.places = {.max_taken = settings.chat_max_in_flight,
                   .max_queued = settings.chat_max_queued,
                   .max_wait = std::min(settings.chat_queue_wait, settings.chat_timeout),
                   .executor = [this](std::function<void()> task) { post(std::move(task)); }};
  routes.timeout = settings.chat_timeout;
  routes.streams = {.window = settings.resume_window,
                    .max_bytes = settings.resume_bytes,
                    .heartbeat = settings.heartbeat,
                    .executor = [this](std::function<void()> task) { post(std::move(task)); }};
  routes.widget = settings.widget;
  routes.session_hash = KeyedHash(settings.secret_key);
  // The model first: settings that it refuses are told before the database is touched.
  std::shared_ptr<Model> model = make_model(settings, metrics_.get());
  Database database = server::open_database(settings, true);
  database_ = database.store;
  store_ = database_;
  records_ = database.records;
  if (metrics_) {
    model = std::make_shared<WatchedModel>(std::move(model), *metrics_);
    store_ = std::make_shared<WatchedStore>(std::move(store_), *metrics_);
  }
  assistant_ = std::make_unique<Assistant>(store_, std::move(model), std::move(options));
  chat_routes_ = std::make_unique<ChatRoutes>(*assistant_, limits_, routes);
  chat_routes_->add_to(router_);
  admin_ = std::make_unique<Admin>(
      store_, database.records, database.accounts, limits_,
      AdminOptions{.always_secure = settings.session_cookie_secure,
                   .login_hash = KeyedHash(settings.secret_key),
                   .records = {.prices = settings.prices, .heartbeat = settings.heartbeat}});
  admin_->add_to(router_);
  add_api_docs(router_, openapi_files(), docs_page_files());
  add_chat_page(router_, chat_page_files(), settings.chat_page);
  add_health_routes();
  if (database.rate_buckets && settings.rate_share_interval > std::chrono::milliseconds::zero()) {
    shared_limits_ = std::make_unique<SharedRateLimits>(limits_.limiter(), database.rate_buckets,
                                                        settings.rate_share_interval);
  }
}

HttpServerOptions Application::http_options() {
  HttpServerOptions options;
  options.host = settings_.host;
  options.port = settings_.port;
  options.tls = tls_;
  options.limits.body_bytes = settings_.max_body_bytes;
  options.error_answer = [this](const ErrorCause& cause) { return router_.error_answer(cause); };
  options.on_drain = [this] {
    chat_routes_->stop_waiting();
    admin_->stop_streams();
    heed_signals();
  };
  options.on_interrupt = [this] { heed_signals(); };
  if (manager_.listens()) {
    options.on_beat = [this] { tell_manager(); };
    // Three chances to be heard.
    if (const auto silence = manager_.watchdog()) {
      options.beat = std::min(options.beat,
                              std::chrono::duration_cast<std::chrono::milliseconds>(*silence / 3));
    }
  }
  options.log = [](std::string_view what) { spdlog::warn("{}", what); };
  return options;
}

void Application::heed_signals() {
  if (stopping_ && !std::exchange(told_of_stop_, true)) {
    manager_.notify("STOPPING=1\nSTATUS=Finishing the requests under way");
  }
  if (!reload_.exchange(false)) return;
  manager_.notify_reloading();
  http_.post([this] {
    load_certificate();
    manager_.notify("READY=1");
  });
}

void Application::load_certificate() {
  if (!tls_) {
    spdlog::info("SIGHUP: there is nothing to read again (no TLS_CERTIFICATE)");
    return;
  }
  try {
    tls_->reload();
    spdlog::info("SIGHUP: new connections get the certificate that {} has now",
                 settings_.tls_certificate);
  } catch (const std::runtime_error& error) {
    spdlog::error("SIGHUP: {}; the earlier certificate stays in use", error.what());
  }
}

void Application::tell_manager() {
  const HttpServerStats http = http_.stats();
  const TurnPlacesStats places = chat_routes_->places();
  manager_.notify(fmt::format("{}STATUS={}{} connections, {} messages under way, {} waiting",
                              manager_.watchdog() ? "WATCHDOG=1\n" : "",
                              stopping_ ? "Finishing: " : "", http.connections_open, places.taken,
                              places.queued));
}

RouterOptions Application::router_options() const {
  RouterOptions options;
  options.observer = metrics_.get();
  HttpsOptions https = settings_.https;
  https.trusted_proxies = settings_.trusted_proxies;
  options.https = HttpsRules(std::move(https));
  // Of an IPv6 address the part that is one client's: as the rate limits count it.
  options.client = [this, hash = KeyedHash(settings_.secret_key)](std::string_view peer,
                                                                  std::string_view forwarded_for) {
    const IpAddress network = limits_.client_of(peer, forwarded_for).network();
    return fmt::format("{:016x}", hash({reinterpret_cast<const char*>(network.bytes.data()),
                                        network.bytes.size()}));
  };
  return options;
}

Application::~Application() {
  {
    std::unique_lock alone(running_);
    closed_ = true;
  }
  admin_->stop_streams();
  // The workers still run: the turns are finished on them.
  assistant_.reset();
}

void Application::run() {
  http_.listen();
  spdlog::info("serving on {}/ with database {} and {}",
               url_of(tls_ ? "https" : "http", settings_.host, http_.port()),
               settings_.database_shown(),
               settings_.demo() ? "the offline demo model (no GEMINI_API_KEY)"
                                : "model " + settings_.gemini.model);
  if (settings_.debug) spdlog::warn("DEBUG is on: not for a public server");
  if (!settings_.backup_dir.empty()) {
    backups_ = std::make_unique<BackupSchedule>(
        settings_.database_url,
        BackupPlan{settings_.backup_dir, settings_.backup_interval, settings_.backup_keep});
  }
  const RetentionRules rules = retention_rules(settings_);
  if (rules.any()) retention_ = std::make_unique<RetentionKeeper>(records_, rules);
  const auto metrics_server = serve_metrics(settings_, [this] { return metrics_text(); });
  manager_.notify("READY=1\nSTATUS=Serving");
  http_.run();
  spdlog::info("stopped");
}

std::string Application::routes() const {
  std::string lines;
  for (const auto& [method, pattern] : router_.table()) lines += method + " " + pattern + "\n";
  return lines;
}

void Application::handle(Exchange& exchange) {
  std::shared_lock running(running_);
  if (closed_) {
    ErrorCause cause{.status = 503,
                     .detail = "The server is going down.",
                     .client_address = exchange.client_address()};
    const httplib::Request& request = exchange.request();
    cause.head = {.method = request.method, .target = request.target};
    for (const auto& [name, value] : request.headers) cause.head.fields.push_back({name, value});
    exchange.response() = router_.error_answer(cause);
  } else {
    router_.handle(exchange);
  }
}

void Application::post(std::function<void()> task) {
  http_.post([this, task = std::move(task)] {
    std::shared_lock running(running_);
    if (!closed_) task();
  });
}

std::string Application::metrics_text() {
  return metrics_->text(
      {.http = http_.stats(),
       .places = chat_routes_->places(),
       .streams = chat_routes_->streams(),
       .wal_bytes = wal_bytes(settings_.database_url),
       .pool = postgres_pool_statistics(*database_),
       .backups = backups_ ? std::optional(backups_->stats()) : std::nullopt,
       .certificate_expires = tls_ ? std::optional(tls_->expires()) : std::nullopt});
}

void Application::add_health_routes() {
  router_.add("GET", "/livez/", [](Call& call) { call.answer(200, {{"status", "ok"}}); });
  router_.add("GET", "/readyz/", [this](Call& call) {
    if (stopping_) throw Refusal(503, {{"status", "draining"}});
    try {
      store_->check();
    } catch (const Error& error) {
      throw Refusal(503, {{"status", "database"}, {"error", error.what()}});
    }
    call.answer(200, {{"status", "ok"}});
  });
}

}  // namespace twinchat::server
