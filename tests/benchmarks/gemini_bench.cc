// What a call of the model costs through the library, beside the same call made by libcurl bare and
// by Google's own client, in one run.
//
// Usage: gemini-bench [--seconds N] [--rounds N] [--node NODE --script FILE --modules FOLDER]
//
// The stand-in and the client share the machine: read the ratios, not the absolute figures. CPU is
// that of the client's process alone. Every cell is the median of the rounds.

#include <curl/curl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <thread>

#include "http_client.h"
#include "process.h"
#include "standin.h"
#include "temp_dir.h"
#include "twinchat/twinchat.h"
#include "wait.h"

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using twinchat::GeminiOptions;
using twinchat::GenerateRequest;
using twinchat::ModelAnswer;
using twinchat::Result;
using twinchat::testing::GeminiStandIn;
using twinchat::testing::Process;
using twinchat::testing::TempDir;

// --- what is asked ------------------------------------------------------------------------------

// Ten answered turns and a question, with instructions: 6 KB of JSON.
GenerateRequest realistic_request() {
  std::string instructions;
  while (instructions.size() < 1'000) {
    instructions += "You are a friendly assistant of a clinic. Answer briefly and plainly. ";
  }
  GenerateRequest request{.system_instruction = std::move(instructions),
                          .config = {.max_output_tokens = 1'024}};
  std::string answer;
  while (answer.size() < 300) answer += "Eat well, move every day and see your doctor. ";
  for (int turn = 0; turn < 10; ++turn) {
    request.contents.push_back(
        twinchat::text_content(twinchat::Role::kUser, "How can I reverse diabetes, and how soon?"));
    request.contents.push_back(twinchat::text_content(twinchat::Role::kModel, answer));
  }
  request.contents.push_back(
      twinchat::text_content(twinchat::Role::kUser, "And what should I have for breakfast?"));
  return request;
}

GeminiOptions options_for(const std::string& base_url) {
  return {
      .api_key = "bench", .base_url = base_url, .max_in_flight = 8'192, .max_connections = 8'192};
}

// The bytes that the library sends, for the others to send too.
struct Wire {
  std::string path;
  std::string stream_path;
  std::vector<std::string> headers;
  std::string body;
};

Wire record_wire() {
  GeminiStandIn standin;
  const auto model = twinchat::make_gemini_model(options_for(standin.base_url()));
  model->generate(realistic_request(), {});
  const auto call = standin.requests().at(0);
  Wire wire{
      .path = call.at("path"), .stream_path = {}, .headers = {}, .body = call.at("body").dump()};
  if (wire.body.size() != call.at("body_bytes").get<std::size_t>()) {
    throw std::runtime_error("the recorded request is not the one that was sent");
  }
  const std::string method = ":generateContent";
  wire.stream_path =
      wire.path.substr(0, wire.path.size() - method.size()) + ":streamGenerateContent?alt=sse";
  for (const char* name : {"content-type", "x-goog-api-key", "x-server-timeout", "user-agent"}) {
    wire.headers.push_back(std::string(name) + ": " +
                           call.at("headers").at(name).get<std::string>());
  }
  wire.headers.push_back("Expect:");
  return wire;
}

// --- measuring ----------------------------------------------------------------------------------

double cpu_us() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

double quantile(std::vector<double> values, double which) {
  if (values.empty()) return std::nan("");
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(which * static_cast<double>(values.size() - 1))];
}

struct Load {
  int in_flight = 1;
  int latency_ms = 0;
  double seconds = 3;

  double warm_up() const { return 0.5 + 2 * latency_ms / 1e3; }
  // Calls begin spread over the model's latency, as visitors come, not in waves.
  std::chrono::microseconds start_of(int i) const {
    return std::chrono::microseconds(std::int64_t{latency_ms} * 1'000 * i / in_flight);
  }
};

struct Figures {
  double calls_per_second = std::nan("");
  double cpu_us_per_call = std::nan("");
};

// What was done between the end of the warm-up and now.
struct Counters {
  std::atomic<long> done{0};
  std::atomic<long> failed{0};
};

Figures measure(const Load& load, const Counters& counters) {
  std::this_thread::sleep_for(std::chrono::duration<double>(load.warm_up()));
  const long done = counters.done;
  const double cpu = cpu_us();
  const auto begun = Clock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(load.seconds));
  const auto calls = static_cast<double>(counters.done - done);
  const Figures figures{.calls_per_second = calls / seconds_since(begun),
                        .cpu_us_per_call = (cpu_us() - cpu) / std::max(calls, 1.0)};
  if (counters.failed > 0) std::printf("  !! %ld calls failed\n", counters.failed.load());
  return figures;
}

// --- (a) the library ----------------------------------------------------------------------------

Figures through_library(const Load& load, const std::string& base_url) {
  const auto model = twinchat::make_gemini_model(options_for(base_url));
  const GenerateRequest request = realistic_request();
  Counters counters;
  std::atomic<bool> stop{false};
  std::atomic<int> running{load.in_flight};
  std::function<void()> next = [&] {
    model->start(request, {}, [&](Result<ModelAnswer> answer) {
      ++(answer.ok() ? counters.done : counters.failed);
      if (stop) {
        --running;
      } else {
        next();
      }
    });
  };
  std::thread starter([&] {
    const auto begun = Clock::now();
    for (int i = 0; i < load.in_flight; ++i) {
      std::this_thread::sleep_until(begun + load.start_of(i));
      next();
    }
  });
  const Figures figures = measure(load, counters);
  stop = true;
  starter.join();
  twinchat::testing::eventually([&] { return running == 0; });
  return figures;
}

// --- (b) libcurl's multi interface, bare --------------------------------------------------------

// Calls the same URL over and over on the thread that runs it; looks at nothing that comes back but
// whether the transfer worked.
class BareLoop {
 public:
  BareLoop(const std::string& url, const Wire& wire, const Load& load, Counters& counters)
      : load_(load),
        counters_(counters),
        multi_(curl_multi_init()),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        slots_(static_cast<std::size_t>(load.in_flight)) {
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &on_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &on_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(load.in_flight));
    for (const std::string& header : wire.headers) {
      headers_ = curl_slist_append(headers_, header.c_str());
    }
    for (Slot& slot : slots_) {
      slot.easy = curl_easy_init();
      curl_easy_setopt(slot.easy, CURLOPT_URL, url.c_str());
      curl_easy_setopt(slot.easy, CURLOPT_HTTPHEADER, headers_);
      curl_easy_setopt(slot.easy, CURLOPT_POSTFIELDS, wire.body.c_str());
      curl_easy_setopt(slot.easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(wire.body.size()));
      curl_easy_setopt(slot.easy, CURLOPT_NOSIGNAL, 1L);
      curl_easy_setopt(slot.easy, CURLOPT_WRITEFUNCTION, &on_body);
      curl_easy_setopt(slot.easy, CURLOPT_WRITEDATA, &slot);
      curl_easy_setopt(slot.easy, CURLOPT_PRIVATE, &slot);
    }
  }
  ~BareLoop() {
    for (const Slot& slot : slots_) {
      curl_multi_remove_handle(multi_, slot.easy);
      curl_easy_cleanup(slot.easy);
    }
    curl_multi_cleanup(multi_);
    curl_slist_free_all(headers_);
    close(epoll_);
  }
  BareLoop(const BareLoop&) = delete;
  BareLoop& operator=(const BareLoop&) = delete;

  void run(const std::atomic<bool>& stop) {
    const auto begun = Clock::now();
    std::size_t started = 0;
    std::array<epoll_event, 64> events;
    while (!stop) {
      while (started < slots_.size() &&
             Clock::now() >= begun + load_.start_of(static_cast<int>(started))) {
        begin(slots_[started++]);
      }
      int wait = started < slots_.size() ? 0 : 100;
      if (timer_) {
        const auto left = std::chrono::ceil<milliseconds>(*timer_ - Clock::now()).count();
        wait = static_cast<int>(std::clamp<long long>(left, 0, wait));
      }
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait);
      int running = 0;
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        int what = 0;
        if ((event.events & (EPOLLIN | EPOLLHUP)) != 0) what |= CURL_CSELECT_IN;
        if ((event.events & EPOLLOUT) != 0) what |= CURL_CSELECT_OUT;
        curl_multi_socket_action(multi_, event.data.fd, what, &running);
      }
      if (timer_ && *timer_ <= Clock::now()) {
        timer_.reset();
        curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
      }
      int left = 0;
      while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
        ++(message->data.result == CURLE_OK ? counters_.done : counters_.failed);
        Slot* slot = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
        if (slot->first_byte) first_bytes.push_back(*slot->first_byte);
        curl_multi_remove_handle(multi_, slot->easy);
        begin(*slot);
      }
    }
  }

  // Microseconds from the begin of each call to the first byte of its answer's body.
  std::vector<double> first_bytes;

 private:
  struct Slot {
    CURL* easy = nullptr;
    Clock::time_point begun;
    std::optional<double> first_byte;
  };

  void begin(Slot& slot) {
    slot.begun = Clock::now();
    slot.first_byte.reset();
    curl_multi_add_handle(multi_, slot.easy);
  }

  static std::size_t on_body(char*, std::size_t, std::size_t count, void* data) noexcept {
    auto& slot = *static_cast<Slot*>(data);
    if (!slot.first_byte) slot.first_byte = seconds_since(slot.begun) * 1e6;
    return count;
  }

  static int on_socket(CURL*, curl_socket_t socket, int what, void* data, void*) noexcept {
    const int epoll = static_cast<BareLoop*>(data)->epoll_;
    if (what == CURL_POLL_REMOVE) return epoll_ctl(epoll, EPOLL_CTL_DEL, socket, nullptr);
    epoll_event event{};
    if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
    event.data.fd = socket;
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, socket, &event) != 0) {
      epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
    }
    return 0;
  }

  static int on_timer(CURLM*, long timeout_ms, void* data) noexcept {
    auto& self = *static_cast<BareLoop*>(data);
    if (timeout_ms < 0) {
      self.timer_.reset();
    } else {
      self.timer_ = Clock::now() + milliseconds(timeout_ms);
    }
    return 0;
  }

  const Load load_;
  Counters& counters_;
  CURLM* const multi_;
  const int epoll_;
  curl_slist* headers_ = nullptr;
  std::vector<Slot> slots_;
  std::optional<Clock::time_point> timer_;
};

Figures through_bare_multi(const Load& load, const std::string& base_url, const Wire& wire) {
  Counters counters;
  std::atomic<bool> stop{false};
  BareLoop loop(base_url + wire.path, wire, load, counters);
  std::thread thread([&] { loop.run(stop); });
  const Figures figures = measure(load, counters);
  stop = true;
  thread.join();
  return figures;
}

// --- (c) one easy handle a thread ---------------------------------------------------------------

std::size_t discard(char*, std::size_t, std::size_t count, void*) noexcept {
  return count;
}

Figures through_easy_handles(const Load& load, const std::string& base_url, const Wire& wire) {
  Counters counters;
  std::atomic<bool> stop{false};
  const std::string url = base_url + wire.path;
  const auto begun = Clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < load.in_flight; ++i) {
    threads.emplace_back([&, i] {
      curl_slist* headers = nullptr;
      for (const std::string& header : wire.headers) {
        headers = curl_slist_append(headers, header.c_str());
      }
      CURL* easy = curl_easy_init();
      curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
      curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, wire.body.c_str());
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(wire.body.size()));
      curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
      curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &discard);
      std::this_thread::sleep_until(begun + load.start_of(i));
      while (!stop) {
        ++(curl_easy_perform(easy) == CURLE_OK ? counters.done : counters.failed);
      }
      curl_easy_cleanup(easy);
      curl_slist_free_all(headers);
    });
  }
  const Figures figures = measure(load, counters);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  return figures;
}

// --- (d) Google's client ------------------------------------------------------------------------

struct NodeClient {
  std::string node;
  std::string script;
  std::string modules;  // the folder that holds node_modules

  bool installed() const {
    return !node.empty() && std::filesystem::exists(modules + "/node_modules/@google/genai");
  }
};

Figures through_official_client(const Load& load, const std::string& base_url,
                                const NodeClient& client, const std::string& request_file) {
  Process process({client.node, client.script, client.modules, base_url, request_file,
                   std::to_string(load.in_flight), std::to_string(load.latency_ms),
                   std::to_string(load.warm_up() + 1), std::to_string(load.seconds)});
  if (process.wait_exit() != 0) throw std::runtime_error(process.errors());
  const auto result = nlohmann::json::parse(process.output());
  if (result.at("failed") != 0) {
    std::printf("  !! %d calls failed\n", result.at("failed").get<int>());
  }
  return {.calls_per_second = result.at("calls_per_second"),
          .cpu_us_per_call = result.at("cpu_us_per_call")};
}

// --- the table ----------------------------------------------------------------------------------

void print_table(double seconds, int rounds, const NodeClient& node) {
  const Wire wire = record_wire();
  const TempDir folder;
  const std::string request_file = (folder / "request.json").string();
  std::ofstream(request_file) << wire.body;

  std::printf("generateContent, a request of %zu bytes\n", wire.body.size());
  std::printf("%8s%11s  %-26s%11s%13s%15s\n", "latency", "in flight", "way", "calls/s",
              "CPU us/call", "CPU / bare");
  for (const int latency_ms : {0, 500}) {
    GeminiStandIn standin({"--blind", "--no-record", "--latency-ms", std::to_string(latency_ms)});
    const std::string& url = standin.base_url();
    for (const int in_flight : {1, 32, 1'000}) {
      const Load load{.in_flight = in_flight, .latency_ms = latency_ms, .seconds = seconds};
      const std::vector<std::pair<const char*, std::function<Figures()>>> ways{
          {"bare curl multi", [&] { return through_bare_multi(load, url, wire); }},
          {"libtwinchat", [&] { return through_library(load, url); }},
          {"easy handle a thread",
           [&] {
             if (in_flight > 32 && latency_ms == 0) return Figures{};
             return through_easy_handles(load, url, wire);
           }},
          {"@google/genai on Node.js",
           [&] {
             if (!node.installed()) return Figures{};
             return through_official_client(load, url, node, request_file);
           }},
      };
      std::vector<std::vector<double>> rates(ways.size());
      std::vector<std::vector<double>> costs(ways.size());
      for (int round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < ways.size(); ++i) {
          const Figures figures = ways[i].second();
          if (std::isnan(figures.calls_per_second)) continue;
          rates[i].push_back(figures.calls_per_second);
          costs[i].push_back(figures.cpu_us_per_call);
        }
      }
      const double bare = quantile(costs[0], 0.5);
      for (std::size_t i = 0; i < ways.size(); ++i) {
        if (rates[i].empty()) continue;
        const double cost = quantile(costs[i], 0.5);
        std::printf("%5d ms%11d  %-26s%11.0f%13.0f%15.2f\n", latency_ms, in_flight, ways[i].first,
                    quantile(rates[i], 0.5), cost, cost / bare);
        std::fflush(stdout);
      }
    }
  }
  if (!node.installed()) {
    std::printf("@google/genai left out: not installed (ctest -R conformance_install)\n");
  }
}

// --- memory -------------------------------------------------------------------------------------

double rss_kib() {
  std::ifstream statm("/proc/self/statm");
  long size = 0;
  long resident = 0;
  statm >> size >> resident;
  return static_cast<double>(resident * (sysconf(_SC_PAGESIZE) / 1'024));
}

// Prints the KiB that each of 1,000 and of 4,000 waiting calls takes. In a process of its own, so
// that memory used before does not hide what is used now.
int print_memory(const std::string& way, const std::string& base_url, const Wire& wire) {
  twinchat::testing::HttpClient standin(base_url);
  const auto wait_for = [&](int count) {
    return twinchat::testing::eventually([&] {
      return nlohmann::json::parse(standin.get("/_stats").body).at("in_flight") == count;
    });
  };
  const auto model = twinchat::make_gemini_model(options_for(base_url));
  const GenerateRequest request = realistic_request();
  std::stop_source cancel;
  std::vector<std::unique_ptr<BareLoop>> loops;
  std::vector<std::thread> threads;
  Counters counters;
  std::atomic<bool> stop{false};
  std::atomic<int> ended{0};
  const auto add = [&](int count) {
    if (way == "library") {
      for (int i = 0; i < count; ++i) {
        model->start(request, {.stop_token = cancel.get_token()},
                     [&](Result<ModelAnswer>) { ++ended; });
      }
    } else {
      loops.push_back(std::make_unique<BareLoop>(base_url + wire.path, wire,
                                                 Load{.in_flight = count}, counters));
      threads.emplace_back([&stop, loop = loops.back().get()] { loop->run(stop); });
    }
  };
  add(8);  // what is there once
  bool waited = wait_for(8);
  const double before = rss_kib();
  add(1'000);
  waited = wait_for(1'008) && waited;
  const double thousand = rss_kib();
  add(3'000);
  waited = wait_for(4'008) && waited;
  const double all = rss_kib();
  cancel.request_stop();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  if (way == "library") {
    waited = twinchat::testing::eventually([&] { return ended == 4'008; }) && waited;
  }
  std::printf("%.1f %.1f\n", (thousand - before) / 1'000, (all - before) / 4'000);
  return waited ? 0 : 1;
}

void print_memory_per_call(const char* own_path) {
  GeminiStandIn standin({"--blind", "--no-record", "--latency-ms", "600000"});
  std::printf("\nKiB a waiting call (RSS), at 1,000 and at 4,000\n");
  for (const char* way : {"bare", "library"}) {
    Process process({own_path, "memory", way, standin.base_url()});
    if (process.wait_exit() != 0) throw std::runtime_error("memory: " + process.errors());
    std::printf("  %-14s%s", way, process.output().c_str());
    twinchat::testing::eventually([&] { return standin.stats().in_flight == 0; });
  }
}

// --- one call at a time -------------------------------------------------------------------------

void print_first_text(double seconds) {
  GeminiStandIn standin({"--blind", "--no-record"});
  const Wire wire = record_wire();
  const Load load{.in_flight = 1, .latency_ms = 0, .seconds = seconds};
  Counters counters;
  std::atomic<bool> stop{false};
  BareLoop loop(standin.base_url() + wire.stream_path, wire, load, counters);
  std::thread thread([&] { loop.run(stop); });
  measure(load, counters);
  stop = true;
  thread.join();

  const auto model = twinchat::make_gemini_model(options_for(standin.base_url()));
  const GenerateRequest request = realistic_request();
  std::vector<double> ours;
  const auto begun = Clock::now();
  while (seconds_since(begun) < seconds) {
    const auto asked = Clock::now();
    std::optional<double> first;
    std::binary_semaphore ended(0);
    model->start(request,
                 {.on_text =
                      [&](std::string_view) {
                        if (!first) first = seconds_since(asked) * 1e6;
                        return true;
                      }},
                 [&](Result<ModelAnswer>) { ended.release(); });
    ended.acquire();
    if (first) ours.push_back(*first);
  }
  const double bare = quantile(loop.first_bytes, 0.5);
  const double own = quantile(ours, 0.5);
  std::printf(
      "\nfirst text of a stream, one at a time (p50): bare loop %.0f us, library %.0f us, "
      "added %.0f us\n",
      bare, own, own - bare);
}

void print_cancel_latency() {
  GeminiStandIn standin({"--blind", "--no-record", "--latency-ms", "600000"});
  const auto model = twinchat::make_gemini_model(options_for(standin.base_url()));
  const GenerateRequest request = realistic_request();
  std::vector<double> latencies;
  for (int i = 0; i < 300; ++i) {
    std::stop_source stop;
    std::promise<Clock::time_point> ended;
    model->start(request, {.stop_token = stop.get_token()},
                 [&](Result<ModelAnswer>) { ended.set_value(Clock::now()); });
    std::this_thread::sleep_for(milliseconds(3));
    const auto stopped = Clock::now();
    stop.request_stop();
    latencies.push_back(std::chrono::duration<double>(ended.get_future().get() - stopped).count() *
                        1e6);
  }
  std::printf("stopped while waiting for the first byte: p50 %.0f us, p99 %.0f us, max %.0f us\n",
              quantile(latencies, 0.5), quantile(latencies, 0.99), quantile(latencies, 1.0));
}

// --- a session's length -------------------------------------------------------------------------

// Answers at once, in the calling thread.
class InstantModel final : public twinchat::Model {
 public:
  std::string name() const override { return "instant"; }
  ModelAnswer generate(const GenerateRequest&, const twinchat::CallOptions&) override {
    ModelAnswer answer;
    answer.content = twinchat::text_content(twinchat::Role::kModel, "Porridge with berries.");
    answer.model = name();
    return answer;
  }
  void start(const GenerateRequest& request, twinchat::CallOptions options, OnAnswer on_answer) override {
    on_answer(generate(request, options));
  }
};

void print_session_length() {
  const TempDir folder;
  const auto store =
      twinchat::open_sqlite_store(folder / "chat.db", {.durable = false});  // the disk is not asked
  twinchat::Assistant assistant(store, std::make_shared<InstantModel>());
  const auto session_of = [&](int messages) {
    const std::string id = assistant.create_session().session_id;
    for (int i = 0; i < messages / 2; ++i) assistant.send(id, "What should I have for breakfast?");
    return id;
  };
  const auto send_us = [&](const std::string& session) {
    const auto begun = Clock::now();
    assistant.send(session, "And for lunch?");
    return seconds_since(begun) * 1e6;
  };
  constexpr int kSends = 200;
  std::map<int, double> p50;
  for (const int messages : {10, 40}) {
    std::vector<double> times;
    for (int i = 0; i < kSends; ++i) times.push_back(send_us(session_of(messages)));
    p50[messages] = quantile(times, 0.5);
  }
  const std::string session = session_of(100'000);
  std::vector<double> times;
  for (int i = 0; i < kSends; ++i) times.push_back(send_us(session));
  p50[100'000] = quantile(times, 0.5);
  std::printf(
      "a message with a model that answers at once, SQLite without waiting for the disk "
      "(p50):\n  in a session of 10 messages %.0f us, of 40 (a full window) %.0f us, of "
      "100,000 %.0f us\n  100,000 / 10: %.2f, 100,000 / 40: %.2f\n",
      p50[10], p50[40], p50[100'000], p50[100'000] / p50[10], p50[100'000] / p50[40]);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (argc == 4 && std::string_view(argv[1]) == "memory") {
      return print_memory(argv[2], argv[3], record_wire());
    }
    double seconds = 3;
    int rounds = 1;
    NodeClient node;
    for (int i = 1; i + 1 < argc; i += 2) {
      const std::string_view option = argv[i];
      const std::string value = argv[i + 1];
      if (option == "--seconds") {
        seconds = std::stod(value);
      } else if (option == "--rounds") {
        rounds = std::stoi(value);
      } else if (option == "--node") {
        node.node = value;
      } else if (option == "--script") {
        node.script = value;
      } else if (option == "--modules") {
        node.modules = value;
      } else {
        throw std::invalid_argument("unknown option " + std::string(option));
      }
    }
    print_memory_per_call(argv[0]);
    print_first_text(std::min(seconds, 2.0));
    print_cancel_latency();
    print_session_length();
    print_table(seconds, rounds, node);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gemini-bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
