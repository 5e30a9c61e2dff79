#include "store/postgres_search.h"

#include <algorithm>
#include <chrono>

#include "store/postgres_schema.h"
#include "store/search_text.h"

namespace twinchat::postgres {
namespace {

// Which of these pairs are not the same letter to ILIKE, by their place.
constexpr char kUnlike[] =
    "SELECT u.n FROM unnest($1, $2) WITH ORDINALITY AS u(big, small, n) WHERE NOT u.big ILIKE "
    "u.small";
// Trigrams are taken from letters and digits that follow one another.
constexpr char kHaveTrigrams[] =
    "SELECT u.text ~ '[[:alnum:]]{3}' FROM unnest($1) WITH ORDINALITY AS u(text, n) ORDER BY u.n";
constexpr char kNewest[] =
    "SELECT coalesce((SELECT max(id) FROM chat_chatsession), 0), coalesce((SELECT max(id) FROM "
    "chat_message), 0)";
constexpr char kSampleSessions[] =
    "SELECT session_id, user_name, user_email, user_phone FROM chat_chatsession WHERE id >= $1 "
    "ORDER BY id LIMIT $2";
constexpr char kSampleMessages[] =
    "SELECT content FROM chat_message WHERE id >= $1 ORDER BY id LIMIT $2";
// Without MATERIALIZED, the limit would make it look as if reading the table were cheaper.
constexpr char kFindSessions[] =
    "WITH f AS MATERIALIZED (SELECT id, session_id, user_name, user_email, user_phone FROM "
    "chat_chatsession WHERE session_id ILIKE $1 OR user_name ILIKE $1 OR user_email ILIKE $1 OR "
    "user_phone ILIKE $1) SELECT id, session_id, user_name, user_email, user_phone FROM f LIMIT $2";
constexpr char kFindInMessages[] =
    "WITH f AS MATERIALIZED (SELECT session_id, content FROM chat_message WHERE content ILIKE $1) "
    "SELECT session_id, content FROM f LIMIT $2";

// From so many found rows on a word counts as one that is everywhere.
constexpr std::size_t kManyFound = 2'000;
constexpr std::chrono::milliseconds kLongest{250};
// Taken in two places each.
constexpr std::int64_t kSampledSessions = 100;
constexpr std::int64_t kSampledMessages = 300;
constexpr std::size_t kRareInAHundred = 1;
constexpr std::chrono::seconds kSampleLasts{30};
// Where there are no more, every word is as good as rare.
constexpr std::int64_t kFewMessages = 20'000;

struct Letter {
  std::string big;
  std::string small;
  std::string letter;  // that is not to be asked for when those two differ
};

std::string utf8(unsigned c) {
  if (c < 0x80) return std::string(1, static_cast<char>(c));
  return {static_cast<char>(0xC0u | c >> 6), static_cast<char>(0x80u | (c & 0x3Fu))};
}

// All that folded() makes small.
std::vector<Letter> letters() {
  std::vector<Letter> all;
  for (unsigned c = 'A'; c < 0x500; ++c) {
    const std::string big = utf8(c);
    const std::string small = folded(big);
    if (small != big) all.push_back({big, small, small});
  }
  // Some locales have another one at the end of a word.
  all.push_back({"\xCE\x91\xCE\xA3", "\xCE\xB1\xCF\x83", "\xCF\x83"});
  return all;
}

// The characters of `word`.
std::vector<std::string> characters_of(const std::string& word) {
  std::vector<std::string> all;
  for (const char c : word) {
    if ((static_cast<unsigned char>(c) & 0xC0u) != 0x80u || all.empty()) all.emplace_back();
    all.back() += c;
  }
  return all;
}

// How many of the texts hold all of those words' trigrams, which says more than the words: it is
// what the index has to collect.
bool rare_in(const std::vector<std::string>& texts, const std::vector<std::string>& words) {
  const std::vector<std::string> trigrams = trigrams_of(words);
  const auto found = std::count_if(texts.begin(), texts.end(), [&](const std::string& text) {
    return holds_all(text, trigrams);
  });
  return static_cast<std::size_t>(found) * 100 <= texts.size() * kRareInAHundred;
}

std::string searched_text_of(const Query& query, int column) {
  return searched_text(query.text(column), query.text(column + 1), query.text(column + 2),
                       query.text(column + 3));
}

}  // namespace

Search::Known Search::known(Connection& connection) {
  {
    const std::lock_guard lock(mutex_);
    if (known_ && known_->has_indexes) return *known_;
  }
  Known known;
  known.has_indexes = has_search_indexes(connection);
  const std::vector<Letter> all = letters();
  std::vector<std::string> big;
  std::vector<std::string> small;
  for (const Letter& letter : all) {
    big.push_back(letter.big);
    small.push_back(letter.small);
  }
  Query query(connection, kUnlike);
  query.bind(big).bind(small);
  while (query.step()) {
    known.unlike.insert(all.at(static_cast<std::size_t>(query.integer(0)) - 1).letter);
  }
  const std::lock_guard lock(mutex_);
  known_ = known;
  return known;
}

std::vector<SearchWord> Search::words(std::string_view search) {
  std::vector<SearchWord> found;
  for (std::string& word : search_words(search)) found.emplace_back().word = std::move(word);
  if (found.empty()) return found;
  transactions_.read([&](Connection& connection) {
    const Known database = known(connection);
    std::vector<std::string> runs;
    for (SearchWord& word : found) {
      std::string& run = runs.emplace_back();
      word.pattern.clear();
      if (!is_storable(word.word)) continue;
      word.pattern += '%';
      for (const std::string& c : characters_of(word.word)) {
        if (database.unlike.contains(c)) {
          run += ' ';
          word.pattern += '_';
          continue;
        }
        run += c;
        if (c == "\\" || c == "%" || c == "_") word.pattern += '\\';
        word.pattern += c;
      }
      word.pattern += '%';
    }
    Query query(connection, kHaveTrigrams);
    query.bind(runs);
    // What stands in two lines could stand in two fields.
    for (SearchWord& word : found) {
      word.has_trigrams = query.step() && query.boolean(0) && database.has_indexes &&
                          word.word.find('\n') == std::string::npos;
    }
    return true;
  });
  return found;
}

std::shared_ptr<const Search::Sample> Search::sample() {
  {
    const std::lock_guard lock(mutex_);
    if (sample_ && Clock::now() - sample_->at < kSampleLasts) return sample_;
  }
  auto taken = transactions_.read([](Connection& connection) {
    auto rows = std::make_shared<Sample>();
    Query newest(connection, kNewest);
    newest.step();
    const std::int64_t session = newest.integer(0);
    rows->newest_message = newest.integer(1);
    for (const std::int64_t from : {session - kSampledSessions, session / 2}) {
      Query query(connection, kSampleSessions);
      query.bind(from).bind(kSampledSessions);
      while (query.step()) rows->sessions.push_back(searched_text_of(query, 0));
    }
    for (const std::int64_t from :
         {rows->newest_message - kSampledMessages, rows->newest_message / 2}) {
      Query query(connection, kSampleMessages);
      query.bind(from).bind(kSampledMessages);
      while (query.step()) rows->messages.push_back(folded(query.text(0)));
    }
    rows->at = Clock::now();
    return std::shared_ptr<const Sample>(std::move(rows));
  });
  const std::lock_guard lock(mutex_);
  sample_ = taken;
  return taken;
}

std::optional<std::unordered_set<std::int64_t>> Search::find(const SearchWord& word,
                                                             bool in_messages) {
  std::unordered_set<std::int64_t> sessions;
  if (word.pattern.empty()) return sessions;
  if (!word.has_trigrams) return std::nullopt;
  const auto rows = sample();
  if (rows->newest_message > kFewMessages) {
    if (!rare_in(rows->sessions, {word.word})) return std::nullopt;
    if (in_messages && !rare_in(rows->messages, {word.word})) return std::nullopt;
  }
  const auto limit = static_cast<std::int64_t>(kManyFound + 1);
  try {
    const bool all = transactions_.snapshot([&](Connection& connection) {
      sessions.clear();
      connection.allow(kLongest);
      std::size_t seen = 0;
      Query in_fields(connection, kFindSessions);
      in_fields.bind(word.pattern).bind(limit);
      while (in_fields.step()) {
        if (++seen > kManyFound) return false;
        if (searched_text_of(in_fields, 1).find(word.word) != std::string::npos) {
          sessions.insert(in_fields.integer(0));
        }
      }
      if (!in_messages) return true;
      seen = 0;
      Query in_texts(connection, kFindInMessages);
      in_texts.bind(word.pattern).bind(limit);
      while (in_texts.step()) {
        if (++seen > kManyFound) return false;
        if (folded(in_texts.text(1)).find(word.word) != std::string::npos) {
          sessions.insert(in_texts.integer(0));
        }
      }
      return true;
    });
    if (!all) return std::nullopt;
    return sessions;
  } catch (const SqlError& error) {
    if (!error.timed_out()) throw;
    return std::nullopt;
  }
}

std::vector<Whereabouts> Search::look_for(std::vector<SearchWord> words, bool in_messages) {
  std::vector<Whereabouts> found;
  for (SearchWord& word : words) {
    auto sessions = find(word, in_messages);
    const bool nowhere = sessions && sessions->empty();
    found.push_back({std::move(word), std::move(sessions)});
    // Then the others make no difference.
    if (nowhere) break;
  }
  return found;
}

bool Search::are_rare(const std::vector<SearchWord>& words) {
  std::vector<std::string> useful;
  for (const SearchWord& word : words) {
    if (word.has_trigrams) useful.push_back(word.word);
  }
  if (useful.empty()) return false;
  const auto rows = sample();
  return rows->newest_message <= kFewMessages || rare_in(rows->messages, useful);
}

std::vector<std::string> search_statements() {
  return {kUnlike,         kHaveTrigrams, kNewest,        kSampleSessions,
          kSampleMessages, kFindSessions, kFindInMessages};
}

}  // namespace twinchat::postgres
