#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "metrics/metrics.h"
#include "twinchat/store.h"

namespace twinchat::server {

// Another store, whose calls are counted, and the leads that come in through it.
//
// Thread safety: as every Store.
class WatchedStore final : public Store {
 public:
  // The metrics must outlive the store.
  WatchedStore(std::shared_ptr<Store> store, Metrics& metrics)
      : store_(std::move(store)), metrics_(metrics) {}

  Session create_session(std::string_view session_id, const UserDetails& user,
                         Timestamp now) override;
  std::optional<Session> find_session(std::string_view session_id) override;
  Session update_user(std::string_view session_id, const UserDetailsUpdate& update,
                      Timestamp now) override;
  std::vector<Message> messages(std::string_view session_id, const MessageQuery& query) override;
  std::vector<Turn> turns(std::string_view session_id, std::size_t limit) override;
  BegunTurn begin_turn(const NewTurn& turn) override;
  Turn finish_turn(const FinishedTurn& turn) override;
  std::vector<PastTurn> past_turns(std::string_view session_id, std::int64_t before_turn,
                                   std::size_t limit) override;
  std::vector<Turn> answered_turns(std::string_view session_id, std::int64_t first_answer,
                                   std::int64_t last_answer) override;
  Turn set_feedback(std::string_view session_id, std::int64_t answer_id, Feedback feedback,
                    Timestamp now) override;
  Consent record_consent(const NewConsent& consent) override;
  std::vector<Consent> consents(std::string_view session_id) override;
  std::vector<Consent> withdraw_consents(std::string_view session_id, Timestamp now) override;
  void check() override { store_->check(); }

 private:
  // Whether the update would make a lead of the session, which has been none. Looks the session up
  // only when the update brings something to be reached by.
  bool makes_a_lead(std::string_view session_id, const UserDetailsUpdate& update);

  const std::shared_ptr<Store> store_;
  Metrics& metrics_;
};

}  // namespace twinchat::server
