// One client connection: framing on the way in, one answer at a time on the way out. Internal.
//
// The event loop reads, times out and closes; whoever has the answer writes it to the socket
// directly, and only what the socket does not take at once is left to the event loop. A connection
// that waits for its next request owns no buffer.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "http/framing.h"
#include "http/response_writer.h"
#include "http/server_core.h"
#include "http/tls_session.h"

namespace twinchat::server {

// Thread safety: the functions of the answer and those said to be so may be called from any thread;
// the rest belongs to the event loop. One mutex guards everything that both touch. The descriptor
// is closed by the event loop alone, under the mutex, so that nobody writes to a reused number.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;

  // What the event loop has to do after it called.
  enum class Next { kNothing, kDispatch, kRemove };

  Connection(std::shared_ptr<ServerCore> core, UniqueFd fd, std::string client_address);

  // For the worker that handles the request.

  const std::string& client_address() const { return client_address_; }
  // Whether the request came by TLS.
  bool secure() const { return core_->tls != nullptr; }
  std::unique_ptr<FramedRequest> take_request();

  // The answer. Calls that come after the connection has broken do nothing (and return false).

  void answer(httplib::Response response);
  // 500; `why` is for the log.
  void answer_failed(std::string_view why);
  bool begin_stream(httplib::Response head);
  bool write_stream(std::string_view bytes);
  size_t stream_backlog() const;
  void end_stream();
  // Breaks the connection off: a stream that cannot be finished must not look finished.
  void abort();
  bool closed() const;
  bool client_left() const;
  void on_close(std::function<void()> function);

  // For the event loop.

  // `buffer` is scratch space for reading.
  Next on_events(uint32_t events, char* buffer, size_t buffer_size);
  // Woken through ServerCore::wake().
  Next on_wake(char* buffer, size_t buffer_size);
  // The time of next_deadline() may have come.
  Next on_timer(Clock::time_point now);
  // The server drains: an idle connection is closed, a busy one after its answer.
  Next on_drain(char* buffer, size_t buffer_size);
  // Closes the descriptor, and has the on_close function run if an answer was under way.
  void close();
  // When on_timer() wants to be called; Clock::time_point::max() if only an answer can go on.
  Clock::time_point next_deadline() const;
  // Waits for a request of which nothing has come, not even to the socket.
  bool idle() const;
  // Its TLS handshake has begun and is not done.
  bool shaking_hands() const;
  int fd() const { return fd_.get(); }

  // Free for the event loop's own books.
  uint32_t generation = 0;
  Clock::time_point scheduled = Clock::time_point::max();
  bool handshake_noted = false;

 private:
  enum class Phase : uint8_t {
    kGreeting,   // waits for a TLS handshake or is in the middle of one
    kReading,    // waits for a request or is in the middle of one
    kHandling,   // a request is out for its answer, or the answer is under way
    kFlushing,   // the answer is complete, the client has not taken all of it
    kLingering,  // our side is shut; what still comes is thrown away
    kClosed,
  };

  Clock::time_point deadline_locked() const;
  Next proceed_locked(char* buffer, size_t buffer_size);
  Next greet_locked();
  Next begin_tls_locked();
  Next read_locked(char* buffer, size_t buffer_size);
  ssize_t receive_locked(char* buffer, size_t buffer_size);
  Next parse_locked(std::string_view bytes);
  Next discard_locked(char* buffer, size_t buffer_size);
  Next reject_locked(int status, std::string_view detail);
  void send_locked(std::string_view first, std::string_view second);
  size_t put_locked(std::string_view bytes);
  size_t put_both_locked(std::string_view first, std::string_view second);
  bool say_end_locked();
  void keep_locked(std::string_view first, std::string_view second);
  void flush_locked();
  void finish_answer_locked();
  void complete_locked();
  void break_locked();
  void account_locked();
  void account_output_locked(size_t held);
  bool over_budget() const;
  bool over_output_budget() const;
  size_t held_by_tls_locked() const;

  const std::shared_ptr<ServerCore> core_;
  const std::string client_address_;

  mutable std::mutex mutex_;
  UniqueFd fd_;
  std::unique_ptr<TlsSession> tls_;  // once the client has begun its handshake
  RequestParser parser_;
  std::unique_ptr<FramedRequest> request_;  // complete, not yet taken
  std::string pipelined_;                   // read beyond the request that is being handled
  std::string output_;                      // what the socket did not take
  size_t output_done_ = 0;                  // of output_, already sent
  size_t output_mark_ = 0;                  // of output_, sent when the write deadline was set
  std::function<void()> on_close_;
  Clock::time_point deadline_;   // of the phase
  size_t accounted_ = 0;         // of ServerCore::unfinished_bytes
  size_t accounted_output_ = 0;  // of ServerCore::unsent_bytes
  size_t discarded_ = 0;
  AnswerForm form_;
  Phase phase_ = Phase::kReading;
  bool streaming_ = false;
  bool chunked_ = false;
  bool input_ready_ = false;  // the socket may hold bytes, or the end, that no edge will tell of
  bool peer_shut_ = false;    // the client has sent its last byte
  bool request_begun_ = false;
  bool broken_ = false;  // the client is gone; the event loop has yet to close
};

}  // namespace twinchat::server
