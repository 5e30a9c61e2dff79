#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "store/postgres_transactions.h"

namespace twinchat::postgres {

// A word of a search, as PostgreSQL is to look for it.
struct SearchWord {
  std::string word = {};  // folded, as search_words() gives it
  // For ILIKE: finds all that folded() finds, and perhaps a little more.
  std::string pattern = {};
  // The same for a rare part of the word, for the index to go by. Empty when there is none.
  std::string key = {};
};

// Where a word was found: the sessions, or nothing when there are too many to name.
struct Whereabouts {
  SearchWord word;
  std::optional<std::unordered_set<std::int64_t>> sessions = {};
};

// Looks for words in the fields of sessions and in messages, by the trigram indexes. Such an index
// is asked for rare words only: for others it would collect millions of rows before the first one
// is seen. How rare a word is tells a sample of the rows; what takes too long all the same is given
// up, and those words count as being everywhere. Without the extension all words are everywhere.
//
// What PostgreSQL's ILIKE takes for the same letter depends on the locale of the database. So it is
// only asked for candidates: whatever is found is looked at again with folded(). Letters that the
// database does not fold as folded() does, it is not asked for.
//
// Thread safety: every function may be called from any number of threads at once.
class Search {
 public:
  // Keeps the reference.
  explicit Search(Transactions& transactions) : transactions_(transactions) {}

  // The words of a search in messages, or in the fields of sessions and, if wanted, in messages. A
  // word that PostgreSQL cannot hold, and that is therefore nowhere, has an empty pattern.
  enum class In { kFields, kMessages, kBoth };
  std::vector<SearchWord> words(std::string_view search, In where);

  // Where each of them is, in the fields of sessions and, if wanted, in messages.
  std::vector<Whereabouts> look_for(std::vector<SearchWord> words, bool in_messages);

 private:
  // What the database can do.
  struct Known {
    bool has_indexes = false;
    std::unordered_set<std::string> unlike;  // small letters that ILIKE does not find by
  };
  // Some rows, folded.
  struct Sample {
    std::vector<std::string> sessions;  // as searched_text()
    std::vector<std::string> messages;
    std::int64_t newest_message = 0;
    Clock::time_point at;
  };

  Known known(Connection& connection);
  std::shared_ptr<const Sample> sample();
  std::optional<std::unordered_set<std::int64_t>> find(const SearchWord& word, bool in_messages);

  Transactions& transactions_;
  std::mutex mutex_;
  std::optional<Known> known_;            // guarded by it
  std::shared_ptr<const Sample> sample_;  // likewise
};

// All SQL of postgres_search.cc; see schema_statements().
std::vector<std::string> search_statements();

}  // namespace twinchat::postgres
