#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "twinchat/export.h"
#include "twinchat/session.h"

namespace twinchat {

// Which messages of a session to read.
struct MessageQuery {
  // Only messages with a greater id; 0 from the beginning.
  std::int64_t after_id = 0;
  // At most so many, the oldest of them first; 0 for all.
  std::size_t limit = 0;
  // Only messages with a smaller id; 0 to the end.
  std::int64_t before_id = 0;
  // When there are more than `limit`: those at the end in place of those at the beginning. Either
  // way the oldest comes first.
  bool newest = false;
};

// What begin_turn writes, in one transaction.
struct NewTurn {
  std::string session_id;  // whose turn it is
  // Create the session when it is not there; otherwise an unknown one is kNotFound.
  bool create_session = false;
  // Applied to the session.
  UserDetailsUpdate details = {};
  // The visitor's message.
  std::string text;
  // The caller's name for this request, unique within the session; empty for none.
  std::string idempotency_key = {};
  // Tells whether a second request under the same key is the same request. The store compares it
  // and knows nothing of how it is made.
  std::string fingerprint = {};
  Timestamp now = {};  // the time of the message
  // From then on a turn that is still pending was abandoned, whoever began it.
  Timestamp expires_at = {};
  // Begin nothing when the turns that ended on the UTC day of `now` used so many tokens or more,
  // all sessions together (prompt, output and thoughts as finish_turn got them); 0 for no limit.
  std::int64_t max_tokens_per_day = 0;
};

// What begin_turn found or made.
struct BegunTurn {
  // How the turn came about.
  enum class Kind {
    kNew,       // a new message and a new pending turn
    kResumed,   // the key's earlier turn got no answer: its message stands, it is pending again
    kReplayed,  // the key's earlier turn has its answer: nothing was written
  };
  Kind kind = Kind::kNew;  // what was done
  Turn turn;               // pending, or as it ended when kReplayed
};

// What finish_turn writes, in one transaction.
struct FinishedTurn {
  std::int64_t turn_id = 0;                 // as begin_turn gave it
  TurnStatus status = TurnStatus::kFailed;  // anything but kPending
  // Shown to the visitor and stored as a bot message; absent: no message is written.
  std::optional<std::string> answer = {};
  // What is to be sent for this turn after the visitor's message in later requests: opaque text
  // that past_turns gives back unread.
  std::string contents = {};
  // These are recorded as Turn has them.
  std::string finish_reason_raw = {};    // why the model stopped
  std::string block_reason = {};         // why the prompt was refused
  std::string model = {};                // the model that was asked last
  std::string model_version = {};        // the one that says it answered
  std::string response_id = {};          // the upstream's name for the answer
  Usage usage = {};                      // tokens of all rounds
  std::chrono::milliseconds latency{0};  // of the model call
  int attempts = 0;                      // requests that were sent
  std::string error_code = {};           // to_string(ErrorCode) of what went wrong
  Timestamp now = {};                    // the time of the end
};

// A turn as later requests need it.
struct PastTurn {
  std::int64_t turn_id = 0;  // 0 for a pair of messages that another program wrote
  std::string user_text;     // what the visitor wrote
  std::string answer_text;   // what was shown in answer
  std::string contents;      // as finish_turn got it; empty when another program wrote the pair
  Usage usage;               // as finish_turn got it
};

// What record_consent writes.
struct NewConsent {
  std::string session_id;     // who agrees
  std::string version;        // the operator's name for the words
  std::string language = {};  // in which they were shown, as "en"
  std::string text = {};      // the words themselves
  Timestamp now = {};         // when
};

// Where sessions, messages and turns are kept. Derive from it to keep them elsewhere; those that
// come with the library are open_sqlite_store(), open_postgres_store() and make_memory_store(), and
// tests/contract holds the suite that every store must pass.
//
// Every function is one transaction: it has happened wholly, and durably as far as the store
// promises durability, when it returns, or not at all when it throws. Errors are Error:
// kNotFound for a session or turn that is not there, kUnavailable when the data cannot be reached
// or written now (full disk, lock, lost connection), kDataLoss when it is damaged,
// kFailedPrecondition when it is of a newer or foreign schema. No error text holds details or
// messages of visitors.
//
// Blocking: functions may wait for the disk or the network, but never for a model.
//
// Thread safety: every function may be called from any number of threads at once.
class TWINCHAT_EXPORT Store {
 public:
  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store();

  // Adds a session with that public id and these details. kAlreadyExists when the id is taken.
  virtual Session create_session(std::string_view session_id, const UserDetails& user,
                                 Timestamp now) = 0;

  // The session, or nullopt. The id is compared byte by byte.
  virtual std::optional<Session> find_session(std::string_view session_id) = 0;

  // Applies `update` and moves updated_at, also when the update is empty. kNotFound.
  virtual Session update_user(std::string_view session_id, const UserDetailsUpdate& update,
                              Timestamp now) = 0;

  // The session's messages, oldest first. Empty for an unknown session.
  virtual std::vector<Message> messages(std::string_view session_id, const MessageQuery& query) = 0;

  // The session's turns, oldest first, whatever their status; at most the newest `limit`.
  // Messages that another program wrote have no turn. Empty for an unknown session.
  virtual std::vector<Turn> turns(std::string_view session_id, std::size_t limit) = 0;

  // Finds or creates the session, applies the details, inserts the visitor's message and a pending
  // turn, and moves updated_at. With an idempotency key that the session has seen: kAlreadyExists
  // when the fingerprint differs; kAborted while that turn is pending (and not expired); otherwise
  // the turn is resumed or replayed as BegunTurn says (complete, truncated and blocked turns are
  // replayed, all others resumed). A resumed turn does not move the visitor's message; what it had
  // answered before it was cancelled stays among the messages and is no longer the turn's.
  // kResourceExhausted with the reason "DAILY_TOKENS" when the day's tokens are used up: nothing
  // was written, and retry_after is the time to midnight UTC. What can be replayed still is.
  virtual BegunTurn begin_turn(const NewTurn& turn) = 0;

  // Closes a turn: inserts the answer as a bot message, records how it went, moves updated_at, and
  // returns the turn. kNotFound when there is no such turn (its session was erased meanwhile).
  // A turn that was marked interrupted in the meantime is closed all the same; one that has ended
  // otherwise is left as it is and kFailedPrecondition is thrown. kInvalidArgument for kPending.
  // Its tokens are added, in the same transaction, to those of the UTC day of `now`; they stay
  // there when the turn is resumed, and used more, or is erased.
  virtual Turn finish_turn(const FinishedTurn& turn) = 0;

  // The newest `limit` answered turns of the session, oldest first: complete and truncated ones
  // with an answer, and question-answer pairs that another program wrote to the same tables. The
  // turn `before_turn` and those whose message came after its message are left out; 0 leaves out
  // nothing. The cost follows `limit`, not the length of the history: a store may stop looking
  // behind a thousand messages in a row that got no answer.
  virtual std::vector<PastTurn> past_turns(std::string_view session_id, std::int64_t before_turn,
                                           std::size_t limit) = 0;

  // The session's turns whose answer is a message with an id from `first_answer` to `last_answer`,
  // in the order of those ids. Empty for an unknown session.
  virtual std::vector<Turn> answered_turns(std::string_view session_id, std::int64_t first_answer,
                                           std::int64_t last_answer) = 0;

  // Records what the visitor thinks of the session's turn whose answer is the message `answer_id`,
  // in place of what was said before, and returns the turn; kNone takes it back, time and all.
  // kNotFound when no turn of that session has this answer. Moves nothing else; a turn that is
  // resumed loses it.
  virtual Turn set_feedback(std::string_view session_id, std::int64_t answer_id, Feedback feedback,
                            Timestamp now) = 0;

  // Adds a consent to those of the session, whether or not the same was given before. kNotFound.
  virtual Consent record_consent(const NewConsent& consent) = 0;

  // The session's consents, oldest first; those that were withdrawn, too. Erased with the session.
  // Empty for an unknown session.
  virtual std::vector<Consent> consents(std::string_view session_id) = 0;

  // Stamps those of the session's consents that stand as withdrawn, and returns all of them as
  // consents() does. kNotFound.
  virtual std::vector<Consent> withdraw_consents(std::string_view session_id, Timestamp now) = 0;

  // Throws the Error that whoever comes next would likely get. Reads; and when the last write was
  // refused and none has succeeded since, tries whether writing works again. The default only
  // reads.
  virtual void check();
};

// Opens the store that `url` names, creating what is missing:
//   sqlite:///relative/path.db   sqlite:////absolute/path.db   a SQLite file, see sqlite_store.h
//   postgresql://user@host/name  a PostgreSQL database, see postgres_store.h
//   memory:                      nothing is kept
// %XX stands for a byte of the path. kInvalidArgument for any other form, kUnimplemented for a kind
// of database that this build has no store for. The text of the error never repeats the URL.
TWINCHAT_EXPORT std::shared_ptr<Store> open_store(std::string_view url);

}  // namespace twinchat
