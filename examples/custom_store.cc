// A store of one's own: everything goes to the store behind it, and a record of who touched whose
// data and when goes to audit.log, as rules for health data ask for. No line holds what was said.
// (A store that keeps the data elsewhere derives from the same class, and takes more than a screen:
// libtwinchat/src/store/memory_store.cc is one.)
//   GEMINI_API_KEY=... custom_store "What is insulin?"
#include <cstdint>
#include <ctime>
#include <exception>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gemini_from_environment.h"
#include "twinchat/twinchat.h"

namespace {

// shown: store
// The line is written first: without a record there is no access.
//
// Thread safety: as every Store.
class AuditedStore final : public twinchat::Store {
 public:
  AuditedStore(std::shared_ptr<twinchat::Store> behind, const std::string& file)
      : behind_(std::move(behind)), log_(file, std::ios::app) {}

  twinchat::Session create_session(std::string_view id, const twinchat::UserDetails& user,
                                   twinchat::Timestamp now) override {
    record("create", id);
    return behind_->create_session(id, user, now);
  }
  std::optional<twinchat::Session> find_session(std::string_view id) override {
    record("read-details", id);
    return behind_->find_session(id);
  }
  twinchat::Session update_user(std::string_view id, const twinchat::UserDetailsUpdate& update,
                                twinchat::Timestamp now) override {
    record("change-details", id);
    return behind_->update_user(id, update, now);
  }
  std::vector<twinchat::Message> messages(std::string_view id,
                                          const twinchat::MessageQuery& query) override {
    record("read-messages", id);
    return behind_->messages(id, query);
  }
  std::vector<twinchat::Turn> turns(std::string_view id, std::size_t limit) override {
    record("read-turns", id);
    return behind_->turns(id, limit);
  }
  twinchat::BegunTurn begin_turn(const twinchat::NewTurn& turn) override {
    record("question", turn.session_id);
    return behind_->begin_turn(turn);
  }
  twinchat::Turn finish_turn(const twinchat::FinishedTurn& turn) override {
    record(to_string(turn.status), "turn " + std::to_string(turn.turn_id));
    return behind_->finish_turn(turn);
  }
  std::vector<twinchat::PastTurn> past_turns(std::string_view id, std::int64_t before_turn,
                                             std::size_t limit) override {
    record("read-for-model", id);
    return behind_->past_turns(id, before_turn, limit);
  }
  std::vector<twinchat::Turn> answered_turns(std::string_view id, std::int64_t first_answer,
                                             std::int64_t last_answer) override {
    record("read-turns", id);
    return behind_->answered_turns(id, first_answer, last_answer);
  }
  twinchat::Turn set_feedback(std::string_view id, std::int64_t answer_id,
                              twinchat::Feedback feedback, twinchat::Timestamp now) override {
    record("feedback", id);
    return behind_->set_feedback(id, answer_id, feedback, now);
  }
  twinchat::Consent record_consent(const twinchat::NewConsent& consent) override {
    record("consent", consent.session_id);
    return behind_->record_consent(consent);
  }
  std::vector<twinchat::Consent> consents(std::string_view id) override {
    record("read-consents", id);
    return behind_->consents(id);
  }
  std::vector<twinchat::Consent> withdraw_consents(std::string_view id,
                                                   twinchat::Timestamp now) override {
    record("withdraw-consents", id);
    return behind_->withdraw_consents(id, now);
  }
  void check() override { behind_->check(); }

 private:
  void record(std::string_view what, std::string_view whose);

  std::shared_ptr<twinchat::Store> behind_;
  std::mutex mutex_;
  std::ofstream log_;  // guarded by mutex_
};
// shown: end

void AuditedStore::record(std::string_view what, std::string_view whose) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  // An id that came from outside may be any text: it must not begin a line of its own.
  std::string safe(whose);
  for (char& c : safe) c = c >= ' ' && c <= '~' ? c : '?';
  const std::lock_guard lock(mutex_);
  if (!(log_ << std::put_time(&utc, "%FT%TZ ") << what << " " << safe << std::endl)) {
    throw twinchat::Error(twinchat::ErrorCode::kUnavailable, "The audit log cannot be written.");
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    twinchat::Assistant assistant(
        std::make_shared<AuditedStore>(twinchat::open_store("sqlite:///chat.db"), "audit.log"),
        twinchat::make_gemini_model(gemini_from_environment()));
    const std::string id = assistant.create_session({.name = "Jane"}).session_id;
    std::cout << assistant.send(id, argc > 1 ? argv[1] : "What is insulin?").text() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "custom_store: " << error.what() << "\n";
    return 1;
  }
}
