#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "twinchat/content.h"
#include "twinchat/export.h"

namespace twinchat {

// A moment in UTC, to the microsecond.
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;

// What a visitor told about themself. An absent value was never given; an empty string was.
struct UserDetails {
  std::optional<std::string> name = {};   // at most 255 code points
  std::optional<std::string> email = {};  // an e-mail address of at most 254 code points, or empty
  std::optional<std::string> phone = {};  // at most 20 code points

  friend bool operator==(const UserDetails&, const UserDetails&) = default;
};

// What to do with one stored detail: keep it (the default), clear it, or set it.
//
//   UserDetailsUpdate update{.name = "Jane", .phone = nullptr};   // e-mail stays, phone is cleared
//
// Thread safety: a plain value.
class FieldUpdate {
 public:
  // Keeps what is stored.
  FieldUpdate() = default;
  // Clears it.
  FieldUpdate(std::nullptr_t) : given_(true) {}
  // Sets it.
  FieldUpdate(const char* value) : given_(true), value_(value) {}
  // Sets it.
  FieldUpdate(std::string value) : given_(true), value_(std::move(value)) {}
  // Sets it, or clears it with nullopt.
  FieldUpdate(std::optional<std::string> value) : given_(true), value_(std::move(value)) {}

  // False: the stored value is to stay as it is.
  bool given() const noexcept { return given_; }
  // The new value; nullopt clears it. Meaningless unless given().
  const std::optional<std::string>& value() const noexcept { return value_; }

  friend bool operator==(const FieldUpdate&, const FieldUpdate&) = default;

 private:
  bool given_ = false;
  std::optional<std::string> value_;
};

// A change to the details of a session, field by field.
struct UserDetailsUpdate {
  FieldUpdate name = {};   // UserDetails::name
  FieldUpdate email = {};  // UserDetails::email
  FieldUpdate phone = {};  // UserDetails::phone

  // Whether everything stays as it is.
  bool empty() const noexcept { return !name.given() && !email.given() && !phone.given(); }
  // Brings the change to `details`.
  TWINCHAT_EXPORT void apply_to(UserDetails& details) const;

  friend bool operator==(const UserDetailsUpdate&, const UserDetailsUpdate&) = default;
};

// One thing wrong with one field, in words for the person who filled it in.
struct FieldProblem {
  std::string field;    // "name", "email" or "phone"
  std::string message;  // "Enter a valid email address."

  friend bool operator==(const FieldProblem&, const FieldProblem&) = default;
};

// What is wrong with the given fields of `update`: lengths, the form of the e-mail address, NUL
// characters, text that is not UTF-8. Empty when all is well. The Assistant refuses what has a
// problem; a form can ask beforehand and show all of them at once.
TWINCHAT_EXPORT std::vector<FieldProblem> problems(const UserDetailsUpdate& update);

// One visitor's conversation.
struct Session {
  std::int64_t id = 0;     // the row
  std::string session_id;  // the public name, a random UUID: who knows it may read the conversation
  UserDetails user;        // what the visitor told about themself
  Timestamp created_at;    // when it began
  Timestamp updated_at;    // the last message or change of details

  friend bool operator==(const Session&, const Session&) = default;
};

// One thing that was said.
struct Message {
  std::int64_t id = 0;   // grows within a session
  std::string text;      // what was said
  bool is_bot = false;   // by the model, else by the visitor
  Timestamp created_at;  // and when

  friend bool operator==(const Message&, const Message&) = default;
};

// How a turn ended.
enum class TurnStatus {
  kPending,      // the model is being asked
  kComplete,     // answered
  kTruncated,    // answered, but the answer was cut (by the token limit or by a broken connection)
  kBlocked,      // the model refused; the answer is the configured refusal
  kEmpty,        // the model said nothing, even when asked again
  kFailed,       // the model could not be asked, or broke
  kCancelled,    // stopped by the caller; the answer is what had come by then, if anything
  kInterrupted,  // the process died meanwhile
};

// "complete" for kComplete, and so on: as it is stored and shown. A string with static lifetime.
TWINCHAT_EXPORT const char* to_string(TurnStatus status) noexcept;

// What the visitor thinks of an answer.
enum class Feedback {
  kNone,  // nothing was said, or it was taken back
  kUp,    // thumbs up
  kDown,  // thumbs down
};

// "none", "up", "down": as it is shown. A string with static lifetime.
TWINCHAT_EXPORT const char* to_string(Feedback feedback) noexcept;

// A visitor's agreement to something, kept as evidence: with the words that were agreed to.
struct Consent {
  std::int64_t id = 0;                         // grows within a session
  std::string version;                         // the operator's name for the words
  std::string language;                        // in which they were shown, as "en"
  std::string text;                            // the words themselves
  Timestamp given_at;                          // when it was given
  std::optional<Timestamp> withdrawn_at = {};  // absent: it stands

  friend bool operator==(const Consent&, const Consent&) = default;
};

// A question and what became of it.
struct Turn {
  std::int64_t id = 0;                       // grows within a session
  std::string session_id;                    // whose turn it is
  TurnStatus status = TurnStatus::kPending;  // how it ended
  Message user_message;                      // the question
  // What the visitor was answered; absent for empty, failed, interrupted and pending turns.
  std::optional<Message> answer;
  FinishReason finish_reason = FinishReason::kNone;  // why the model stopped
  std::string finish_reason_raw;                     // as the model spelled it
  std::string block_reason;   // why the prompt itself was refused, as the model spelled it
  std::string model;          // the model that was asked last
  std::string model_version;  // the one that says it answered
  std::string response_id;    // the upstream's name for the answer
  Usage usage;                // tokens of all rounds
  std::chrono::milliseconds latency{0};  // of the model call with all its attempts
  int attempts = 0;                      // requests that were sent
  std::string error_code;                // for failed turns: to_string(ErrorCode)
  // True when this is the stored answer to an earlier send with the same idempotency key.
  bool replayed = false;
  Feedback feedback = Feedback::kNone;        // what the visitor thinks of the answer
  std::optional<Timestamp> feedback_at = {};  // when that was said; absent for kNone

  // The answer's text; empty when there is none.
  const std::string& text() const noexcept {
    static const std::string none;
    return answer ? answer->text : none;
  }

  friend bool operator==(const Turn&, const Turn&) = default;
};

}  // namespace twinchat
