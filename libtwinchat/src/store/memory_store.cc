#include "twinchat/memory_store.h"

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "store/turn_rules.h"
#include "twinchat/error.h"

namespace twinchat {
namespace {

struct StoredTurn {
  Turn turn;
  std::string idempotency_key;
  std::string fingerprint;
  std::string contents;
  Timestamp expires_at;
};

struct StoredSession {
  Session session;
  std::vector<Message> messages;  // by id
  std::vector<StoredTurn> turns;  // by id
};

// The first element whose id is not below `id`, in a vector that is in the order of ids.
template <class Vector, class Id>
auto lower_bound_by(Vector& elements, std::int64_t id, Id id_of) {
  return std::lower_bound(
      elements.begin(), elements.end(), id,
      [&](const auto& element, std::int64_t wanted) { return id_of(element) < wanted; });
}

class MemoryStore final : public Store {
 public:
  Session create_session(std::string_view session_id, const UserDetails& user,
                         Timestamp now) override {
    std::lock_guard lock(mutex_);
    if (find(session_id) != nullptr) {
      throw Error(ErrorCode::kAlreadyExists, "A session with this id exists already.");
    }
    return insert_session(session_id, user, now).session;
  }

  std::optional<Session> find_session(std::string_view session_id) override {
    std::lock_guard lock(mutex_);
    const StoredSession* found = find(session_id);
    return found != nullptr ? std::optional(found->session) : std::nullopt;
  }

  Session update_user(std::string_view session_id, const UserDetailsUpdate& update,
                      Timestamp now) override {
    std::lock_guard lock(mutex_);
    StoredSession& found = must_find(session_id);
    update.apply_to(found.session.user);
    found.session.updated_at = now;
    return found.session;
  }

  std::vector<Message> messages(std::string_view session_id, const MessageQuery& query) override {
    std::lock_guard lock(mutex_);
    const StoredSession* found = find(session_id);
    if (found == nullptr) return {};
    auto first = std::find_if(found->messages.begin(), found->messages.end(),
                              [&](const Message& message) { return message.id > query.after_id; });
    auto count = static_cast<std::size_t>(found->messages.end() - first);
    if (query.limit != 0) count = std::min(count, query.limit);
    return {first, first + static_cast<std::ptrdiff_t>(count)};
  }

  std::vector<Turn> turns(std::string_view session_id, std::size_t limit) override {
    std::lock_guard lock(mutex_);
    const StoredSession* found = find(session_id);
    if (found == nullptr) return {};
    std::vector<Turn> turns;
    const std::size_t count = std::min(limit, found->turns.size());
    for (auto i = found->turns.end() - static_cast<std::ptrdiff_t>(count); i != found->turns.end();
         ++i) {
      turns.push_back(i->turn);
    }
    return turns;
  }

  BegunTurn begin_turn(const NewTurn& turn) override {
    std::lock_guard lock(mutex_);
    StoredSession* session = find(turn.session_id);
    if (session == nullptr && !turn.create_session) must_find(turn.session_id);
    StoredTurn* earlier = session != nullptr ? find_key(*session, turn.idempotency_key) : nullptr;
    if (earlier != nullptr) {
      if (earlier->fingerprint != turn.fingerprint) {
        throw key_used_otherwise();
      }
      if (earlier->turn.status == TurnStatus::kPending && earlier->expires_at > turn.now) {
        throw key_in_use();
      }
      if (is_replayed(earlier->turn.status)) {
        BegunTurn begun{BegunTurn::Kind::kReplayed, earlier->turn};
        begun.turn.replayed = true;
        return begun;
      }
    }

    const auto used = tokens_.find(std::chrono::floor<std::chrono::days>(turn.now));
    if (turn.max_tokens_per_day > 0 && used != tokens_.end() &&
        used->second >= turn.max_tokens_per_day) {
      throw daily_tokens_used_up(turn.now);
    }
    if (session == nullptr) session = &insert_session(turn.session_id, {}, turn.now);
    turn.details.apply_to(session->session.user);
    session->session.updated_at = turn.now;
    if (earlier != nullptr) {
      Turn again;
      again.id = earlier->turn.id;
      again.session_id = earlier->turn.session_id;
      again.user_message = earlier->turn.user_message;
      earlier->turn = std::move(again);
      earlier->contents.clear();
      earlier->expires_at = turn.expires_at;
      return {BegunTurn::Kind::kResumed, earlier->turn};
    }
    StoredTurn added;
    added.turn.id = ++last_turn_;
    added.turn.session_id = turn.session_id;
    added.turn.user_message = insert_message(*session, turn.text, false, turn.now);
    added.idempotency_key = turn.idempotency_key;
    added.fingerprint = turn.fingerprint;
    added.expires_at = turn.expires_at;
    session->turns.push_back(std::move(added));
    session_of_turn_[last_turn_] = session;
    return {BegunTurn::Kind::kNew, session->turns.back().turn};
  }

  Turn finish_turn(const FinishedTurn& finished) override {
    if (finished.status == TurnStatus::kPending) {
      throw Error(ErrorCode::kInvalidArgument, "A turn cannot be finished as pending.");
    }
    std::lock_guard lock(mutex_);
    const auto owner = session_of_turn_.find(finished.turn_id);
    if (owner == session_of_turn_.end()) {
      throw Error(ErrorCode::kNotFound, "There is no such turn.");
    }
    StoredSession& session = *owner->second;
    StoredTurn& stored = *lower_bound_by(session.turns, finished.turn_id, turn_id);
    Turn& turn = stored.turn;
    if (turn.status != TurnStatus::kPending && turn.status != TurnStatus::kInterrupted) {
      throw Error(ErrorCode::kFailedPrecondition, "The turn has ended already.");
    }
    if (finished.answer)
      turn.answer = insert_message(session, *finished.answer, true, finished.now);
    apply(finished, turn);
    stored.contents = finished.contents;
    session.session.updated_at = finished.now;
    if (const std::int64_t tokens = counted_tokens(finished.usage); tokens != 0) {
      tokens_[std::chrono::floor<std::chrono::days>(finished.now)] += tokens;
    }
    return turn;
  }

  std::vector<PastTurn> past_turns(std::string_view session_id, std::int64_t before_turn,
                                   std::size_t limit) override {
    std::lock_guard lock(mutex_);
    const StoredSession* session = find(session_id);
    if (session == nullptr) return {};
    // Every message here belongs to a turn, and turns are in the order of their messages.
    auto end = session->turns.end();
    if (before_turn != 0) {
      const auto at = lower_bound_by(session->turns, before_turn, turn_id);
      if (at != end && at->turn.id == before_turn) end = at;
    }
    std::vector<PastTurn> found;
    while (end != session->turns.begin() && found.size() < limit) {
      const StoredTurn& stored = *--end;
      if (!stored.turn.answer || !is_history(stored.turn.status)) continue;
      found.push_back({stored.turn.id, stored.turn.user_message.text, stored.turn.answer->text,
                       stored.contents, stored.turn.usage});
    }
    std::reverse(found.begin(), found.end());
    return found;
  }

 private:
  static std::int64_t turn_id(const StoredTurn& stored) { return stored.turn.id; }

  StoredSession* find(std::string_view session_id) {
    const auto found = sessions_.find(session_id);
    return found != sessions_.end() ? &found->second : nullptr;
  }

  StoredSession& must_find(std::string_view session_id) {
    StoredSession* found = find(session_id);
    if (found == nullptr) throw Error(ErrorCode::kNotFound, "There is no such session.");
    return *found;
  }

  static StoredTurn* find_key(StoredSession& session, const std::string& key) {
    if (key.empty()) return nullptr;
    const auto found =
        std::find_if(session.turns.begin(), session.turns.end(),
                     [&](const StoredTurn& turn) { return turn.idempotency_key == key; });
    return found != session.turns.end() ? &*found : nullptr;
  }

  StoredSession& insert_session(std::string_view session_id, const UserDetails& user,
                                Timestamp now) {
    StoredSession& added = sessions_[std::string(session_id)];
    added.session = {++last_session_, std::string(session_id), user, now, now};
    return added;
  }

  const Message& insert_message(StoredSession& session, const std::string& text, bool is_bot,
                                Timestamp now) {
    return session.messages.emplace_back(Message{++last_message_, text, is_bot, now});
  }

  std::mutex mutex_;
  // All guarded by mutex_. Elements of a map stay where they are.
  std::map<std::string, StoredSession, std::less<>> sessions_;
  std::unordered_map<std::int64_t, StoredSession*> session_of_turn_;
  std::map<std::chrono::sys_days, std::int64_t> tokens_;  // by the day they were used
  std::int64_t last_session_ = 0;
  std::int64_t last_message_ = 0;
  std::int64_t last_turn_ = 0;
};

}  // namespace

std::shared_ptr<Store> make_memory_store() {
  return std::make_shared<MemoryStore>();
}

}  // namespace twinchat
