#include "api/chat_routes.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "api/error_table.h"
#include "api/idempotency_key.h"
#include "api/json_body.h"
#include "api/session_json.h"
#include "text.h"

namespace twinchat::server {
namespace {

constexpr std::size_t kMaxMessageLength = 5000;
constexpr std::size_t kMaxIdLength = 255;
constexpr std::int64_t kMostMessages = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMaxPage = 200;
constexpr std::int64_t kUsualPage = 50;
// How soon it is looked again whether another process has finished an answer.
constexpr std::chrono::milliseconds kLookAgain{500};

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

// The id of the last event that the client has seen of this stream; nullopt when it does not say
// that it was here before. What is no id of ours becomes one that fits no answer.
std::optional<std::uint64_t> last_event_of(const httplib::Request& request) {
  if (!request.has_header("Last-Event-ID")) return std::nullopt;
  const std::string field = request.get_header_value("Last-Event-ID");
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), id);
  const bool whole = error == std::errc{} && !field.empty() && end == field.data() + field.size();
  return whole ? id : std::numeric_limits<std::uint64_t>::max();
}

// The number in a parameter of the query; nullopt when there is none. Refusal 400 when it is none
// from `least` to `most`.
std::optional<std::int64_t> number_in_query(const Call& call, const std::string& name,
                                            std::int64_t least, std::int64_t most) {
  const std::optional<std::string> text = call.query(name);
  if (!text || text->empty()) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size() || value < least || value > most) {
    throw Refusal(400, {{name, Json::array({most == kMostMessages
                                                ? std::string("Invalid cursor.")
                                                : fmt::format("A number from {} to {} is expected.",
                                                              least, most)})}});
  }
  return value;
}

}  // namespace

struct ChatRoutes::Question {
  std::string session_id;
  std::string text;
  SendOptions options;
  std::chrono::steady_clock::time_point arrived = std::chrono::steady_clock::now();

  StreamedQuestion streamed() const {
    return {session_id, text, options.details, options.idempotency_key};
  }

  // What is left of its time is the turn's.
  SendOptions options_for(std::chrono::milliseconds timeout) const {
    SendOptions given = options;
    const auto waited = std::chrono::steady_clock::now() - arrived;
    given.timeout = std::max(std::chrono::milliseconds(0),
                             std::chrono::ceil<std::chrono::milliseconds>(timeout - waited));
    return given;
  }
};

struct ChatRoutes::Asked {
  Question question;
  std::shared_ptr<AnswerStream> stream;
  TurnPlaces::Place place;
  bool came_back;  // the client was here before
};

ChatRoutes::ChatRoutes(Assistant& assistant, RequestLimits& limits, ChatRouteOptions options)
    : assistant_(assistant),
      limits_(limits),
      options_(std::move(options)),
      places_(options_.places),
      streams_(options_.streams),
      widget_(to_text(options_.widget.document())),
      widget_etag_(fmt::format("\"{:016x}\"", options_.session_hash(widget_))) {}

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
  router.add("POST", "/api/chat/message/stop/", to(&ChatRoutes::stop));
  router.add("GET", "/api/chat/widget/", to(&ChatRoutes::widget));
  router.add("POST", "/api/chat/sessions/consent/", to(&ChatRoutes::consent));
  router.add("GET", "/api/chat/sessions/messages/", to(&ChatRoutes::messages));
  router.add("POST", "/api/chat/feedback/", to(&ChatRoutes::feedback));
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
  when_placed(later, [this, later, question, client = limits_.client_of(call)](auto place) {
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
  const std::optional<std::uint64_t> last_event = last_event_of(call.request());
  const auto later = std::make_shared<LateAnswer>(call.later());
  const StreamedQuestion streamed = question.streamed();
  const auto resume = [this, streamed, later, last_event] {
    return !streamed.key.empty() && streams_.resume(streamed, later, last_event);
  };
  // It needs no place: the answer has one.
  if (resume()) return;
  when_placed(later, [this, later, question, streamed, last_event, resume](auto place) {
    // It may have begun while this one waited.
    if (resume()) return;
    ask({question, streams_.begin(streamed, later, last_event), place, last_event.has_value()});
  });
}

void ChatRoutes::ask(const Asked& asked) {
  const std::shared_ptr<AnswerStream>& stream = asked.stream;
  SendOptions options = asked.question.options_for(options_.timeout);
  options.stop_token = stream->stop_token();
  options.on_begin = [stream](const Turn& turn) { stream->begun(turn); };
  options.on_text = [stream](std::string_view text) { return stream->add(text); };
  assistant_.start_send(asked.question.session_id, asked.question.text, std::move(options),
                        [this, asked](Result<Turn> result) {
                          if (result) return asked.stream->finish(result.value());
                          // The answer that the client comes back for may be on its way in another
                          // process.
                          if (asked.came_back && result.error().code() == ErrorCode::kAborted &&
                              !closing_ && asked.stream->has_client()) {
                            return streams_.after(kLookAgain, [this, asked] { ask(asked); });
                          }
                          asked.stream->fail(logged_refusal(result.error()));
                        });
}

void ChatRoutes::stop(Call& call) {
  limits_.admit(RateClass::kLookup, limits_.client_of(call));
  const Json body = call.json();
  BodyFields fields(body);
  const std::string id = fields.required_text("session_id", kMaxIdLength);
  const std::string key = fields.optional_text("client_message_id", kMaxIdLength);
  fields.check();
  limits_.admit(RateClass::kLookup, id);
  found_session(call, id);
  call.answer(200, {{"stopped", assistant_.stop(id, key)}});
}

void ChatRoutes::widget(Call& call) {
  limits_.admit(RateClass::kLookup, limits_.client_of(call));
  const HeaderList headers{{"ETag", widget_etag_}, {"Cache-Control", "public, max-age=60"}};
  if (call.request().get_header_value("If-None-Match").find(widget_etag_) != std::string::npos) {
    return call.answer_empty(304, headers);
  }
  call.answer_bytes(200, widget_, "application/json", headers);
}

void ChatRoutes::consent(Call& call) {
  limits_.admit(RateClass::kLookup, limits_.client_of(call));
  const Json body = call.json();
  BodyFields fields(body);
  const std::string id = fields.required_text("session_id", kMaxIdLength);
  const bool withdrawn = fields.optional_flag("withdrawn");
  std::string version;
  std::string language;
  std::string text;
  if (!withdrawn) {
    version = fields.required_text("version", kMaxIdLength);
    language = fields.required_text("language", kMaxIdLength);
    if (!version.empty() && !options_.widget.has_consent(version)) {
      fields.complain("version", "There is no consent of this version.");
    }
    const auto words = options_.widget.consent_text(language);
    if (!language.empty() && !words) {
      fields.complain("language", "There is no text in this language.");
    }
    text = words.value_or("");
  }
  fields.check();
  limits_.admit(RateClass::kLookup, id);
  found_session(call, id);
  if (withdrawn) {
    const std::vector<Consent> all = assistant_.withdraw_consents(id);
    return call.answer(
        200, {{"session_id", id},
              {"withdrawn", !all.empty()},
              {"withdrawn_at", all.empty() ? Json(nullptr) : to_json(all.back().withdrawn_at)}});
  }
  const Consent given = assistant_.record_consent(id, version, language, text);
  call.answer(200, {{"session_id", id},
                    {"version", given.version},
                    {"language", given.language},
                    {"given_at", to_text(given.given_at)}});
}

void ChatRoutes::messages(Call& call) {
  limits_.admit(RateClass::kLookup, limits_.client_of(call));
  const std::string id = call.query("session_id").value_or("");
  if (id.empty()) throw Refusal(400, {{"error", "session_id is required"}});
  const auto limit =
      static_cast<std::size_t>(number_in_query(call, "limit", 1, kMaxPage).value_or(kUsualPage));
  const std::int64_t before = number_in_query(call, "before", 1, kMostMessages).value_or(0);
  limits_.admit(RateClass::kLookup, id);
  found_session(call, id);
  // One more, which says whether there is another page.
  std::vector<Message> found =
      assistant_.messages(id, {.limit = limit + 1, .before_id = before, .newest = true});
  const bool more = found.size() > limit;
  if (more) found.erase(found.begin());
  std::vector<Turn> turns;
  if (!found.empty()) turns = assistant_.answered_turns(id, found.front().id, found.back().id);
  const Json next = more ? Json(std::to_string(found.front().id)) : Json(nullptr);
  call.answer(200, {{"messages", to_json(std::move(found), turns)}, {"before", next}});
}

void ChatRoutes::feedback(Call& call) {
  limits_.admit(RateClass::kLookup, limits_.client_of(call));
  const Json body = call.json();
  BodyFields fields(body);
  const std::string id = fields.required_text("session_id", kMaxIdLength);
  const std::int64_t message = fields.required_integer("message_id");
  const auto value = fields.required_choice("value", {"up", "down"});
  fields.check();
  limits_.admit(RateClass::kLookup, id);
  found_session(call, id);
  const Feedback feedback = !value           ? Feedback::kNone
                            : *value == "up" ? Feedback::kUp
                                             : Feedback::kDown;
  try {
    const Turn turn = assistant_.set_feedback(id, message, feedback);
    call.answer(200, {{"message_id", message}, {"value", to_json(turn.feedback)}});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    throw Refusal(404, {{"error", "Message not found"}});
  }
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

void ChatRoutes::when_placed(const std::shared_ptr<LateAnswer>& later,
                             std::function<void(TurnPlaces::Place)> start) {
  const TurnPlaces::Ticket ticket = places_.ticket();
  later->on_close([ticket] { ticket.leave(); });
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
