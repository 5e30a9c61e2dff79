#include "http/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "http/http_server.h"
#include "http/httplib_adapter.h"
#include "http/tls_context.h"

namespace twinchat::server {
namespace {

// A client that takes this much of what waits for it is slow, not gone.
constexpr size_t kWriteProgress = 64 * 1024;

// Complete requests up to this size are taken whatever the budget for unfinished ones says.
constexpr size_t kSmallRequest = 8 * 1024;

// Answers up to this size wait for their client whatever the budget for unsent ones says.
constexpr size_t kSmallAnswer = 8 * 1024;

// The most that goes into one TLS record.
constexpr size_t kRecord = 16 * 1024;

constexpr const char* kBusy = "The server is busy.";

RejectReason reason_of(int status) {
  switch (status) {
    case 408:
      return RejectReason::kRequestTimeout;
    case 413:
      return RejectReason::kBodyTooLarge;
    case 414:
      return RejectReason::kLineTooLong;
    case 415:
      return RejectReason::kEncoding;
    case 431:
      return RejectReason::kHeadersTooLarge;
    default:
      return RejectReason::kMalformed;
  }
}

void release(std::string& text) {
  std::string().swap(text);
}

}  // namespace

Connection::Connection(std::shared_ptr<ServerCore> core, UniqueFd fd, std::string client_address)
    : core_(std::move(core)),
      client_address_(std::move(client_address)),
      fd_(std::move(fd)),
      parser_(core_->limits),
      deadline_(Clock::now() + core_->limits.idle_time),
      phase_(core_->tls ? Phase::kGreeting : Phase::kReading) {
  core_->counters.connections_open.fetch_add(1, std::memory_order_relaxed);
}

std::unique_ptr<FramedRequest> Connection::take_request() {
  std::unique_lock lock(mutex_);
  std::unique_ptr<FramedRequest> request = std::move(request_);
  account_locked();
  return request;
}

// ---- the answer ----

void Connection::answer(httplib::Response response) {
  AnswerForm form = form_;
  form.keep_alive = form.keep_alive && !core_->draining.load(std::memory_order_relaxed);
  if (HttplibAdapter::has_content_provider(response)) {
    return answer_failed("a handler answered with a content provider; begin_stream() is for that");
  }
  const std::string head = write_head(response, form, BodyFraming::kLength);
  const bool body =
      !form.head_only && status_has_body(response.status == -1 ? 200 : response.status);

  std::function<void()> dropped;  // destroyed without the lock: it may own the reply
  std::unique_lock lock(mutex_);
  if (phase_ != Phase::kHandling) return;
  form_ = form;
  send_locked(head, body ? std::string_view(response.body) : std::string_view());
  dropped.swap(on_close_);
  finish_answer_locked();
}

void Connection::answer_failed(std::string_view why) {
  core_->report(why);
  core_->counters.handler_failures.fetch_add(1, std::memory_order_relaxed);
  answer(core_->make_error({.status = 500,
                            .detail = "Internal server error.",
                            .client_address = client_address_,
                            .secure = secure()}));
}

bool Connection::begin_stream(httplib::Response head) {
  AnswerForm form = form_;
  form.keep_alive =
      form.keep_alive && !form.http_1_0 && !core_->draining.load(std::memory_order_relaxed);
  const bool body = !form.head_only && status_has_body(head.status == -1 ? 200 : head.status);
  const std::string bytes =
      write_head(head, form,
                 !status_has_body(head.status == -1 ? 200 : head.status) ? BodyFraming::kLength
                 : form.http_1_0                                         ? BodyFraming::kClose
                                                                         : BodyFraming::kChunked);
  std::function<void()> dropped;
  std::unique_lock lock(mutex_);
  if (phase_ != Phase::kHandling || broken_) return false;
  form_ = form;
  send_locked(bytes, {});
  if (!body) {
    dropped.swap(on_close_);
    finish_answer_locked();
    return false;
  }
  streaming_ = true;
  return !broken_;
}

bool Connection::write_stream(std::string_view bytes) {
  std::unique_lock lock(mutex_);
  if (phase_ != Phase::kHandling || !streaming_ || broken_) return false;
  if (bytes.empty()) return true;  // an empty chunk would end the stream
  if (output_.size() - output_done_ + bytes.size() > core_->limits.stream_backlog_bytes) {
    core_->counters.rejected(RejectReason::kBacklog);
    break_locked();
    return false;
  }
  if (form_.http_1_0) {
    send_locked(bytes, {});
  } else {
    std::string chunk;
    chunk.reserve(bytes.size() + 20);
    char digits[16];
    chunk.append(digits, std::to_chars(digits, digits + sizeof digits, bytes.size(), 16).ptr);
    chunk.append("\r\n").append(bytes).append("\r\n");
    send_locked(chunk, {});
  }
  return !broken_;
}

size_t Connection::stream_backlog() const {
  std::unique_lock lock(mutex_);
  return output_.size() - output_done_;
}

void Connection::end_stream() {
  std::function<void()> dropped;
  std::unique_lock lock(mutex_);
  if (phase_ != Phase::kHandling || !streaming_) return;
  if (!form_.http_1_0) send_locked("0\r\n\r\n", {});
  dropped.swap(on_close_);
  finish_answer_locked();
}

void Connection::abort() {
  std::function<void()> dropped;
  std::unique_lock lock(mutex_);
  if (phase_ != Phase::kHandling) return;
  dropped.swap(on_close_);
  break_locked();
}

bool Connection::closed() const {
  std::unique_lock lock(mutex_);
  return phase_ == Phase::kClosed || broken_;
}

bool Connection::client_left() const {
  std::unique_lock lock(mutex_);
  return phase_ == Phase::kClosed || broken_ || peer_shut_;
}

void Connection::on_close(std::function<void()> function) {
  std::function<void()> dropped;
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::kClosed || broken_) {
    lock.unlock();
    core_->run(std::move(function));
  } else if (phase_ == Phase::kHandling) {
    dropped.swap(on_close_);
    on_close_ = std::move(function);
  }
}

// ---- the event loop ----

Connection::Next Connection::on_events(uint32_t events, char* buffer, size_t buffer_size) {
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::kClosed) return Next::kNothing;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return Next::kRemove;
  if ((events & EPOLLOUT) != 0) flush_locked();
  if ((events & EPOLLRDHUP) != 0) peer_shut_ = true;
  if ((events & (EPOLLIN | EPOLLRDHUP)) != 0) {
    input_ready_ = true;
    if (tls_) tls_->input_came(peer_shut_);
  }
  return proceed_locked(buffer, buffer_size);
}

Connection::Next Connection::on_wake(char* buffer, size_t buffer_size) {
  std::unique_lock lock(mutex_);
  return proceed_locked(buffer, buffer_size);
}

Connection::Next Connection::on_drain(char* buffer, size_t buffer_size) {
  std::unique_lock lock(mutex_);
  // A request that is already in the socket's buffer counts as in flight.
  input_ready_ = true;
  if (tls_) tls_->input_came(peer_shut_);
  return proceed_locked(buffer, buffer_size);
}

Connection::Next Connection::on_timer(Clock::time_point now) {
  std::unique_lock lock(mutex_);
  if (deadline_locked() > now) return Next::kNothing;
  switch (phase_) {
    case Phase::kGreeting:
      if (request_begun_) core_->counters.rejected(RejectReason::kTlsTimeout);
      return Next::kRemove;
    case Phase::kReading:
      if (request_begun_) return reject_locked(408, "Request timeout.");
      return Next::kRemove;
    case Phase::kHandling:
    case Phase::kFlushing:
      core_->counters.rejected(RejectReason::kWriteTimeout);
      return Next::kRemove;
    case Phase::kLingering:
      return Next::kRemove;
    case Phase::kClosed:
      break;
  }
  return Next::kNothing;
}

void Connection::close() {
  std::function<void()> gone;
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::kClosed) return;
  const bool answering = phase_ == Phase::kHandling;
  if (tls_ && phase_ == Phase::kGreeting) {
    core_->handshakes.fetch_sub(1, std::memory_order_relaxed);
  } else if (tls_ && phase_ == Phase::kReading && !broken_) {
    tls_->shut_down();  // as far as the socket takes it
  }
  phase_ = Phase::kClosed;
  tls_.reset();
  fd_.reset();
  gone.swap(on_close_);
  parser_.reset();
  request_.reset();
  release(pipelined_);
  release(output_);
  account_locked();
  account_output_locked(0);
  lock.unlock();
  core_->counters.connections_open.fetch_sub(1, std::memory_order_relaxed);
  if (answering) core_->counters.client_gone.fetch_add(1, std::memory_order_relaxed);
  if (gone) core_->run(std::move(gone));
}

Connection::Clock::time_point Connection::next_deadline() const {
  std::unique_lock lock(mutex_);
  return deadline_locked();
}

bool Connection::idle() const {
  std::unique_lock lock(mutex_);
  if (phase_ != Phase::kReading && phase_ != Phase::kGreeting) return false;
  if (request_begun_ || input_ready_) return false;
  char byte;
  return ::recv(fd_.get(), &byte, 1, MSG_PEEK) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool Connection::shaking_hands() const {
  std::unique_lock lock(mutex_);
  return phase_ == Phase::kGreeting && tls_ != nullptr;
}

Connection::Clock::time_point Connection::deadline_locked() const {
  switch (phase_) {
    case Phase::kGreeting:
    case Phase::kReading:
    case Phase::kFlushing:
    case Phase::kLingering:
      return deadline_;
    case Phase::kHandling:
      return output_.empty() ? Clock::time_point::max() : deadline_;
    case Phase::kClosed:
      break;
  }
  return Clock::time_point::max();
}

Connection::Next Connection::proceed_locked(char* buffer, size_t buffer_size) {
  if (phase_ == Phase::kClosed) return Next::kNothing;
  if (broken_) return Next::kRemove;
  Next next = Next::kNothing;
  if (phase_ == Phase::kGreeting) next = greet_locked();
  if (phase_ == Phase::kReading && next == Next::kNothing) next = read_locked(buffer, buffer_size);
  if (phase_ == Phase::kLingering && next == Next::kNothing) {
    next = discard_locked(buffer, buffer_size);
  }
  if (broken_) return Next::kRemove;
  const bool idle = (phase_ == Phase::kReading && !request_begun_) || phase_ == Phase::kGreeting;
  if (next == Next::kNothing && idle && core_->draining.load(std::memory_order_relaxed)) {
    return Next::kRemove;
  }
  return next;
}

// Before there is anything of TLS.
Connection::Next Connection::greet_locked() {
  if (!tls_) {
    if (!input_ready_) return Next::kNothing;
    char bytes[kGreetingBytes];
    ssize_t size = 0;
    do {
      size = ::recv(fd_.get(), bytes, sizeof bytes, MSG_PEEK);
    } while (size < 0 && errno == EINTR);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      input_ready_ = false;
      return Next::kNothing;
    }
    if (size <= 0) return Next::kRemove;
    if (!request_begun_) {
      request_begun_ = true;
      deadline_ = Clock::now() + core_->limits.handshake_time;
    }
    switch (greeting_of({bytes, static_cast<size_t>(size)})) {
      case Greeting::kUnclear:
        if (peer_shut_) return Next::kRemove;
        input_ready_ = false;
        return Next::kNothing;
      case Greeting::kHello:
        break;
      case Greeting::kPlainHttp:
        phase_ = Phase::kReading;
        request_begun_ = false;
        return reject_locked(400, "Plain HTTP was sent to a port of HTTPS.");
      case Greeting::kForeign:
        core_->counters.rejected(RejectReason::kTlsFailed);
        return Next::kRemove;
    }
    tls_ = core_->tls->new_session(fd_.get());
    if (peer_shut_) tls_->input_came(true);
    core_->handshakes.fetch_add(1, std::memory_order_relaxed);
  }
  return begin_tls_locked();
}

Connection::Next Connection::begin_tls_locked() {
  switch (tls_->handshake()) {
    case TlsSession::Status::kDone:
      core_->handshakes.fetch_sub(1, std::memory_order_relaxed);
      core_->counters.tls_handshakes.fetch_add(1, std::memory_order_relaxed);
      phase_ = Phase::kReading;
      request_begun_ = false;
      deadline_ = Clock::now() + core_->limits.idle_time;
      input_ready_ = true;  // a request may have come with the end of the handshake
      return Next::kNothing;
    case TlsSession::Status::kWantInput:
      input_ready_ = false;
      return Next::kNothing;
    case TlsSession::Status::kWantRoom:
      return Next::kNothing;
    case TlsSession::Status::kEnded:
    case TlsSession::Status::kFailed:
      break;
  }
  core_->counters.rejected(RejectReason::kTlsFailed);
  return Next::kRemove;
}

Connection::Next Connection::read_locked(char* buffer, size_t buffer_size) {
  if (!pipelined_.empty()) {
    const std::string bytes = std::exchange(pipelined_, {});
    const Next next = parse_locked(bytes);
    if (next != Next::kNothing) return next;
  }
  while (input_ready_ && phase_ == Phase::kReading) {
    const ssize_t size = receive_locked(buffer, buffer_size);
    if (size < 0) return Next::kRemove;
    if (size == 0) break;
    const Next next = parse_locked({buffer, static_cast<size_t>(size)});
    if (next != Next::kNothing) return next;
  }
  if (held_by_tls_locked() > 0 && phase_ == Phase::kReading) {
    if (!request_begun_) {
      request_begun_ = true;
      deadline_ = Clock::now() + core_->limits.request_time;
    }
    account_locked();
    if (over_budget()) return reject_locked(503, kBusy);
  }
  return Next::kNothing;
}

// The number of bytes that came; 0 when no more are there now, -1 when none will come.
ssize_t Connection::receive_locked(char* buffer, size_t buffer_size) {
  if (tls_) {
    const TlsSession::Progress progress = tls_->read(buffer, buffer_size);
    switch (progress.status) {
      case TlsSession::Status::kDone:
        input_ready_ = tls_->input_waits();
        return static_cast<ssize_t>(progress.bytes);
      case TlsSession::Status::kWantInput:
        input_ready_ = false;
        return 0;
      case TlsSession::Status::kWantRoom:
        return 0;
      case TlsSession::Status::kEnded:
      case TlsSession::Status::kFailed:
        break;
    }
    return -1;
  }
  for (;;) {
    const ssize_t size = ::recv(fd_.get(), buffer, buffer_size, 0);
    if (size > 0) {
      // A short read has emptied the socket; new bytes are a new edge. An end that was announced
      // together with them is not.
      input_ready_ = peer_shut_ || static_cast<size_t>(size) == buffer_size;
      return size;
    }
    if (size == 0) return -1;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      input_ready_ = false;
      return 0;
    }
    if (errno != EINTR) return -1;
  }
}

Connection::Next Connection::parse_locked(std::string_view bytes) {
  const size_t used = parser_.feed(bytes);
  switch (parser_.status()) {
    case RequestParser::Status::kComplete:
      request_ = parser_.take();
      pipelined_ = bytes.substr(used);
      account_locked();
      if (accounted_ > kSmallRequest && over_budget()) return reject_locked(503, kBusy);
      form_ = {.head_only = request_->method == "HEAD",
               .http_1_0 = request_->http_1_0,
               .keep_alive = request_->keep_alive};
      request_begun_ = false;
      phase_ = Phase::kHandling;
      core_->counters.requests.fetch_add(1, std::memory_order_relaxed);
      return Next::kDispatch;
    case RequestParser::Status::kError:
      return reject_locked(parser_.error().status, parser_.error().reason);
    case RequestParser::Status::kNeedMore:
      if (!request_begun_) {
        request_begun_ = true;
        deadline_ = Clock::now() + core_->limits.request_time;
      }
      account_locked();
      if (over_budget()) return reject_locked(503, kBusy);
      if (parser_.take_expect_continue()) send_locked("HTTP/1.1 100 Continue\r\n\r\n", {});
      break;
    case RequestParser::Status::kIdle:
      break;
  }
  return Next::kNothing;
}

Connection::Next Connection::discard_locked(char* buffer, size_t buffer_size) {
  while (input_ready_) {
    const ssize_t size = ::recv(fd_.get(), buffer, buffer_size, 0);
    if (size > 0) {
      discarded_ += static_cast<size_t>(size);
      if (discarded_ > core_->limits.linger_bytes) return Next::kRemove;
    } else if (size == 0) {
      return Next::kRemove;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      input_ready_ = false;
    } else if (errno != EINTR) {
      return Next::kRemove;
    }
  }
  // A server that stops does not wait for clients that have all they asked for.
  return core_->draining.load(std::memory_order_relaxed) ? Next::kRemove : Next::kNothing;
}

Connection::Next Connection::reject_locked(int status, std::string_view detail) {
  core_->counters.rejected(status == 503 ? RejectReason::kUnfinishedBudget : reason_of(status));
  ErrorCause cause{.status = status,
                   .detail = detail,
                   .client_address = client_address_,
                   .secure = tls_ != nullptr};
  if (request_ != nullptr) {
    cause.head = {
        .method = request_->method, .target = request_->target, .fields = request_->fields};
  } else {
    cause.head = parser_.head();
  }
  if (request_begun_) cause.since = deadline_ - core_->limits.request_time;
  const httplib::Response response = core_->make_error(cause);
  form_ = {};
  parser_.reset();
  request_.reset();
  request_begun_ = false;
  phase_ = Phase::kHandling;
  account_locked();
  send_locked(write_head(response, form_, BodyFraming::kLength), response.body);
  finish_answer_locked();
  return broken_ ? Next::kRemove : Next::kNothing;
}

// ---- under the lock, on any thread ----

void Connection::send_locked(std::string_view first, std::string_view second) {
  if (broken_) return;
  if (!output_.empty()) {
    keep_locked(first, second);
    return;
  }
  const size_t taken = put_both_locked(first, second);
  const size_t of_first = std::min(taken, first.size());
  first.remove_prefix(of_first);
  second.remove_prefix(taken - of_first);
  if (broken_ || (first.empty() && second.empty())) return;
  output_done_ = output_mark_ = 0;
  deadline_ = Clock::now() + core_->limits.write_time;
  keep_locked(first, second);
  core_->wake(shared_from_this());  // for the deadline
}

// Gives the socket what it takes of them, and says how much that was.
size_t Connection::put_both_locked(std::string_view first, std::string_view second) {
  if (tls_) {
    if (second.empty() || first.size() >= kRecord) {
      const size_t taken = put_locked(first);
      return taken < first.size() ? taken : taken + put_locked(second);
    }
    // A head and the beginning of its body are one record, and one packet.
    std::string record(first);
    record.append(second.substr(0, kRecord - first.size()));
    const size_t taken = put_locked(record);
    if (taken < record.size()) return taken;
    return taken + put_locked(second.substr(record.size() - first.size()));
  }
  size_t taken = 0;
  while (!first.empty() || !second.empty()) {
    iovec parts[2] = {{const_cast<char*>(first.data()), first.size()},
                      {const_cast<char*>(second.data()), second.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = second.empty() ? 1 : 2;
    const ssize_t sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) break_locked();
      break;
    }
    taken += static_cast<size_t>(sent);
    const size_t of_first = std::min(static_cast<size_t>(sent), first.size());
    first.remove_prefix(of_first);
    second.remove_prefix(static_cast<size_t>(sent) - of_first);
  }
  return taken;
}

size_t Connection::put_locked(std::string_view bytes) {
  size_t taken = 0;
  while (taken < bytes.size()) {
    const std::string_view left = bytes.substr(taken);
    if (tls_) {
      const TlsSession::Progress progress = tls_->write(left);
      if (progress.status == TlsSession::Status::kDone) {
        taken += progress.bytes;
        continue;
      }
      if (progress.status != TlsSession::Status::kWantRoom) break_locked();
      break;
    }
    const ssize_t sent = ::send(fd_.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) break_locked();
      break;
    }
    taken += static_cast<size_t>(sent);
  }
  return taken;
}

// Has them wait for the client.
void Connection::keep_locked(std::string_view first, std::string_view second) {
  const size_t size = output_.size() + first.size() + second.size();
  // Counted before it is judged: others judge theirs at the same moment.
  account_output_locked(size);
  if (over_output_budget()) {
    core_->counters.rejected(RejectReason::kUnsentBudget);
    account_output_locked(output_.size());
    break_locked();
    return;
  }
  output_.reserve(size);
  output_.append(first).append(second);
}

void Connection::flush_locked() {
  if (broken_) return;
  if (output_.empty()) {
    if (phase_ == Phase::kFlushing) complete_locked();
    return;
  }
  output_done_ += put_locked(std::string_view(output_).substr(output_done_));
  if (broken_) return;
  if (output_done_ == output_.size()) {
    release(output_);
    output_done_ = output_mark_ = 0;
    if (phase_ == Phase::kFlushing) complete_locked();
  } else if (output_done_ - output_mark_ >= kWriteProgress) {
    output_.erase(0, output_done_);
    output_done_ = output_mark_ = 0;
    deadline_ = Clock::now() + core_->limits.write_time;
  }
  account_output_locked(output_.size());
}

void Connection::finish_answer_locked() {
  streaming_ = false;
  phase_ = Phase::kFlushing;
  if (output_.empty()) complete_locked();
}

void Connection::complete_locked() {
  if (broken_) return;
  if (form_.keep_alive) {
    phase_ = Phase::kReading;
    deadline_ = Clock::now() + core_->limits.idle_time;
    if (!input_ready_ && pipelined_.empty() && !core_->draining.load(std::memory_order_relaxed)) {
      return;
    }
  } else {
    if (!say_end_locked()) {
      deadline_ = Clock::now() + core_->limits.write_time;
      return core_->wake(shared_from_this());  // for the deadline
    }
    phase_ = Phase::kLingering;
    tls_.reset();  // what still comes need not be understood
    release(pipelined_);
    account_locked();
    discarded_ = 0;
    input_ready_ = true;
    deadline_ = Clock::now() + core_->limits.linger_time;
  }
  core_->wake(shared_from_this());
}

// False when the socket has no room for the end; it is to be tried again then.
bool Connection::say_end_locked() {
  if (tls_ && tls_->shut_down() == TlsSession::Status::kWantRoom) return false;
  // A close while the client still sends would reset the connection and could take the answer with
  // it.
  ::shutdown(fd_.get(), SHUT_WR);
  return true;
}

void Connection::break_locked() {
  // The client must not take what it has for a complete answer: reset, not an orderly end.
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  broken_ = true;
  core_->wake(shared_from_this());
}

bool Connection::over_budget() const {
  return core_->unfinished_bytes.load(std::memory_order_relaxed) > core_->limits.unfinished_bytes;
}

void Connection::account_locked() {
  size_t held = parser_.buffered();
  if (request_ != nullptr) held += request_->memory();
  if (!pipelined_.empty()) held += pipelined_.capacity();
  held += held_by_tls_locked();
  core_->unfinished_bytes.fetch_add(held - accounted_, std::memory_order_relaxed);
  accounted_ = held;
}

// Of a record that has come in part.
size_t Connection::held_by_tls_locked() const {
  return tls_ && tls_->holds_part() ? TlsSession::kRecordBytes : 0;
}

void Connection::account_output_locked(size_t held) {
  // What waits for its client under TLS has a record under way.
  if (held > 0 && tls_) held += TlsSession::kRecordBytes;
  core_->unsent_bytes.fetch_add(held - accounted_output_, std::memory_order_relaxed);
  core_->unsent_connections.fetch_add(size_t{held > 0} - size_t{accounted_output_ > 0},
                                      std::memory_order_relaxed);
  accounted_output_ = held;
}

bool Connection::over_output_budget() const {
  const size_t limit = core_->limits.unsent_bytes;
  const size_t holders = core_->unsent_connections.load(std::memory_order_relaxed);
  return core_->unsent_bytes.load(std::memory_order_relaxed) > limit && holders > 1 &&
         accounted_output_ - (tls_ ? TlsSession::kRecordBytes : 0) >
             std::max(kSmallAnswer, limit / holders);
}

}  // namespace twinchat::server
