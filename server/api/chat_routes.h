#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "api/event_stream.h"
#include "api/request_limits.h"
#include "api/router.h"
#include "api/turn_places.h"
#include "limits/keyed_hash.h"
#include "twinchat/assistant.h"

namespace twinchat::server {

struct ChatRouteOptions {
  // A message to an unknown session id that is a UUID creates the session.
  bool create_unknown_sessions = true;
  // How many messages at the same time, and how many more wait for how long; beyond that 503.
  TurnPlacesOptions places = {};
  // The time for one message, counted from its arrival.
  std::chrono::milliseconds timeout{180'000};
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

  // The server is going down: messages that wait for a place are answered 503.
  void stop_waiting() { places_.close_queue(); }

  TurnPlacesStats places() const { return places_.stats(); }

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
  // Runs `start` as soon as there is a place: now, or later on a thread of the places' executor.
  // Without one in time the answer is 503. `gone` is stopped when the client goes away.
  void when_placed(const std::shared_ptr<LateAnswer>& later, const std::stop_source& gone,
                   std::function<void(TurnPlaces::Place)> start);
  void answer_session(Call& call, int status, const Session& session);

  Assistant& assistant_;
  RequestLimits& limits_;
  const ChatRouteOptions options_;
  TurnPlaces places_;
  Heartbeat heartbeat_;
};

}  // namespace twinchat::server
