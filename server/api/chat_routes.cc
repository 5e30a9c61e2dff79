#include "api/chat_routes.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <stop_token>

#include "api/error_table.h"
#include "api/idempotency_key.h"
#include "api/json_body.h"
#include "api/session_json.h"
#include "text.h"

namespace twinchat::server {
namespace {

constexpr std::size_t kMaxMessageLength = 5000;
constexpr std::size_t kMaxIdLength = 255;

// A turn that was answered from what an earlier request with the same key had got says so.
HeaderList replay_header(const Turn& turn) {
  return turn.replayed ? HeaderList{{"Idempotent-Replayed", "true"}} : HeaderList{};
}

// What a failure leaves for the operator: never the visitor's words, never the session's id.
Refusal logged_refusal(const Error& error) {
  const ErrorDetails& details = error.details();
  Refusal refusal = refusal_for(error);
  if (refusal.status < 500) return refusal;
  spdlog::warn("a message got no answer: {} ({}{}{}; model {}, upstream status {}, attempts {})",
               error.what(), to_string(error.code()), details.reason.empty() ? "" : ", ",
               details.reason, details.model, details.http_status, details.attempts);
  return refusal;
}

// One turn as events: session, deltas, and done or error. A client that goes away stops it.
//
// Thread safety: the functions are called one after the other.
class StreamedTurn {
 public:
  // Answers the request with a stream and sends the first event.
  StreamedTurn(std::shared_ptr<LateAnswer> answer, const std::string& session_id)
      : answer_(std::move(answer)) {
    events_ = std::make_shared<EventStream>(answer_->begin_stream(
        {{"Content-Type", "text/event-stream"}, {"X-Accel-Buffering", "no"}}));
    events_->send("session", {{"session_id", session_id}});
  }

  const std::shared_ptr<EventStream>& events() const { return events_; }

  // A piece of the answer. False when it reaches nobody any more.
  bool add(std::string_view text) {
    said_something_ = true;
    return events_->send("delta", {{"text", text}});
  }

  void finish(const Turn& turn) {
    // A refusal or a stored answer was not streamed by the model: it comes in one piece.
    if (!said_something_ && turn.answer) add(turn.text());
    Json data = to_json(turn);
    data["status"] = to_string(turn.status);
    data["usage"] = to_json(turn.usage);
    end("done", data);
  }

  void fail(const Refusal& refusal) {
    Json data = refusal.body;
    data["http_status"] = refusal.status;
    if (const auto wait = answer_->retry_after(refusal)) data["retry_after"] = *wait;
    end("error", data);
  }

 private:
  void end(std::string_view event, const Json& data) {
    events_->send(event, data);
    events_->end();
    answer_->stream_ended(events_->bytes());
  }

  const std::shared_ptr<LateAnswer> answer_;
  std::shared_ptr<EventStream> events_;
  bool said_something_ = false;
};

}  // namespace

struct ChatRoutes::Question {
  std::string session_id;
  std::string text;
  SendOptions options;
  std::chrono::steady_clock::time_point arrived = std::chrono::steady_clock::now();

  // What is left of its time is the turn's.
  SendOptions options_for(std::chrono::milliseconds timeout) const {
    SendOptions given = options;
    const auto waited = std::chrono::steady_clock::now() - arrived;
    given.timeout = std::max(std::chrono::milliseconds(0),
                             std::chrono::ceil<std::chrono::milliseconds>(timeout - waited));
    return given;
  }
};

ChatRoutes::ChatRoutes(Assistant& assistant, RequestLimits& limits, ChatRouteOptions options)
    : assistant_(assistant),
      limits_(limits),
      options_(std::move(options)),
      places_(options_.places),
      heartbeat_(options_.heartbeat) {}

void ChatRoutes::add_to(Router& router) {
  const auto to = [this](void (ChatRoutes::*function)(Call&)) {
    return [this, function](Call& call) { (this->*function)(call); };
  };
  router.add("POST", "/api/chat/sessions/create_session/", to(&ChatRoutes::create_session));
  router.add("GET", "/api/chat/sessions/get_session/", to(&ChatRoutes::get_session));
  router.add("POST", "/api/chat/sessions/update_user_details/",
             to(&ChatRoutes::update_user_details));
  router.add("POST", "/api/chat/message/", to(&ChatRoutes::message));
  router.add("POST", "/api/chat/message/stream/", to(&ChatRoutes::stream));
}

void ChatRoutes::create_session(Call& call) {
  limits_.admit(RateClass::kCreate, limits_.client_of(call));
  const Json body = call.json();
  BodyFields fields(body);
  UserDetails user;
  fields.user_details().apply_to(user);
  fields.check();
  answer_session(call, 201, assistant_.create_session(user));
}

void ChatRoutes::get_session(Call& call) {
  limits_.admit(RateClass::kLookup, limits_.client_of(call));
  const std::string id = call.query("session_id").value_or("");
  if (id.empty()) throw Refusal(400, {{"error", "session_id is required"}});
  limits_.admit(RateClass::kLookup, id);
  answer_session(call, 200, found_session(call, id));
}

void ChatRoutes::update_user_details(Call& call) {
  limits_.admit(RateClass::kLookup, limits_.client_of(call));
  const Json body = call.json();
  BodyFields fields(body);
  const std::string id =
      body.contains("session_id") ? text_of(body["session_id"]).value_or("") : "";
  limits_.admit(RateClass::kLookup, id);
  found_session(call, id);
  const UserDetailsUpdate details = fields.user_details();
  fields.check();
  answer_session(call, 200, assistant_.update_user(id, details));
}

void ChatRoutes::message(Call& call) {
  Question question = read_question(call);
  const auto later = std::make_shared<LateAnswer>(call.later());
  // Once it has begun, a client that goes away does not stop the turn: the answer will be in the
  // history.
  when_placed(later, {}, [this, later, question, client = limits_.client_of(call)](auto place) {
    assistant_.start_send(question.session_id, question.text,
                          question.options_for(options_.timeout),
                          [this, later, client, place](Result<Turn> result) {
                            if (!result && result.error().code() == ErrorCode::kNotFound)
                              limits_.miss(client);
                            if (!result) return later->send(logged_refusal(result.error()));
                            const Turn& turn = result.value();
                            later->send(200, to_json(turn), replay_header(turn));
                          });
  });
}

void ChatRoutes::stream(Call& call) {
  Question question = read_question(call);
  if (!question.options.create_session) found_session(call, question.session_id);
  const std::stop_source gone;
  question.options.stop_token = gone.get_token();
  const auto later = std::make_shared<LateAnswer>(call.later());
  when_placed(later, gone, [this, later, question](auto place) {
    const auto streamed = std::make_shared<StreamedTurn>(later, question.session_id);
    heartbeat_.watch(streamed->events());
    SendOptions options = question.options_for(options_.timeout);
    options.on_text = [streamed](std::string_view text) { return streamed->add(text); };
    assistant_.start_send(question.session_id, question.text, std::move(options),
                          [streamed, place](Result<Turn> result) {
                            if (!result) return streamed->fail(logged_refusal(result.error()));
                            streamed->finish(result.value());
                          });
  });
}

void ChatRoutes::about_session(Call& call, std::string_view session_id) const {
  call.about_session(fmt::format("{:016x}", options_.session_hash(session_id)));
}

Session ChatRoutes::found_session(Call& call, const std::string& session_id) {
  about_session(call, session_id);
  if (auto session = assistant_.find_session(session_id)) return std::move(*session);
  limits_.miss(limits_.client_of(call));
  throw Refusal(404, {{"error", "Session not found"}});
}

ChatRoutes::Question ChatRoutes::read_question(Call& call) {
  limits_.admit(RateClass::kMessage, limits_.client_of(call));
  const Json body = call.json();
  BodyFields fields(body);
  Question question;
  question.session_id = fields.required_text("session_id", kMaxIdLength);
  question.text = fields.required_text("message", kMaxMessageLength);
  question.options.details = fields.user_details();
  question.options.idempotency_key = fields.optional_text("client_message_id", kMaxIdLength);
  fields.check();
  limits_.admit(RateClass::kMessage, question.session_id);
  about_session(call, question.session_id);
  if (auto key = idempotency_key(call.request())) {
    question.options.idempotency_key = std::move(*key);
  }
  question.options.create_session =
      options_.create_unknown_sessions && is_uuid(question.session_id);
  question.options.executor = options_.executor;
  return question;
}

void ChatRoutes::when_placed(const std::shared_ptr<LateAnswer>& later, const std::stop_source& gone,
                             std::function<void(TurnPlaces::Place)> start) {
  const TurnPlaces::Ticket ticket = places_.ticket();
  later->on_close([gone, ticket]() mutable {
    gone.request_stop();
    ticket.leave();
  });
  places_.take(ticket, {.on_place = std::move(start),
                        .on_shed =
                            [later](ShedReason) {
                              Refusal refusal(503, {{"error",
                                                     "Too many messages are waiting for an answer "
                                                     "right now."}});
                              refusal.spread_retries(2);
                              later->send(refusal);
                            },
                        .still_there = [later] { return !later->client_left(); }});
}

void ChatRoutes::answer_session(Call& call, int status, const Session& session) {
  about_session(call, session.session_id);
  call.answer(status, to_json(session, assistant_.messages(session.session_id)));
}

}  // namespace twinchat::server
