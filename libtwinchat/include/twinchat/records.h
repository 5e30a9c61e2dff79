#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "twinchat/audit.h"
#include "twinchat/export.h"
#include "twinchat/page.h"
#include "twinchat/session.h"

namespace twinchat {

// A message as it is listed.
struct MessageRow {
  Message message;         // with its whole text
  std::string session_id;  // the public id of its session

  friend bool operator==(const MessageRow&, const MessageRow&) = default;
};

// A session as it is listed.
struct SessionRow {
  Session session;                           // with its details
  std::int64_t message_count = 0;            // of visitor and bot
  std::optional<Message> last_message = {};  // absent when there is none

  friend bool operator==(const SessionRow&, const SessionRow&) = default;
};

// Whether there is a way to reach the visitor: an e-mail address or a phone number.
TWINCHAT_EXPORT bool is_lead(const UserDetails& user) noexcept;

// By what sessions are ordered.
enum class SessionOrder {
  kUpdated,   // the last message or change of details
  kCreated,   // the beginning
  kName,      // the visitor's name
  kEmail,     // the visitor's e-mail address
  kMessages,  // how many messages there are
};

// One column of an order, and its direction.
struct SessionSort {
  SessionOrder by = SessionOrder::kUpdated;  // the column
  bool descending = true;                    // the greatest first
};

// Which sessions to list, and how. A search is a list of words, all of which must be found, in any
// order; what stands between double quotes is one word; case does not matter. Of a longer one the
// first 10 words and 200 characters count.
struct SessionQuery {
  // Looked for in the id, name, e-mail, phone and, if wanted, the texts of the messages.
  std::string search = {};
  bool search_messages = true;  // also in the texts
  TimeRange created = {};       // only those that began then
  TimeRange updated = {};       // only those that were last changed then
  bool leads_only = false;      // only those for which is_lead() holds
  // The first one orders, the others order what is equal; what is equal then goes by id, in the
  // direction of the first one. Empty: by the last change, newest first. Names and e-mails without
  // regard to ASCII case, absent ones as empty.
  std::vector<SessionSort> sort = {};
  std::size_t limit = 100;  // rows of a page
  std::string cursor = {};  // Page::next of the page before; kInvalidArgument when it is none
};

// Which messages to list, newest first or oldest first.
struct RowQuery {
  // Looked for in the text. A word of eight or more hexadecimal digits and dashes that is part of
  // the id of a session stands for the messages of that session.
  std::string search = {};
  std::optional<bool> is_bot = {};  // only those of the bot, or only those of visitors
  // Only those of that time. Messages are taken to lie in the order of their ids in time, too.
  TimeRange created = {};
  std::string session_id = {};  // only those of that session; empty for all
  bool newest_first = true;     // otherwise the oldest
  std::size_t limit = 100;      // rows of a page
  std::string cursor = {};      // as SessionQuery::cursor
};

// Which turns to list, newest first.
struct TurnQuery {
  // Any of them; of kPending and kComplete there is no list. Empty: all others. With `feedback` all
  // of them will do, and empty stands for all.
  std::vector<TurnStatus> statuses = {};
  // Only those of whose answer the visitor thinks so; kNone: no matter what is thought.
  Feedback feedback = Feedback::kNone;
  TimeRange created = {};   // only those that began then
  std::size_t limit = 100;  // rows of a page
  std::string cursor = {};  // as SessionQuery::cursor
};

// A turn as it is listed.
struct TurnRow {
  Turn turn;         // with question and answer
  UserDetails user;  // of its session
};

// A message of a conversation; a visitor's with what became of it.
struct Utterance {
  Message message;                // what was said
  std::optional<Turn> turn = {};  // that the message begins
};

// How many there are.
struct Totals {
  std::int64_t sessions = 0;  // of any kind
  std::int64_t messages = 0;  // of visitors and bot
  std::int64_t leads = 0;     // sessions for which is_lead() holds

  friend bool operator==(const Totals&, const Totals&) = default;
};

// How many were deleted.
struct Erased {
  std::int64_t sessions = 0;  // that were there
  std::int64_t messages = 0;  // that went with them

  friend bool operator==(const Erased&, const Erased&) = default;
};

// What happened on one UTC day.
struct DayStatistics {
  std::chrono::sys_days day = {};     // which
  std::int64_t sessions = 0;          // created that day
  std::int64_t asked = 0;             // those of them with a message
  std::int64_t leads = 0;             // those of them that are leads
  std::int64_t messages = 0;          // of that day
  std::int64_t visitor_messages = 0;  // those of them that visitors wrote
  // Turns begun that day by how they ended, in the order of TurnStatus; pending ones first.
  std::vector<std::int64_t> turns = std::vector<std::int64_t>(8);
  Usage usage = {};  // of all turns begun that day
  // Answers, of whatever day, that were given a thumb that day which they have still.
  std::int64_t liked = 0;     // up
  std::int64_t disliked = 0;  // down
  // How long the model took: so many in a hundred answers were not later.
  struct Latency {
    std::chrono::milliseconds p50{0};  // half of them
    std::chrono::milliseconds p90{0};  // nine in ten
    std::chrono::milliseconds p99{0};  // all but one in a hundred

    friend bool operator==(const Latency&, const Latency&) = default;
  };
  std::optional<Latency> latency = {};  // of turns with an answer of the model; absent without any

  friend bool operator==(const DayStatistics&, const DayStatistics&) = default;
};

// What a person is looked for by. Exactly one is to be set.
struct PersonName {
  std::string email = {};       // without regard to ASCII case
  std::string phone = {};       // compared digit by digit, everything else left out
  std::string session_id = {};  // the public id
};

// Which sessions are to go because nothing has happened in them for long.
struct ExpiredQuery {
  Timestamp before = {};  // the last message or change of details lies before that
  bool leads = false;     // those for which is_lead() holds; otherwise those for which it does not
  std::size_t limit = 100;  // at most so many, the longest idle first
};

// What those who look after the data need beside Store: lists and searches over all sessions,
// corrections, erasure, figures. It works on the same data as the Store it was opened with, and may
// be used beside it at any time.
//
// What was written through the Store or through here is seen at once; what another program wrote to
// the same database, too. The exception is a database whose search index is behind (it was filled
// without one, or under a load that left no time for it): then lists and searches do not see the
// newest rows yet, and say so by Page::complete. On PostgreSQL see open_postgres_database().
//
// Errors as of Store. No error text holds details or messages of visitors.
//
// Blocking: functions may wait for the disk or the network, for up to about a tenth of a second on
// two million messages; statistics() and erasing may take longer.
//
// Thread safety: every function may be called from any number of threads at once.
class TWINCHAT_EXPORT Records {
 public:
  Records() = default;
  Records(const Records&) = delete;
  Records& operator=(const Records&) = delete;
  virtual ~Records();

  // How many there are, without looking at them.
  virtual Totals totals() = 0;

  // --- Sessions

  // One page of the list that the query describes. kInvalidArgument for a wrong cursor.
  virtual Page<SessionRow> sessions(const SessionQuery& query) = 0;
  // How many the query would list, counted up to `most`; the search of the query is not regarded.
  virtual std::int64_t count_sessions(const SessionQuery& query, std::int64_t most) = 0;
  // The session as it is listed, or nullopt.
  virtual std::optional<SessionRow> session(std::string_view session_id) = 0;
  // Adds one with a new random id, which becomes the object_id of `audit`.
  virtual SessionRow add_session(const UserDetails& user, Timestamp now,
                                 const AuditEntry& audit) = 0;
  // Changes the details. When `expected` is given and the details are others by now, somebody else
  // was faster: kAborted, and nothing is changed. kNotFound.
  virtual SessionRow edit_session(std::string_view session_id, const UserDetailsUpdate& update,
                                  const std::optional<UserDetails>& expected, Timestamp now,
                                  const AuditEntry& audit) = 0;
  // Deletes those that are there, with all that belongs to them. One transaction: for many sessions
  // call it again and again.
  virtual Erased delete_sessions(const std::vector<std::string>& session_ids,
                                 const AuditEntry& audit) = 0;
  // The newest `limit` messages before the message `before_id` (0: before none), oldest first.
  // Empty for an unknown session.
  virtual std::vector<Utterance> conversation(std::string_view session_id, std::int64_t before_id,
                                              std::size_t limit) = 0;
  // Of each of the sessions with these Session::id the newest consent that stands. Those without
  // one are left out.
  virtual std::unordered_map<std::int64_t, Consent> standing_consents(
      const std::vector<std::int64_t>& sessions) = 0;

  // --- Messages

  // One page of the list that the query describes. kInvalidArgument for a wrong cursor.
  virtual Page<MessageRow> messages(const RowQuery& query) = 0;
  // As count_sessions().
  virtual std::int64_t count_messages(const RowQuery& query, std::int64_t most) = 0;
  // The message, or nullopt.
  virtual std::optional<MessageRow> message(std::int64_t id) = 0;
  // Adds one at the end of the session and moves updated_at. An empty object_id of `audit` becomes
  // the message's. kNotFound.
  virtual MessageRow add_message(std::string_view session_id, const std::string& text, bool is_bot,
                                 Timestamp now, const AuditEntry& audit) = 0;
  // Changes the text. As edit_session(); `expected` is the message as the caller knows it.
  // Later requests to the model carry the new text.
  virtual MessageRow edit_message(std::int64_t id, const std::string& text, bool is_bot,
                                  const std::optional<Message>& expected,
                                  const AuditEntry& audit) = 0;
  // Deletes those that are there; with a question goes its turn, an answer leaves its turn behind.
  // One transaction. Returns how many they were.
  virtual std::int64_t delete_messages(const std::vector<std::int64_t>& ids,
                                       const AuditEntry& audit) = 0;

  // --- Turns and figures

  // One page of the list that the query describes. kInvalidArgument for a wrong cursor, and for a
  // status of which there is no list.
  virtual Page<TurnRow> turns(const TurnQuery& query) = 0;
  // One for every day from `first` to `last`. kInvalidArgument for more than 366 days. What was
  // deleted or taken back after its day had ended may still be counted.
  virtual std::vector<DayStatistics> statistics(std::chrono::sys_days first,
                                                std::chrono::sys_days last) = 0;
  // What visitors think of the answers with these ids. Those of which nothing was said are left
  // out.
  virtual std::unordered_map<std::int64_t, Feedback> feedback(
      const std::vector<std::int64_t>& answer_ids) = 0;

  // --- One person

  // The ids of the sessions of that person.
  virtual std::vector<std::string> sessions_of(const PersonName& person) = 0;
  // Deletes the sessions so that nothing of them is left in the files of the database, search index
  // and logs included, as far as the store can see to that.
  virtual Erased erase(const std::vector<std::string>& session_ids, const AuditEntry& audit) = 0;

  // --- Retention

  // Erases, as erase() does, sessions that have expired; whether they have is looked at once more
  // where they are erased, so that one in which something happens meanwhile stays. The detail of
  // `audit` is to end where the counts are added to it; without sessions there is no entry. One
  // transaction: call it again and again until it erases nothing. The default asks sessions() and
  // erase(), and looks again right before that, not in the same transaction.
  virtual Erased erase_expired(const ExpiredQuery& which, const AuditEntry& audit);

  // Takes, or keeps, the lease of that name for `owner` until `until`, when it is nobody else's at
  // `now`. Of several programs on one database one is to do what only one needs to do; who holds a
  // lease and dies loses it when it expires. The default is for a database of one program's: true.
  virtual bool take_lease(const std::string& name, const std::string& owner, Timestamp now,
                          Timestamp until);
};

}  // namespace twinchat
