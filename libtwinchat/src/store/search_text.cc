#include "store/search_text.h"

#include <algorithm>
#include <cstddef>

namespace twinchat {
namespace {

constexpr std::size_t kMaxWords = 10;
constexpr std::size_t kMaxCharacters = 200;
// Of one word; more do not find less worth mentioning.
constexpr std::size_t kMaxTrigrams = 24;

// The small letter of two-byte UTF-8 code points; others as they are.
unsigned fold_two_bytes(unsigned c) {
  if ((c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9) ||
      (c >= 0x410 && c <= 0x42F)) {
    return c + 32;
  }
  if (c >= 0x400 && c <= 0x40F) return c + 80;
  // Latin Extended-A has its letters in pairs; I with and without a dot are not one.
  const bool even_first = (c >= 0x100 && c <= 0x12F) || (c >= 0x132 && c <= 0x137) ||
                          (c >= 0x14A && c <= 0x177) || (c >= 0x460 && c <= 0x481);
  const bool odd_first = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E);
  if (even_first) return c | 1u;
  if (odd_first) return c + (c & 1u);
  return c;
}

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u;
}

// Where the characters of `text` begin, and its end.
std::vector<std::size_t> character_borders(std::string_view text) {
  std::vector<std::size_t> borders;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_continuation(text[i])) borders.push_back(i);
  }
  borders.push_back(text.size());
  return borders;
}

}  // namespace

std::string folded(std::string_view text) {
  std::string result(text);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const auto c = static_cast<unsigned char>(result[i]);
    if (c >= 'A' && c <= 'Z') {
      result[i] = static_cast<char>(c + 32);
    } else if (c >= 0xC3 && c <= 0xD2 && i + 1 < result.size() && is_continuation(result[i + 1])) {
      const auto next = static_cast<unsigned char>(result[i + 1]);
      const unsigned small = fold_two_bytes((c & 0x1Fu) << 6 | (next & 0x3Fu));
      result[i] = static_cast<char>(0xC0u | small >> 6);
      result[++i] = static_cast<char>(0x80u | (small & 0x3Fu));
    }
  }
  return result;
}

std::string ascii_folded(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return result;
}

std::string digits_of(std::string_view text) {
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits),
               [](char c) { return c >= '0' && c <= '9'; });
  return digits;
}

std::vector<std::string> search_words(std::string_view search) {
  const std::vector<std::size_t> borders = character_borders(search);
  search = search.substr(0, borders[std::min(borders.size() - 1, kMaxCharacters)]);
  std::vector<std::string> words;
  std::string word;
  bool quoted = false;
  const auto end_word = [&] {
    if (!word.empty() && words.size() < kMaxWords) words.push_back(folded(word));
    word.clear();
  };
  for (const char c : search) {
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    if (c == '"') {
      end_word();
      quoted = !quoted;
    } else if (c == '\0' || (space && !quoted)) {
      end_word();
    } else {
      word += c;
    }
  }
  end_word();
  return words;
}

bool holds_all(std::string_view text, const std::vector<std::string>& words) {
  return std::all_of(words.begin(), words.end(), [&](const std::string& word) {
    return text.find(word) != std::string_view::npos;
  });
}

std::string searched_text(std::string_view session_id, std::string_view name,
                          std::string_view email, std::string_view phone) {
  std::string text(session_id);
  for (const std::string_view field : {name, email, phone}) {
    text += '\n';
    text += field;
  }
  return folded(text);
}

bool looks_like_session_id(std::string_view word) {
  return word.size() >= 8 && std::all_of(word.begin(), word.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-';
         });
}

std::vector<std::string> trigrams_of(const std::vector<std::string>& words) {
  std::vector<std::string> trigrams;
  for (const std::string& word : words) {
    const std::vector<std::size_t> borders = character_borders(word);
    for (std::size_t i = 0; i + 3 < borders.size() && i < kMaxTrigrams; ++i) {
      trigrams.push_back(word.substr(borders[i], borders[i + 3] - borders[i]));
    }
  }
  return trigrams;
}

std::string all_of(const std::vector<std::string>& trigrams) {
  std::string query;
  for (const std::string& trigram : trigrams) {
    query += query.empty() ? "\"" : " AND \"";
    for (const char c : trigram) {
      query += c;
      if (c == '"') query += c;
    }
    query += '"';
  }
  return query;
}

}  // namespace twinchat
