#include "twinchat/session.h"

#include <set>
#include <string>
#include <vector>

#include "catch.h"
#include "fingerprint.h"
#include "text.h"

using namespace twinchat;

namespace {

std::string repeated(const std::string& text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

std::vector<std::string> fields_with_problems(const UserDetailsUpdate& update) {
  std::vector<std::string> fields;
  for (const FieldProblem& problem : problems(update)) {
    CHECK_FALSE(problem.message.empty());
    fields.push_back(problem.field);
  }
  return fields;
}

bool is_good_email(const std::string& email) {
  return problems({.email = email}).empty();
}

}  // namespace

TEST_CASE("Code points are counted, and what is not UTF-8 has none") {
  struct Row {
    std::string text;
    std::optional<std::size_t> count;
  };
  for (const Row& row : std::vector<Row>{
           {"", 0},
           {"abc", 3},
           {std::string(1, '\0'), 1},
           {"\x7F", 1},
           {"\xC2\x80", 1},
           {"\xDF\xBF", 1},
           {"\xE0\xA0\x80", 1},
           {"\xED\x9F\xBF", 1},
           {"\xEE\x80\x80", 1},
           {"\xEF\xBF\xBF", 1},
           {"\xF0\x90\x80\x80", 1},
           {"\xF4\x8F\xBF\xBF", 1},
           {"a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z", 5},
           {"e\xCC\x81", 2},  // a letter and its accent are two
           {"\x80", {}},      // a continuation alone
           {"\xBF", {}},
           {"\xC0\x80", {}},  // NUL, overlong
           {"\xC1\xBF", {}},
           {"\xC3", {}},  // cut
           {"\xC3z", {}},
           {"\xE0\x80\x80", {}},  // overlong
           {"\xE0\x9F\xBF", {}},
           {"\xE2\x82", {}},
           {"\xE2\x82z", {}},
           {"\xED\xA0\x80", {}},  // a surrogate
           {"\xED\xBF\xBF", {}},
           {"\xF0\x80\x80\x80", {}},  // overlong
           {"\xF0\x8F\xBF\xBF", {}},
           {"\xF0\x9F\x98", {}},
           {"\xF4\x90\x80\x80", {}},  // above U+10FFFF
           {"\xF5\x80\x80\x80", {}},
           {"\xFE", {}},
           {"\xFF", {}},
           {"fine until \xFF here", {}},
       }) {
    INFO(row.text);
    CHECK(count_code_points(row.text) == row.count);
  }
}

TEST_CASE("Every code point counts as one, in its only form") {
  for (std::uint32_t point = 0; point <= 0x10FFFF; ++point) {
    if (point >= 0xD800 && point <= 0xDFFF) continue;
    const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
    std::string text;
    if (point < 0x80) {
      text = {byte(point)};
    } else if (point < 0x800) {
      text = {byte(0xC0 | point >> 6), byte(0x80 | (point & 0x3F))};
    } else if (point < 0x10000) {
      text = {byte(0xE0 | point >> 12), byte(0x80 | (point >> 6 & 0x3F)),
              byte(0x80 | (point & 0x3F))};
    } else {
      text = {byte(0xF0 | point >> 18), byte(0x80 | (point >> 12 & 0x3F)),
              byte(0x80 | (point >> 6 & 0x3F)), byte(0x80 | (point & 0x3F))};
    }
    if (count_code_points(text) != 1u) FAIL("U+" << std::hex << point);
    if (text.size() > 1 && count_code_points(text.substr(0, text.size() - 1))) {
      FAIL("cut U+" << std::hex << point);
    }
  }
}

TEST_CASE("Details are measured in code points") {
  const std::string emoji = "\xF0\x9F\x98\x80";
  CHECK(problems({.name = repeated(emoji, 255)}).empty());
  CHECK(fields_with_problems({.name = repeated(emoji, 256)}) == std::vector<std::string>{"name"});
  CHECK(problems({.phone = repeated(emoji, 20)}).empty());
  CHECK(fields_with_problems({.phone = repeated(emoji, 21)}) == std::vector<std::string>{"phone"});
  CHECK(problems({.name = std::string(255, 'x')}).empty());
  CHECK(problems({.name = std::string(256, 'x')}) ==
        std::vector<FieldProblem>{{"name", "Ensure this field has no more than 255 characters."}});

  const std::string host = repeated(std::string(62, 'a') + ".", 3) + "com";  // 192
  CHECK(is_good_email(std::string(61, 'x') + "@" + host));                   // 254
  CHECK_FALSE(is_good_email(std::string(62, 'x') + "@" + host));
}

TEST_CASE("What is not given, cleared or empty has no problem") {
  CHECK(problems({}).empty());
  CHECK(problems({.name = nullptr, .email = nullptr, .phone = nullptr}).empty());
  CHECK(problems({.name = "", .email = "", .phone = ""}).empty());
}

TEST_CASE("Texts with NUL or bytes that are not UTF-8 have a problem in every field") {
  for (const std::string& bad :
       {std::string("a\0b", 3), std::string(1, '\0'), std::string("jane@example.com\0", 17)}) {
    CHECK_FALSE(problems({.name = bad}).empty());
    CHECK_FALSE(problems({.email = bad}).empty());
    CHECK_FALSE(problems({.phone = bad}).empty());
  }
  for (const std::string bad : {"\xFF", "a\xC3", "jane@ex\xC3mple.com"}) {
    CHECK(fields_with_problems({.name = bad, .email = bad, .phone = bad}) ==
          std::vector<std::string>{"name", "email", "phone"});
  }
}

TEST_CASE("All problems are told at once") {
  CHECK(fields_with_problems(
            {.name = std::string(300, 'x'), .email = "nobody", .phone = std::string(21, '1')}) ==
        std::vector<std::string>{"name", "email", "phone"});
}

TEST_CASE("E-mail addresses that people have are taken") {
  for (const char* email : {
           "jane@example.com",
           "JANE@EXAMPLE.COM",
           "jane.doe@example.com",
           "jane+chat@example.co.uk",
           "j@x.io",
           "1234@56.com",
           "o'brien@example.ie",
           "a!#$%&'*+-/=?^_`{|}~b@example.com",
           "jane@sub-domain.example.com",
           "jane@1and1.de",
           "jane@xn--bcher-kva.example",
           "jane@b\xC3\xBC"
           "cher.example",
           "jane@example.xn--p1ai",
           "_@example.com",
           "-@example.com",
       }) {
    INFO(email);
    CHECK(is_good_email(email));
  }
  CHECK(is_good_email(std::string(64, 'x') + "@example.com"));
  CHECK(is_good_email("x@" + std::string(63, 'a') + ".com"));
}

TEST_CASE("What is no e-mail address is refused") {
  for (const char* email : {
           " ",
           "jane",
           "@",
           "jane@",
           "@example.com",
           "jane@example",
           "jane@@example.com",
           "jane@doe@example.com",
           "jane @example.com",
           " jane@example.com",
           "jane@example.com ",
           "jane@exam ple.com",
           "jane@example.com\n",
           "jane@example.com\r\nBcc: x@y.com",
           "jane\t@example.com",
           ".jane@example.com",
           "jane.@example.com",
           "ja..ne@example.com",
           "jane@.example.com",
           "jane@example.com.",
           "jane@example..com",
           "jane@-example.com",
           "jane@example-.com",
           "jane@exa_mple.com",
           "jane@example.c",
           "jane@127.0.0.1",
           "jane@[127.0.0.1]",
           "jane@example.123",
           "\"jane doe\"@example.com",
           "jane,joe@example.com",
           "jane;joe@example.com",
           "Jane <jane@example.com>",
           "jane(comment)@example.com",
           "j\xC3\xA4ne@example.com",
           "jane@example.com,",
           "jane@example/com",
           "jane@example.com:25",
       }) {
    INFO(email);
    CHECK(problems({.email = email}) ==
          std::vector<FieldProblem>{{"email", "Enter a valid email address."}});
  }
  CHECK_FALSE(is_good_email(std::string(65, 'x') + "@example.com"));
  CHECK_FALSE(is_good_email("x@" + std::string(64, 'a') + ".com"));
}

TEST_CASE("A change of details touches what it names and nothing else") {
  UserDetails details{.name = "Jane", .email = "j@example.com", .phone = {}};
  UserDetailsUpdate{}.apply_to(details);
  CHECK(details == UserDetails{.name = "Jane", .email = "j@example.com", .phone = {}});
  UserDetailsUpdate{.email = nullptr, .phone = ""}.apply_to(details);
  CHECK(details == UserDetails{.name = "Jane", .email = {}, .phone = ""});
  UserDetailsUpdate{.name = "Joe"}.apply_to(details);
  CHECK(details.name == "Joe");
  CHECK(UserDetailsUpdate{}.empty());
  CHECK_FALSE(UserDetailsUpdate{.phone = nullptr}.empty());
}

TEST_CASE("Requests that differ anywhere have different fingerprints") {
  const std::vector<std::string> texts{
      "",    "a",  "b",  "ab",  "a\n",  " a",  std::string("a\0", 2),
      "1:a", "0:", "a-", "a--", "a---", "=1:a"};
  const std::vector<FieldUpdate> values{{},  nullptr, "",  "a",   "b",   "ab",
                                        "-", "0",     "=", "1:a", "0:-", "a=1:b"};
  std::set<std::string> seen;
  std::size_t count = 0;
  for (const std::string& text : texts) {
    for (const FieldUpdate& name : values) {
      for (const FieldUpdate& email : values) {
        for (const FieldUpdate& phone : values) {
          seen.insert(fingerprint(text, {.name = name, .email = email, .phone = phone}));
          ++count;
        }
      }
    }
  }
  CHECK(seen.size() == count);
  for (const std::string& print : seen) {
    REQUIRE(print.size() == 32);
    REQUIRE(print.find_first_not_of("0123456789abcdef") == std::string::npos);
  }
}

TEST_CASE("The same request has the same fingerprint, now and in later versions") {
  CHECK(fingerprint("Hello", {.name = "Jane"}) == fingerprint("Hello", {.name = "Jane"}));
  // They are stored: another way to compute them would refuse retries over an update.
  CHECK(fingerprint("Hello", {}) == "1e03ea03a3e420d43571518b22cf2a63");
  CHECK(fingerprint("Hello", {.name = "Jane", .email = nullptr, .phone = ""}) ==
        "4cab2173592efaec839ee797fa36731a");
}

TEST_CASE("Every status of a turn has a name of its own") {
  std::set<std::string> names;
  for (const TurnStatus status :
       {TurnStatus::kPending, TurnStatus::kComplete, TurnStatus::kTruncated, TurnStatus::kBlocked,
        TurnStatus::kEmpty, TurnStatus::kFailed, TurnStatus::kCancelled,
        TurnStatus::kInterrupted}) {
    names.insert(to_string(status));
  }
  CHECK(names == std::set<std::string>{"pending", "complete", "truncated", "blocked", "empty",
                                       "failed", "cancelled", "interrupted"});
}
