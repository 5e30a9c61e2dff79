#include "metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <mutex>
#include <sstream>
#include <utility>

#include "twinchat/version.h"

namespace twinchat::server {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;

// OpenTelemetry's advice for each kind of duration; requests go on, because answers are streamed.
const Histogram::BucketBoundaries kRequestSeconds = {
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180};
const Histogram::BucketBoundaries kModelSeconds = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                                   1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
const Histogram::BucketBoundaries kStoreSeconds = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05,
                                                   0.1,    0.5,    1,     5,     10};

// What is not in one of these is its last one.
constexpr std::array<std::string_view, 8> kMethods = {"GET",   "HEAD",   "POST",    "PUT",
                                                      "PATCH", "DELETE", "OPTIONS", "_OTHER"};
constexpr std::array<int, 32> kStatuses = {200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308,
                                           400, 401, 403, 404, 405, 406, 408, 409, 413, 414, 415,
                                           417, 422, 429, 431, 500, 501, 502, 503, 504, 0};

// Where the value stands in the list.
template <class List, class Value>
std::size_t number_in(const List& list, const Value& value) {
  return static_cast<std::size_t>(std::find(list.begin(), list.end() - 1, value) - list.begin());
}

// Codes of errors, and at 0 the absence of one.
constexpr std::size_t kOutcomes = static_cast<std::size_t>(ErrorCode::kUnauthenticated) + 1;

std::size_t outcome_number(std::optional<ErrorCode> error) {
  return error ? static_cast<std::size_t>(*error) : 0;
}

// The label that only failures have.
Labels with_error(Labels labels, std::size_t outcome) {
  if (outcome > 0) labels["error_type"] = to_string(static_cast<ErrorCode>(outcome));
  return labels;
}

const char* name_of(StoreOperation operation) {
  switch (operation) {
    case StoreOperation::kCreateSession:
      return "create_session";
    case StoreOperation::kFindSession:
      return "find_session";
    case StoreOperation::kUpdateUser:
      return "update_user";
    case StoreOperation::kMessages:
      return "messages";
    case StoreOperation::kTurns:
      return "turns";
    case StoreOperation::kBeginTurn:
      return "begin_turn";
    case StoreOperation::kFinishTurn:
      return "finish_turn";
    case StoreOperation::kPastTurns:
      return "past_turns";
    case StoreOperation::kAnsweredTurns:
      return "answered_turns";
    case StoreOperation::kSetFeedback:
      return "set_feedback";
    case StoreOperation::kRecordConsent:
      return "record_consent";
    case StoreOperation::kConsents:
      return "consents";
    case StoreOperation::kWithdrawConsents:
      return "withdraw_consents";
    case StoreOperation::kCount:
      break;
  }
  return "";
}

double seconds(std::chrono::steady_clock::duration took) {
  return std::chrono::duration<double>(took).count();
}

// The series of a family of histograms by number, each made when it is first needed and then found
// without a lock or a lookup.
template <std::size_t kSize>
class Histograms {
 public:
  // `labels` says them; called when the series is new.
  template <class MakeLabels>
  void observe(std::size_t number, double value, Family<Histogram>& family,
               const Histogram::BucketBoundaries& buckets, MakeLabels labels) {
    Histogram* histogram = made_[number].load(std::memory_order_acquire);
    if (histogram == nullptr) {
      // Two threads that come here at once are given the same one.
      histogram = &family.Add(labels(), buckets);
      made_[number].store(histogram, std::memory_order_release);
    }
    histogram->Observe(value);
  }

 private:
  std::array<std::atomic<Histogram*>, kSize> made_{};
};

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double size = 0;
  double resident = 0;
  file >> size >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Bookkeeping must not break what it keeps the books of.
template <class Count>
void without_fail(Count count) noexcept {
  try {
    count();
  } catch (...) {
  }
}

}  // namespace

class Metrics::Impl {
 public:
  Impl(std::vector<std::string> model_names, std::string provider)
      : provider_(std::move(provider)) {
    gauge("twinchat_build_info", "1, with the version that runs.", {{"version", version()}}).Set(1);
    gauge("process_start_time_seconds", "When the process began, in Unix time.")
        .Set(unix_seconds());
    for (std::size_t i = 0; i < shed_.size(); ++i) {
      shed_[i] = &shed_family_.Add({{"reason", server::name_of(static_cast<ShedReason>(i))}});
    }
    for (std::size_t i = 0; i < rejected_.size(); ++i) {
      rejected_[i] =
          &rejected_family_.Add({{"reason", server::name_of(static_cast<RejectReason>(i))}});
    }
    for (std::string& name : model_names) {
      Model& model = *models_.emplace_back(std::make_unique<Model>());
      model.name = std::move(name);
      const Labels labels = model_labels(model);
      model.input_tokens = &input_tokens_.Add(labels);
      model.output_tokens = &output_tokens_.Add(labels);
      model.cached_tokens = &cached_tokens_.Add(labels);
      model.reasoning_tokens = &reasoning_tokens_.Add(labels);
      model.breaker = &breakers_.Add({{"model", model.name}});
    }
    add_route("(none)");
  }

  std::size_t add_route(std::string_view pattern) {
    routes_.push_back(std::make_unique<Route>());
    routes_.back()->pattern = pattern;
    return routes_.size() - 1;
  }

  void answered(std::size_t number, std::string_view method, int status,
                std::chrono::steady_clock::duration took) {
    Route& route = *routes_.at(number);
    const std::size_t by_method = number_in(kMethods, method);
    const std::size_t by_status = number_in(kStatuses, status);
    route.by_method[by_method].observe(
        by_status, seconds(took), request_duration_, kRequestSeconds, [&]() -> Labels {
          const int code = kStatuses[by_status];
          return {{"http_request_method", std::string(kMethods[by_method])},
                  {"http_route", route.pattern},
                  {"http_response_status_code", code == 0 ? "_OTHER" : std::to_string(code)}};
        });
  }

  void model_call_ended(const ModelCall& call) {
    llm_inflight.Decrement();
    Model& model = model_of(call.model);
    const std::size_t outcome = outcome_number(call.error);
    model.durations.observe(outcome, seconds(call.took), operation_duration_, kModelSeconds,
                            [&] { return with_error(model_labels(model), outcome); });
    if (call.first_chunk) {
      model.first_chunks.observe(0, seconds(*call.first_chunk), first_chunk_, kModelSeconds,
                                 [&] { return model_labels(model); });
    }
    const auto add = [](Counter& counter, std::int64_t tokens) {
      if (tokens > 0) counter.Increment(static_cast<double>(tokens));
    };
    add(*model.input_tokens, call.usage.prompt_tokens);
    add(*model.output_tokens, call.usage.output_tokens + call.usage.thought_tokens);
    add(*model.cached_tokens, call.usage.cached_tokens);
    add(*model.reasoning_tokens, call.usage.thought_tokens);
  }

  void breaker_changed(std::string_view name, bool open) {
    model_of(name).breaker->Set(open ? 1 : 0);
  }

  void store_call_ended(StoreOperation operation, std::optional<ErrorCode> error,
                        std::chrono::steady_clock::duration took) {
    const std::size_t outcome = outcome_number(error);
    store_durations_[static_cast<std::size_t>(operation)].observe(
        outcome, seconds(took), store_duration_, kStoreSeconds, [&] {
          return with_error({{"db_operation_name", name_of(operation)}}, outcome);
        });
  }

  std::string text(const MetricsSnapshot& now) {
    const std::lock_guard lock(text_mutex_);
    connections_.Set(static_cast<double>(now.http.connections_open));
    workers_.Set(static_cast<double>(now.http.workers));
    worker_queue_.Set(static_cast<double>(now.http.queued));
    for (std::size_t i = 0; i < rejected_.size(); ++i) {
      grow_to(*rejected_[i], static_cast<double>(now.http.rejected[i]));
    }
    queue_depth_.Set(static_cast<double>(now.places.queued));
    for (std::size_t i = 0; i < shed_.size(); ++i) {
      grow_to(*shed_[i], static_cast<double>(now.places.shed[i]));
    }
    kept_.Set(static_cast<double>(now.streams.kept));
    absent_.Set(static_cast<double>(now.streams.absent));
    kept_bytes_.Set(static_cast<double>(now.streams.bytes));
    grow_to(resumed_, static_cast<double>(now.streams.resumed));
    grow_to(expired_, static_cast<double>(now.streams.expired));
    grow_to(dropped_, static_cast<double>(now.streams.dropped));
    wal_bytes_.Set(static_cast<double>(now.wal_bytes));
    pool_used_.Set(static_cast<double>(now.pool.in_use));
    pool_idle_.Set(static_cast<double>(now.pool.open - now.pool.in_use));
    pool_max_.Set(static_cast<double>(now.pool.max));
    pool_pending_.Set(static_cast<double>(now.pool.waiting));
    grow_to(pool_timeouts_, static_cast<double>(now.pool.timeouts));
    grow_to(pool_opened_, static_cast<double>(now.pool.opened));
    grow_to(pool_failed_, static_cast<double>(now.pool.failed));
    grow_to(pool_lost_, static_cast<double>(now.pool.lost));
    grow_to(retries_, static_cast<double>(now.pool.retries));
    grow_to(unknown_commits_, static_cast<double>(now.pool.unknown_commits));
    grow_to(tls_handshakes_, static_cast<double>(now.http.tls_handshakes));
    if (now.certificate_expires) {
      certificates_.Add({}).Set(
          static_cast<double>(std::chrono::system_clock::to_time_t(*now.certificate_expires)));
    }
    if (now.backups) {
      const auto newest = now.backups->newest.value_or(Timestamp()).time_since_epoch();
      newest_backup_.Add({}).Set(std::chrono::duration<double>(newest).count());
      grow_to(failed_backups_.Add({}), static_cast<double>(now.backups->failures));
    }
    resident_.Set(resident_bytes());
    grow_to(cpu_, cpu_seconds());
    std::ostringstream out;
    out.imbue(std::locale::classic());
    prometheus::TextSerializer().Serialize(out, registry_.Collect());
    return std::move(out).str();
  }

 private:
  struct Route {
    std::string pattern;
    std::array<Histograms<kStatuses.size()>, kMethods.size()> by_method;
  };

  struct Model {
    std::string name;
    Histograms<kOutcomes> durations;
    Histograms<1> first_chunks;
    Counter* input_tokens = nullptr;
    Counter* output_tokens = nullptr;
    Counter* cached_tokens = nullptr;
    Counter* reasoning_tokens = nullptr;
    Gauge* breaker = nullptr;
  };

  Model& model_of(std::string_view name) {
    const auto found = std::find_if(models_.begin(), models_.end(),
                                    [&](const auto& model) { return model->name == name; });
    return **(found == models_.end() ? models_.begin() : found);
  }

  Labels model_labels(const Model& model) const {
    return {{"gen_ai_operation_name", "generate_content"},
            {"gen_ai_provider_name", provider_},
            {"gen_ai_request_model", model.name}};
  }

  Family<Counter>& counters(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
  }
  Family<Gauge>& gauges(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
  }
  Family<Histogram>& histograms(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_);
  }
  Gauge& gauge(const char* name, const char* help, const Labels& labels = {}) {
    return gauges(name, help).Add(labels);
  }

  // A counter that somebody else keeps.
  static void grow_to(Counter& counter, double total) {
    counter.Increment(total - counter.Value());
  }

  const std::string provider_;
  prometheus::Registry registry_;
  std::mutex text_mutex_;  // one reader at a time, or two would add the same growth

  Family<Histogram>& request_duration_ =
      histograms("http_server_request_duration_seconds",
                 "From a request's arrival to its answer, or to the last byte of a streamed one.");
  Family<Histogram>& operation_duration_ =
      histograms("gen_ai_client_operation_duration_seconds",
                 "Calls of the model, with all their attempts and pauses.");
  Family<Histogram>& first_chunk_ =
      histograms("gen_ai_client_operation_time_to_first_chunk_seconds",
                 "Streamed calls of the model: until the first piece of text.");
  Family<Histogram>& store_duration_ =
      histograms("db_client_operation_duration_seconds", "Calls of the store.");
  Family<Counter>& input_tokens_ =
      counters("gen_ai_client_inference_usage_input_tokens_total",
               "Tokens sent to the model, those from its cache included.");
  Family<Counter>& output_tokens_ = counters("gen_ai_client_inference_usage_output_tokens_total",
                                             "Tokens that the model made, its thoughts included.");
  Family<Counter>& cached_tokens_ =
      counters("gen_ai_client_inference_usage_cache_read_input_tokens_total",
               "Tokens sent to the model that it took from its cache.");
  Family<Counter>& reasoning_tokens_ =
      counters("gen_ai_client_inference_usage_reasoning_output_tokens_total",
               "Tokens that the model made as thoughts.");
  Family<Gauge>& breakers_ =
      gauges("twinchat_breaker_state", "1 while a model fails and is left alone, else 0.");
  Family<Counter>& shed_family_ =
      counters("twinchat_shed_total", "Messages turned away because there were too many.");
  Family<Counter>& rejected_family_ =
      counters("twinchat_http_rejected_total",
               "Requests and connections turned away before a handler saw them.");
  Gauge& connections_ = gauge("twinchat_http_open_connections", "Connections that are open.");
  Gauge& workers_ = gauge("twinchat_http_workers", "Threads that work on requests.");
  Gauge& worker_queue_ =
      gauge("twinchat_http_queued", "Complete requests and other work waiting for a thread.");
  Gauge& queue_depth_ =
      gauge("twinchat_llm_queue_depth", "Messages waiting until another has its answer.");
  Gauge& kept_ = gauge("twinchat_resumable_streams",
                       "Streamed answers under way whose clients may come back.");
  Gauge& absent_ =
      gauge("twinchat_resumable_streams_absent", "Those of them without a client at present.");
  Gauge& kept_bytes_ = gauge("twinchat_resume_buffer_bytes", "Their text, which is kept for that.");
  Counter& resumed_ = counters("twinchat_streams_resumed_total",
                               "Clients that came back to a stream and got the rest.")
                          .Add({});
  Counter& expired_ = counters("twinchat_streams_expired_total",
                               "Streamed answers cancelled because nobody came back for them.")
                          .Add({});
  Counter& dropped_ = counters("twinchat_resume_buffer_full_total",
                               "Streamed answers whose text was too much to be kept.")
                          .Add({});
  Gauge& wal_bytes_ =
      gauge("twinchat_wal_bytes", "Size of the database's write-ahead log; 0 without one.");
  Family<Gauge>& pool_ =
      gauges("db_client_connection_count", "Connections to PostgreSQL, by what they do.");
  Gauge& pool_used_ = pool_.Add({{"db_client_connection_state", "used"}});
  Gauge& pool_idle_ = pool_.Add({{"db_client_connection_state", "idle"}});
  Gauge& pool_max_ =
      gauge("db_client_connection_max", "Connections to PostgreSQL at most; 0 without it.");
  Gauge& pool_pending_ = gauge("db_client_connection_pending_requests",
                               "Threads that wait for a connection to PostgreSQL.");
  Counter& pool_timeouts_ = counters("db_client_connection_timeouts_total",
                                     "Times that a thread got no connection to PostgreSQL.")
                                .Add({});
  Counter& pool_opened_ =
      counters("twinchat_db_connections_opened_total", "Connections to PostgreSQL that were made.")
          .Add({});
  Counter& pool_failed_ = counters("twinchat_db_connections_failed_total",
                                   "Attempts to connect to PostgreSQL that failed.")
                              .Add({});
  Counter& pool_lost_ =
      counters("twinchat_db_connections_lost_total", "Connections to PostgreSQL that broke.")
          .Add({});
  Counter& retries_ = counters("twinchat_db_retries_total",
                               "Transactions that were run again, for a conflict or a lost "
                               "connection.")
                          .Add({});
  Counter& unknown_commits_ =
      counters("twinchat_db_unknown_commits_total",
               "Commits of which the database had to be asked whether they had happened.")
          .Add({});
  Counter& tls_handshakes_ =
      counters("twinchat_tls_handshakes_total", "TLS handshakes that succeeded.").Add({});
  Family<Gauge>& certificates_ = gauges("twinchat_tls_certificate_expiry_seconds",
                                        "Until when the server's certificate is valid, in Unix "
                                        "time; absent without TLS.");
  Family<Gauge>& newest_backup_ = gauges(
      "twinchat_backup_newest_timestamp_seconds",
      "When the newest verified backup in BACKUP_DIR was begun, in Unix time; 0 without any.");
  Family<Counter>& failed_backups_ =
      counters("twinchat_backup_failures_total", "Backups that this server could not make.");
  Gauge& resident_ = gauge("process_resident_memory_bytes", "Memory that is resident.");
  Counter& cpu_ =
      counters("process_cpu_seconds_total", "Time on processors, in user and system mode.").Add({});

  std::vector<std::unique_ptr<Route>> routes_;
  std::vector<std::unique_ptr<Model>> models_;
  std::array<Histograms<kOutcomes>, static_cast<std::size_t>(StoreOperation::kCount)>
      store_durations_;
  std::array<Counter*, static_cast<std::size_t>(ShedReason::kCount)> shed_{};
  std::array<Counter*, static_cast<std::size_t>(RejectReason::kCount)> rejected_{};

 public:
  Gauge& active_requests =
      gauge("http_server_active_requests", "Requests that are being worked on.");
  Gauge& llm_inflight = gauge("twinchat_llm_inflight", "Calls of the model under way.");
  Counter& leads = counters("twinchat_leads_total",
                            "Sessions that were given a first e-mail address or telephone number.")
                       .Add({});
};

Metrics::Metrics(std::vector<std::string> models, std::string provider)
    : impl_(std::make_unique<Impl>(std::move(models), std::move(provider))) {}

Metrics::~Metrics() = default;

std::size_t Metrics::add_route(std::string_view pattern) {
  return impl_->add_route(pattern);
}

void Metrics::answered(std::size_t route, std::string_view method, int status,
                       std::chrono::steady_clock::duration took) noexcept {
  without_fail([&] { impl_->answered(route, method, status, took); });
}

void Metrics::entered() noexcept {
  impl_->active_requests.Increment();
}

void Metrics::left() noexcept {
  impl_->active_requests.Decrement();
}

void Metrics::model_call_began() noexcept {
  impl_->llm_inflight.Increment();
}

void Metrics::model_call_ended(const ModelCall& call) noexcept {
  without_fail([&] { impl_->model_call_ended(call); });
}

void Metrics::breaker_changed(std::string_view model, bool open) noexcept {
  impl_->breaker_changed(model, open);
}

void Metrics::store_call_ended(StoreOperation operation, std::optional<ErrorCode> error,
                               std::chrono::steady_clock::duration took) noexcept {
  without_fail([&] { impl_->store_call_ended(operation, error, took); });
}

void Metrics::lead_came() noexcept {
  impl_->leads.Increment();
}

std::string Metrics::text(const MetricsSnapshot& now) {
  return impl_->text(now);
}

}  // namespace twinchat::server
