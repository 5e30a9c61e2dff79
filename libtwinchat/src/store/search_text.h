#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace twinchat {

// `text` without regard to case: Latin, Greek and Cyrillic letters made small. Bytes that are not
// UTF-8 stay as they are.
std::string folded(std::string_view text);

// ASCII letters made small, as SQLite's lower() and NOCASE do.
std::string ascii_folded(std::string_view text);

// The digits of a phone number.
std::string digits_of(std::string_view text);

// The words of a search, folded: at most 10, of at most 200 characters in all. What stands between
// double quotes is one word.
std::vector<std::string> search_words(std::string_view search);

// Whether the folded `text` holds every word.
bool holds_all(std::string_view text, const std::vector<std::string>& words);

// What a search in sessions looks at beside messages: the fields, folded and kept apart.
std::string searched_text(std::string_view session_id, std::string_view name,
                          std::string_view email, std::string_view phone);

// Whether the (folded) word may stand for a session: eight or more hexadecimal digits and dashes.
bool looks_like_session_id(std::string_view word);

// The trigrams of the words, as an FTS5 trigram index has them; not all of a very long word.
std::vector<std::string> trigrams_of(const std::vector<std::string>& words);

// The query of such an index for what holds all of them; empty for none.
std::string all_of(const std::vector<std::string>& trigrams);

}  // namespace twinchat
