#include "log/log.h"

#include <nlohmann/json.hpp>

#include "catch.h"

using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;
using namespace twinchat::server;

namespace {

const std::chrono::system_clock::time_point kTime{1'764'000'000'007ms};
constexpr const char* kTimeText = "2025-11-24T16:00:00.007Z";

AccessEntry entry() {
  return {.method = "POST",
          .route = "/api/chat/message/",
          .request_id = "id-1",
          .trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
          .session = "00000000000000aa",
          .client = "00000000000000bb",
          .status = 200,
          .duration = 12.3456ms,
          .bytes = 321};
}

TEST_CASE("A line about a request is one JSON object with the time in UTC") {
  const std::string line = json_line(kTime, "info", entry());
  CHECK(line == std::string(R"({"time":")") + kTimeText +
                    R"(","level":"info","request_id":"id-1",)"
                    R"("trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","method":"POST",)"
                    R"("route":"/api/chat/message/","status":200,"duration_ms":12.346,"bytes":321,)"
                    R"("session":"00000000000000aa","client":"00000000000000bb"})"
                    "\n");
  const Json bare = Json::parse(json_line(kTime, "warning", AccessEntry{.status = 503}));
  for (const char* absent : {"request_id", "trace_id", "session", "client"}) {
    CHECK_FALSE(bare.contains(absent));
  }
}

TEST_CASE("A line about a request in text has the same in words") {
  CHECK(text_line(kTime, "info", entry()) ==
        std::string(kTimeText) +
            " info POST /api/chat/message/ 200 12.3 ms bytes=321 request=id-1 "
            "session=00000000000000aa client=00000000000000bb "
            "trace=4bf92f3577b34da6a3ce929d0e0e4736\n");
}

TEST_CASE("Whatever is said, it is one line") {
  const std::string said = "one\ntwo\r\x01\xff \"three\"";
  const std::string json = json_line(kTime, "error", said);
  CHECK(json.find('\n') == json.size() - 1);
  CHECK(Json::parse(json)["message"] == "one\ntwo\r\x01\xef\xbf\xbd \"three\"");
  CHECK(text_line(kTime, "error", said) ==
        std::string(kTimeText) + " error one two  \xff \"three\"\n");
}

TEST_CASE("Of a method only what is known is logged") {
  CHECK(method_name("GET") == "GET");
  CHECK(method_name("get") == "_OTHER");
  CHECK(method_name("Visitorwords") == "_OTHER");
  CHECK(method_name("") == "-");
}

}  // namespace
