#include "admin/web_files.h"

#include <array>
#include <string>

#include "../../http/running_server.h"
#include "catch.h"

namespace twinchat::server {
namespace {

using testing::HttpClient;
using testing::HttpResponse;

constexpr std::array<WebFile, 2> kFiles{
    WebFile{"assets/index-3f0c.js", "text/javascript; charset=utf-8", "\"e1\"", "let a = 1;\n"},
    WebFile{"index.html", "text/html; charset=utf-8", "\"e2\"", "<!doctype html>\n"}};

// A router with these files alone, served.
struct Fixture {
  Router router{AccessRules({"*"}, {})};
  testing::RunningServer server{[this](Exchange& exchange) { router.handle(exchange); }};

  explicit Fixture(std::span<const WebFile> files) { add_web_files(router, files); }
  HttpResponse get(const std::string& path, testing::HttpHeaders headers = {}) {
    return HttpClient(server.url()).get(path, std::move(headers));
  }
};

TEST_CASE("The page is served at its own address and at all below") {
  Fixture fixture(kFiles);
  for (const char* path : {"/admin", "/admin/", "/admin/index.html", "/admin/sessions/3f0c?q=x"}) {
    CAPTURE(path);
    const HttpResponse page = fixture.get(path);
    CHECK(page.status == 200);
    CHECK(page.body == "<!doctype html>\n");
    CHECK(page.header("content-type") == "text/html; charset=utf-8");
    CHECK(page.header("cache-control") == "no-cache");
    CHECK(page.header("content-security-policy") ==
          "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
          "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
          "object-src 'none'");
    CHECK(page.header("x-content-type-options") == "nosniff");
    CHECK(page.header("x-frame-options") == "DENY");
    CHECK(page.header("referrer-policy") == "no-referrer");
    CHECK(page.header("cross-origin-resource-policy") == "same-origin");
  }
  CHECK(fixture.get("/administrator").status == 404);
  CHECK(HttpClient(fixture.server.url()).request("POST", "/admin/").status == 405);
}

TEST_CASE("Files whose names change with their content are kept for good, others asked for again") {
  Fixture fixture(kFiles);
  const HttpResponse asset = fixture.get("/admin/assets/index-3f0c.js");
  CHECK(asset.body == "let a = 1;\n");
  CHECK(asset.header("content-type") == "text/javascript; charset=utf-8");
  CHECK(asset.header("cache-control") == "public, max-age=31536000, immutable");
  CHECK(asset.header("etag") == "\"e1\"");
  CHECK(fixture.get("/admin/assets/index-0000.js").status == 404);
  const HttpResponse again = fixture.get("/admin/", {{"If-None-Match", "\"e2\""}});
  CHECK(again.status == 304);
  CHECK(again.body.empty());
  CHECK(fixture.get("/admin/", {{"If-None-Match", "\"e1\""}}).status == 200);
}

TEST_CASE("A build without a page has nothing at its address") {
  Fixture fixture({});
  CHECK(fixture.get("/admin/").status == 404);
}

}  // namespace
}  // namespace twinchat::server
