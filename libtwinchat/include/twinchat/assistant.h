#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "twinchat/error.h"
#include "twinchat/export.h"
#include "twinchat/model.h"
#include "twinchat/session.h"
#include "twinchat/store.h"

// All that is public. Begin with Assistant.
namespace twinchat {

// Runs a task soon, on a thread of its choosing, and never before it returns to its caller.
using Executor = std::function<void(std::function<void()>)>;

// A function of the program's that the model may call while it works on an answer.
struct Tool {
  // What the model is told of it.
  FunctionDeclaration declaration = {};
  // Gets the arguments as a JSON object and gives the result as one; another JSON value or plain
  // text reaches the model as {"result": ...}. An exception ends up as
  // {"error": "the function failed"} with the model, never its text. May block; runs where the turn
  // runs.
  std::function<std::string(const std::string& args_json)> function = {};
};

// What holds for all turns of an assistant.
struct AssistantOptions {
  // Who the assistant is and how it speaks.
  std::string system_prompt = {};
  // How much of the conversation goes along with a question: at most so many answered turns ...
  std::size_t history_turns = 20;
  // ... and about so many tokens (by the model's own counts where it gave any). What is too much is
  // dropped in steps of several turns, oldest first, so that consecutive requests share a prefix.
  std::size_t history_tokens = 16'384;
  // How answers are generated, unless a send says otherwise.
  GenerationConfig generation = {};
  // What the model may call.
  std::vector<Tool> tools = {};
  // How often the model may call tools before it has to answer, in one turn.
  int max_tool_rounds = 8;
  // The longest message, in code points.
  std::size_t max_message_length = 5'000;
  // What a visitor is answered when the model refuses.
  std::string refusal =
      "I'm sorry, I can't help with that. Please ask me something else, or speak to a health "
      "professional.";
  // The end of a turn, waiting included, when a send gives no limit of its own.
  std::chrono::milliseconds turn_timeout{180'000};
  // Turns that may wait behind others of their session; one more fails with kResourceExhausted.
  std::size_t max_queued_per_session = 16;
  // Tokens (prompt, output and thoughts) that the turns of one UTC day may use, over all sessions
  // of the store and whoever else works on it; 0 for no limit. Once so many are used no further
  // turn begins before midnight; those under way then end as usual, so that the day's sum can come
  // out higher by what they need. The store keeps the count: it outlives the program. Not counted
  // is what a turn used whose process died before its end.
  std::int64_t daily_tokens = 0;
  // Where start_send() does its work; empty: a few threads of the assistant's own.
  Executor executor = {};
  // The clock for what is stored. Empty: the system's.
  std::function<Timestamp()> now = {};
};

// What holds for one send.
struct SendOptions {
  // Receives the answer's visible text as it comes; return false to stop the model there: the turn
  // ends as cancelled, with what had come. Exceptions stop the turn and come out of send().
  std::function<bool(std::string_view)> on_text = {};
  // Stops the turn wherever it is.
  std::stop_token stop_token = {};
  // In place of AssistantOptions::turn_timeout.
  std::optional<std::chrono::milliseconds> timeout = {};
  // A name of the caller's for this message, at most 255 bytes: a second send under the same name
  // in the same session gives the first one's answer, or goes on where it failed, and never asks or
  // stores anything twice. While the first is under way or waits, the second is kAborted at once.
  std::string idempotency_key = {};
  // Over AssistantOptions::generation, field by field.
  GenerationConfig generation = {};
  // Applied to the session together with the message.
  UserDetailsUpdate details = {};
  // Create the session when there is none of that id.
  bool create_session = false;
  // Where this turn is worked on, in place of AssistantOptions::executor.
  Executor executor = {};
  // The limits of the model call, in place of the model's own.
  std::optional<Timeouts> model_timeouts = {};
  // Told once that the turn has begun, before any of its text: it is pending then, or as it ended
  // and `replayed`. Not called when none begins. Runs where on_text does, and must not throw.
  std::function<void(const Turn&)> on_begin = {};
};

// Sessions, their messages, and a model that answers: the library's main class.
//
//   twinchat::Assistant assistant(twinchat::open_store("sqlite:///chat.db"),
//                                 twinchat::make_gemini_model({.api_key = key}),
//                                 {.system_prompt = "You are ..."});
//   twinchat::Session session = assistant.create_session({.name = "Jane"});
//   twinchat::Turn turn = assistant.send(session.session_id, "How can I reverse diabetes?");
//
// What a visitor wrote is stored before the model is asked, and the answer before it is handed
// over. Only answered turns are sent to the model later, so a failed send leaves a session in which
// the next send works. Turns of one session run one after the other in the order of their sends;
// turns of different sessions run side by side.
//
// Thread safety: every function may be called from any number of threads at once. The library's own
// threads, the models' among them, take no signals: those are left to the program's.
class TWINCHAT_EXPORT Assistant {
 public:
  // Receives what became of a send: the Turn, or the Error that send() would have thrown.
  using OnDone = std::function<void(Result<Turn>)>;

  // Shares the store and the model with whoever else holds them. kInvalidArgument when one is
  // null or an option is out of range.
  Assistant(std::shared_ptr<Store> store, std::shared_ptr<Model> model,
            AssistantOptions options = {});
  // Cancels the turns under way, stores them as cancelled, and returns when every on_done has been
  // called. Does not wait for the network, but for the executor: when that is an event loop of the
  // destroying thread, the loop has to run until in_flight() is 0 before.
  ~Assistant();
  Assistant(const Assistant&) = delete;
  Assistant& operator=(const Assistant&) = delete;

  // A new session with a fresh random UUID. kInvalidArgument for details that problems() refuses.
  Session create_session(const UserDetails& user = {});

  // The session, or nullopt.
  std::optional<Session> find_session(std::string_view session_id);

  // The session. kNotFound.
  Session session(std::string_view session_id);

  // Changes the details that `update` gives. kNotFound; kInvalidArgument for details that
  // problems() refuses.
  Session update_user(std::string_view session_id, const UserDetailsUpdate& update);

  // What was said, oldest first; all of it unless `query` says otherwise. Empty for an unknown
  // session.
  std::vector<Message> messages(std::string_view session_id, const MessageQuery& query = {});

  // The newest `limit` turns with how each ended, oldest first.
  std::vector<Turn> history(std::string_view session_id, std::size_t limit = 100);

  // The turns whose answer is a message with an id from `first_answer` to `last_answer`: what
  // became of the bot messages on a page of messages(). Empty for an unknown session.
  std::vector<Turn> answered_turns(std::string_view session_id, std::int64_t first_answer,
                                   std::int64_t last_answer);

  // Records what the visitor thinks of an answer, by the id of its message; kNone takes it back.
  // kNotFound when it is no answer of that session.
  Turn set_feedback(std::string_view session_id, std::int64_t answer_id, Feedback feedback);

  // Records that the visitor agreed to `text`, which the program calls `version` and showed in
  // `language`. kNotFound; kInvalidArgument when the version is empty or has more than 64 bytes,
  // the language more than 35, or one of the three is not valid UTF-8 or has a null character.
  Consent record_consent(std::string_view session_id, std::string_view version,
                         std::string_view language, std::string_view text);

  // What the visitor agreed to, oldest first. Empty for an unknown session.
  std::vector<Consent> consents(std::string_view session_id);

  // The visitor agrees no longer: stamps all consents that stand, and gives all there are.
  // kNotFound.
  std::vector<Consent> withdraw_consents(std::string_view session_id);

  // Asks and waits. The Turn is complete, truncated or blocked (answer: the refusal), or cancelled
  // when on_text returned false. Error when there is no answer:
  //   kInvalidArgument  empty, too long or malformed text, bad details or key; nothing was stored
  //   kNotFound         no such session (and create_session is off)
  //   kAborted, kAlreadyExists   the idempotency key is in use, or was used for another text
  //   kResourceExhausted, reason DAILY_TOKENS   AssistantOptions::daily_tokens are used up; nothing
  //                     was stored, retry_after is the time to midnight UTC
  //   kCancelled        stopped; what had come is stored
  //   kDeadlineExceeded, kUnavailable, kResourceExhausted, kInternal and the others of the model's:
  //                     the message is stored, the turn has failed (or is empty: reason
  //                     EMPTY_ANSWER)
  // on_text is called on the calling thread.
  Turn send(std::string_view session_id, std::string_view text, SendOptions options = {});

  // The same without waiting: returns at once, and `on_done` is called exactly once, on a thread of
  // the executor. on_text is called there too, one piece at a time, before on_done. on_done must
  // not throw, and must not destroy the assistant.
  void start_send(std::string_view session_id, std::string_view text, SendOptions options,
                  OnDone on_done);

  // Ends the answer that this assistant is making for the session where it is, as on_text does by
  // returning false: the turn is cancelled, with what had come, and its send gives that Turn. With
  // a key only the send of that key, which may still wait behind another: then it is kCancelled and
  // nothing was stored. False when there is no such send here, or it was stopped before. Does not
  // wait for the end; an answer that is at its end may still come whole.
  bool stop(std::string_view session_id, std::string_view idempotency_key = {});

  // Turns under way or waiting.
  std::size_t in_flight() const;

 private:
  class TWINCHAT_NO_EXPORT Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace twinchat
