#include "gemini/sse.h"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "catch.h"

using twinchat::gemini::SseParser;

namespace {

struct Event {
  std::string data;
  bool complete = true;

  friend bool operator==(const Event&, const Event&) = default;
};

std::ostream& operator<<(std::ostream& out, const Event& event) {
  return out << '{' << event.data << (event.complete ? "}" : ", cut}");
}

struct Parsed {
  std::vector<Event> events;
  std::string body;
  bool too_large = false;

  friend bool operator==(const Parsed&, const Parsed&) = default;
};

constexpr std::size_t kLimit = 1 << 20;

Parsed parse(const std::vector<std::string_view>& pieces, std::size_t limit = kLimit) {
  Parsed parsed;
  SseParser parser(limit, [&parsed](std::string_view data, bool complete) {
    parsed.events.push_back({std::string(data), complete});
  });
  for (const std::string_view piece : pieces) parser.feed(piece);
  parser.finish();
  parsed.body = parser.body();
  parsed.too_large = parser.too_large();
  return parsed;
}

struct Fixture {
  const char* about;
  std::string stream;
  std::vector<Event> events;
  std::string body = {};
};

const std::vector<Fixture>& fixtures() {
  static const std::vector<Fixture> all{
      {"lines that end in LF",
       "data: {\"a\":1}\n\ndata: {\"a\":2}\n\n",
       {{"{\"a\":1}"}, {"{\"a\":2}"}}},
      {"lines that end in CRLF", "data: {\"a\":1}\r\n\r\ndata: 2\r\n\r\n", {{"{\"a\":1}"}, {"2"}}},
      {"lines that end in CR", "data: one\r\rdata: two\r\r", {{"one"}, {"two"}}},
      {"line ends of all kinds",
       "data: one\r\n\ndata: two\n\r\ndata: three\r\r\ndata: four\r\n\r",
       {{"one"}, {"two"}, {"three"}, {"four"}}},
      {"no space after the colon", "data:{\"a\":1}\n\n", {{"{\"a\":1}"}}},
      {"one space of two is data", "data:  x\n\n", {{" x"}}},
      {"a tab is data", "data:\tx\n\n", {{"\tx"}}},
      {"trailing spaces are data", "data: x \n\n", {{"x "}}},
      {"several data lines", "data: {\ndata:  \"a\":1\ndata: }\n\n", {{"{\n \"a\":1\n}"}}},
      {"an empty data line between two", "data: a\ndata\ndata: b\ndata:\n\n", {{"a\n\nb\n"}}},
      {"a comment before the data", ": hello\ndata: x\n\n", {{"x"}}},
      {"a comment after the data", "data: x\n:hello\n\n", {{"x"}}},
      {"a comment alone", ": keep-alive\n\n: keep-alive\n\ndata: x\n\n", {{"x"}}},
      {"event, id and retry lines", "event: message\nid: 7\ndata: x\nretry: 10\n\n", {{"x"}}},
      {"an event line alone", "event: ping\n\ndata: x\n\n", {{"x"}}},
      {"unknown fields", "foo: bar\ndatabase: y\nDATA: z\ndat: w\ndata: x\nfoo\n\n", {{"x"}}},
      {"a field name with a space before it", " data: y\ndata: x\n\n", {{"x"}}},
      {"empty data is no event", "data:\n\ndata\n\ndata: \n\ndata: x\n\n", {{"x"}}},
      {"blank lines in plenty", "\n\r\n\n\r\rdata: x\n\n\n\n\n", {{"x"}}},
      {"a byte order mark",
       "\xEF\xBB\xBF"
       "data: x\n\n",
       {{"x"}}},
      {"a byte order mark before a body", "\xEF\xBB\xBF{\"error\":{}}", {}, "{\"error\":{}}"},
      {"a second byte order mark is part of a name",
       "\xEF\xBB\xBF\xEF\xBB\xBF"
       "data: x\n\ndata: y\n\n",
       {{"y"}}},
      {"a byte order mark later on",
       "data: x\n\n\xEF\xBB\xBF"
       "data: y\n\n",
       {{"x"}}},
      {"a broken byte order mark",
       "\xEF\xBB"
       "data: x\n\ndata: y\n\n",
       {{"y"}}},
      {"characters of several bytes",
       "data: \xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\r\n\r\n",
       {{"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"}}},
      {"U+2028 and U+0085 end no line",
       "data: a\xE2\x80\xA8"
       "b\xC2\x85"
       "c\n\n",
       {{"a\xE2\x80\xA8"
         "b\xC2\x85"
         "c"}}},
      {"NUL bytes", std::string("data: a\0b\n\n", 11), {{std::string("a\0b", 3)}}},
      {"no blank line at the end", "data: x\n\ndata: {\"a\":1}\n", {{"x"}, {"{\"a\":1}", false}}},
      {"no line end at the end", "data: x\n\ndata: {\"a\":1}", {{"x"}, {"{\"a\":1}", false}}},
      {"cut within the data", "data: {\"a\":", {{"{\"a\":", false}}},
      {"cut within the field name", "data: x\n\ndat", {{"x"}}},
      {"cut after the first of several data lines", "data: {\ndata: \"a\"", {{"{\n\"a\"", false}}},
      {"[DONE] is an event like others", "data: x\n\ndata: [DONE]\n\n", {{"x"}, {"[DONE]"}}},
      {"an error as an event",
       "data: x\n\ndata: {\"error\":{\"code\":503}}\n\n",
       {{"x"}, {"{\"error\":{\"code\":503}}"}}},
      {"a bare error of several lines",
       "data: x\r\n\r\n{\r\n  \"error\": {\r\n\r\n    \"code\": 503\r\n  }\r\n}\r\n",
       {{"x"}},
       "{\r\n  \"error\": {\r\n\r\n    \"code\": 503\r\n  }\r\n}\r\n"},
      {"a bare error in an array",
       "data: x\n\n[{\n\n\"error\": {}\n}]\n",
       {{"x"}},
       "[{\n\n\"error\": {}\n}]\n"},
      {"a body in place of the stream",
       "[{\"candidates\":[]}\n,\r\n{\"data\":\"data: x\"}\n]",
       {},
       "[{\"candidates\":[]}\n,\r\n{\"data\":\"data: x\"}\n]"},
      {"a brace within an event is no body", "data: x\n{\"foo\":1}\ndata: y\n\n", {{"x\ny"}}},
      {"a brace after another field is a body",
       "event: error\n{\"error\":{}}\n\ndata: x\n\n",
       {},
       "{\"error\":{}}\n\ndata: x\n\n"},
      {"nothing at all", "", {}},
  };
  return all;
}

}  // namespace

TEST_CASE("An event stream is read by the rules of the standard and of the servers") {
  for (const Fixture& fixture : fixtures()) {
    INFO(fixture.about);
    const Parsed parsed = parse({fixture.stream});
    CHECK(parsed.events == fixture.events);
    CHECK(parsed.body == fixture.body);
    CHECK_FALSE(parsed.too_large);
  }
}

TEST_CASE("Where a stream is cut on its way makes no difference to its events") {
  for (const Fixture& fixture : fixtures()) {
    INFO(fixture.about);
    const Parsed whole = parse({fixture.stream});
    const std::string_view stream = fixture.stream;
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
      INFO("cut at " << cut);
      REQUIRE(parse({stream.substr(0, cut), stream.substr(cut)}) == whole);
      REQUIRE(parse({stream.substr(0, cut), "", stream.substr(cut)}) == whole);
    }
    for (std::size_t first = 0; first <= stream.size(); ++first) {
      const std::size_t second = (first + stream.size()) / 2;
      REQUIRE(parse({stream.substr(0, first), stream.substr(first, second - first),
                     stream.substr(second)}) == whole);
    }
    std::vector<std::string_view> bytes;
    for (std::size_t i = 0; i < stream.size(); ++i) bytes.push_back(stream.substr(i, 1));
    REQUIRE(parse(bytes) == whole);
  }
}

TEST_CASE("An event is handed out as soon as its blank line begins") {
  std::vector<std::string> seen;
  SseParser parser(kLimit, [&seen](std::string_view data, bool) { seen.emplace_back(data); });
  parser.feed("data: x\r\n");
  CHECK(seen.empty());
  parser.feed("\r");
  CHECK(seen.size() == 1);
  parser.feed("\n");
  CHECK(seen.size() == 1);
}

TEST_CASE("An event that is larger than allowed ends the reading, and nothing is kept") {
  const std::string big(200, 'x');
  SECTION("in one line that never ends") {
    const Parsed parsed = parse({"data: ok\n\n", "data: ", big, big}, 100);
    CHECK(parsed.too_large);
    CHECK(parsed.events == std::vector<Event>{{"ok"}});
  }
  SECTION("in a line that does end") {
    const Parsed parsed = parse({"data: ok\n\ndata: " + big + "\n\ndata: later\n\n"}, 100);
    CHECK(parsed.too_large);
    CHECK(parsed.events == std::vector<Event>{{"ok"}});
  }
  SECTION("in many small lines") {
    std::vector<std::string_view> lines(200, "data: x\n");
    const Parsed parsed = parse(lines, 100);
    CHECK(parsed.too_large);
    CHECK(parsed.events.empty());
  }
  SECTION("in empty data lines") {
    std::vector<std::string_view> lines(200, "data\n");
    CHECK(parse(lines, 100).too_large);
  }
  SECTION("in a comment") {
    CHECK(parse({": " + big + "\n\n"}, 100).too_large);
  }
  SECTION("in a body") {
    CHECK(parse({"{" + big}, 100).too_large);
    CHECK(parse({"{", big}, 100).too_large);
    CHECK(parse({"{\n", big, "\n}"}, 100).too_large);
  }
  SECTION("but not in many events together") {
    std::string stream;
    for (int i = 0; i < 1000; ++i) stream += "data: 0123456789\n\n";
    const Parsed parsed = parse({stream}, 100);
    CHECK_FALSE(parsed.too_large);
    CHECK(parsed.events.size() == 1000);
  }
}

TEST_CASE("The limit on an event is exact") {
  const std::string data(94, 'x');
  CHECK_FALSE(parse({"data: " + data + "\n\n"}, 100).too_large);
  CHECK(parse({"data: " + data + "x\n\n"}, 100).too_large);
}

TEST_CASE("The cost of a stream follows its length, however it is cut") {
  // Eight megabytes byte by byte: quadratic work would take hours here and run into the limit of
  // the test.
  const std::size_t size = 8u << 20;
  SseParser parser(size + 100, [](std::string_view, bool) {});
  parser.feed("data: ");
  for (std::size_t i = 0; i < size; ++i) parser.feed("x");
  CHECK_FALSE(parser.too_large());

  SseParser lines(size + 100, [](std::string_view, bool) {});
  for (std::size_t i = 0; i < size / 8; ++i) lines.feed("data:x\r\n");
  CHECK_FALSE(lines.too_large());

  SseParser body(size + 100, [](std::string_view, bool) {});
  body.feed("{");
  for (std::size_t i = 0; i < size; ++i) body.feed("\n");
  CHECK(body.body().size() == size + 1);
}
