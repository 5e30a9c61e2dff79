// The life of a call beside its retries: slots and their queue, cancellation, streams that break.
#include <functional>
#include <stdexcept>

#include "call_bench.h"
#include "verdict.h"

using namespace twinchat;
using namespace twinchat::testing;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

// A whole stream with all that can be in one, and what it shows.
struct Stream {
  std::string bytes;
  std::string text;
  std::size_t reason_at = 0;  // from here on the finish reason has come
};

Stream make_stream(const std::string& line_end) {
  Stream stream;
  const auto add = [&](const std::string& json) {
    stream.bytes += "data: " + json + line_end + line_end;
  };
  stream.bytes += ": hello" + line_end;
  add(R"({"promptFeedback":{"safetyRatings":[]},"responseId":"r"})");
  add(R"({"candidates":[{"content":{"role":"model","parts":[{"text":"thinking","thought":true}]}}]})");
  add(json_text("Gr\xC3\xBC\xC3\x9F"));
  add(json_text(" dich \xF0\x9F\x98\x80"));
  add(R"({"candidates":[{"content":{"role":"model","parts":[{"text":" bye"},{"text":"","thoughtSignature":"c2ln"}]},"finishReason":"STOP"}],"usageMetadata":{"totalTokenCount":9}})");
  stream.reason_at = stream.bytes.size() - 2 * line_end.size();
  add(R"({"usageMetadata":{"totalTokenCount":10}})");
  stream.text = "Gr\xC3\xBC\xC3\x9F dich \xF0\x9F\x98\x80 bye";
  return stream;
}

}  // namespace

TEST_CASE("Wherever a stream breaks, there is one answer, and it is what was shown") {
  const std::vector<std::pair<const char*, gemini::TransferEnd>> faults{
      {"the connection is lost", lost()},
      {"the server falls silent", timed_out("idle")},
      {"the stream just ends", {}},
  };
  for (const char* line_end : {"\r\n", "\n"}) {
    const Stream stream = make_stream(line_end);
    for (const auto& [about, fault] : faults) {
      for (std::size_t cut = 0; cut <= stream.bytes.size(); ++cut) {
        for (const bool in_one_piece : {true, false}) {
          INFO(about << " after " << cut << " bytes"
                     << (in_one_piece ? "" : ", which came one by one"));
          CallBench bench;
          std::vector<std::string> pieces;
          if (in_one_piece) {
            pieces.push_back(stream.bytes.substr(0, cut));
          } else {
            for (std::size_t i = 0; i < cut; ++i) pieces.push_back(stream.bytes.substr(i, 1));
          }
          bench.loop->play(streams(pieces, fault));
          bench.loop->play(streams({stream.bytes}));
          const Outcome& outcome = bench.stream();
          bench.loop->run();
          REQUIRE(outcome.answers == 1);
          REQUIRE(outcome.result->ok());
          const ModelAnswer& answer = outcome.answer();
          REQUIRE(visible_text(answer.content) == outcome.shown);
          REQUIRE(stream.text.starts_with(outcome.shown));
          REQUIRE_FALSE(outcome.shown.empty());

          const bool retried = bench.loop->sent().size() == 2;
          const bool reason_came = cut >= stream.reason_at;
          const bool broken = fault.kind != gemini::TransferEnd::Kind::kComplete;
          REQUIRE(answer.attempts == (retried ? 2 : 1));
          if (retried || (reason_came && !broken)) {
            REQUIRE(outcome.shown == stream.text);
            REQUIRE_FALSE(answer.interruption);
            REQUIRE(status_of(answer) == TurnStatus::kComplete);
            REQUIRE(answer.content.parts.back() == Part{.text = "", .thought_signature = "c2ln"});
          } else {
            REQUIRE(answer.interruption);
            REQUIRE(status_of(answer) == TurnStatus::kTruncated);
            REQUIRE(answer.interruption->code() ==
                    (fault.kind == gemini::TransferEnd::Kind::kTimeout
                         ? ErrorCode::kDeadlineExceeded
                         : ErrorCode::kUnavailable));
          }
          REQUIRE(bench.loop->tasks_left() == 0);
          REQUIRE(bench.loop->transfers_under_way() == 0);
        }
      }
    }
  }
}

TEST_CASE("Wherever an answer in one piece breaks off, it is asked for again") {
  const std::string body = json_answer("Hi");
  for (std::size_t cut = 0; cut <= body.size(); ++cut) {
    for (const auto& fault : {lost(), timed_out("idle"), gemini::TransferEnd{}}) {
      CallBench bench;
      bench.loop->play({{.what = Head{}}, {.what = body.substr(0, cut)}, {.what = fault}});
      bench.loop->play(replies(200, body));
      const Outcome& outcome = bench.start();
      bench.loop->run();
      REQUIRE(visible_text(outcome.answer().content) == "Hi");
      const bool whole = cut == body.size() && fault.kind == gemini::TransferEnd::Kind::kComplete;
      REQUIRE(bench.loop->sent().size() == (whole ? 1 : 2));
    }
  }
}

TEST_CASE("A call can be stopped at any moment, and has one answer then") {
  std::stop_source stop;
  CallBench bench({.max_in_flight = 1});
  const auto stop_at = [&](milliseconds time) {
    bench.loop->at(bench.loop->after(time), [&stop] { stop.request_stop(); });
  };
  const auto check_cancelled = [&](const Outcome& outcome, milliseconds time) {
    CHECK(outcome.error().code() == ErrorCode::kCancelled);
    CHECK(outcome.at == time);
    CHECK(bench.loop->transfers_under_way() == 0);
    CHECK(bench.loop->tasks_left() == 0);
    // The slot is free again.
    bench.loop->play(replies(200, json_answer("Hi")));
    const Outcome& next = bench.start();
    bench.loop->run();
    CHECK(visible_text(next.answer().content) == "Hi");
  };

  SECTION("before it begins") {
    stop.request_stop();
    const Outcome& outcome = bench.stream({.stop_token = stop.get_token()});
    bench.loop->run();
    CHECK(bench.loop->sent().empty());
    check_cancelled(outcome, 0ms);
  }
  SECTION("between its start and its beginning") {
    const Outcome& outcome = bench.stream({.stop_token = stop.get_token()});
    stop.request_stop();
    bench.loop->run();
    CHECK(bench.loop->sent().empty());
    check_cancelled(outcome, 0ms);
  }
  SECTION("while it waits for a slot") {
    bench.loop->play(streams({event(json_answer("first"))}, {}, 10s));
    const Outcome& first = bench.stream();
    const Outcome& outcome = bench.stream({.stop_token = stop.get_token()});
    stop_at(1s);
    bench.loop->run();
    CHECK(first.shown == "first");
    CHECK(outcome.at == 1'000ms);
    CHECK(outcome.error().code() == ErrorCode::kCancelled);
    CHECK(bench.loop->sent().size() == 1);
  }
  SECTION("when the slot has just been passed to it") {
    bench.loop->play(replies(200, json_answer("first")));
    const Outcome& first = bench.start();
    const Outcome& outcome = bench.start({.stop_token = stop.get_token()});
    bench.on_answer = [&](Outcome& ended) {
      if (&ended == &first) stop.request_stop();
    };
    bench.loop->run();
    check_cancelled(outcome, 0ms);
  }
  SECTION("while it connects or waits for the first byte") {
    bench.loop->play(hangs());
    const Outcome& outcome = bench.stream({.stop_token = stop.get_token()});
    stop_at(3s);
    bench.loop->run();
    CHECK(bench.loop->sent()[0].aborted);
    check_cancelled(outcome, 3s);
  }
  SECTION("between the head and the body") {
    bench.loop->play({{.after = 1s, .what = Head{}}});
    const Outcome& outcome = bench.stream({.stop_token = stop.get_token()});
    stop_at(3s);
    bench.loop->run();
    check_cancelled(outcome, 3s);
  }
  SECTION("while only thoughts have come") {
    bench.loop->play(
        {{.what = Head{}},
         {.what =
              event(R"({"candidates":[{"content":{"parts":[{"text":"hm","thought":true}]}}]})")}});
    const Outcome& outcome = bench.stream({.stop_token = stop.get_token()});
    stop_at(3s);
    bench.loop->run();
    check_cancelled(outcome, 3s);
  }
  SECTION("while it pauses before another attempt") {
    bench.random = 0.9;
    bench.loop->play(replies(503, ""));
    const Outcome& outcome = bench.stream({.stop_token = stop.get_token()});
    stop_at(100ms);
    bench.loop->run();
    CHECK(bench.loop->sent().size() == 1);
    check_cancelled(outcome, 100ms);
  }
  SECTION("with the whole client") {
    bench.loop->play(hangs());
    const Outcome& outcome = bench.stream();
    const Outcome& queued = bench.stream();
    bench.loop->run();
    bench.client->close();
    bench.loop->run();
    CHECK(outcome.error().code() == ErrorCode::kCancelled);
    CHECK(queued.error().code() == ErrorCode::kCancelled);
    CHECK(bench.loop->sent().size() == 1);
    const Outcome& late = bench.stream();
    bench.loop->run();
    CHECK(late.error().code() == ErrorCode::kCancelled);
  }
}

TEST_CASE("A call that is stopped in the middle of its text ends with what was shown") {
  std::stop_source stop;
  CallBench bench;
  bench.loop->play(
      streams({event(json_text("a")), event(json_text("b")), event(json_answer("c"))}, {}, 1s));
  SECTION("from outside") {
    const Outcome& outcome = bench.stream({.stop_token = stop.get_token()});
    bench.loop->run_to(1'500ms);
    stop.request_stop();
    bench.loop->run();
    CHECK(outcome.shown == "a");
    CHECK(outcome.at == 1'500ms);
    CHECK(visible_text(outcome.answer().content) == "a");
    CHECK(outcome.answer().interruption->code() == ErrorCode::kCancelled);
    CHECK(status_of(outcome.answer()) == TurnStatus::kCancelled);
  }
  SECTION("by the one who reads it") {
    Outcome& outcome = bench.new_outcome();
    bench.begin(outcome, {}, {.on_text = [&outcome](std::string_view text) {
                  outcome.shown += text;
                  return outcome.shown != "ab";
                }});
    bench.loop->run();
    CHECK(outcome.shown == "ab");
    CHECK(outcome.at == 2'000ms);
    CHECK(visible_text(outcome.answer().content) == "ab");
    CHECK(outcome.answer().interruption->code() == ErrorCode::kCancelled);
  }
  SECTION("by an exception of the one who reads it") {
    Outcome& outcome = bench.new_outcome();
    bench.begin(outcome, {}, {.on_text = [&outcome](std::string_view text) -> bool {
                  outcome.shown += text;
                  throw std::runtime_error("x");
                }});
    bench.loop->run();
    CHECK(outcome.shown == "a");
    CHECK(visible_text(outcome.answer().content) == "a");
    CHECK(outcome.answer().interruption->code() == ErrorCode::kCancelled);
  }
  SECTION("with its token, from within the callback") {
    Outcome& outcome = bench.new_outcome();
    bench.begin(outcome, {},
                {.on_text =
                     [&](std::string_view text) {
                       outcome.shown += text;
                       stop.request_stop();
                       return true;
                     },
                 .stop_token = stop.get_token()});
    bench.loop->run();
    CHECK(outcome.shown == "a");
    CHECK(outcome.answer().interruption->code() == ErrorCode::kCancelled);
  }
  CHECK(bench.loop->sent()[0].aborted);
  CHECK(bench.loop->tasks_left() == 0);
}

TEST_CASE("Stopping in the callback holds, however many events came together") {
  CallBench bench;
  bench.loop->play(streams({event(json_text("a")) + event(json_text("b")) +
                            event(json_answer("c")) + event(json_error(503, "UNAVAILABLE"))}));
  Outcome& outcome = bench.new_outcome();
  bench.begin(outcome, {}, {.on_text = [&outcome](std::string_view text) {
                outcome.shown += text;
                return false;
              }});
  bench.loop->run();
  CHECK(outcome.shown == "a");
  CHECK(visible_text(outcome.answer().content) == "a");
}

TEST_CASE("A call that has ended leaves nothing behind to happen") {
  CallBench bench;
  bench.loop->play(replies(200, json_answer("Hi")));
  const Outcome& outcome = bench.start({.deadline = bench.loop->after(100s)});
  bench.loop->run_to(0ms);
  CHECK(outcome.done());
  CHECK(bench.loop->tasks_left() == 0);
  CHECK(bench.loop->transfers_under_way() == 0);
}

TEST_CASE("A stop after the end is nothing") {
  std::stop_source stop;
  CallBench bench;
  bench.loop->play(replies(200, json_answer("Hi")));
  const Outcome& outcome = bench.start({.stop_token = stop.get_token()});
  bench.loop->run();
  stop.request_stop();
  bench.loop->run();
  CHECK(visible_text(outcome.answer().content) == "Hi");
}

TEST_CASE("From within an answer another call can be begun") {
  CallBench bench({.max_in_flight = 1});
  for (int i = 0; i < 50; ++i) bench.loop->play(replies(200, json_answer("Hi")));
  int ended = 0;
  bench.on_answer = [&](Outcome&) {
    if (++ended < 50) bench.start();
  };
  bench.start();
  bench.loop->run();
  CHECK(ended == 50);
}

TEST_CASE("No more requests are on the network than allowed, and those that wait go in order") {
  CallBench bench({.max_in_flight = 3});
  std::vector<const Outcome*> ended;
  bench.on_answer = [&](Outcome& outcome) { ended.push_back(&outcome); };
  std::vector<const Outcome*> started;
  for (int i = 0; i < 20; ++i) {
    bench.loop->play(streams({event(json_answer("Hi"))}, {}, 1s));
    started.push_back(&bench.stream());
  }
  for (int second = 0; second < 14; ++second) {
    bench.loop->run_to(milliseconds(second * 1'000 + 500));
    CHECK(bench.loop->transfers_under_way() <= 3);
  }
  bench.loop->run();
  CHECK(ended == started);
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK(bench.loop->sent()[i].when == milliseconds(static_cast<int>(i / 3) * 2'000));
  }
}

TEST_CASE("A call that pauses holds no slot") {
  CallBench bench({.max_in_flight = 1});
  bench.loop->play(replies(503, "", "10"));
  bench.loop->play(replies(200, json_answer("second")));
  bench.loop->play(replies(200, json_answer("first")));
  const Outcome& first = bench.start();
  const Outcome& second = bench.start();
  bench.loop->run();
  CHECK(second.at == 0ms);
  CHECK(first.at >= 10s);
  CHECK(visible_text(first.answer().content) == "first");
}

TEST_CASE("When too many wait, one more fails at once") {
  CallBench bench({.max_in_flight = 1, .max_queued = 2});
  const Outcome& running = bench.start();
  const Outcome& first = bench.start();
  const Outcome& second = bench.start();
  const Outcome& too_many = bench.start();
  bench.loop->run();
  CHECK_FALSE(running.done());
  CHECK_FALSE(first.done());
  CHECK_FALSE(second.done());
  CHECK(too_many.error().code() == ErrorCode::kResourceExhausted);
  CHECK(too_many.error().details().reason == "QUEUE_FULL");
  CHECK(too_many.error().details().stage == "queue");
  CHECK(too_many.error().details().retryable);
}

TEST_CASE("A place in the queue that was left is free") {
  std::stop_source stop;
  CallBench bench({.max_in_flight = 1, .max_queued = 1});
  bench.loop->play(streams({event(json_answer("Hi"))}, {}, 1s));
  bench.loop->play(replies(200, json_answer("Hi")));
  bench.start();
  bench.start({.stop_token = stop.get_token()});
  bench.loop->run_to(500ms);
  stop.request_stop();
  bench.loop->run_to(600ms);
  const Outcome& next = bench.start();
  bench.loop->run();
  CHECK(visible_text(next.answer().content) == "Hi");
}

TEST_CASE("A row of calls that fail at once is no recursion") {
  CallBench bench({.retry = {.max_attempts = 1},
                   .breaker = {.min_calls = 1, .open_for = 1'000s},
                   .max_in_flight = 1,
                   .max_queued = 100'000});
  bench.loop->play(ends(lost("CONNECT"), 1s));
  int ended = 0;
  bench.on_answer = [&](Outcome&) { ++ended; };
  for (int i = 0; i < 50'000; ++i) bench.start();
  bench.loop->run();
  CHECK(ended == 50'000);
  CHECK(bench.loop->sent().size() == 1);
}
