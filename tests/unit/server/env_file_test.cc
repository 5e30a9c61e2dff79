#include "config/env_file.h"

#include "catch.h"
#include "config/settings_error.h"

namespace twinchat::server {
namespace {

std::string value_of(std::string_view line) {
  const auto entries = parse_env_file(line, ".env");
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].name == "A");
  return entries[0].value;
}

std::string error_of(std::string_view text) {
  try {
    parse_env_file(text, "settings.env");
  } catch (const SettingsError& e) {
    return e.what();
  }
  FAIL("no error");
  return {};
}

TEST_CASE("An env file's values are read as people write them") {
  const auto [line, value] = GENERATE(table<std::string, std::string>({
      {"A=plain", "plain"},
      {"A=", ""},
      {"  A = spaced out  ", "spaced out"},
      {"\tA\t=\tx", "x"},
      {"export A=x", "x"},
      {"export\t A=x", "x"},
      {"A=x # a comment", "x"},
      {"A=x#no comment", "x#no comment"},
      {"A=# all comment", ""},
      {"A=a=b=c", "a=b=c"},
      {"A='single # quoted'", "single # quoted"},
      {R"(A='it\'s \\ \n $HOME')", R"(it's \ \n $HOME)"},
      {R"(A="tab\t line\n cr\r quote\" backslash\\ dollar\$ other\x")",
       "tab\t line\n cr\r quote\" backslash\\ dollar$ other\\x"},
      {"A=\"x\" # a comment", "x"},
      {"A=\"two\nlines\"", "two\nlines"},
      {"A='two\r\nlines'\r\n", "two\nlines"},
      {"A=it's", "it's"},
      {"A=x\r\n", "x"},
      {"\xEF\xBB\xBF"
       "A=x",
       "x"},
      {"# comment\n\n   \nA=x", "x"},
      {"A=na\xC3\xAFve", "na\xC3\xAFve"},
  }));
  CAPTURE(line);
  CHECK(value_of(line) == value);
}

TEST_CASE("An env file gives every entry with its line, repeated names included") {
  const auto entries = parse_env_file("A=1\n\n# x\nB=\"2\n3\"\nA=4", ".env");
  CHECK(entries == std::vector<EnvEntry>{{"A", "1", 1}, {"B", "2\n3", 4}, {"A", "4", 6}});
}

TEST_CASE("A line that cannot be read is named, its text is not") {
  const std::string text = GENERATE(as<std::string>(), "A=1\nsecret-words\n", "A=1\n=secret-words",
                                    "A=1\n1B=secret-words", "A=1\nB=\"secret-words",
                                    "A=1\nB='x' secret-words", "A=1\nB-C=secret-words");
  CAPTURE(text);
  const std::string error = error_of(text);
  CHECK(error.find("settings.env line 2: ") == 0);
  CHECK(error.find("secret") == std::string::npos);
}

TEST_CASE("An env file that is not text is refused") {
  CHECK(error_of(std::string_view("A=1\0", 4)) == "settings.env is not UTF-8 text");
  CHECK(error_of("A=\xFF") == "settings.env is not UTF-8 text");
}

}  // namespace
}  // namespace twinchat::server
