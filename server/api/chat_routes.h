#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>

#include "api/event_stream.h"
#include "api/request_limits.h"
#include "api/router.h"
#include "limits/keyed_hash.h"
#include "twinchat/assistant.h"

namespace twinchat::server {

struct ChatRouteOptions {
  // A message to an unknown session id that is a UUID creates the session.
  bool create_unknown_sessions = true;
  // Turns at the same time; one more is answered 503.
  std::size_t max_in_flight = 1024;
  // How long a stream may be silent.
  std::chrono::milliseconds heartbeat{10'000};
  // Where turns are worked on.
  Executor executor = {};
  // Makes of a session's id what stands in the log.
  KeyedHash session_hash = {};
};

// What visitors use: sessions, messages, streams. Nothing here decides anything about a chat; each
// route reads a request, asks the assistant, and writes what it says.
//
// Thread safety: every function may be called from any number of threads at once.
class ChatRoutes {
 public:
  // Keeps the references; both must live until every answer has been given.
  ChatRoutes(Assistant& assistant, RequestLimits& limits, ChatRouteOptions options);

  // Puts the routes on the table. `this` must outlive the router's use.
  void add_to(Router& router);

 private:
  struct Question;

  void create_session(Call& call);
  void get_session(Call& call);
  void update_user_details(Call& call);
  void message(Call& call);
  void stream(Call& call);

  Question read_question(Call& call);
  // Notes in the log which session the request is about.
  void about_session(Call& call, std::string_view session_id) const;
  // The session. Refusal 404, which counts against the client, when it is not there.
  Session found_session(Call& call, const std::string& session_id);
  // Refusal 503 when all places are taken.
  std::shared_ptr<void> take_place();
  void answer_session(Call& call, int status, const Session& session);

  Assistant& assistant_;
  RequestLimits& limits_;
  const ChatRouteOptions options_;
  // Shared with the places: the last of them may be given back when this is gone.
  const std::shared_ptr<std::atomic<std::size_t>> places_taken_ =
      std::make_shared<std::atomic<std::size_t>>(0);
  Heartbeat heartbeat_;
};

}  // namespace twinchat::server
