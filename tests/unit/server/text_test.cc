#include "text.h"

#include "catch.h"

namespace twinchat::server {
namespace {

TEST_CASE("Trimming takes Unicode white space from both ends and nothing else") {
  CHECK(trim(" \t\r\n x y \v\f") == "x y");
  CHECK(trim("\xC2\xA0\xE2\x80\x83\xE3\x80\x80x\xE2\x80\xA8\xC2\x85\x1C") == "x");
  CHECK(trim("\xE2\x80\x8B") == "\xE2\x80\x8B");  // a zero width space is none
  CHECK(trim(" \xE3\x80\x80 ").empty());
  CHECK(trim("").empty());
  CHECK(trim("\x80 x \xFF") == "\x80 x \xFF");
}

TEST_CASE("UTF-8 is told from what only looks like it") {
  for (const char* good : {"", "a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
                           "\xF4\x8F\xBF\xBF", "\xEF\xBF\xBF"}) {
    CHECK(is_utf8(good));
  }
  for (const char* bad :
       {"\x80", "\xC3", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xE2\x28\xA1", "\xFF"}) {
    CHECK_FALSE(is_utf8(bad));
  }
}

TEST_CASE("Code points are counted, not bytes") {
  CHECK(count_code_points("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80") == 4);
}

TEST_CASE("A UUID has its dashes where they belong") {
  CHECK(is_uuid("123e4567-e89b-42d3-a456-426614174000"));
  CHECK(is_uuid("123E4567-E89B-42D3-A456-426614174000"));
  CHECK_FALSE(is_uuid("123e4567-e89b-42d3-a456-42661417400"));
  CHECK_FALSE(is_uuid("123e4567-e89b-42d3-a456-4266141740000"));
  CHECK_FALSE(is_uuid("123e4567-e89b-42d3-a456-42661417400g"));
  CHECK_FALSE(is_uuid("123e4567ee89b-42d3-a456-426614174000"));
  CHECK_FALSE(is_uuid("{23e4567-e89b-42d3-a456-42661417400}"));
  CHECK_FALSE(is_uuid("5"));
}

TEST_CASE("The last query parameter of a name wins") {
  CHECK(query_value("/p?a=1&b=2&a=3&a=1", "a") == "1");
  CHECK(query_value("/p?a=1%202+3%2B&b", "a") == "1 2 3+");
  CHECK(query_value("/p?b", "b") == "");
  CHECK(query_value("/p?%61=x", "a") == "x");
  CHECK(query_value("/p?a=%zz%4", "a") == "%zz%4");
  CHECK_FALSE(query_value("/p", "a").has_value());
  CHECK_FALSE(query_value("/p?aa=1&&", "a").has_value());
}

TEST_CASE("A list is split, trimmed and rid of empty parts") {
  CHECK(split_list(" a ,b,, c ", ',') == std::vector<std::string>{"a", "b", "c"});
  CHECK(split_list("", ',').empty());
}

}  // namespace
}  // namespace twinchat::server
