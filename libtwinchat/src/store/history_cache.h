#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "twinchat/store.h"

namespace twinchat {

// The past turns of the sessions that are being talked in, so that they are not read again, out of
// as many places of the database, for every message.
//
// An entry follows its session from turn to turn and is believed only while nobody else has written
// to the database: begun() says which state of it the turn began in, as a number that changes with
// every commit of others. Whatever is not the plain course of things (a turn resumed, two turns of
// a session at the same time) ends the entry.
//
// Thread safety: every function may be called from any thread.
class HistoryCache {
 public:
  // Keeps about so many bytes of text, the sessions that were talked in last.
  explicit HistoryCache(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  // A new turn began in the session; called once it is committed.
  void begun(const std::string& session_id, std::int64_t turn_id, std::uint64_t state);
  // The session's turns were changed in another way than by the functions here.
  void forget(const std::string& session_id);

  // The turns before `turn_id`, which is the last that began, if they are known for this limit.
  std::optional<std::vector<PastTurn>> find(std::string_view session_id, std::int64_t turn_id,
                                            std::size_t limit);
  // They were read.
  void fill(std::string_view session_id, std::int64_t turn_id, std::size_t limit,
            const std::vector<PastTurn>& turns);
  // The turn ended, as committed; `past` is what later turns get to see of it, nothing when they do
  // not.
  void ended(const std::string& session_id, std::int64_t turn_id, std::optional<PastTurn> past);

 private:
  struct Entry {
    std::string session_id;
    std::uint64_t state = 0;
    std::int64_t last_begun = 0;
    bool open = false;    // the last turn that began has not ended
    bool filled = false;  // `turns` are known, for `limit`
    std::size_t limit = 0;
    std::vector<PastTurn> turns = {};
    std::size_t bytes = 0;
  };
  using Entries = std::list<Entry>;

  Entry* at(std::string_view session_id, std::int64_t turn_id);
  void erase(Entries::iterator entry);
  void count(Entry& entry);

  const std::size_t max_bytes_;
  std::mutex mutex_;
  // All guarded by mutex_.
  Entries entries_;  // the one used last in front
  std::unordered_map<std::string_view, Entries::iterator> by_session_;  // keys are the entries' own
  std::size_t bytes_ = 0;
};

}  // namespace twinchat
