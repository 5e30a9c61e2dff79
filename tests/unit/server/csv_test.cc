#include "admin/csv.h"

#include "api/refusal.h"
#include "catch.h"

namespace twinchat::server {
namespace {

TEST_CASE("Cells are quoted where they must be") {
  CHECK(csv_line({"a", "", "b c"}) == "a,,b c\r\n");
  CHECK(csv_line({"a,b", "say \"hi\"", "two\nlines"}) ==
        "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\r\n");
  CHECK(csv_begin({"id", "name"}) == "\xEF\xBB\xBFid,name\r\n");
}

TEST_CASE("No cell is a formula") {
  CHECK(csv_line({"=1+1", "+1", "-1", "@x", "\tx", "\rx", "a=1"}) ==
        "\"'=1+1\",\"'+1\",\"'-1\",\"'@x\",\"'\tx\",\"'\rx\",a=1\r\n");
}

TEST_CASE("Exports are csv or json") {
  CHECK(csv_wanted({}));
  CHECK(csv_wanted("csv"));
  CHECK_FALSE(csv_wanted("json"));
  CHECK_THROWS_AS(csv_wanted("xml"), Refusal);
}

}  // namespace
}  // namespace twinchat::server
