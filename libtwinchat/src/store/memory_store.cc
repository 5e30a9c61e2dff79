#include "twinchat/memory_store.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "store/memory_data.h"
#include "store/turn_rules.h"
#include "twinchat/database.h"
#include "twinchat/error.h"

namespace twinchat {
namespace memory {
namespace {

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(std::shared_ptr<Data> data) : data_(std::move(data)) {}

  Session create_session(std::string_view session_id, const UserDetails& user,
                         Timestamp now) override {
    std::lock_guard lock(data_->mutex);
    if (data_->find(session_id) != nullptr) {
      throw Error(ErrorCode::kAlreadyExists, "A session with this id exists already.");
    }
    return data_->insert_session(session_id, user, now).session;
  }

  std::optional<Session> find_session(std::string_view session_id) override {
    std::lock_guard lock(data_->mutex);
    const StoredSession* found = data_->find(session_id);
    return found != nullptr ? std::optional(found->session) : std::nullopt;
  }

  Session update_user(std::string_view session_id, const UserDetailsUpdate& update,
                      Timestamp now) override {
    std::lock_guard lock(data_->mutex);
    StoredSession& found = data_->must_find(session_id);
    update.apply_to(found.session.user);
    found.session.updated_at = now;
    return found.session;
  }

  std::vector<Message> messages(std::string_view session_id, const MessageQuery& query) override {
    std::lock_guard lock(data_->mutex);
    const StoredSession* found = data_->find(session_id);
    if (found == nullptr) return {};
    auto first = std::find_if(found->messages.begin(), found->messages.end(),
                              [&](const Message& message) { return message.id > query.after_id; });
    auto last = query.before_id == 0
                    ? found->messages.end()
                    : std::find_if(first, found->messages.end(), [&](const Message& message) {
                        return message.id >= query.before_id;
                      });
    if (query.limit != 0 && static_cast<std::size_t>(last - first) > query.limit) {
      const auto count = static_cast<std::ptrdiff_t>(query.limit);
      query.newest ? first = last - count : last = first + count;
    }
    return {first, last};
  }

  std::vector<Turn> turns(std::string_view session_id, std::size_t limit) override {
    std::lock_guard lock(data_->mutex);
    const StoredSession* found = data_->find(session_id);
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
    std::lock_guard lock(data_->mutex);
    StoredSession* session = data_->find(turn.session_id);
    if (session == nullptr && !turn.create_session) data_->must_find(turn.session_id);
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

    const auto used = data_->tokens.find(std::chrono::floor<std::chrono::days>(turn.now));
    if (turn.max_tokens_per_day > 0 && used != data_->tokens.end() &&
        used->second >= turn.max_tokens_per_day) {
      throw daily_tokens_used_up(turn.now);
    }
    if (session == nullptr) session = &data_->insert_session(turn.session_id, {}, turn.now);
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
    added.turn.id = ++data_->last_turn;
    added.turn.session_id = turn.session_id;
    added.turn.user_message = data_->insert_message(*session, turn.text, false, turn.now);
    added.idempotency_key = turn.idempotency_key;
    added.fingerprint = turn.fingerprint;
    added.began_at = turn.now;
    added.expires_at = turn.expires_at;
    session->turns.push_back(std::move(added));
    data_->session_of_turn[data_->last_turn] = session;
    return {BegunTurn::Kind::kNew, session->turns.back().turn};
  }

  Turn finish_turn(const FinishedTurn& finished) override {
    if (finished.status == TurnStatus::kPending) {
      throw Error(ErrorCode::kInvalidArgument, "A turn cannot be finished as pending.");
    }
    std::lock_guard lock(data_->mutex);
    const auto owner = data_->session_of_turn.find(finished.turn_id);
    if (owner == data_->session_of_turn.end()) {
      throw no_such_turn();
    }
    StoredSession& session = *owner->second;
    StoredTurn& stored = *lower_bound_by(session.turns, finished.turn_id, turn_id);
    Turn& turn = stored.turn;
    if (turn.status != TurnStatus::kPending && turn.status != TurnStatus::kInterrupted) {
      throw Error(ErrorCode::kFailedPrecondition, "The turn has ended already.");
    }
    if (finished.answer)
      turn.answer = data_->insert_message(session, *finished.answer, true, finished.now);
    apply(finished, turn);
    stored.contents = finished.contents;
    session.session.updated_at = finished.now;
    if (const std::int64_t tokens = counted_tokens(finished.usage); tokens != 0) {
      data_->tokens[std::chrono::floor<std::chrono::days>(finished.now)] += tokens;
    }
    return turn;
  }

  std::vector<PastTurn> past_turns(std::string_view session_id, std::int64_t before_turn,
                                   std::size_t limit) override {
    std::lock_guard lock(data_->mutex);
    const StoredSession* session = data_->find(session_id);
    if (session == nullptr) return {};
    // Messages that were added by hand have no turn.
    auto end = session->messages.end();
    if (before_turn != 0) {
      const auto at = lower_bound_by(session->turns, before_turn, turn_id);
      if (at != session->turns.end() && at->turn.id == before_turn) {
        end = lower_bound_by(session->messages, at->turn.user_message.id,
                             [](const Message& message) { return message.id; });
      }
    }
    std::unordered_map<std::int64_t, const StoredTurn*> by_question;
    std::unordered_map<std::int64_t, const Message*> by_id;
    std::set<std::int64_t> answers;
    for (const StoredTurn& stored : session->turns) {
      by_question[stored.turn.user_message.id] = &stored;
      if (stored.turn.answer) answers.insert(stored.turn.answer->id);
    }
    for (const Message& message : session->messages) by_id[message.id] = &message;
    PastTurnWalk walk(limit);
    for (auto at = end; at != session->messages.begin() && !walk.done();) {
      const Message& message = *--at;
      PastTurnWalk::Step step{.message_id = message.id, .is_bot = message.is_bot};
      if (const auto begun = by_question.find(message.id); begun != by_question.end()) {
        step.turn_id = begun->second->turn.id;
        step.status = begun->second->turn.status;
        if (begun->second->turn.answer) step.answer_id = begun->second->turn.answer->id;
      }
      const auto next = at + 1;
      step.follower_answers_a_turn = next != session->messages.end() && answers.contains(next->id);
      walk.take(step);
    }
    std::vector<PastTurn> found;
    for (const PastTurnWalk::Found& one : walk.found()) {
      const auto begun = by_question.find(one.user_message_id);
      const bool has_turn = one.turn_id != 0;
      found.push_back({one.turn_id, by_id.at(one.user_message_id)->text,
                       by_id.at(one.answer_message_id)->text,
                       has_turn ? begun->second->contents : std::string(),
                       has_turn ? begun->second->turn.usage : Usage()});
    }
    std::reverse(found.begin(), found.end());
    return found;
  }

  std::vector<Turn> answered_turns(std::string_view session_id, std::int64_t first_answer,
                                   std::int64_t last_answer) override {
    std::lock_guard lock(data_->mutex);
    const StoredSession* session = data_->find(session_id);
    if (session == nullptr) return {};
    std::vector<Turn> found;
    for (const StoredTurn& stored : session->turns) {
      const std::optional<Message>& answer = stored.turn.answer;
      if (answer && answer->id >= first_answer && answer->id <= last_answer) {
        found.push_back(stored.turn);
      }
    }
    std::sort(found.begin(), found.end(),
              [](const Turn& a, const Turn& b) { return a.answer->id < b.answer->id; });
    return found;
  }

  Turn set_feedback(std::string_view session_id, std::int64_t answer_id, Feedback feedback,
                    Timestamp now) override {
    std::lock_guard lock(data_->mutex);
    StoredSession* session = data_->find(session_id);
    if (session == nullptr) throw no_such_answer();
    const auto found =
        std::find_if(session->turns.begin(), session->turns.end(), [&](const StoredTurn& stored) {
          return stored.turn.answer && stored.turn.answer->id == answer_id;
        });
    if (found == session->turns.end()) throw no_such_answer();
    found->turn.feedback = feedback;
    found->turn.feedback_at = feedback == Feedback::kNone ? std::nullopt : std::optional(now);
    return found->turn;
  }

  Consent record_consent(const NewConsent& consent) override {
    std::lock_guard lock(data_->mutex);
    StoredSession& session = data_->must_find(consent.session_id);
    return session.consents.emplace_back(Consent{++data_->last_consent, consent.version,
                                                 consent.language, consent.text, consent.now});
  }

  std::vector<Consent> consents(std::string_view session_id) override {
    std::lock_guard lock(data_->mutex);
    const StoredSession* session = data_->find(session_id);
    return session != nullptr ? session->consents : std::vector<Consent>();
  }

  std::vector<Consent> withdraw_consents(std::string_view session_id, Timestamp now) override {
    std::lock_guard lock(data_->mutex);
    StoredSession& session = data_->must_find(session_id);
    for (Consent& consent : session.consents) {
      if (!consent.withdrawn_at) consent.withdrawn_at = now;
    }
    return session.consents;
  }

 private:
  static std::int64_t turn_id(const StoredTurn& stored) { return stored.turn.id; }

  static StoredTurn* find_key(StoredSession& session, const std::string& key) {
    if (key.empty()) return nullptr;
    const auto found =
        std::find_if(session.turns.begin(), session.turns.end(),
                     [&](const StoredTurn& turn) { return turn.idempotency_key == key; });
    return found != session.turns.end() ? &*found : nullptr;
  }

  const std::shared_ptr<Data> data_;
};

}  // namespace

StoredSession& Data::must_find(std::string_view session_id) {
  StoredSession* found = find(session_id);
  if (found == nullptr) throw no_such_session();
  return *found;
}

StoredSession& Data::insert_session(std::string_view session_id, const UserDetails& user,
                                    Timestamp now) {
  StoredSession& added = sessions[std::string(session_id)];
  added.session = {++last_session, std::string(session_id), user, now, now};
  return added;
}

const Message& Data::insert_message(StoredSession& session, const std::string& text, bool is_bot,
                                    Timestamp now) {
  return session.messages.emplace_back(Message{++last_message, text, is_bot, now});
}

void Data::insert_audit(AuditEntry entry) {
  entry.id = static_cast<std::int64_t>(audit.size()) + 1;
  audit.push_back(std::move(entry));
}

std::shared_ptr<Store> make_store(std::shared_ptr<Data> data) {
  return std::make_shared<MemoryStore>(std::move(data));
}

}  // namespace memory

std::shared_ptr<Store> make_memory_store() {
  return memory::make_store(std::make_shared<memory::Data>());
}

Database make_memory_database() {
  const auto data = std::make_shared<memory::Data>();
  return {memory::make_store(data), memory::make_records(data), memory::make_accounts(data)};
}

}  // namespace twinchat
