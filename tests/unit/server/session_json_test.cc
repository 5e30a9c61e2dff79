#include "api/session_json.h"

#include "catch.h"

namespace twinchat::server {
namespace {

using namespace std::chrono;

TEST_CASE("Times are UTC with microseconds and Z") {
  const Timestamp time = sys_days(2026y / 11 / 23) + 6h + 45min + 47s + 177450us;
  CHECK(to_text(time) == "2026-11-23T06:45:47.177450Z");
  CHECK(to_text(Timestamp{}) == "1970-01-01T00:00:00.000000Z");
  CHECK(to_text(Timestamp{-1us}) == "1969-12-31T23:59:59.999999Z");
}

TEST_CASE("A session is shown with its fields in the prototype's order") {
  Session session;
  session.id = 7;
  session.session_id = "s";
  session.user.name = "Zo\xC3\xAB";
  session.user.email = "";
  CHECK(
      to_text(to_json(session, {{.id = 1, .text = "Hi", .is_bot = true, .created_at = {}}})) ==
      R"({"id":7,"session_id":"s","user_name":"Zoë","user_email":"","user_phone":null,)"
      R"("messages":[{"id":1,"content":"Hi","is_bot":true,"created_at":"1970-01-01T00:00:00.000000Z"}],)"
      R"("created_at":"1970-01-01T00:00:00.000000Z","updated_at":"1970-01-01T00:00:00.000000Z"})");
}

TEST_CASE("A session without messages has an empty list of them") {
  CHECK(to_json(Session{}, {})["messages"] == Json::array());
}

}  // namespace
}  // namespace twinchat::server
