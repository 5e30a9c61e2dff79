#include "gemini/curl_loop.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <climits>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "start_thread.h"
#include "twinchat/error.h"
#include "twinchat/version.h"

namespace twinchat::gemini {
namespace {

using std::chrono::milliseconds;

struct EasyDeleter {
  void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
};
struct MultiDeleter {
  void operator()(CURLM* handle) const noexcept { curl_multi_cleanup(handle); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
struct UrlDeleter {
  void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
};
struct StringDeleter {
  void operator()(char* text) const noexcept { curl_free(text); }
};
using EasyHandle = std::unique_ptr<CURL, EasyDeleter>;
using MultiHandle = std::unique_ptr<CURLM, MultiDeleter>;
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {
    if (fd < 0) {
      throw Error(ErrorCode::kUnavailable, "The network client could not be started.",
                  {.reason = "NO_DESCRIPTORS"});
    }
  }
  ~FileDescriptor() { ::close(fd_); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

void initialize_curl() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (result != CURLE_OK) {
    throw Error(ErrorCode::kInternal, "The network client could not be initialized.");
  }
}

// The reason that stands for a curl code in TransferEnd.
const char* reason_for(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return "DNS";
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
    case CURLE_PROXY:
      return "CONNECT";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return "CERTIFICATE";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_USE_SSL_FAILED:
      return "TLS";
    default:
      return "CONNECTION_LOST";
  }
}

// The stages of a transfer, told apart by pointer.
constexpr const char* kConnect = "connect";
constexpr const char* kFirstByte = "first byte";
constexpr const char* kIdle = "idle";

class CurlLoopImpl;

// No stage lasts longer than this, whatever was asked.
constexpr milliseconds kLongest = std::chrono::hours(24);

// libcurl looks through all connections of a multi handle for each request, so a few thousand of
// them cost more than the requests. The connections are therefore divided among handles of at most
// so many, which are filled one after another: what is idle is found again, and HTTP/2 streams
// share connections.
constexpr std::size_t kMostConnectionsOfPool = 256;
// A pool that nothing has needed for so long lets go of its connections.
constexpr milliseconds kKeepUnusedPool{60'000};

// A multi handle, its connections, and when it wants to be called.
struct Pool {
  CurlLoopImpl* loop = nullptr;
  std::uint32_t index = 0;
  std::size_t max_connections = 0;
  std::optional<IoLoop::TimePoint> timer;
  std::size_t transfers = 0;
  std::uint64_t uses = 0;  // transfers since the beginning
  MultiHandle multi;       // none until it is needed, and again when that was long ago
};

// One request under way.
struct Transfer {
  IoLoop::TransferId id = 0;
  CurlLoopImpl* loop = nullptr;
  Pool* pool = nullptr;  // in which it is
  HttpRequest request;
  std::shared_ptr<TransferHandler> handler;
  EasyHandle easy;
  HeaderList headers;
  bool head_done = false;
  std::string retry_after;
  // Which limit applies now, and since when.
  const char* stage = kConnect;
  IoLoop::TimePoint started;
  IoLoop::TimePoint stage_since;
  IoLoop::TimerId timer = 0;
  IoLoop::TimePoint timer_at;
};

class CurlLoopImpl final : public CurlLoop, public std::enable_shared_from_this<CurlLoopImpl> {
 public:
  explicit CurlLoopImpl(const CurlLoopOptions& options)
      : options_(options),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        pools_(pool_count(options.max_connections)) {
    std::size_t left = options.max_connections;
    for (std::size_t i = 0; i < pools_.size(); ++i) {
      pools_[i].loop = this;
      pools_[i].index = static_cast<std::uint32_t>(i);
      pools_[i].max_connections = std::min(left, kMostConnectionsOfPool);
      left -= pools_[i].max_connections;
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = kWakeEvent;
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
  }

  void run_thread() {
    thread_ = start_thread([self = shared_from_this()] { self->run(); });
  }

  void stop() override {
    if (std::this_thread::get_id() == loop_thread_.load()) {
      stopping_ = true;
      thread_.detach();
      return;
    }
    post([this] { stopping_ = true; });
    thread_.join();
  }

  TimePoint now() const override { return std::chrono::steady_clock::now(); }

  void post(std::function<void()> task) override {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      wake = posted_.empty();
      posted_.push_back(std::move(task));
    }
    if (wake && std::this_thread::get_id() != loop_thread_.load(std::memory_order_relaxed)) {
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
    }
  }

  TimerId at(TimePoint when, std::function<void()> task) override {
    const TimerId id = ++last_id_;
    timers_.emplace(std::pair(when, id), std::move(task));
    timer_times_.emplace(id, when);
    return id;
  }

  void cancel(TimerId timer) override {
    const auto found = timer_times_.find(timer);
    if (found == timer_times_.end()) return;
    timers_.erase({found->second, timer});
    timer_times_.erase(found);
  }

  TransferId send(HttpRequest request, std::shared_ptr<TransferHandler> handler) override {
    auto transfer = std::make_unique<Transfer>();
    const TransferId id = ++last_id_;
    transfer->id = id;
    transfer->loop = this;
    transfer->request = std::move(request);
    transfer->handler = std::move(handler);
    transfer->started = transfer->stage_since = now();
    transfers_.emplace(id, std::move(transfer));
    // libcurl must not be entered from its own callbacks.
    if (in_curl_) {
      post([this, id] { begin(id); });
    } else {
      begin(id);
    }
    return id;
  }

  void abort(TransferId id) override {
    auto transfer = take(id);
    if (!transfer) return;
    if (in_curl_) {
      dying_.push_back(std::move(transfer));
    } else {
      retire(std::move(transfer));
    }
  }

 private:
  void run() {
    loop_thread_ = std::this_thread::get_id();
    std::array<epoll_event, 64> events;
    while (true) {
      run_posted();
      if (stopping_) break;
      run_timers();
      if (stopping_) break;
      const int count =
          epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_time());
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (event.data.u64 == kWakeEvent) {
          std::uint64_t value = 0;
          [[maybe_unused]] const auto read = ::read(wake_.get(), &value, sizeof value);
          continue;
        }
        int what = 0;
        if ((event.events & (EPOLLIN | EPOLLHUP)) != 0) what |= CURL_CSELECT_IN;
        if ((event.events & EPOLLOUT) != 0) what |= CURL_CSELECT_OUT;
        if ((event.events & EPOLLERR) != 0) what |= CURL_CSELECT_ERR;
        act(pools_[event.data.u64 >> 32], static_cast<curl_socket_t>(event.data.u64 & 0xffffffff),
            what);
      }
      const TimePoint time = now();
      for (Pool& pool : pools_) {
        if (pool.timer && *pool.timer <= time) {
          pool.timer.reset();
          act(pool, CURL_SOCKET_TIMEOUT, 0);
        }
        if (pool.transfers > 0) end_finished(pool);
      }
    }
    run_posted();
    // Handlers and tasks hold their calls, which hold this loop: let go of them all.
    timers_.clear();
    timer_times_.clear();
    while (!transfers_.empty()) retire(take(transfers_.begin()->first));
    idle_.clear();
    pools_.clear();
    std::vector<std::function<void()>> never_run;  // outlives the lock: what it holds may post
    const std::lock_guard lock(mutex_);
    never_run.swap(posted_);
  }

  int wait_time() {
    {
      const std::lock_guard lock(mutex_);
      if (!posted_.empty()) return 0;
    }
    std::optional<TimePoint> next;
    for (const Pool& pool : pools_) {
      if (pool.timer && (!next || *pool.timer < *next)) next = pool.timer;
    }
    if (!timers_.empty() && (!next || timers_.begin()->first.first < *next)) {
      next = timers_.begin()->first.first;
    }
    if (!next) return -1;
    const auto left = std::chrono::ceil<milliseconds>(*next - now()).count();
    return static_cast<int>(std::clamp<long long>(left, 0, 60'000));
  }

  void run_posted() {
    std::vector<std::function<void()>> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(posted_);
    }
    for (auto& task : tasks) {
      task();
      task = nullptr;
    }
  }

  void run_timers() {
    const TimePoint time = now();
    while (!timers_.empty() && timers_.begin()->first.first <= time) {
      auto entry = timers_.extract(timers_.begin());
      timer_times_.erase(entry.key().second);
      entry.mapped()();
    }
  }

  static std::size_t pool_count(std::size_t max_connections) {
    return std::clamp<std::size_t>(max_connections / kMostConnectionsOfPool +
                                       (max_connections % kMostConnectionsOfPool == 0 ? 0 : 1),
                                   1, kMostPools);
  }

  // A pool for one more transfer: the first that has a connection to give, else the emptiest, where
  // it waits for one. Nullptr when libcurl gives none.
  Pool* pool_for_transfer() {
    Pool* best = &pools_.front();
    for (Pool& pool : pools_) {
      if (pool.transfers < pool.max_connections) {
        best = &pool;
        break;
      }
      if (pool.transfers < best->transfers) best = &pool;
    }
    if (!best->multi) {
      best->multi.reset(curl_multi_init());
      if (!best->multi) return nullptr;
      CURLM* multi = best->multi.get();
      const auto connections = static_cast<long>(best->max_connections);
      curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &CurlLoopImpl::on_socket);
      curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, best);
      curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &CurlLoopImpl::on_timer);
      curl_multi_setopt(multi, CURLMOPT_TIMERDATA, best);
      curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
      curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
      curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections);
    }
    return best;
  }

  // The first pool is for the calls that there always are; the others go when they were not needed
  // for a while.
  void let_go_when_unused(Pool& pool) {
    if (pool.index == 0) return;
    at(now() + kKeepUnusedPool, [&pool, uses = pool.uses] {
      if (pool.uses != uses || pool.transfers > 0) return;
      pool.multi.reset();
      pool.timer.reset();
    });
  }

  void act(Pool& pool, curl_socket_t socket, int what) {
    if (!pool.multi) return;
    int running = 0;
    in_curl_ = true;
    curl_multi_socket_action(pool.multi.get(), socket, what, &running);
    in_curl_ = false;
    retire_dying();
  }

  void retire_dying() {
    while (!dying_.empty()) {
      auto transfer = std::move(dying_.back());
      dying_.pop_back();
      retire(std::move(transfer));
    }
  }

  void end_finished(Pool& pool) {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(pool.multi.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      void* pointer = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &pointer);
      const CURLcode code = message->data.result;
      TransferEnd end;
      if (code != CURLE_OK) {
        end.kind = TransferEnd::Kind::kFailed;
        end.reason = reason_for(code);
        end.diagnostic = curl_easy_strerror(code);
      }
      finish(static_cast<Transfer*>(pointer)->id, end);
    }
  }

  void finish(TransferId id, const TransferEnd& end) {
    auto transfer = take(id);
    if (!transfer) return;
    const auto handler = transfer->handler;
    retire(std::move(transfer));
    handler->on_end(end);
  }

  void begin(TransferId id) {
    const auto found = transfers_.find(id);
    if (found == transfers_.end()) return;
    Transfer& transfer = *found->second;
    if (idle_.empty()) {
      transfer.easy.reset(curl_easy_init());
      if (transfer.easy && !prepare_for_good(transfer.easy.get())) transfer.easy.reset();
    } else {
      transfer.easy = std::move(idle_.back());
      idle_.pop_back();
    }
    Pool* pool = transfer.easy && prepare(transfer) ? pool_for_transfer() : nullptr;
    if (pool != nullptr &&
        curl_multi_add_handle(pool->multi.get(), transfer.easy.get()) == CURLM_OK) {
      transfer.pool = pool;
      ++pool->transfers;
      ++pool->uses;
    } else {
      post([this, id] {
        finish(id, {.kind = TransferEnd::Kind::kFailed,
                    .reason = "CONNECT",
                    .diagnostic = "the transfer could not be set up"});
      });
      return;
    }
    watch(transfer);
  }

  // The options that are the same for every transfer; a handle keeps them from one to the next.
  bool prepare_for_good(CURL* easy) {
    bool ok = true;
    const auto set = [&ok, easy](CURLoption option, auto value) {
      ok = curl_easy_setopt(easy, option, value) == CURLE_OK && ok;
    };
    set(CURLOPT_POST, 1L);
    set(CURLOPT_USERAGENT, user_agent_.c_str());
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    // Our own clock limits every stage; curl's would only blur which one it was.
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(kLongest.count()));
    // A name that is still being looked up must not hold up the end of the program.
    set(CURLOPT_QUICK_EXIT, 1L);
    // No less than an HTTP/2 frame: libcurl 7.88 stops reading a stream whose frame does not fit.
    set(CURLOPT_BUFFERSIZE, 16L * 1024);
    if (!options_.proxy.empty()) set(CURLOPT_PROXY, options_.proxy.c_str());
    if (!options_.ca_file.empty()) set(CURLOPT_CAINFO, options_.ca_file.c_str());
    set(CURLOPT_HEADERFUNCTION, &CurlLoopImpl::on_header);
    set(CURLOPT_WRITEFUNCTION, &CurlLoopImpl::on_body);
    set(CURLOPT_PREREQFUNCTION, &CurlLoopImpl::on_connected);
    return ok;
  }

  bool prepare(Transfer& transfer) {
    CURL* easy = transfer.easy.get();
    for (const std::string& header : transfer.request.headers) {
      curl_slist* longer = curl_slist_append(transfer.headers.get(), header.c_str());
      if (longer == nullptr) return false;
      transfer.headers.release();
      transfer.headers.reset(longer);
    }
    bool ok = true;
    const auto set = [&ok, easy](CURLoption option, auto value) {
      ok = curl_easy_setopt(easy, option, value) == CURLE_OK && ok;
    };
    set(CURLOPT_URL, transfer.request.url.c_str());
    set(CURLOPT_HTTPHEADER, transfer.headers.get());
    set(CURLOPT_POSTFIELDS, transfer.request.body->data());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(transfer.request.body->size()));
    // Over TLS a new transfer waits for the handshake to tell whether the connection can be shared;
    // a plain connection would only tell with its first answer.
    const bool tls = transfer.request.url.starts_with("https:");
    set(CURLOPT_HTTP_VERSION,
        static_cast<long>(tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    set(CURLOPT_PIPEWAIT, tls ? 1L : 0L);
    set(CURLOPT_PRIVATE, static_cast<void*>(&transfer));
    set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
    set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
    set(CURLOPT_PREREQDATA, static_cast<void*>(&transfer));
    // libcurl has copies of its own; thousands may wait.
    transfer.request.url = std::string();
    transfer.request.headers = std::vector<std::string>();
    return ok;
  }

  // Takes a transfer out of libcurl and keeps its handle for the next one.
  void retire(std::unique_ptr<Transfer> transfer) {
    cancel(transfer->timer);
    if (!transfer->easy) return;
    if (Pool* pool = transfer->pool; pool != nullptr) {
      curl_multi_remove_handle(pool->multi.get(), transfer->easy.get());
      if (--pool->transfers == 0) let_go_when_unused(*pool);
    }
    if (idle_.size() < kMaxIdleHandles) {
      // The handle must not point to what goes with the transfer.
      curl_easy_setopt(transfer->easy.get(), CURLOPT_HTTPHEADER, nullptr);
      curl_easy_setopt(transfer->easy.get(), CURLOPT_POSTFIELDS, nullptr);
      idle_.push_back(std::move(transfer->easy));
    }
  }

  std::unique_ptr<Transfer> take(TransferId id) {
    auto entry = transfers_.extract(id);
    return entry ? std::move(entry.mapped()) : nullptr;
  }

  // One timer a transfer: it goes off when the present stage or the whole would be over, and if
  // the stage has moved on meanwhile it is set anew.
  void watch(Transfer& transfer) {
    transfer.timer_at = limit(transfer).first;
    transfer.timer = at(transfer.timer_at, [this, id = transfer.id] {
      const auto found = transfers_.find(id);
      if (found == transfers_.end()) return;
      Transfer& late = *found->second;
      late.timer = 0;
      const auto [when, stage] = limit(late);
      if (when > now()) {
        watch(late);
      } else {
        finish(id, {.kind = TransferEnd::Kind::kTimeout, .stage = stage, .diagnostic = {}});
      }
    });
  }

  // When the present stage or the whole has to be over, and which of them it is.
  static std::pair<TimePoint, const char*> limit(const Transfer& transfer) {
    const Timeouts& timeouts = transfer.request.timeouts;
    const milliseconds stage_limit = transfer.stage == kConnect     ? timeouts.connect
                                     : transfer.stage == kFirstByte ? timeouts.first_byte
                                                                    : timeouts.idle;
    // "As long as it takes" must not run over the end of the clock.
    const TimePoint stage_end = transfer.stage_since + std::min(stage_limit, kLongest);
    const TimePoint total_end = transfer.started + std::min(timeouts.total, kLongest);
    return stage_end <= total_end ? std::pair(stage_end, transfer.stage)
                                  : std::pair(total_end, "total");
  }

  void enter(Transfer& transfer, const char* stage) {
    transfer.stage = stage;
    transfer.stage_since = now();
    if (limit(transfer).first < transfer.timer_at) {
      cancel(transfer.timer);
      watch(transfer);
    }
  }

  static int on_connected(void* data, char*, char*, int, int) noexcept {
    auto& transfer = *static_cast<Transfer*>(data);
    transfer.loop->enter(transfer, kFirstByte);
    return CURL_PREREQFUNC_OK;
  }

  static std::size_t on_header(char* bytes, std::size_t, std::size_t count, void* data) noexcept {
    auto& transfer = *static_cast<Transfer*>(data);
    if (transfer.head_done) return count;  // a trailer
    std::string_view line(bytes, count);
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    static constexpr std::string_view kRetryAfter = "retry-after:";
    if (line.size() > kRetryAfter.size() &&
        std::equal(kRetryAfter.begin(), kRetryAfter.end(), line.begin(), [](char want, char got) {
          return want == (got >= 'A' && got <= 'Z' ? static_cast<char>(got + 32) : got);
        })) {
      line.remove_prefix(kRetryAfter.size());
      while (line.starts_with(' ')) line.remove_prefix(1);
      transfer.retry_after = line;
    } else if (line.empty()) {
      long status = 0;
      curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
      if (status >= 200) {
        transfer.head_done = true;
        if (transfer.loop->is_live(transfer.id)) {
          transfer.handler->on_head(static_cast<int>(status), transfer.retry_after);
        }
      }
    }
    return count;
  }

  static std::size_t on_body(char* bytes, std::size_t, std::size_t count, void* data) noexcept {
    auto& transfer = *static_cast<Transfer*>(data);
    if (!transfer.loop->is_live(transfer.id)) return CURL_WRITEFUNC_ERROR;
    if (transfer.stage == kIdle) {
      transfer.stage_since = transfer.loop->now();
    } else {
      transfer.loop->enter(transfer, kIdle);
    }
    transfer.handler->on_body({bytes, count});
    return transfer.loop->is_live(transfer.id) ? count : CURL_WRITEFUNC_ERROR;
  }

  bool is_live(TransferId id) const { return transfers_.find(id) != transfers_.end(); }

  static int on_socket(CURL*, curl_socket_t socket, int what, void* data, void*) noexcept {
    const auto& pool = *static_cast<Pool*>(data);
    const int epoll = pool.loop->epoll_.get();
    if (what == CURL_POLL_REMOVE) {
      epoll_ctl(epoll, EPOLL_CTL_DEL, socket, nullptr);
      return 0;
    }
    epoll_event event{};
    if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
    event.data.u64 = std::uint64_t{pool.index} << 32 | static_cast<std::uint32_t>(socket);
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, socket, &event) != 0 && errno == ENOENT) {
      epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
    }
    return 0;
  }

  static int on_timer(CURLM*, long timeout_ms, void* data) noexcept {
    auto& pool = *static_cast<Pool*>(data);
    if (timeout_ms < 0) {
      pool.timer.reset();
    } else {
      pool.timer = pool.loop->now() + milliseconds(timeout_ms);
    }
    return 0;
  }

  static constexpr std::size_t kMaxIdleHandles = 64;
  static constexpr std::size_t kMostPools = 256;  // 65,536 connections: no address has more
  static constexpr std::uint64_t kWakeEvent = ~std::uint64_t{0};

  const CurlLoopOptions options_;
  const std::string user_agent_ = fmt::format("libtwinchat/{}", version());
  std::atomic<std::thread::id> loop_thread_{};
  std::thread thread_;

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_

  // The loop thread's own from here on. The handles go before the pools they are in.
  FileDescriptor epoll_;
  FileDescriptor wake_;
  std::vector<Pool> pools_;  // never resized: libcurl holds pointers into it
  std::vector<EasyHandle> idle_;
  std::unordered_map<TransferId, std::unique_ptr<Transfer>> transfers_;
  std::vector<std::unique_ptr<Transfer>> dying_;
  std::map<std::pair<TimePoint, TimerId>, std::function<void()>> timers_;
  std::unordered_map<TimerId, TimePoint> timer_times_;
  std::uint64_t last_id_ = 0;
  bool in_curl_ = false;
  bool stopping_ = false;
};

bool is_loopback_address(std::string host) {
  for (char& c : host) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  if (host == "localhost" || host == "::1") return true;
  int parts = 0;
  std::string_view rest = host;
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    int value = -1;
    const auto [end, failure] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (failure != std::errc() || end != part.data() + part.size() || value < 0 || value > 255) {
      return false;
    }
    if (parts == 0 && value != 127) return false;
    ++parts;
    if (dot == std::string_view::npos) return parts == 4;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace

std::shared_ptr<CurlLoop> CurlLoop::start(const CurlLoopOptions& options) {
  initialize_curl();
  auto loop = std::make_shared<CurlLoopImpl>(options);
  loop->run_thread();
  return loop;
}

bool is_allowed_url(const std::string& url) {
  // An empty query or fragment would swallow the path that is put behind, and a NUL cut it off;
  // libcurl reports neither.
  if (url.find_first_of(std::string_view("?#\0", 3)) != std::string::npos) return false;
  initialize_curl();
  const std::unique_ptr<CURLU, UrlDeleter> parsed(curl_url());
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) {
    return false;
  }
  const auto part = [&parsed](CURLUPart which) -> std::string {
    char* text = nullptr;
    if (curl_url_get(parsed.get(), which, &text, 0) != CURLUE_OK) return {};
    const std::unique_ptr<char, StringDeleter> owner(text);
    return text;
  };
  if (!part(CURLUPART_USER).empty() || !part(CURLUPART_PASSWORD).empty()) return false;
  const std::string scheme = part(CURLUPART_SCHEME);
  const std::string host = part(CURLUPART_HOST);
  return !host.empty() && (scheme == "https" || (scheme == "http" && is_loopback_address(host)));
}

std::string libcurl_version() {
  return curl_version_info(CURLVERSION_NOW)->version;
}

}  // namespace twinchat::gemini
