#include "api/request_id.h"

#include "catch.h"

namespace twinchat::server {
namespace {

TEST_CASE("A request id that is well-formed is kept") {
  for (const std::string& id :
       {std::string("a"), std::string("Req-1_2.3"),
        std::string("80eed4df-02f0-4d0c-ac29-32b408f9cbec"), std::string(64, 'x')}) {
    CHECK(request_id(id) == id);
  }
}

TEST_CASE("Any other request id is replaced by a new one") {
  for (const std::string& id : {std::string(), std::string(65, 'x'), std::string("a b"),
                                std::string("a\nb"), std::string("a/b"), std::string("\xC3\xA9")}) {
    CAPTURE(id);
    const std::string made = request_id(id);
    CHECK(made != id);
    CHECK(made.size() == 32);
    CHECK(made.find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(request_id(id) != made);
  }
}

TEST_CASE("The trace id is taken from a well-formed traceparent only") {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  CHECK(trace_id("00-" + trace + "-00f067aa0ba902b7-01") == trace);
  CHECK(trace_id("cc-" + trace + "-00f067aa0ba902b7-01-what-the-future-brings") == trace);
  for (const std::string& bad :
       {std::string(), std::string("00-" + trace), "00-" + trace + "-00f067aa0ba902b7-0",
        "ff-" + trace + "-00f067aa0ba902b7-01", "00-" + trace + "-0000000000000000-01",
        "00-" + std::string(32, '0') + "-00f067aa0ba902b7-01",
        "00-" + trace + "-00f067aa0ba902b7-01-more", "cc-" + trace + "-00f067aa0ba902b7-01x",
        std::string("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"),
        "00_" + trace + "-00f067aa0ba902b7-01", "0g-" + trace + "-00f067aa0ba902b7-01"}) {
    CAPTURE(bad);
    CHECK(trace_id(bad).empty());
  }
}

}  // namespace
}  // namespace twinchat::server
