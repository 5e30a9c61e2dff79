#include "pages/chat_page.h"

#include <array>
#include <string>

#include "../../http/running_server.h"
#include "catch.h"

namespace twinchat::server {
namespace {

using testing::HttpClient;
using testing::HttpHeaders;
using testing::HttpResponse;

constexpr std::array<WebFile, 3> kFiles{
    WebFile{"icon.svg", "image/svg+xml", "\"e1\"", "<svg/>"},
    WebFile{"index.html", "text/html; charset=utf-8", "\"e2\"", "<!doctype html>\n"},
    WebFile{"widget.js", "text/javascript; charset=utf-8", "\"e3\"", "let a = 1;\n", "packed"}};

// A router with these files alone, served.
struct Fixture {
  Router router{AccessRules({"*"}, {})};
  testing::RunningServer server{[this](Exchange& exchange) { router.handle(exchange); }};

  explicit Fixture(std::span<const WebFile> files, bool page = true) {
    add_chat_page(router, files, page);
  }
  HttpResponse get(const std::string& path, HttpHeaders headers = {}) {
    return HttpClient(server.url()).get(path, std::move(headers));
  }
};

TEST_CASE("The chat page is served at / alone, under a policy of its own") {
  Fixture fixture(kFiles);
  const HttpResponse page = fixture.get("/");
  CHECK(page.status == 200);
  CHECK(page.body == "<!doctype html>\n");
  CHECK(page.header("content-type") == "text/html; charset=utf-8");
  CHECK(page.header("cache-control") == "no-cache");
  CHECK(page.header("x-frame-options") == "DENY");
  CHECK(page.header("cross-origin-resource-policy") == "same-origin");
  CHECK(page.header("content-security-policy")->starts_with("default-src 'none'; "));
  CHECK(fixture.get("/icon.svg").header("content-type") == "image/svg+xml");
  CHECK(fixture.get("/index.html").status == 404);
  CHECK(fixture.get("/other").status == 404);
  CHECK(HttpClient(fixture.server.url()).request("POST", "/").status == 405);
}

TEST_CASE("Every site may load the widget, with the page or without it") {
  const bool page = GENERATE(true, false);
  Fixture fixture(kFiles, page);
  const HttpResponse script = fixture.get("/widget.js");
  CHECK(script.status == 200);
  CHECK(script.header("content-type") == "text/javascript; charset=utf-8");
  CHECK(script.header("cross-origin-resource-policy") == "cross-origin");
  CHECK(script.header("cache-control")->starts_with("public, max-age="));
  CHECK(fixture.get("/").status == (page ? 200 : 404));
  CHECK(fixture.get("/icon.svg").status == (page ? 200 : 404));
}

TEST_CASE("What is compressed goes to those who take that, under a name of its own") {
  Fixture fixture(kFiles);
  for (const char* const accept : {"gzip", "br, GZIP;q=0.5", "gzip ; q=1.0, identity"}) {
    CAPTURE(accept);
    const HttpResponse script = fixture.get("/widget.js", {{"Accept-Encoding", accept}});
    CHECK(script.body == "packed");
    CHECK(script.header("content-encoding") == "gzip");
    CHECK(script.header("vary") == "Accept-Encoding");
    CHECK(script.header("etag") == "\"e3-gzip\"");
  }
  for (const char* const accept : {"identity", "br", "gzip;q=0", "gzip; q=0.00", "xgzip", ""}) {
    CAPTURE(accept);
    const HttpResponse script = fixture.get("/widget.js", {{"Accept-Encoding", accept}});
    CHECK(script.body == "let a = 1;\n");
    CHECK_FALSE(script.header("content-encoding"));
    CHECK(script.header("vary") == "Accept-Encoding");
    CHECK(script.header("etag") == "\"e3\"");
  }
  // Of what is not, there is one form.
  const HttpResponse page = fixture.get("/", {{"Accept-Encoding", "gzip"}});
  CHECK_FALSE(page.header("content-encoding"));
  CHECK_FALSE(page.header("vary"));
}

TEST_CASE("Who has the file already is told so, of each form for itself") {
  Fixture fixture(kFiles);
  const auto status = [&](const std::string& etag, const std::string& accept) {
    return fixture.get("/widget.js", {{"If-None-Match", etag}, {"Accept-Encoding", accept}}).status;
  };
  CHECK(status("\"e3\"", "identity") == 304);
  CHECK(status("\"e3-gzip\"", "gzip") == 304);
  CHECK(status("\"e0\", W/\"e3-gzip\"", "gzip") == 304);
  CHECK(status("\"e3\"", "gzip") == 200);
  CHECK(status("\"e3-gzip\"", "identity") == 200);
}

TEST_CASE("A build without pages has nothing at their addresses") {
  Fixture fixture({});
  CHECK(fixture.get("/").status == 404);
  CHECK(fixture.get("/widget.js").status == 404);
}

}  // namespace
}  // namespace twinchat::server
