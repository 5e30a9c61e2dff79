#include <filesystem>
#include <string>

#include "catch.h"
#include "stores.h"
#include "temp_dir.h"
#include "twinchat/store.h"

namespace twinchat::testing {
namespace {

TEST_CASE("A SQLite URL with four slashes names an absolute path") {
  TempDir folder;
  const auto file = folder / "chat.db";
  open_store("sqlite:///" + file.string())->create_session("one", {}, moment());
  CHECK(std::filesystem::exists(file));
  CHECK(open_store("sqlite:///" + file.string())->find_session("one"));
}

TEST_CASE("A SQLite URL with three slashes names a path from the working directory") {
  TempDir folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const auto store = open_store("sqlite:///chat.db");
  std::filesystem::current_path(before);
  CHECK(std::filesystem::exists(folder / "chat.db"));
  // The path keeps its meaning.
  store->create_session("one", {}, moment());
  CHECK(store->find_session("one"));
}

TEST_CASE("Percent signs in a SQLite URL stand for bytes of the path") {
  TempDir folder;
  open_store("sqlite:///" + folder.path().string() + "/a%20b%3f%C3%A9.db");
  CHECK(std::filesystem::exists(folder / "a b?\xc3\xa9.db"));
}

TEST_CASE("memory: opens a store that keeps nothing") {
  const auto store = open_store("memory:");
  store->create_session("one", {}, moment());
  CHECK_FALSE(open_store("memory:")->find_session("one"));
}

TEST_CASE("A URL of another form is refused without being repeated") {
  const std::string url =
      GENERATE(as<std::string>(), "", "chat-secret.db", "sqlite:", "sqlite://", "sqlite:///",
               "sqlite://secret.db", "sqlite:secret.db", "sqlite:///secret.db?mode=ro",
               "sqlite:///a#secret", "sqlite:///secret%", "sqlite:///secret%4",
               "sqlite:///secret%zz", "sqlite:///secret%00", "sqlite:///:memory:", "memory:secret",
               "Memory:", "SQLITE:///secret.db", "mysql://u:secret@h/d");
  INFO(url);
  try {
    open_store(url);
    FAIL_CHECK("it was opened");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    CHECK(std::string(error.what()).find("secret") == std::string::npos);
  }
}

#ifdef TWINCHAT_WITH_POSTGRES
TEST_CASE("A PostgreSQL URL that cannot be used is refused without being repeated") {
  const auto [url, code] = GENERATE(table<std::string, ErrorCode>({
      {"postgresql://u:secret@h/d?secret=1", ErrorCode::kInvalidArgument},
      {"postgresql://u:secret@[::1/d", ErrorCode::kInvalidArgument},
      {"postgres://u:secret%zz@h/d", ErrorCode::kInvalidArgument},
      {"postgresql://u:secret@127.0.0.1:1/secret", ErrorCode::kUnavailable},
      {"postgresql://u:secret@127.0.0.1:1,127.0.0.1:2/secret", ErrorCode::kUnavailable},
      {"postgresql://u:secret@no-such-host.invalid/secret", ErrorCode::kUnavailable},
  }));
  INFO(url);
  try {
    open_store(url);
    FAIL_CHECK("it was opened");
  } catch (const Error& error) {
    CHECK(error.code() == code);
    CHECK(std::string(error.what()).find("secret") == std::string::npos);
    CHECK(error.details().diagnostic.find("secret") == std::string::npos);
  }
}
#else
TEST_CASE("A PostgreSQL URL is refused by a build without PostgreSQL") {
  const std::string url =
      GENERATE(as<std::string>(), "postgres://u:secret@h/d", "postgresql://u:secret@h/d");
  try {
    open_store(url);
    FAIL_CHECK("it was opened");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kUnimplemented);
    CHECK(std::string(error.what()).find("PostgreSQL") != std::string::npos);
    CHECK(std::string(error.what()).find("secret") == std::string::npos);
  }
}
#endif

}  // namespace
}  // namespace twinchat::testing
