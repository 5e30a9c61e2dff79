// What operators do with sessions and messages through the API.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "admin_server.h"
#include "catch.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

using Strings = std::vector<std::string>;

const std::string kSessions = "/api/admin/sessions/";
const std::string kMessages = "/api/admin/messages/";

// A server with a superuser who is logged in.
struct Fixture {
  ChatServer server;
  AdminClient boss{server};

  explicit Fixture(ChatServerOptions options = {}) : server(std::move(options)) {
    make_superuser(server, "boss");
    boss.log_in("boss");
  }

  // A session with details in which that was asked.
  std::string chat(const Json& details, const Strings& questions) {
    const std::string id = json_of(server.post("/api/chat/sessions/create_session/",
                                               Json{{"user_details", details}}.dump()))
                               .at("session_id");
    for (const std::string& question : questions) REQUIRE(server.ask(id, question).status == 200);
    return id;
  }
};

Strings ids(const Json& page) {
  Strings found;
  for (const Json& row : page.at("results")) found.push_back(row.at("session_id"));
  return found;
}

TEST_CASE("Sessions are listed, searched, filtered and paged", "[storage]") {
  Fixture admin;
  const std::string jane =
      admin.chat({{"name", "Jane"}, {"email", "jane@example.com"}}, {"Can I eat mangos?"});
  const std::string john = admin.chat({{"name", "John"}, {"phone", "+1 555"}}, {});
  const std::string none = admin.chat(Json::object(), {});
  const Json all = admin.boss.read(kSessions);
  CHECK(ids(all) == Strings{none, john, jane});
  CHECK(all.at("count") == 3);
  CHECK(all.at("total") == 3);
  CHECK(all.at("count_exact") == true);
  CHECK(all.at("complete") == true);
  CHECK(all.at("next").is_null());
  const Json row = all.at("results").at(2);
  CHECK(row.at("user_name") == "Jane");
  CHECK(row.at("message_count") == 2);
  CHECK(row.at("is_lead") == true);
  CHECK(row.at("last_message").at("is_bot") == true);
  CHECK(all.at("results").at(0).at("last_message").is_null());

  CHECK(ids(admin.boss.read(kSessions + "?q=MANGOS")) == Strings{jane});
  CHECK(ids(admin.boss.read(kSessions + "?q=%22can+i+eat%22+jane")) == Strings{jane});
  CHECK(ids(admin.boss.read(kSessions + "?leads=1")) == Strings{john, jane});
  CHECK(ids(admin.boss.read(kSessions + "?created=today&sort=name")) == Strings{none, jane, john});
  CHECK(ids(admin.boss.read(kSessions + "?created_to=2020-01-01")).empty());
  const Json first = admin.boss.read(kSessions + "?limit=2&sort=-messages,created");
  CHECK(ids(first) == Strings{jane, john});
  CHECK(ids(admin.boss.read(kSessions + "?limit=2&sort=-messages,created&cursor=" +
                            first.at("next").get<std::string>())) == Strings{none});
  for (const char* bad : {"limit=0", "limit=501", "limit=x", "cursor=x", "sort=age", "leads=maybe",
                          "created=soon", "created_from=2026-02-30"}) {
    CAPTURE(bad);
    CHECK(admin.boss.get(kSessions + "?" + bad).status == 400);
  }
  const Json facets = admin.boss.read(kSessions + "facets/");
  CHECK(facets.at("created").at("today") == 3);
  CHECK(facets.at("leads") == 2);
}

TEST_CASE("A session is added, read, changed and deleted", "[storage]") {
  Fixture admin;
  const HttpResponse made =
      admin.boss.post(kSessions, {{"user_name", " Jane "}, {"user_email", "jane@example.com"}});
  REQUIRE(made.status == 201);
  const Json session = json_of(made);
  CHECK(session.at("user_name") == "Jane");
  const std::string path = kSessions + session.at("session_id").get<std::string>() + "/";
  Json shown = admin.boss.read(path);
  CHECK(shown.at("consents") == Json::array());
  shown.erase("consents");
  CHECK(shown == session);
  CHECK(json_of(admin.boss.post(kSessions, {{"user_email", "nobody"}, {"user_name", true}})) ==
        Json{{"user_name", {"Not a valid string."}},
             {"user_email", {"Enter a valid email address."}}});

  const Json after = json_of(admin.boss.patch(
      path, {{"user_name", "Janet"}, {"user_email", nullptr}, {"version", session.at("version")}}));
  CHECK(after.at("user_name") == "Janet");
  CHECK(after.at("user_email").is_null());
  CHECK(after.at("version") != session.at("version"));
  const Json history = admin.boss.read(path + "history/");
  REQUIRE(history.at("results").size() == 2);
  CHECK(history.at("results").at(0).at("detail") == "user_name, user_email");
  CHECK(history.at("results").at(0).at("user") == "boss");
  CHECK(history.at("results").at(1).at("action") == "add");
  CHECK(admin.boss.read("/api/admin/overview/").at("recent_actions").size() == 2);

  CHECK(admin.boss.remove(path).status == 204);
  CHECK(admin.boss.get(path).status == 404);
  CHECK(admin.boss.patch(path, {{"user_name", "x"}}).status == 404);
  CHECK(json_of(admin.boss.get(kSessions + "nobody/")) == Json{{"detail", "Not found."}});
}

TEST_CASE("Of two operators with one form the second is told, and nothing is lost", "[storage]") {
  Fixture admin;
  const std::string id = admin.chat({{"name", "Jane"}}, {"q"});
  const std::string path = kSessions + id + "/";
  const Json form = admin.boss.read(path);
  const AdminClient other = AdminClient(admin.server).log_in("boss");
  // The visitor goes on chatting, which is in nobody's way.
  REQUIRE(admin.server.ask(id, "and?").status == 200);
  CHECK(other.patch(path, {{"user_name", "Janet"}, {"version", form.at("version")}}).status == 200);
  const HttpResponse second =
      admin.boss.patch(path, {{"user_phone", "1"}, {"version", form.at("version")}});
  CHECK(second.status == 409);
  CHECK(json_of(second).at("code") == "changed");
  CHECK(json_of(second).at("current").at("user_name") == "Janet");
  CHECK(admin.boss.read(path).at("user_phone").is_null());
  CHECK(admin.boss
            .patch(path,
                   {{"user_phone", "1"}, {"version", json_of(second).at("current").at("version")}})
            .status == 200);
  CHECK(admin.boss.read(path).at("user_name") == "Janet");

  const Json message = admin.boss.read(kMessages + "?sort=created").at("results").at(0);
  const std::string message_path = kMessages + std::to_string(message.at("id").get<int>()) + "/";
  const Json before = admin.boss.read(message_path);
  CHECK(other.patch(message_path, {{"content", "Q!"}, {"version", before.at("version")}}).status ==
        200);
  const HttpResponse late =
      admin.boss.patch(message_path, {{"content", "Lost"}, {"version", before.at("version")}});
  CHECK(late.status == 409);
  CHECK(json_of(late).at("current").at("content") == "Q!");
}

TEST_CASE("Chosen sessions are deleted, or all that match if no more do than were seen",
          "[storage]") {
  Fixture admin;
  Strings made;
  for (int i = 0; i < 5; ++i) made.push_back(admin.chat({{"name", "V"}}, {}));
  const std::string path = kSessions + "delete/";
  CHECK(admin.boss.post(path).status == 400);
  CHECK(admin.boss.post(path, {{"session_ids", Json::array()}}).status == 400);
  CHECK(admin.boss.post(path, {{"filter", {{"q", "v"}}}}).status == 400);
  const HttpResponse more =
      admin.boss.post(path, {{"filter", {{"created", "today"}}}, {"expected", 4}});
  CHECK(more.status == 409);
  CHECK(json_of(more).at("count") == 5);
  CHECK(json_of(admin.boss.post(path, {{"session_ids", {made[0], made[1], "nobody"}}})) ==
        Json{{"deleted", {{"sessions", 2}, {"messages", 0}}}});
  CHECK(json_of(admin.boss.post(path, {{"filter", {{"created", "today"}}}, {"expected", 3}})) ==
        Json{{"deleted", {{"sessions", 3}, {"messages", 0}}}});
  CHECK(admin.boss.read(kSessions).at("total") == 0);
}

TEST_CASE("Messages are listed, added, changed and deleted", "[storage]") {
  Fixture admin;
  const std::string id = admin.chat(Json::object(), {"Can I eat mangos?"});
  const Json all = admin.boss.read(kMessages);
  CHECK(all.at("count") == 2);
  CHECK(all.at("results").at(1).at("preview") == "Can I eat mangos?");
  CHECK(all.at("results").at(1).at("session_id") == id);
  CHECK(admin.boss.read(kMessages + "?is_bot=0").at("results").size() == 1);
  CHECK(admin.boss.read(kMessages + "?q=mangos&is_bot=0").at("results").size() == 1);
  CHECK(admin.boss.read(kMessages + "?q=" + id.substr(0, 13)).at("results").size() == 2);
  CHECK(admin.boss.read(kMessages + "facets/").at("is_bot") ==
        Json{{"any", 2}, {"yes", 1}, {"no", 1}});

  const HttpResponse made = admin.boss.post(
      kMessages, {{"session_id", id}, {"content", "We will call you."}, {"is_bot", true}});
  REQUIRE(made.status == 201);
  const std::string path = kMessages + std::to_string(json_of(made).at("id").get<int>()) + "/";
  CHECK(admin.boss.read(path) == json_of(made));
  CHECK(admin.server.said(id).back() == "b:We will call you.");
  CHECK(json_of(admin.boss.post(kMessages, {{"session_id", "nobody"}, {"content", "x"}})) ==
        Json{{"session_id", {"There is no such session."}}});
  CHECK(admin.boss.post(kMessages, {{"session_id", id}, {"content", "  "}}).status == 400);
  CHECK(json_of(admin.boss.patch(path, {{"content", "We called you."}})).at("content") ==
        "We called you.");
  CHECK(admin.boss.remove(path).status == 204);
  CHECK(admin.boss.get(path).status == 404);
  CHECK(admin.boss.get(kMessages + "x/").status == 404);
  CHECK(json_of(admin.boss.post(kMessages + "delete/",
                                {{"filter", {{"session_id", id}}}, {"expected", 2}})) ==
        Json{{"deleted", {{"messages", 2}}}});
  CHECK(admin.server.said(id).empty());
}

TEST_CASE("A conversation shows what became of each question", "[storage]") {
  Fixture admin;
  const std::string id = admin.chat(Json::object(), {"q1", "q2"});
  const std::string path = kSessions + id + "/conversation/";
  const Json whole = admin.boss.read(path);
  REQUIRE(whole.at("messages").size() == 4);
  CHECK(whole.at("earlier") == false);
  const Json turn = whole.at("messages").at(0).at("turn");
  CHECK(turn.at("status") == "complete");
  CHECK(turn.at("answer_id") == whole.at("messages").at(1).at("id"));
  CHECK(turn.at("usage").at("prompt_tokens").get<int>() > 0);
  CHECK(whole.at("messages").at(1).at("turn").is_null());
  const Json newest = admin.boss.read(path + "?limit=1");
  CHECK(newest.at("earlier") == true);
  const std::string before = std::to_string(newest.at("messages").at(0).at("id").get<int>());
  CHECK(admin.boss.read(path + "?limit=2&before=" + before).at("messages").at(1).at("content") ==
        "q2");
  const Json log = admin.boss.read("/api/admin/audit/?action=view&object=" + id);
  CHECK(log.at("results").size() == 3);
}

TEST_CASE("New messages appear in a conversation that is open", "[storage]") {
  Fixture admin;
  const std::string id = admin.chat(Json::object(), {"q1"});
  const std::string path = kSessions + id + "/events/?after=0";
  std::string text;
  HttpClient client(admin.server.base_url());
  bool asked = false;
  bool removed = false;
  client.stream("GET", path, {{"Cookie", admin.boss.cookie()}}, "", [&](std::string_view piece) {
    text += piece;
    const auto has = [&](const char* what) { return text.find(what) != std::string::npos; };
    if (!asked && has("\"content\":\"q1\"")) {
      asked = true;
      REQUIRE(admin.server.ask(id, "q2").status == 200);
      REQUIRE(admin.boss.patch(kSessions + id + "/", {{"user_name", "Jane"}}).status == 200);
    }
    if (!removed && has("\"content\":\"q2\"") && has("event: session")) {
      removed = true;
      CHECK(admin.boss.remove(kSessions + id + "/").status == 204);
    }
    return !has("event: gone");
  });
  std::set<std::string> events;
  for (const StreamEvent& event : events_of(text)) events.insert(event.event);
  CHECK(events == std::set<std::string>{"gone", "message", "session"});
}

TEST_CASE("A live conversation ends with the log-in", "[storage]") {
  Fixture admin;
  const std::string id = admin.chat(Json::object(), {"q1"});
  const AdminClient other = AdminClient(admin.server).log_in("boss");
  std::string text;
  HttpClient(admin.server.base_url())
      .stream("GET", kSessions + id + "/events/", {{"Cookie", other.cookie()}}, "",
              [&](std::string_view piece) {
                if (text.empty()) CHECK(other.post("/api/admin/logout/").status == 204);
                text += piece;
                return true;
              });
  CHECK(text.find("event: gone") != std::string::npos);
}

TEST_CASE("Turns that went wrong and figures of the days are there to see", "[storage]") {
  Fixture admin;
  admin.chat({{"email", "j@example.com"}}, {"q1", "q2"});
  const std::string id = admin.chat(Json::object(), {});
  admin.server.gemini().script({{"status", 500}});
  CHECK(admin.server.ask(id, "q3").status >= 500);
  const Json turns = admin.boss.read("/api/admin/turns/?status=unanswered");
  REQUIRE(turns.at("results").size() == 1);
  CHECK(turns.at("results").at(0).at("session_id") == id);
  CHECK(turns.at("results").at(0).at("question") == "q3");
  CHECK(turns.at("results").at(0).at("status") == "failed");
  CHECK(admin.boss.read("/api/admin/turns/?status=flagged").at("count") == 0);
  CHECK(admin.boss.get("/api/admin/turns/?status=complete").status == 400);
  const Json overview = admin.boss.read("/api/admin/overview/");
  CHECK(overview.at("unanswered") == 1);
  CHECK(overview.at("totals") == Json{{"sessions", 2}, {"messages", 5}, {"leads", 1}});

  const Json days = admin.boss.read("/api/admin/statistics/").at("days");
  REQUIRE(days.size() == 30);
  const Json& today = days.back();
  CHECK(today.at("sessions") == 2);
  CHECK(today.at("asked") == 2);
  CHECK(today.at("leads") == 1);
  CHECK(today.at("visitor_messages") == 3);
  CHECK(today.at("complete") == 2);
  CHECK(today.at("failed") == 1);
  CHECK(today.at("prompt_tokens").get<int>() > 0);
  CHECK(days.front().at("latency_ms").is_null());
  CHECK(admin.boss.get("/api/admin/statistics/?from=2020-01-01&to=2026-01-01").status == 400);
}

TEST_CASE("Prices for the estimate come from the settings") {
  ChatServerOptions options;
  options.env["GEMINI_PRICES"] = "input=0.3, cached=0.075, output=2.5, currency=EUR";
  Fixture admin(options);
  CHECK(admin.boss.read("/api/admin/statistics/").at("prices") ==
        Json{{"input", 0.3}, {"cached", 0.075}, {"output", 2.5}, {"currency", "EUR"}});
}

std::string bytes_of_database(const ChatServer& server) {
  std::string bytes;
  for (const auto& entry : std::filesystem::directory_iterator(server.folder())) {
    if (entry.path().filename().string().find("chat.db") == std::string::npos) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    bytes.append(std::istreambuf_iterator<char>(in), {});
  }
  return bytes;
}

TEST_CASE("One person is exported and erased, down to the bytes of the database") {
  Fixture admin;
  admin.chat({{"name", "Zaphodia"}, {"email", "zaphodia@heart.example"}}, {"a pangalactic drink"});
  admin.chat({{"phone", "+1 5554242"}, {"email", "Zaphodia@heart.example"}}, {"gargleblaster?"});
  const std::string kept = admin.chat({{"name", "Jane"}}, {"q"});
  const std::string person = "/api/admin/person/";
  const Json who = {{"email", "zaphodia@heart.example"}};
  const HttpResponse exported = admin.boss.get(person + "?email=zaphodia%40heart.example");
  CHECK(exported.header("content-disposition").value().starts_with("attachment"));
  CHECK(json_of(exported).at("sessions").size() == 2);
  CHECK(json_of(exported).at("sessions").at(0).at("messages").at(0).at("content") ==
        "a pangalactic drink");
  CHECK(json_of(admin.boss.post(person + "preview/", who)).at("messages") == 4);
  CHECK(bytes_of_database(admin.server).find("pangalactic") != std::string::npos);
  CHECK(json_of(admin.boss.post(person + "erase/", who)) ==
        Json{{"deleted", {{"sessions", 2}, {"messages", 4}}}});
  for (const char* trace :
       {"Zaphodia", "zaphodia", "heart.example", "5554242", "pangalactic", "gargleblaster"}) {
    INFO(trace);
    // A reader may have been in the way of emptying the log.
    CHECK(eventually([&] {
      admin.boss.get("/api/admin/audit/");
      return bytes_of_database(admin.server).find(trace) == std::string::npos;
    }));
    CHECK(admin.server.log().find(trace) == std::string::npos);
  }
  CHECK(ids(admin.boss.read(kSessions)) == Strings{kept});
  CHECK(admin.boss.post(person + "erase/").status == 400);
  const Json log = admin.boss.read("/api/admin/audit/?action=erase").at("results");
  REQUIRE(log.size() == 1);
  CHECK(log.at(0).at("object_id") == "");
}

TEST_CASE("Operators see what visitors think of answers and what they agreed to, also in exports",
          "[storage]") {
  Fixture admin;
  const std::string id = admin.chat({{"name", "Jane"}, {"email", "j@example.com"}}, {"q1", "q2"});
  const std::string other = admin.chat({{"name", "John"}}, {"q3"});
  const std::int64_t answer = admin.server.session(id)["messages"][3]["id"];
  const auto post = [&](const char* target, const Json& body) {
    REQUIRE(admin.server.post(target, body.dump()).status == 200);
  };
  post("/api/chat/feedback/", {{"session_id", id}, {"message_id", answer}, {"value", "down"}});
  const char* const consent = "/api/chat/sessions/consent/";
  post(consent, {{"session_id", id}, {"version", "1"}, {"language", "hi"}});

  const Json shown = admin.boss.read(kSessions + id + "/conversation/").at("messages");
  CHECK(shown.at(0).at("turn").at("feedback").is_null());
  CHECK(shown.at(0).at("turn").at("feedback_at").is_null());
  CHECK(shown.at(2).at("turn").at("feedback") == "down");
  CHECK(shown.at(2).at("turn").at("feedback_at").is_string());

  const auto listed = [&](const char* query) {
    return admin.boss.read(std::string("/api/admin/turns/?") + query).at("results");
  };
  const Json disliked = listed("feedback=down");
  REQUIRE(disliked.size() == 1);
  CHECK(disliked.at(0).at("question") == "q2");
  CHECK(disliked.at(0).at("status") == "complete");
  CHECK(disliked.at(0).at("feedback") == "down");
  CHECK(disliked.at(0).at("feedback_at").is_string());
  CHECK(listed("feedback=down&status=unanswered").empty());
  CHECK(listed("feedback=up").empty());
  CHECK(listed("status=flagged").empty());
  CHECK(admin.boss.get("/api/admin/turns/?feedback=none").status == 400);
  CHECK(admin.boss.read("/api/admin/overview/").at("disliked") == 1);
  const Json today = admin.boss.read("/api/admin/statistics/").at("days").back();
  CHECK(today.at("liked") == 0);
  CHECK(today.at("disliked") == 1);

  const Json consents = admin.boss.read(kSessions + id + "/").at("consents");
  REQUIRE(consents.size() == 1);
  CHECK(consents.at(0).at("version") == "1");
  CHECK(consents.at(0).at("language") == "hi");
  const Json widget = json_of(admin.server.get("/api/chat/widget/"));
  CHECK(consents.at(0).at("text") == widget.at("texts").at("hi").at("consent"));
  CHECK(consents.at(0).at("withdrawn_at").is_null());
  CHECK(admin.boss.read(kSessions + other + "/").at("consents") == Json::array());

  const Json person = admin.boss.read("/api/admin/person/?session_id=" + id).at("sessions").at(0);
  CHECK(person.at("consents") == consents);
  CHECK(person.at("messages").at(1).at("feedback").is_null());
  CHECK(person.at("messages").at(3).at("feedback") == "down");

  const auto exported = [&](const char* what) {
    return Json::parse(admin.boss.get(std::string("/api/admin/export/") + what).body);
  };
  const Json messages = exported("messages/?format=json&sort=created");
  REQUIRE(messages.size() == 6);
  for (const Json& message : messages) {
    CHECK(message.at("feedback") == (message.at("id") == answer ? Json("down") : Json(nullptr)));
  }
  const Json sessions = exported("sessions/?format=json&sort=created");
  CHECK(sessions.at(0).at("consent") == "1");
  CHECK(sessions.at(1).at("consent").is_null());
  CHECK(admin.boss.get("/api/admin/export/messages/").body.find(",down\r\n") != std::string::npos);
  CHECK(admin.boss.get("/api/admin/export/sessions/").body.find(",4,1\r\n") != std::string::npos);
  post(consent, {{"session_id", id}, {"withdrawn", true}});
  CHECK(exported("sessions/?format=json&sort=created").at(0).at("consent").is_null());
  CHECK(admin.boss.read(kSessions + id + "/").at("consents").at(0).at("withdrawn_at").is_string());
}

TEST_CASE("Exports hold everything that is filtered, and no formulas", "[storage]") {
  Fixture admin;
  for (int i = 0; i < 3; ++i) admin.chat({{"name", "V" + std::to_string(i)}}, {});
  admin.chat({{"name", "=HYPERLINK(\"http://evil\")"}, {"phone", "+1555"}},
             {"one, \"two\"\nthree"});
  const HttpResponse csv = admin.boss.get("/api/admin/export/sessions/?sort=created");
  CHECK(csv.status == 200);
  CHECK(csv.header("content-type") == "text/csv; charset=utf-8");
  CHECK(csv.header("content-disposition") == "attachment; filename=\"sessions.csv\"");
  CHECK(csv.header("x-total-count") == "4");
  CHECK(csv.body.starts_with("\xEF\xBB\xBFsession_id,user_name,"));
  CHECK(csv.body.find(",V0,,,") != std::string::npos);
  CHECK(csv.body.find(",\"'=HYPERLINK(\"\"http://evil\"\")\",,\"'+1555\",") != std::string::npos);
  CHECK(std::count(csv.body.begin(), csv.body.end(), '\n') == 5);
  const Json leads = Json::parse(admin.boss.get("/api/admin/export/leads/?format=json").body);
  REQUIRE(leads.size() == 1);
  CHECK(leads.at(0).at("user_phone") == "+1555");
  const HttpResponse messages = admin.boss.get("/api/admin/export/messages/?format=json&is_bot=0");
  CHECK(Json::parse(messages.body).at(0).at("content") == "one, \"two\"\nthree");
  CHECK(admin.boss.get("/api/admin/export/messages/?is_bot=0")
            .body.find("\"one, \"\"two\"\"\nthree\",\r\n") != std::string::npos);
  CHECK(admin.boss.get("/api/admin/export/messages/?format=xml").status == 400);
  CHECK(Json::parse(admin.boss.get("/api/admin/export/sessions/?format=json&q=nobody").body) ==
        Json::array());
  CHECK(admin.boss.read("/api/admin/audit/?action=export").at("results").size() == 5);
}

TEST_CASE("The existing client's operator routes work with the same log-in", "[storage]") {
  Fixture admin;
  const std::string sessions = "/api/chat/sessions/";
  Strings made;
  for (int i = 0; i < 11; ++i) made.push_back(admin.chat({{"name", std::to_string(i)}}, {}));
  REQUIRE(admin.server.ask(made[10], "q").status == 200);
  const Json first = admin.boss.read(sessions);
  CHECK(first.at("count") == 11);
  CHECK(first.at("results").size() == 10);
  CHECK(first.at("previous").is_null());
  CHECK(first.at("next") == admin.server.base_url() + sessions + "?page=2");
  CHECK(first.at("results").at(0) == admin.server.session(made[10]));
  const Json second = admin.boss.read(sessions + "?page=2");
  CHECK(second.at("results").at(0).at("session_id") == made[0]);
  CHECK(second.at("previous") == admin.server.base_url() + sessions);
  CHECK(second.at("next").is_null());
  CHECK(json_of(admin.boss.get(sessions + "?page=3")) == Json{{"detail", "Invalid page."}});

  const HttpResponse created = admin.boss.post(sessions, {{"user_name", "Jane"}});
  CHECK(created.status == 201);
  const std::string id = json_of(created).at("session_id");
  CHECK(json_of(created) == admin.server.session(id));
  const std::string path = sessions + id + "/";
  CHECK(admin.boss.read(path) == admin.server.session(id));
  CHECK(json_of(admin.boss.patch(path, {{"user_phone", "1"}})).at("user_name") == "Jane");
  const HttpResponse put = admin.boss.request("PUT", path, R"({"user_name":"Janet"})");
  CHECK(put.status == 200);
  CHECK(json_of(put) == admin.server.session(id));
  CHECK(admin.boss.remove(path).status == 204);
  CHECK(admin.boss.get(path).status == 404);
}

TEST_CASE("The admin answers while every place for a message is taken") {
  ChatServerOptions options;
  options.env["CHAT_MAX_IN_FLIGHT"] = "1";
  options.env["CHAT_MAX_QUEUED"] = "1";
  Fixture admin(options);
  const std::string id = admin.chat(Json::object(), {});
  admin.server.gemini().script({{"text", "late"}, {"latency_ms", 3000}});
  std::jthread asking([&] { admin.server.ask(id, "slow"); });
  REQUIRE(eventually([&] { return admin.server.gemini().requests().size() == 1; }));
  CHECK(admin.boss.get(kSessions).status == 200);
  CHECK(admin.boss.read(kSessions + id + "/conversation/")
            .at("messages")
            .at(0)
            .at("turn")
            .at("status") == "pending");
}

}  // namespace
}  // namespace twinchat::testing
