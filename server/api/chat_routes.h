#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "api/answer_stream.h"
#include "api/request_limits.h"
#include "api/router.h"
#include "api/turn_places.h"
#include "config/widget_settings.h"
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
  // How streamed answers are kept alive, and kept for those who come back.
  AnswerStreamOptions streams = {};
  // What GET /api/chat/widget/ shows, and what visitors may agree to.
  WidgetSettings widget = {};
  // Where turns are worked on.
  Executor executor = {};
  // Makes of a session's id what stands in the log.
  KeyedHash session_hash = {};
};

// What visitors use: sessions, messages, streams, and what the widget needs beside. Nothing here
// decides anything about a chat; each route reads a request, asks the assistant, and writes what it
// says.
//
// Thread safety: every function may be called from any number of threads at once.
class ChatRoutes {
 public:
  // Keeps the references; both must live until every answer has been given.
  ChatRoutes(Assistant& assistant, RequestLimits& limits, ChatRouteOptions options);

  // Puts the routes on the table. `this` must outlive the router's use.
  void add_to(Router& router);

  // The server is going down: messages that wait for a place are answered 503, and nobody waits for
  // another process any more.
  void stop_waiting() {
    closing_ = true;
    places_.close_queue();
  }

  TurnPlacesStats places() const { return places_.stats(); }
  AnswerStreamStats streams() const { return streams_.stats(); }

 private:
  struct Question;
  struct Asked;

  void create_session(Call& call);
  void get_session(Call& call);
  void update_user_details(Call& call);
  void message(Call& call);
  void stream(Call& call);
  void stop(Call& call);
  void widget(Call& call);
  void consent(Call& call);
  void messages(Call& call);
  void feedback(Call& call);

  Question read_question(Call& call);
  // Notes in the log which session the request is about.
  void about_session(Call& call, std::string_view session_id) const;
  // The session. Refusal 404, which counts against the client, when it is not there.
  Session found_session(Call& call, const std::string& session_id);
  // Runs `start` as soon as there is a place: now, or later on a thread of the places' executor.
  // Without one in time the answer is 503. A client that goes away meanwhile gives its turn up.
  void when_placed(const std::shared_ptr<LateAnswer>& later,
                   std::function<void(TurnPlaces::Place)> start);
  void ask(const Asked& asked);
  void answer_session(Call& call, int status, const Session& session);

  Assistant& assistant_;
  RequestLimits& limits_;
  const ChatRouteOptions options_;
  std::atomic<bool> closing_{false};
  TurnPlaces places_;
  AnswerStreams streams_;
  const std::string widget_;  // as it goes out
  const std::string widget_etag_;
};

}  // namespace twinchat::server
