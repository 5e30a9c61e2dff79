#include "store/history_cache.h"

#include <utility>

namespace twinchat {
namespace {

std::size_t bytes_of(const PastTurn& turn) {
  return sizeof turn + turn.user_text.capacity() + turn.answer_text.capacity() +
         turn.contents.capacity();
}

}  // namespace

void HistoryCache::begun(const std::string& session_id, std::int64_t turn_id, std::uint64_t state) {
  const std::lock_guard lock(mutex_);
  auto found = by_session_.find(session_id);
  if (found == by_session_.end()) {
    entries_.push_front({.session_id = session_id});
    found = by_session_.emplace(entries_.front().session_id, entries_.begin()).first;
  } else {
    entries_.splice(entries_.begin(), entries_, found->second);
  }
  Entry& entry = entries_.front();
  if (entry.open || entry.state != state || turn_id < entry.last_begun) {
    entry.filled = false;
    entry.turns.clear();
  }
  entry.state = state;
  entry.last_begun = turn_id;
  entry.open = true;
  count(entry);
}

void HistoryCache::forget(const std::string& session_id) {
  const std::lock_guard lock(mutex_);
  const auto found = by_session_.find(session_id);
  if (found != by_session_.end()) erase(found->second);
}

std::optional<std::vector<PastTurn>> HistoryCache::find(std::string_view session_id,
                                                        std::int64_t turn_id, std::size_t limit) {
  const std::lock_guard lock(mutex_);
  const Entry* entry = at(session_id, turn_id);
  if (entry == nullptr || !entry->filled || entry->limit != limit) return std::nullopt;
  return entry->turns;
}

void HistoryCache::fill(std::string_view session_id, std::int64_t turn_id, std::size_t limit,
                        const std::vector<PastTurn>& turns) {
  const std::lock_guard lock(mutex_);
  Entry* entry = at(session_id, turn_id);
  if (entry == nullptr) return;
  entry->filled = true;
  entry->limit = limit;
  entry->turns = turns;
  count(*entry);
}

void HistoryCache::ended(const std::string& session_id, std::int64_t turn_id,
                         std::optional<PastTurn> past) {
  const std::lock_guard lock(mutex_);
  Entry* entry = at(session_id, turn_id);
  if (entry == nullptr) {
    const auto found = by_session_.find(session_id);
    if (found != by_session_.end()) erase(found->second);
    return;
  }
  entry->open = false;
  if (!past || !entry->filled) return;
  entry->turns.push_back(*std::move(past));
  if (entry->turns.size() > entry->limit) entry->turns.erase(entry->turns.begin());
  count(*entry);
}

// The session's entry if that turn is its last and has not ended.
HistoryCache::Entry* HistoryCache::at(std::string_view session_id, std::int64_t turn_id) {
  const auto found = by_session_.find(session_id);
  if (found == by_session_.end()) return nullptr;
  Entry& entry = *found->second;
  return entry.open && entry.last_begun == turn_id ? &entry : nullptr;
}

void HistoryCache::erase(Entries::iterator entry) {
  bytes_ -= entry->bytes;
  by_session_.erase(entry->session_id);
  entries_.erase(entry);
}

// Counts the entry's bytes anew; may erase it with others, from the one not used for longest.
void HistoryCache::count(Entry& entry) {
  std::size_t bytes = sizeof entry + 2 * entry.session_id.capacity() + 128;
  for (const PastTurn& turn : entry.turns) bytes += bytes_of(turn);
  bytes_ += bytes - entry.bytes;
  entry.bytes = bytes;
  while (bytes_ > max_bytes_) erase(std::prev(entries_.end()));
}

}  // namespace twinchat
