#include "metrics/watched_store.h"

#include <utility>

namespace twinchat::server {
namespace {

// What the call gives or throws, once it has been counted.
template <class Call>
auto counted(Metrics& metrics, StoreOperation operation, Call call) {
  const auto began = std::chrono::steady_clock::now();
  const auto ended = [&](std::optional<ErrorCode> error) {
    metrics.store_call_ended(operation, error, std::chrono::steady_clock::now() - began);
  };
  try {
    auto result = call();
    ended({});
    return result;
  } catch (const Error& error) {
    ended(error.code());
    throw;
  } catch (...) {
    ended(ErrorCode::kUnknown);
    throw;
  }
}

bool is_something(const std::optional<std::string>& value) {
  return value && !value->empty();
}

bool can_be_reached(const UserDetails& user) {
  return is_something(user.email) || is_something(user.phone);
}

}  // namespace

Session WatchedStore::create_session(std::string_view session_id, const UserDetails& user,
                                     Timestamp now) {
  Session session = counted(metrics_, StoreOperation::kCreateSession,
                            [&] { return store_->create_session(session_id, user, now); });
  if (can_be_reached(user)) metrics_.lead_came();
  return session;
}

std::optional<Session> WatchedStore::find_session(std::string_view session_id) {
  return counted(metrics_, StoreOperation::kFindSession,
                 [&] { return store_->find_session(session_id); });
}

Session WatchedStore::update_user(std::string_view session_id, const UserDetailsUpdate& update,
                                  Timestamp now) {
  const bool lead = makes_a_lead(session_id, update);
  Session session = counted(metrics_, StoreOperation::kUpdateUser,
                            [&] { return store_->update_user(session_id, update, now); });
  if (lead) metrics_.lead_came();
  return session;
}

std::vector<Message> WatchedStore::messages(std::string_view session_id,
                                            const MessageQuery& query) {
  return counted(metrics_, StoreOperation::kMessages,
                 [&] { return store_->messages(session_id, query); });
}

std::vector<Turn> WatchedStore::turns(std::string_view session_id, std::size_t limit) {
  return counted(metrics_, StoreOperation::kTurns,
                 [&] { return store_->turns(session_id, limit); });
}

BegunTurn WatchedStore::begin_turn(const NewTurn& turn) {
  const bool lead = makes_a_lead(turn.session_id, turn.details);
  BegunTurn begun =
      counted(metrics_, StoreOperation::kBeginTurn, [&] { return store_->begin_turn(turn); });
  if (lead && begun.kind == BegunTurn::Kind::kNew) metrics_.lead_came();
  return begun;
}

Turn WatchedStore::finish_turn(const FinishedTurn& turn) {
  return counted(metrics_, StoreOperation::kFinishTurn, [&] { return store_->finish_turn(turn); });
}

std::vector<PastTurn> WatchedStore::past_turns(std::string_view session_id,
                                               std::int64_t before_turn, std::size_t limit) {
  return counted(metrics_, StoreOperation::kPastTurns,
                 [&] { return store_->past_turns(session_id, before_turn, limit); });
}

std::vector<Turn> WatchedStore::answered_turns(std::string_view session_id,
                                               std::int64_t first_answer,
                                               std::int64_t last_answer) {
  return counted(metrics_, StoreOperation::kAnsweredTurns,
                 [&] { return store_->answered_turns(session_id, first_answer, last_answer); });
}

Turn WatchedStore::set_feedback(std::string_view session_id, std::int64_t answer_id,
                                Feedback feedback, Timestamp now) {
  return counted(metrics_, StoreOperation::kSetFeedback,
                 [&] { return store_->set_feedback(session_id, answer_id, feedback, now); });
}

Consent WatchedStore::record_consent(const NewConsent& consent) {
  return counted(metrics_, StoreOperation::kRecordConsent,
                 [&] { return store_->record_consent(consent); });
}

std::vector<Consent> WatchedStore::consents(std::string_view session_id) {
  return counted(metrics_, StoreOperation::kConsents, [&] { return store_->consents(session_id); });
}

std::vector<Consent> WatchedStore::withdraw_consents(std::string_view session_id, Timestamp now) {
  return counted(metrics_, StoreOperation::kWithdrawConsents,
                 [&] { return store_->withdraw_consents(session_id, now); });
}

bool WatchedStore::makes_a_lead(std::string_view session_id, const UserDetailsUpdate& update) {
  const auto brings = [](const FieldUpdate& field) {
    return field.given() && is_something(field.value());
  };
  if (!brings(update.email) && !brings(update.phone)) return false;
  const auto session = find_session(session_id);
  return !session || !can_be_reached(session->user);
}

}  // namespace twinchat::server
