#include "store/postgres_search.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>

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
// $1 is for the index, $2 for what it found. Without MATERIALIZED, the limit would make it look as
// if reading the table were cheaper.
constexpr char kFindSessions[] =
    "WITH f AS MATERIALIZED (SELECT id, session_id, user_name, user_email, user_phone FROM "
    "chat_chatsession WHERE session_id ILIKE $1 OR user_name ILIKE $1 OR user_email ILIKE $1 OR "
    "user_phone ILIKE $1) SELECT id, session_id, user_name, user_email, user_phone FROM f WHERE "
    "session_id ILIKE $2 OR user_name ILIKE $2 OR user_email ILIKE $2 OR user_phone ILIKE $2 LIMIT "
    "$3";
constexpr char kFindInMessages[] =
    "WITH f AS MATERIALIZED (SELECT session_id, content FROM chat_message WHERE content ILIKE $1) "
    "SELECT session_id, content FROM f WHERE content ILIKE $2 LIMIT $3";

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

bool is_separator(const std::string& c) {
  return c.size() == 1 && !(c[0] >= 'a' && c[0] <= 'z') && !(c[0] >= '0' && c[0] <= '9');
}

// The parts of a word that trigrams are taken from, as far as is known here: what stands between
// ASCII characters that are neither letters nor digits. Each with its neighbours, which say that it
// ends there.
std::vector<std::vector<std::string>> parts_of(const std::vector<std::string>& characters) {
  std::vector<std::vector<std::string>> parts;
  for (std::size_t i = 0; i < characters.size();) {
    if (is_separator(characters[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < characters.size() && !is_separator(characters[end])) ++end;
    const std::size_t from = i > 0 ? i - 1 : i;
    const std::size_t to = std::min(end + 1, characters.size());
    parts.emplace_back(characters.begin() + static_cast<std::ptrdiff_t>(from),
                       characters.begin() + static_cast<std::ptrdiff_t>(to));
    i = end;
  }
  return parts;
}

// Of how many in a hundred texts an index holds all trigrams of the part: so many it has to
// collect.
std::size_t in_a_hundred(const std::vector<std::string>& texts, const std::string& part) {
  if (texts.empty()) return 0;
  const std::vector<std::string> trigrams = trigrams_of({part});
  const auto found = std::count_if(texts.begin(), texts.end(), [&](const std::string& text) {
    return holds_all(text, trigrams);
  });
  return (static_cast<std::size_t>(found) * 100 + texts.size() - 1) / texts.size();
}

// The pattern of these characters, and what of them is left to take trigrams from.
std::pair<std::string, std::string> pattern_of(const std::vector<std::string>& characters,
                                               const std::unordered_set<std::string>& unlike) {
  std::string pattern(1, '%');
  std::string left;
  for (const std::string& c : characters) {
    if (unlike.contains(c)) {
      left += ' ';
      pattern += '_';
      continue;
    }
    left += c;
    if (c == "\\" || c == "%" || c == "_") pattern += '\\';
    pattern += c;
  }
  pattern += '%';
  return {pattern, left};
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

std::vector<SearchWord> Search::words(std::string_view search, In where) {
  struct Part {
    std::size_t word;
    std::string text;
    std::string pattern;
  };
  std::vector<SearchWord> found;
  for (std::string& word : search_words(search)) found.push_back({std::move(word)});
  if (found.empty()) return found;
  const auto rows = sample();
  transactions_.read([&](Connection& connection) {
    const Known database = known(connection);
    std::vector<Part> parts;
    std::vector<std::string> left;
    for (std::size_t i = 0; i < found.size(); ++i) {
      SearchWord& word = found[i];
      word.pattern.clear();
      word.key.clear();
      if (!is_storable(word.word)) continue;
      const std::vector<std::string> characters = characters_of(word.word);
      word.pattern = pattern_of(characters, database.unlike).first;
      // What stands in two lines could stand in two fields.
      if (!database.has_indexes || word.word.find('\n') != std::string::npos) continue;
      for (const std::vector<std::string>& part : parts_of(characters)) {
        std::string text;
        for (const std::string& c : part) text += is_separator(c) ? std::string() : c;
        auto [pattern, rest] = pattern_of(part, database.unlike);
        parts.push_back({i, std::move(text), std::move(pattern)});
        left.push_back(std::move(rest));
      }
    }
    Query query(connection, kHaveTrigrams);
    query.bind(left);
    std::vector<std::size_t> best(found.size(), SIZE_MAX);
    for (const Part& part : parts) {
      if (!query.step() || !query.boolean(0)) continue;
      std::size_t often = 0;
      if (where != In::kMessages) often = in_a_hundred(rows->sessions, part.text);
      if (where != In::kFields) often = std::max(often, in_a_hundred(rows->messages, part.text));
      const bool few = rows->newest_message <= kFewMessages;
      // Of parts that are as rare the longest.
      if ((often <= kRareInAHundred || few) &&
          (often < best[part.word] ||
           (often == best[part.word] && part.pattern.size() > found[part.word].key.size()))) {
        best[part.word] = often;
        found[part.word].key = part.pattern;
      }
    }
    return true;
  });
  return found;
}

std::optional<std::unordered_set<std::int64_t>> Search::find(const SearchWord& word,
                                                             bool in_messages) {
  std::unordered_set<std::int64_t> sessions;
  if (word.pattern.empty()) return sessions;
  if (word.key.empty()) return std::nullopt;
  const auto limit = static_cast<std::int64_t>(kManyFound + 1);
  try {
    const bool all = transactions_.snapshot([&](Connection& connection) {
      sessions.clear();
      connection.allow(kLongest);
      std::size_t seen = 0;
      Query in_fields(connection, kFindSessions);
      in_fields.bind(word.key).bind(word.pattern).bind(limit);
      while (in_fields.step()) {
        if (++seen > kManyFound) return false;
        if (searched_text_of(in_fields, 1).find(word.word) != std::string::npos) {
          sessions.insert(in_fields.integer(0));
        }
      }
      if (!in_messages) return true;
      seen = 0;
      Query in_texts(connection, kFindInMessages);
      in_texts.bind(word.key).bind(word.pattern).bind(limit);
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

std::vector<std::string> search_statements() {
  return {kUnlike,         kHaveTrigrams, kNewest,        kSampleSessions,
          kSampleMessages, kFindSessions, kFindInMessages};
}

}  // namespace twinchat::postgres
