#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer_stream.h"
#include "api/request_observer.h"
#include "api/turn_places.h"
#include "http/http_server_stats.h"
#include "maintenance/backup_schedule.h"
#include "twinchat/content.h"
#include "twinchat/error.h"
#include "twinchat/postgres_store.h"

namespace twinchat::server {

// What a store can be asked.
enum class StoreOperation {
  kCreateSession,
  kFindSession,
  kUpdateUser,
  kMessages,
  kTurns,
  kBeginTurn,
  kFinishTurn,
  kPastTurns,
  kAnsweredTurns,
  kSetFeedback,
  kRecordConsent,
  kConsents,
  kWithdrawConsents,
  kCount,
};

// One call of a model, after it has ended.
struct ModelCall {
  std::string_view model;  // that was asked last
  std::optional<ErrorCode> error = {};
  std::chrono::steady_clock::duration took{0};
  std::optional<std::chrono::steady_clock::duration> first_chunk = {};  // of a streamed answer
  Usage usage = {};
};

// What is known only at the moment when somebody looks.
struct MetricsSnapshot {
  HttpServerStats http = {};
  TurnPlacesStats places = {};
  AnswerStreamStats streams = {};
  std::uint64_t wal_bytes = 0;
  PostgresPoolStatistics pool = {};
  std::optional<BackupStats> backups = {};  // absent where none are to be made
  std::optional<std::chrono::system_clock::time_point> certificate_expires = {};
};

// Counts what the server does, and says so in the text format of Prometheus. Names follow
// OpenTelemetry where it has one. Every label has few values, all of them ours: routes by their
// patterns, models by the settings, never anything that a visitor sent.
//
// Thread safety: every function may be called from any number of threads at once, except
// add_route() (see RequestObserver).
class Metrics final : public RequestObserver {
 public:
  // The models that may be asked; a call of any other counts for the first. `provider` is their
  // name in OpenTelemetry's list, "gcp.gemini".
  Metrics(std::vector<std::string> models, std::string provider);
  ~Metrics() override;
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  std::size_t add_route(std::string_view pattern) override;
  void answered(std::size_t route, std::string_view method, int status,
                std::chrono::steady_clock::duration took) noexcept override;
  void entered() noexcept override;
  void left() noexcept override;

  void model_call_began() noexcept;
  void model_call_ended(const ModelCall& call) noexcept;
  // A model is left alone for a while, or asked again.
  void breaker_changed(std::string_view model, bool open) noexcept;

  void store_call_ended(StoreOperation operation, std::optional<ErrorCode> error,
                        std::chrono::steady_clock::duration took) noexcept;
  // A session has a first e-mail address or telephone number.
  void lead_came() noexcept;

  // Everything, as text/plain; version=0.0.4.
  std::string text(const MetricsSnapshot& now);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace twinchat::server
