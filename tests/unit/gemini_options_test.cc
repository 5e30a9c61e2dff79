#include <string>

#include "catch.h"
#include "twinchat/gemini.h"

using namespace twinchat;

namespace {

// Whether a model can be made of these options; anything but kInvalidArgument is a failure.
bool accepted(GeminiOptions options) {
  try {
    make_gemini_model(std::move(options));
    return true;
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    CHECK(std::string(error.what()).find("s3cret") == std::string::npos);
    return false;
  }
}

bool accepts_url(const std::string& url) {
  return accepted({.api_key = "k", .base_url = url});
}

}  // namespace

TEST_CASE("The default options need a key, or a token, and nothing else") {
  CHECK(accepted({.api_key = "AIzaSyAnything-_0123"}));
  CHECK(accepted({.api_key = "AQ.new/form+of=key"}));
  CHECK(accepted({.bearer_token = [] { return std::string("t"); }}));
  CHECK_FALSE(accepted({}));
}

TEST_CASE("A key that could end its header is refused, and not repeated") {
  for (const std::string& key :
       {std::string("s3cret\n"), std::string("s3cret\r\nX-Other: 1"), std::string("s3 cret"),
        std::string("s3cret "), std::string("\ts3cret"), std::string("s3cret\0", 7),
        std::string("s3cret\x7F"), std::string("s3cr\xC3\xA9t")}) {
    CHECK_FALSE(accepted({.api_key = key}));
  }
}

TEST_CASE("Keys go over https, or to this machine") {
  for (const char* url : {
           "https://generativelanguage.googleapis.com",
           "https://generativelanguage.googleapis.com/",
           "https://gateway.example.com/some/path",
           "https://gateway.example.com:8443/some/path/",
           "HTTPS://gateway.example.com",
           "https://192.0.2.1",
           "https://[2001:db8::1]:8443",
           "http://localhost:8080",
           "http://LocalHost",
           "http://127.0.0.1:8080/prefix",
           "http://127.1.2.3",
           "http://[::1]:8080",
       }) {
    INFO(url);
    CHECK(accepts_url(url));
  }
  for (const char* url : {
           "",
           "generativelanguage.googleapis.com",
           "localhost:8080",
           "//example.com",
           "https://",
           "http://example.com",
           "http://generativelanguage.googleapis.com",
           "http://localhost.example.com",
           "http://127.0.0.1.example.com",
           "http://128.0.0.1",
           "http://0.0.0.0",
           "http://192.168.0.1",
           "http://[::2]",
           "http://[::ffff:192.0.2.1]",
           "http://localhost@example.com",
           "http://127.0.0.1@example.com",
           "ftp://localhost",
           "file:///etc/passwd",
           "gopher://localhost",
           "https://user@example.com",
           "https://user:s3cret@example.com",
           "https://:s3cret@example.com",
           "https://example.com?",
           "https://example.com?key=s3cret",
           "https://example.com/path?key=s3cret",
           "https://example.com#",
           "https://example.com#fragment",
           "https://example.com/a b",
           "https://example.com\n",
           "https://example.com/\r\nX: y",
           " https://example.com",
           "https://exa mple.com",
           "https://example.com:99999",
           "https://example.com:port",
       }) {
    INFO(url);
    CHECK_FALSE(accepts_url(url));
  }
  CHECK_FALSE(accepts_url(std::string("https://example.com\0.evil", 25)));
}

TEST_CASE("Names that would change the URL are refused") {
  for (const char* good : {"gemini-2.5-flash", "tunedModels/mine-1", "models/gemini-2.5-flash"}) {
    CHECK(accepted({.api_key = "k", .model = good}));
    CHECK(accepted({.api_key = "k", .fallback_models = {good}}));
  }
  for (const char* bad :
       {"", "a b", "a?b", "a#b", "a:b", "a%2Fb", "../x", "a/../b", "a\nb", "a\\b"}) {
    INFO(bad);
    CHECK_FALSE(accepted({.api_key = "k", .model = bad}));
    CHECK_FALSE(accepted({.api_key = "k", .fallback_models = {"fine", bad}}));
    CHECK_FALSE(accepted({.api_key = "k", .api_version = bad}));
    CHECK_FALSE(accepted({.api_key = "k", .model_path = bad}));
  }
  CHECK(accepted({.api_key = "k",
                  .model_path = "projects/p/locations/europe-west4/publishers/google/models/"}));
}

TEST_CASE("Limits that leave nothing are refused") {
  CHECK_FALSE(accepted({.api_key = "k", .max_output_tokens = 0}));
  CHECK_FALSE(accepted({.api_key = "k", .max_output_tokens = -1}));
  CHECK_FALSE(accepted({.api_key = "k", .retry = {.max_attempts = 0}}));
  CHECK_FALSE(accepted({.api_key = "k", .max_in_flight = 0}));
  CHECK_FALSE(accepted({.api_key = "k", .max_connections = 0}));
  CHECK_FALSE(accepted({.api_key = "k", .max_answer_bytes = 0}));
  using std::chrono::milliseconds;
  CHECK_FALSE(accepted({.api_key = "k", .timeouts = {.connect = milliseconds(0)}}));
  CHECK_FALSE(accepted({.api_key = "k", .timeouts = {.first_byte = milliseconds(0)}}));
  CHECK_FALSE(accepted({.api_key = "k", .timeouts = {.idle = milliseconds(-1)}}));
  CHECK_FALSE(accepted({.api_key = "k", .timeouts = {.total = milliseconds(0)}}));
  CHECK(accepted({.api_key = "k", .max_queued = 0}));
}
