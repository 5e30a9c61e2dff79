// The answer to a request, to be given later and from anywhere.
#pragma once

#include <httplib.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

namespace twinchat::server {

class Connection;

// Made by Exchange::defer(). Give exactly one answer: send(), or begin_stream() ... end(). Further
// answers are ignored. Nothing here blocks: what the client does not take at once waits in memory.
// When the last reference goes without an answer, the client gets 500; a stream begun and not ended
// is broken off, so that the client can tell it from a complete one.
//
// A Reply may outlive the HttpServer; its calls then do nothing.
//
// Thread safety: every function may be called from any thread. Calls of write() from several
// threads at once are safe but in no certain order.
class Reply {
 public:
  explicit Reply(std::shared_ptr<Connection> connection);
  ~Reply();
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  // The whole answer. To HEAD only its head goes out, with the Content-Length of the body.
  // Content providers are not supported: the client gets 500.
  void send(httplib::Response response);

  // Sends the head of an answer whose body follows in pieces: chunked, or to an HTTP/1.0 client up
  // to the end of the connection. The body of `head` is not used. False when there is nobody to
  // stream to: the client is gone, the request is HEAD (it has its answer then) or another answer
  // was given.
  bool begin_stream(httplib::Response head);

  // Sends a piece at once. False when the stream is over: the client is gone, or so slow that more
  // than HttpLimits::stream_backlog_bytes would wait for it (the connection is then broken off), or
  // end() was called.
  bool write(std::string_view bytes);

  // Bytes of the stream that the client has not taken yet. Who writes faster than it reads waits
  // until they are few.
  std::size_t backlog() const;

  // The stream is complete.
  void end();

  // Whether the client is known to be gone. A client that closes its connection looks like one that
  // has merely sent its last request until something is written to it: a stream that may be silent
  // for long should write something (for server-sent events a comment) every few seconds.
  bool closed() const;

  // Whether the client has closed at least its own side. It may still read an answer: to be asked
  // only where somebody has to be turned away and those who left should come first.
  bool client_left() const;

  // Has the function called once, on a worker, when the client goes away before the answer is
  // complete; at once if it has. Not called after a complete answer. A second call replaces the
  // function. The function may own this Reply: it is let go when the answer is complete.
  void on_close(std::function<void()> function);

 private:
  // kGone: the client had left before a stream could begin.
  enum class State { kOpen, kStreaming, kDone, kGone };

  const std::shared_ptr<Connection> connection_;
  std::atomic<State> state_{State::kOpen};
};

}  // namespace twinchat::server
