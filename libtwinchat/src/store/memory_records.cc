#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "store/cursor.h"
#include "store/memory_data.h"
#include "store/records_rules.h"
#include "store/search_text.h"
#include "uuid.h"

namespace twinchat::memory {
namespace {

SessionRow row_of(const StoredSession& stored) {
  SessionRow row{stored.session, static_cast<std::int64_t>(stored.messages.size())};
  if (!stored.messages.empty()) row.last_message = stored.messages.back();
  return row;
}

std::string number_text(Timestamp time) {
  return padded(time.time_since_epoch().count());
}

std::vector<std::string> values_of(const SessionRow& row, const std::vector<SessionSort>& sort) {
  const Session& session = row.session;
  const SortKeys keys{number_text(session.updated_at), number_text(session.created_at),
                      ascii_folded(session.user.name.value_or("")),
                      ascii_folded(session.user.email.value_or("")), padded(row.message_count)};
  std::vector<std::string> values;
  for (const SessionSort& by : sort) values.push_back(keys.by(by.by));
  return values;
}

bool passes(const StoredSession& stored, const SessionQuery& query) {
  const Session& session = stored.session;
  return (!query.leads_only || is_lead(session.user)) &&
         query.created.contains(session.created_at) && query.updated.contains(session.updated_at);
}

bool holds(const StoredSession& stored, const std::vector<std::string>& words, bool in_messages) {
  const Session& session = stored.session;
  const std::string fields =
      searched_text(session.session_id, session.user.name.value_or(""),
                    session.user.email.value_or(""), session.user.phone.value_or(""));
  return std::all_of(words.begin(), words.end(), [&](const std::string& word) {
    if (fields.find(word) != std::string::npos) return true;
    return in_messages &&
           std::any_of(stored.messages.begin(), stored.messages.end(), [&](const Message& message) {
             return folded(message.text).find(word) != std::string::npos;
           });
  });
}

std::int64_t message_id(const Message& message) {
  return message.id;
}

class MemoryRecords final : public Records {
 public:
  explicit MemoryRecords(std::shared_ptr<Data> data) : data_(std::move(data)) {}

  Totals totals() override {
    std::lock_guard lock(data_->mutex);
    Totals totals;
    for (const auto& [id, stored] : data_->sessions) {
      ++totals.sessions;
      totals.messages += static_cast<std::int64_t>(stored.messages.size());
      totals.leads += is_lead(stored.session.user) ? 1 : 0;
    }
    return totals;
  }

  Page<SessionRow> sessions(const SessionQuery& query) override {
    const std::vector<SessionSort> sort = sort_of(query);
    std::vector<std::string> after;
    if (!query.cursor.empty()) after = unpack_cursor(query.cursor, sort.size() + 1);
    const std::vector<std::string> words = search_words(query.search);
    std::lock_guard lock(data_->mutex);
    std::vector<SessionRow> rows;
    for (const auto& [id, stored] : data_->sessions) {
      if (passes(stored, query) && holds(stored, words, query.search_messages)) {
        rows.push_back(row_of(stored));
      }
    }
    std::sort(rows.begin(), rows.end(), [&](const SessionRow& a, const SessionRow& b) {
      return stands_before(values_of(a, sort), a.session.id, values_of(b, sort), b.session.id,
                           sort);
    });
    Page<SessionRow> page;
    if (after.empty()) page.count = static_cast<std::int64_t>(rows.size());
    for (SessionRow& row : rows) {
      if (!after.empty() && !stands_before(after, cursor_number(after.back()), values_of(row, sort),
                                           row.session.id, sort)) {
        continue;
      }
      if (page.rows.size() == query.limit) {
        std::vector<std::string> values = values_of(page.rows.back(), sort);
        values.push_back(std::to_string(page.rows.back().session.id));
        page.next = pack_cursor(values);
        break;
      }
      page.rows.push_back(std::move(row));
    }
    return page;
  }

  std::int64_t count_sessions(const SessionQuery& query, std::int64_t most) override {
    std::lock_guard lock(data_->mutex);
    return std::min<std::int64_t>(
        most, std::count_if(data_->sessions.begin(), data_->sessions.end(),
                            [&](const auto& entry) { return passes(entry.second, query); }));
  }

  std::optional<SessionRow> session(std::string_view session_id) override {
    std::lock_guard lock(data_->mutex);
    const StoredSession* found = data_->find(session_id);
    return found != nullptr ? std::optional(row_of(*found)) : std::nullopt;
  }

  SessionRow add_session(const UserDetails& user, Timestamp now, const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    AuditEntry entry = audit;
    entry.object_id = random_uuid();
    data_->insert_audit(entry);
    return row_of(data_->insert_session(entry.object_id, user, now));
  }

  SessionRow edit_session(std::string_view session_id, const UserDetailsUpdate& update,
                          const std::optional<UserDetails>& expected, Timestamp now,
                          const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    StoredSession& stored = data_->must_find(session_id);
    if (expected && stored.session.user != *expected) throw changed_meanwhile();
    update.apply_to(stored.session.user);
    stored.session.updated_at = now;
    data_->insert_audit(audit);
    return row_of(stored);
  }

  Erased delete_sessions(const std::vector<std::string>& session_ids,
                         const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    Erased erased;
    for (const std::string& id : session_ids) {
      const auto found = data_->sessions.find(id);
      if (found == data_->sessions.end()) continue;
      for (const StoredTurn& turn : found->second.turns) data_->session_of_turn.erase(turn.turn.id);
      ++erased.sessions;
      erased.messages += static_cast<std::int64_t>(found->second.messages.size());
      data_->sessions.erase(found);
    }
    data_->insert_audit(audit);
    return erased;
  }

  std::vector<Utterance> conversation(std::string_view session_id, std::int64_t before_id,
                                      std::size_t limit) override {
    std::lock_guard lock(data_->mutex);
    const StoredSession* stored = data_->find(session_id);
    if (stored == nullptr) return {};
    auto end = stored->messages.end();
    if (before_id != 0) end = lower_bound_by(stored->messages, before_id, message_id);
    const auto count =
        std::min(limit, static_cast<std::size_t>(std::distance(stored->messages.begin(), end)));
    std::vector<Utterance> found;
    for (auto at = end - static_cast<std::ptrdiff_t>(count); at != end; ++at) {
      Utterance& one = found.emplace_back(Utterance{*at});
      for (const StoredTurn& turn : stored->turns) {
        if (turn.turn.user_message.id == at->id) one.turn = turn.turn;
      }
    }
    return found;
  }

  std::unordered_map<std::int64_t, Consent> standing_consents(
      const std::vector<std::int64_t>& sessions) override {
    const std::unordered_set<std::int64_t> wanted(sessions.begin(), sessions.end());
    std::lock_guard lock(data_->mutex);
    std::unordered_map<std::int64_t, Consent> found;
    for (const auto& [id, stored] : data_->sessions) {
      if (!wanted.contains(stored.session.id)) continue;
      for (const Consent& consent : stored.consents) {
        if (!consent.withdrawn_at) found.insert_or_assign(stored.session.id, consent);
      }
    }
    return found;
  }

  Page<MessageRow> messages(const RowQuery& query) override {
    std::lock_guard lock(data_->mutex);
    std::vector<std::string> words;
    std::vector<std::string> names;
    for (std::string& word : search_words(query.search)) {
      const bool names_a_session =
          looks_like_session_id(word) &&
          std::any_of(data_->sessions.begin(), data_->sessions.end(), [&](const auto& entry) {
            return folded(entry.first).find(word) != std::string::npos;
          });
      (names_a_session ? names : words).push_back(std::move(word));
    }
    std::map<std::int64_t, MessageRow> rows;
    for (const auto& [id, stored] : data_->sessions) {
      if (!query.session_id.empty() && id != query.session_id) continue;
      if (!holds_all(folded(id), names)) continue;
      for (const Message& message : stored.messages) {
        if ((!query.is_bot || *query.is_bot == message.is_bot) &&
            query.created.contains(message.created_at) && holds_all(folded(message.text), words)) {
          rows.emplace(message.id, MessageRow{message, id});
        }
      }
    }
    Page<MessageRow> page;
    if (query.cursor.empty()) page.count = static_cast<std::int64_t>(rows.size());
    const std::int64_t cursor = unpack_id(query.cursor, 0);
    const auto take = [&](const MessageRow& row) {
      if (page.rows.size() == query.limit) {
        page.next = pack_cursor(page.rows.back().message.id);
        return false;
      }
      page.rows.push_back(row);
      return true;
    };
    if (query.newest_first) {
      auto at = query.cursor.empty() ? rows.end() : rows.lower_bound(cursor);
      while (at != rows.begin() && take((--at)->second)) {
      }
    } else {
      auto at = query.cursor.empty() ? rows.begin() : rows.upper_bound(cursor);
      while (at != rows.end() && take((at++)->second)) {
      }
    }
    return page;
  }

  std::int64_t count_messages(const RowQuery& query, std::int64_t most) override {
    RowQuery all = query;
    all.search.clear();
    all.cursor.clear();
    return std::min(most, messages(all).count.value_or(0));
  }

  std::optional<MessageRow> message(std::int64_t id) override {
    std::lock_guard lock(data_->mutex);
    const auto [session, found] = find_message(id);
    if (found == nullptr) return std::nullopt;
    return MessageRow{*found, session->session.session_id};
  }

  MessageRow add_message(std::string_view session_id, const std::string& text, bool is_bot,
                         Timestamp now, const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    StoredSession& stored = data_->must_find(session_id);
    MessageRow row{data_->insert_message(stored, text, is_bot, now), std::string(session_id)};
    stored.session.updated_at = now;
    AuditEntry entry = audit;
    if (entry.object_id.empty()) entry.object_id = std::to_string(row.message.id);
    data_->insert_audit(entry);
    return row;
  }

  MessageRow edit_message(std::int64_t id, const std::string& text, bool is_bot,
                          const std::optional<Message>& expected,
                          const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    const auto [session, found] = find_message(id);
    if (found == nullptr) throw no_such_message();
    if (expected && *expected != *found) throw changed_meanwhile();
    found->text = text;
    found->is_bot = is_bot;
    for (StoredTurn& stored : session->turns) {
      const bool asks = stored.turn.user_message.id == id;
      if (asks) stored.turn.user_message = *found;
      const bool answers = stored.turn.answer && stored.turn.answer->id == id;
      if (answers) stored.turn.answer = *found;
      if (asks || answers) stored.contents.clear();
    }
    data_->insert_audit(audit);
    return {*found, session->session.session_id};
  }

  std::int64_t delete_messages(const std::vector<std::int64_t>& ids,
                               const AuditEntry& audit) override {
    std::lock_guard lock(data_->mutex);
    std::int64_t deleted = 0;
    for (const std::int64_t id : ids) {
      const auto [session, found] = find_message(id);
      if (found == nullptr) continue;
      ++deleted;
      std::erase_if(session->messages, [&](const Message& m) { return m.id == id; });
      for (StoredTurn& stored : session->turns) {
        if (stored.turn.answer && stored.turn.answer->id == id) {
          stored.turn.answer.reset();
          stored.contents.clear();
        }
        if (stored.turn.user_message.id == id) data_->session_of_turn.erase(stored.turn.id);
      }
      std::erase_if(session->turns,
                    [&](const StoredTurn& turn) { return turn.turn.user_message.id == id; });
    }
    data_->insert_audit(audit);
    return deleted;
  }

  Page<TurnRow> turns(const TurnQuery& query) override {
    const std::vector<TurnStatus> statuses = statuses_of(query);
    std::lock_guard lock(data_->mutex);
    std::map<std::int64_t, TurnRow, std::greater<>> rows;
    for (const auto& [id, stored] : data_->sessions) {
      for (const StoredTurn& turn : stored.turns) {
        const bool any = statuses.empty() || std::find(statuses.begin(), statuses.end(),
                                                       turn.turn.status) != statuses.end();
        if (any && (query.feedback == Feedback::kNone || query.feedback == turn.turn.feedback) &&
            query.created.contains(turn.began_at)) {
          rows.emplace(turn.turn.id, TurnRow{turn.turn, stored.session.user});
        }
      }
    }
    Page<TurnRow> page;
    if (query.cursor.empty()) page.count = static_cast<std::int64_t>(rows.size());
    auto at = query.cursor.empty() ? rows.begin() : rows.upper_bound(unpack_id(query.cursor, 0));
    for (; at != rows.end(); ++at) {
      if (page.rows.size() == query.limit) {
        page.next = pack_cursor(page.rows.back().turn.id);
        break;
      }
      page.rows.push_back(at->second);
    }
    return page;
  }

  std::vector<DayStatistics> statistics(std::chrono::sys_days first,
                                        std::chrono::sys_days last) override {
    check_days(first, last);
    std::lock_guard lock(data_->mutex);
    std::vector<DayStatistics> days;
    for (std::chrono::sys_days day = first; day <= last; day += std::chrono::days(1)) {
      days.push_back(figures_of(day));
    }
    return days;
  }

  std::unordered_map<std::int64_t, Feedback> feedback(
      const std::vector<std::int64_t>& answer_ids) override {
    const std::unordered_set<std::int64_t> wanted(answer_ids.begin(), answer_ids.end());
    std::lock_guard lock(data_->mutex);
    std::unordered_map<std::int64_t, Feedback> found;
    for (const auto& [id, stored] : data_->sessions) {
      for (const StoredTurn& turn : stored.turns) {
        if (turn.turn.feedback != Feedback::kNone && turn.turn.answer &&
            wanted.contains(turn.turn.answer->id)) {
          found.emplace(turn.turn.answer->id, turn.turn.feedback);
        }
      }
    }
    return found;
  }

  std::vector<std::string> sessions_of(const PersonName& person) override {
    check_person(person);
    std::lock_guard lock(data_->mutex);
    std::map<std::int64_t, std::string> found;
    const std::string digits = digits_of(person.phone);
    for (const auto& [id, stored] : data_->sessions) {
      const UserDetails& user = stored.session.user;
      const bool is_theirs =
          !person.session_id.empty() ? id == person.session_id
          : !person.email.empty()
              ? ascii_folded(user.email.value_or("")) == ascii_folded(person.email)
              : !digits.empty() && digits_of(user.phone.value_or("")) == digits;
      if (is_theirs) found.emplace(stored.session.id, id);
    }
    std::vector<std::string> ids;
    for (auto& [row, id] : found) ids.push_back(std::move(id));
    return ids;
  }

  Erased erase(const std::vector<std::string>& session_ids, const AuditEntry& audit) override {
    return delete_sessions(session_ids, audit);
  }

 private:
  std::pair<StoredSession*, Message*> find_message(std::int64_t id) {
    for (auto& [name, stored] : data_->sessions) {
      const auto at = lower_bound_by(stored.messages, id, message_id);
      if (at != stored.messages.end() && at->id == id) return {&stored, &*at};
    }
    return {nullptr, nullptr};
  }

  DayStatistics figures_of(std::chrono::sys_days day) {
    const TimeRange range{day, day + std::chrono::days(1)};
    DayStatistics found;
    found.day = day;
    Latencies latencies;
    for (const auto& [id, stored] : data_->sessions) {
      if (range.contains(stored.session.created_at)) {
        ++found.sessions;
        found.asked += stored.messages.empty() ? 0 : 1;
        found.leads += is_lead(stored.session.user) ? 1 : 0;
      }
      for (const Message& message : stored.messages) {
        if (!range.contains(message.created_at)) continue;
        ++found.messages;
        found.visitor_messages += message.is_bot ? 0 : 1;
      }
      for (const StoredTurn& turn : stored.turns) {
        if (turn.turn.feedback_at && range.contains(*turn.turn.feedback_at)) {
          ++(turn.turn.feedback == Feedback::kUp ? found.liked : found.disliked);
        }
        if (!range.contains(turn.began_at)) continue;
        add_turns(found, turn.turn.status, 1, turn.turn.usage, turn.turn.latency, latencies);
      }
    }
    found.latency = percentiles(latencies);
    return found;
  }

  const std::shared_ptr<Data> data_;
};

}  // namespace

std::shared_ptr<Records> make_records(std::shared_ptr<Data> data) {
  return std::make_shared<MemoryRecords>(std::move(data));
}

}  // namespace twinchat::memory
