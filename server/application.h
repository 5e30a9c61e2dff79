#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <shared_mutex>
#include <string>

#include "admin/admin.h"
#include "api/chat_routes.h"
#include "api/request_limits.h"
#include "api/router.h"
#include "config/settings.h"
#include "http/http_server.h"
#include "limits/shared_rate_limits.h"
#include "maintenance/backup_schedule.h"
#include "maintenance/retention.h"
#include "metrics/metrics.h"
#include "systemd/service_manager.h"
#include "twinchat/assistant.h"
#include "twinchat/database.h"

namespace twinchat::server {

// Opens the database of the settings; what an operator should know goes to the log. With `create`
// off, a database that is not there is kNotFound and one without our tables kFailedPrecondition.
// With `take_time`, what takes minutes on a large database is done too, and otherwise left out.
Database open_database(const Settings& settings, bool create, bool take_time = false);

// The settings' rules.
RetentionRules retention_rules(const Settings& settings);

// Everything the server is made of, put together from its settings.
//
// Thread safety: stop() may be called from any thread and from a signal handler; everything else by
// one thread.
class Application {
 public:
  // Opens the database and makes the model. Error when that cannot be done, SettingsError when the
  // certificate cannot be used. `manager` hears how the server is, and must outlive it.
  explicit Application(const Settings& settings, const ServiceManager& manager = nobody());
  // Cancels the turns under way and waits until they are stored.
  ~Application();
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;

  // Listens, says so in the log, and serves until stop(). std::system_error when the address cannot
  // be had, or one that was named for the metrics.
  void run();

  // Begins the end: run() returns when the requests under way have their answers, or after
  // `drain`. Async-signal-safe; a second call can only shorten the time.
  void stop(std::chrono::milliseconds drain) noexcept {
    announce_stop();
    http_.stop(drain);
  }

  // The methods and patterns that are served, a line each.
  std::string routes() const;

  // Says that the end is near: from here on /readyz is 503, everything else goes on.
  // Async-signal-safe.
  void announce_stop() noexcept {
    stopping_ = true;
    http_.interrupt();
  }

  // Has the certificate read again, on a worker; what came of it is in the log. Async-signal-safe.
  void reload() noexcept {
    reload_ = true;
    http_.interrupt();
  }

 private:
  static const ServiceManager& nobody();
  void handle(Exchange& exchange);
  void add_health_routes();
  RouterOptions router_options() const;
  // Runs the task on a worker, unless the end has come by then.
  void post(std::function<void()> task);
  std::string metrics_text();
  HttpServerOptions http_options();
  // What a signal handler has asked for.
  void heed_signals();
  void load_certificate();
  // Tells the manager that the server is alive, and what it does.
  void tell_manager();

  const Settings settings_;
  const ServiceManager& manager_;
  const std::shared_ptr<TlsContext> tls_;  // null: plain HTTP
  // Held by every handler that runs, and alone by the end: the assistant goes when none is left.
  std::shared_mutex running_;
  bool closed_ = false;  // guarded by running_
  std::atomic<bool> stopping_{false};
  std::atomic<bool> reload_{false};
  bool told_of_stop_ = false;  // the event loop's
  RequestLimits limits_;
  const std::unique_ptr<Metrics> metrics_;  // null when nobody wants them; outlives what it counts
  Router router_;  // outlives the server, which asks it for the answers to broken requests
  HttpServer http_;
  std::shared_ptr<Store> database_;  // as it was opened
  std::shared_ptr<Store> store_;     // the same, watched
  std::shared_ptr<Records> records_;
  std::unique_ptr<Assistant> assistant_;
  std::unique_ptr<ChatRoutes> chat_routes_;
  std::unique_ptr<Admin> admin_;
  std::unique_ptr<BackupSchedule> backups_;          // null when none are wanted
  std::unique_ptr<RetentionKeeper> retention_;       // null when everything is kept
  std::unique_ptr<SharedRateLimits> shared_limits_;  // null when no other server is to know
};

}  // namespace twinchat::server
