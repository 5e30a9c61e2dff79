// Streams that are cut and go on: with whoever comes back, wherever it comes back to.

#include <csignal>
#include <functional>
#include <future>
#include <optional>
#include <random>

#include "catch.h"
#include "chance.h"
#include "chat_server.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

constexpr const char* kStream = "/api/chat/message/stream/";
constexpr const char* kAbsent = "twinchat_resumable_streams_absent";

using Events = std::vector<StreamEvent>;
using Strings = std::vector<std::string>;

std::string joined(const Events& events) {
  std::string text;
  for (const StreamEvent& event : events) {
    if (event.event == "delta") text += event.data.at("text");
  }
  return text;
}

std::size_t count(const Events& events, std::string_view name) {
  std::size_t found = 0;
  for (const StreamEvent& event : events) found += event.event == name ? 1 : 0;
  return found;
}

// One visitor's message under one key, asked for again and again.
struct Visitor {
  std::string session_id;
  std::string text = "Hi";
  std::string key = "k1";

  // Reads the stream up to its end, or until `enough` of it has come: then the connection is cut.
  // `after` is the id of the last event that the visitor has seen.
  Events read(const ChatServer& server, std::optional<std::string> after = {},
              const std::function<bool(const Events&)>& enough = {}) const {
    HttpHeaders headers = {{"Content-Type", "application/json"}, {"Idempotency-Key", key}};
    if (after) headers.push_back({"Last-Event-ID", *after});
    const std::string body = Json{{"session_id", session_id}, {"message", text}}.dump();
    std::string seen;
    const auto whole_events = [&] {
      const std::size_t end = seen.rfind("\n\n");
      return events_of(end == std::string::npos ? "" : seen.substr(0, end + 2));
    };
    HttpClient client(server.base_url());
    client.stream("POST", kStream, headers, body, [&](std::string_view piece) {
      seen += piece;
      return !enough || !enough(whole_events());
    });
    return whole_events();
  }

  Events read_until(const ChatServer& server, std::string_view text_so_far,
                    std::optional<std::string> after = {}) const {
    return read(server, std::move(after),
                [&](const Events& events) { return joined(events).size() >= text_so_far.size(); });
  }
};

// That many pieces of an answer, one every `ms`; in three alphabets.
Json slow_answer(int pieces, int ms) {
  Json chunks = Json::array();
  for (int i = 0; i < pieces; ++i) {
    chunks.push_back("piece " + std::to_string(i) + " \xe0\xa4\xb9\xe0\xa4\xbf \xf0\x9f\x99\x82. ");
  }
  return {{"chunks", chunks}, {"chunk_ms", ms}};
}

std::string text_of(const Json& answer) {
  std::string text;
  for (const Json& chunk : answer["chunks"]) text += chunk;
  return text;
}

ChatServerOptions with(std::map<std::string, std::string> env = {}) {
  env.emplace("CHAT_HEARTBEAT", "0.1");
  return {.env = std::move(env)};
}

TEST_CASE(
    "A stream that is cut goes on where it was: the whole answer, once, from one model call") {
  ChatServer server(with());
  const Visitor visitor{server.new_session()};
  const Json answer = slow_answer(10, 100);
  server.gemini().script(answer);
  Events all;
  std::optional<std::string> last;
  // Cut three times, and read to the end.
  for (const std::size_t pieces : {1u, 2u, 2u, 99u}) {
    const std::size_t before = all.size();
    const Events part = visitor.read(
        server, last, [&](const Events& events) { return count(events, "delta") >= pieces; });
    all.insert(all.end(), part.begin(), part.end());
    REQUIRE(all.size() > before);
    last = all.back().id;
    CHECK(*last == std::to_string(joined(all).size()));
  }
  CHECK(joined(all) == text_of(answer));
  CHECK(count(all, "session") == 1);
  CHECK(all.front().event == "session");
  CHECK(all.front().id == "0");
  CHECK(all.back().event == "done");
  CHECK(all.back().data["bot_response"] == text_of(answer));
  CHECK(all.back().data["status"] == "complete");
  CHECK(server.gemini().stats().calls == 1);
  CHECK(server.said(visitor.session_id) == Strings{"u:Hi", "b:" + text_of(answer)});
  CHECK(server.metric("twinchat_streams_resumed_total") == 3);
  CHECK(server.metric("twinchat_resumable_streams") == 0);
  CHECK(server.metric("twinchat_resume_buffer_bytes") == 0);
}

TEST_CASE("Many visitors, cut at any moment and back at once, have each their answer whole, once") {
  constexpr std::uint32_t kVisitors = 16;
  const std::uint32_t seed = chance_seed();
  INFO("TWINCHAT_SEED=" << seed);
  ChatServer server(with());
  Json answer = slow_answer(40, 5);
  const std::string text = text_of(answer);
  answer["times"] = 0;
  server.gemini().script(answer);
  std::vector<Visitor> visitors;
  std::vector<std::future<Events>> courses;
  for (std::uint32_t i = 0; i < kVisitors; ++i) visitors.push_back({server.new_session()});
  for (std::uint32_t i = 0; i < kVisitors; ++i) {
    courses.push_back(std::async(std::launch::async, [&, i] {
      std::mt19937 random(seed + i);
      Events all;
      while (all.empty() || all.back().event != "done") {
        const std::size_t enough = 1 + random() % 8;
        const Events part =
            visitors[i].read(server, all.empty() ? std::nullopt : std::optional(all.back().id),
                             [&](const Events& events) { return events.size() >= enough; });
        for (const StreamEvent& event : part) {
          // Then the whole answer follows: the turn had not begun when the visitor was cut.
          if (event.event == "session") all.clear();
          all.push_back(event);
        }
        if (part.empty() || part.back().event == "error") break;
      }
      return all;
    }));
  }
  for (std::uint32_t i = 0; i < kVisitors; ++i) {
    const Events all = courses[i].get();
    REQUIRE(!all.empty());
    INFO(all.back().data);
    CHECK(all.back().event == "done");
    CHECK(joined(all) == text);
    CHECK(server.said(visitors[i].session_id) == Strings{"u:Hi", "b:" + text});
  }
  CHECK(server.gemini().stats().calls == kVisitors);
  CHECK(server.metric("twinchat_streams_resumed_total") > 0);
  CHECK(server.metric("twinchat_resumable_streams") == 0);
  CHECK(server.metric("twinchat_resume_buffer_bytes") == 0);
}

TEST_CASE("What was made while nobody listened is sent to who comes back") {
  ChatServer server(with());
  const Visitor visitor{server.new_session()};
  server.gemini().script({{"chunks", {"first", " second"}}, {"chunk_ms", 60'000}});
  const auto first = [](const Events& events) { return joined(events) == "first"; };
  visitor.read(server, {}, [](const Events& events) { return !events.empty(); });
  REQUIRE(eventually([&] { return server.metric(kAbsent) == 1; }));
  REQUIRE(eventually([&] { return server.metric("twinchat_resume_buffer_bytes") == 5; }));

  SECTION("after the event that it names") {
    const Events events = visitor.read(server, "0", first);
    CHECK(count(events, "session") == 0);
    CHECK(events.at(0).id == "5");
    CHECK(visitor.read(server, "2", [](const Events& e) { return !e.empty(); }).at(0).data ==
          Json{{"text", "rst"}});
  }
  SECTION("from the beginning when it names none") {
    const Events events = visitor.read(server, {}, first);
    CHECK(count(events, "session") == 1);
    CHECK(events.front().event == "session");
  }
  SECTION("from the beginning when it names one that is not of this answer") {
    for (const char* unknown : {"6", "99999999999999999999999999", "-1", "x", ""}) {
      CAPTURE(unknown);
      const Events events = visitor.read(server, unknown, first);
      CHECK(count(events, "session") == 1);
      CHECK(events.front().event == "session");
    }
  }
  CHECK(server.gemini().stats().calls == 1);
}

TEST_CASE("An answer is never cut within a character") {
  ChatServer server(with());
  const Visitor visitor{server.new_session()};
  server.gemini().script({{"text", "\xf0\x9f\x99\x82"}});
  CHECK(joined(visitor.read(server)) == "\xf0\x9f\x99\x82");
  for (const char* within : {"1", "2", "3"}) {
    CAPTURE(within);
    const Events events = visitor.read(server, within);
    CHECK(events.front().event == "session");
    CHECK(joined(events) == "\xf0\x9f\x99\x82");
  }
  const Events rest = visitor.read(server, "4");
  REQUIRE(rest.size() == 1);
  CHECK(rest[0].event == "done");
}

TEST_CASE("Who comes back before the server saw the cut takes the stream over") {
  ChatServer server(with());
  const Visitor visitor{server.new_session()};
  server.gemini().script({{"chunks", {"first", " second"}}, {"chunk_ms", 60'000}});
  auto old = std::async(std::launch::async, [&] { return visitor.read(server); });
  REQUIRE(eventually([&] { return server.metric("twinchat_resume_buffer_bytes") == 5; }));

  // Who does not say that it was there is another, as ever.
  const Events other = visitor.read(server);
  CHECK(other.back().event == "error");
  CHECK(other.back().data["http_status"] == 409);

  CHECK(joined(visitor.read_until(server, "first", "0")) == "first");
  const Events cut = old.get();
  CHECK(joined(cut) == "first");
  CHECK(count(cut, "done") + count(cut, "error") == 0);
  CHECK(server.gemini().stats().calls == 1);
}

TEST_CASE("Another text under the key of a stream is refused and changes nothing") {
  ChatServer server(with());
  Visitor visitor{server.new_session()};
  server.gemini().script({{"chunks", {"first", " second"}}, {"chunk_ms", 60'000}});
  visitor.read_until(server, "first");
  REQUIRE(eventually([&] { return server.metric(kAbsent) == 1; }));
  const Events other = Visitor{visitor.session_id, "Another"}.read(server, "5");
  CHECK(other.back().event == "error");
  CHECK(other.back().data["http_status"] == 422);
  CHECK(server.metric(kAbsent) == 1);
  CHECK(joined(visitor.read_until(server, "first", "0")) == "first");
}

TEST_CASE("After the end, and after a restart, the rest comes from the stored answer") {
  ChatServer server(with());
  const Visitor visitor{server.new_session()};
  const Json answer = slow_answer(4, 20);
  server.gemini().script(answer);
  const Events before =
      visitor.read(server, {}, [](const Events& events) { return count(events, "delta") >= 2; });
  REQUIRE(eventually([&] { return server.said(visitor.session_id).size() == 2; }));
  if (GENERATE(false, true)) server.restart(SIGTERM);

  const Events after = visitor.read(server, before.back().id);
  CHECK(count(after, "session") == 0);
  CHECK(joined(before) + joined(after) == text_of(answer));
  CHECK(after.back().event == "done");
  CHECK(after.back().id == std::to_string(text_of(answer).size()));
  CHECK(after.back().data["bot_response"] == text_of(answer));
  CHECK(server.gemini().stats().calls == 1);
  CHECK(server.said(visitor.session_id).size() == 2);
}

TEST_CASE("A stream goes on at another server over the same database") {
  ChatServer server(with());
  ChatServer other(with({{"DATABASE_URL", "sqlite:///" + (server.folder() / "chat.db").string()}}));
  const Visitor visitor{server.new_session()};
  const Json answer = slow_answer(10, GENERATE(1, 100));
  server.gemini().script(answer);
  const Events before =
      visitor.read(server, {}, [](const Events& events) { return count(events, "delta") >= 2; });
  // The answer may be on its way yet: then the other waits for it.
  const Events after = visitor.read(other, before.back().id);
  CHECK(count(after, "session") == 0);
  CHECK(joined(before) + joined(after) == text_of(answer));
  CHECK(after.back().event == "done");
  CHECK(server.gemini().stats().calls == 1);
  CHECK(other.gemini().stats().calls == 0);
  CHECK(other.said(visitor.session_id) == Strings{"u:Hi", "b:" + text_of(answer)});
}

TEST_CASE(
    "An answer that nobody comes back for is cancelled when the time is up, and asked for anew") {
  ChatServer server(with({{"CHAT_RESUME_WINDOW", "0.5"}}));
  const Visitor visitor{server.new_session()};
  server.gemini().script({{"chunks", {"What had ", "come"}}, {"chunk_ms", 60'000}});
  const Events before = visitor.read_until(server, "What had ");
  CHECK(eventually([&] { return server.gemini().stats().aborted == 1; }));
  REQUIRE(eventually([&] {
    return server.turns(visitor.session_id).size() == 1 &&
           server.turns(visitor.session_id)[0].status == TurnStatus::kCancelled;
  }));
  CHECK(server.metric("twinchat_streams_expired_total") == 1);
  CHECK(server.metric("twinchat_resume_buffer_bytes") == 0);
  CHECK(server.said(visitor.session_id) == Strings{"u:Hi", "b:What had "});

  server.gemini().script({{"text", "Another answer"}});
  const Events after = visitor.read(server, before.back().id);
  CHECK(after.front().event == "session");
  CHECK(joined(after) == "Another answer");
  CHECK(server.said(visitor.session_id) == Strings{"u:Hi", "b:What had ", "b:Another answer"});
}

TEST_CASE("Who comes back in time keeps an answer alive for as long as it takes") {
  ChatServer server(with({{"CHAT_RESUME_WINDOW", "3"}}));
  const Visitor visitor{server.new_session()};
  server.gemini().script({{"chunks", {"first", " last"}}, {"chunk_ms", 5'000}});
  Events all = visitor.read_until(server, "first");
  REQUIRE(eventually([&] { return server.metric(kAbsent) == 1; }));
  const Events rest = visitor.read(server, all.back().id);
  CHECK(joined(rest) == " last");
  CHECK(rest.back().data["status"] == "complete");
  CHECK(server.metric("twinchat_streams_expired_total") == 0);
}

TEST_CASE("A question that was never asked is a new one, whatever event is named") {
  ChatServer server(with());
  const Visitor visitor{server.new_session()};
  const Events events = visitor.read(server, "17");
  CHECK(events.front().event == "session");
  CHECK(joined(events) == "Echo 1: Hi");
  CHECK(events.back().event == "done");
  CHECK(server.said(visitor.session_id).size() == 2);
}

TEST_CASE("An answer that failed while nobody listened is asked for again") {
  ChatServer server(with());
  const Visitor visitor{server.new_session()};
  server.gemini().script({{"error", {{"code", 500}}}, {"latency_ms", 1'000}});
  visitor.read(server, {}, [](const Events& events) { return !events.empty(); });
  REQUIRE(eventually([&] {
    const auto turns = server.turns(visitor.session_id);
    return turns.size() == 1 && turns[0].status == TurnStatus::kFailed;
  }));
  const Events events = visitor.read(server, "0");
  CHECK(events.front().event == "session");
  CHECK(joined(events) == "Echo 1: Hi");
  CHECK(server.said(visitor.session_id) == Strings{"u:Hi", "b:Echo 1: Hi"});
}

TEST_CASE("A refusal that took the place of an answer comes whole") {
  ChatServer server(with({{"CHAT_REFUSAL", "No."}}));
  const Visitor visitor{server.new_session()};
  server.gemini().script({{"block_reason", "SAFETY"}});
  CHECK(joined(visitor.read(server)) == "No.");
  const Events again = visitor.read(server, "1");
  CHECK(again.front().event == "session");
  CHECK(joined(again) == "No.");
  CHECK(again.back().data["status"] == "blocked");
}

TEST_CASE("Without a window, or without room for its text, an answer ends with its client") {
  const bool no_room = GENERATE(false, true);
  ChatServer server(with(no_room
                             ? std::map<std::string, std::string>{{"CHAT_RESUME_BYTES", "8"}}
                             : std::map<std::string, std::string>{{"CHAT_RESUME_WINDOW", "0"}}));
  const Visitor visitor{server.new_session()};
  server.gemini().script({{"chunks", {"What had come", " more"}}, {"chunk_ms", 60'000}});
  visitor.read_until(server, "What had come");
  CHECK(eventually([&] { return server.gemini().stats().aborted == 1; }));
  REQUIRE(eventually([&] { return server.said(visitor.session_id).size() == 2; }));
  CHECK(server.turns(visitor.session_id)[0].status == TurnStatus::kCancelled);
  CHECK(server.metric("twinchat_resume_buffer_full_total") == (no_room ? 1 : 0));
  CHECK(server.metric("twinchat_resume_buffer_bytes") == 0);
}

TEST_CASE("Answers that grow beyond what is kept in all end when nobody listens") {
  ChatServer server(with({{"CHAT_RESUME_BYTES", "20"}}));
  const Visitor one{server.new_session()};
  const Visitor two{server.new_session()};
  server.gemini().script({{"match", {{"text_contains", "Hi"}}},
                          {"times", 2},
                          {"chunks", {"0123456789", "0123456789", "end"}},
                          {"chunk_ms", 1'500}});
  one.read_until(server, "0123456789");
  two.read_until(server, "0123456789");
  // The second pieces of both do not fit: one answer is given up, which leaves room for the other.
  CHECK(eventually([&] {
    return server.metric("twinchat_resume_buffer_full_total") >= 1 &&
           server.metric("twinchat_resumable_streams") == 0;
  }));
  CHECK(server.metric("twinchat_resume_buffer_bytes") == 0);
  CHECK(server.metric(kAbsent) == 0);
  CHECK(server.said(one.session_id).size() == 2);
  CHECK(server.said(two.session_id).size() == 2);
}

TEST_CASE("Coming back counts as a message to the rate limits") {
  ChatServer server(with({{"CHAT_RATE_LIMITS", "message.session=2/h"}}));
  const Visitor visitor{server.new_session()};
  server.gemini().script({{"chunks", {"first", " second"}}, {"chunk_ms", 60'000}});
  visitor.read_until(server, "first");
  CHECK(joined(visitor.read_until(server, "first", "0")) == "first");
  const std::string body = Json{{"session_id", visitor.session_id}, {"message", "Hi"}}.dump();
  const HttpResponse third =
      server.post(kStream, body, {{"Idempotency-Key", "k1"}, {"Last-Event-ID", "5"}});
  CHECK(third.status == 429);
  CHECK(third.header("retry-after"));
}

TEST_CASE("A server that goes down stores what had come of an answer that nobody listens to") {
  ChatServer server(with());
  const Visitor visitor{server.new_session()};
  server.gemini().script({{"chunks", {"first", " second"}}, {"chunk_ms", 60'000}});
  visitor.read_until(server, "first");
  REQUIRE(eventually([&] { return server.metric(kAbsent) == 1; }));
  server.restart(SIGTERM);
  CHECK(server.said(visitor.session_id) == Strings{"u:Hi", "b:first"});
  // It can be asked for again, and says that it begins anew.
  server.gemini().reset();
  const Events events = visitor.read(server, "5");
  CHECK(events.front().event == "session");
  CHECK(joined(events) == "Echo 1: Hi");
}

}  // namespace
}  // namespace twinchat::testing
