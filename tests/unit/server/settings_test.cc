#include "config/settings.h"

#include <fstream>
#include <iterator>
#include <set>

#include "catch.h"
#include "config/env_file.h"
#include "prompt.h"

namespace twinchat::server {
namespace {

const std::string kGoodSecret = "q8Zt1vXw3Lr6Pn0sKd7Yb2Hf5Jm9Gc4A";

Settings load(std::map<std::string, std::string> environment, std::string env_file = "",
              std::map<std::string, std::string> flags = {}) {
  SettingSources sources;
  sources.environment = std::move(environment);
  sources.environment.emplace("SECRET_KEY", kGoodSecret);
  sources.environment.emplace("GEMINI_API_KEY", "AIzaTest");
  sources.env_file_text = std::move(env_file);
  sources.flags = std::move(flags);
  return load_settings(sources);
}

template <class Load>
std::string error_of(Load load) {
  try {
    load();
  } catch (const SettingsError& e) {
    return e.what();
  }
  FAIL("no error");
  return {};
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("Without any setting the documented defaults hold") {
  const Settings s = load({});
  CHECK_FALSE(s.debug);
  CHECK(s.allowed_hosts == std::vector<std::string>{"localhost", "127.0.0.1"});
  CHECK(s.cors_allowed_origins.size() == 8);
  CHECK(s.database_url == "sqlite:///twinchat.db");
  CHECK(s.host == "127.0.0.1");
  CHECK(s.port == 8000);
  CHECK(s.gemini.model == "gemini-3.5-flash-lite");
  CHECK(s.gemini.base_url == "https://generativelanguage.googleapis.com");
  CHECK(s.gemini.retry.max_attempts == 4);
  CHECK(s.system_prompt == kDefaultSystemPrompt);
  CHECK(s.chat_timeout == std::chrono::seconds(180));
  CHECK(s.create_unknown_sessions);
  CHECK(s.chat_page);
  CHECK_FALSE(s.generation.temperature.has_value());
  CHECK(s.warnings.empty());
  CHECK_FALSE(s.demo());
}

TEST_CASE("A flag beats the environment, which beats the env file, which beats the default") {
  CHECK(load({}, "PORT=1").port == 1);
  CHECK(load({{"PORT", "2"}}, "PORT=1").port == 2);
  CHECK(load({{"PORT", "2"}}, "PORT=1", {{"PORT", "3"}}).port == 3);
  CHECK(load({}, "PORT=1\nPORT=4").port == 4);
}

TEST_CASE("An empty value counts as none, but for lists that may be empty") {
  CHECK(load({{"PORT", ""}}, "PORT=1").port == 1);
  CHECK(load({{"CORS_ALLOWED_ORIGINS", ""}}).cors_allowed_origins.empty());
}

TEST_CASE("DEBUG is understood as Django people write it") {
  const std::string yes = GENERATE("True", "true", "1", "yes", "on", "TRUE", " On ");
  CHECK(load({{"DEBUG", yes}}).debug);
  const std::string no = GENERATE("False", "false", "0", "no", "off");
  CHECK_FALSE(load({{"DEBUG", no}}).debug);
}

TEST_CASE("Values are taken into their types") {
  const Settings s = load({{"ALLOWED_HOSTS", " Example.com , .twin.health,"},
                           {"CORS_ALLOWED_ORIGINS", "https://A.example/,http://b:81"},
                           {"GEMINI_FALLBACK_MODELS", "a, b"},
                           {"GEMINI_TEMPERATURE", "0.7"},
                           {"GEMINI_THINKING_LEVEL", "low"},
                           {"GEMINI_CONNECT_TIMEOUT", "2.5"},
                           {"GEMINI_SAFETY_SETTINGS", "HARM_A=BLOCK_NONE, HARM_B = OFF"},
                           {"CHAT_CREATE_UNKNOWN_SESSIONS", "no"},
                           {"LOG_LEVEL", "DEBUG"},
                           {"CHAT_HEARTBEAT", "0.25"},
                           {"CHAT_PAGE", "no"},
                           {"CHAT_RATE_LIMITS", "message.session=5/h"},
                           {"TRUSTED_PROXIES", "10.0.0.0/8, ::1"},
                           {"DRAIN_DELAY", "1.5"}});
  CHECK(s.allowed_hosts == std::vector<std::string>{"example.com", ".twin.health"});
  CHECK(s.cors_allowed_origins == std::vector<std::string>{"https://a.example", "http://b:81"});
  CHECK(s.gemini.fallback_models == std::vector<std::string>{"a", "b"});
  CHECK(s.generation.temperature == 0.7);
  CHECK(s.generation.thinking_level == "LOW");
  CHECK(s.gemini.timeouts.connect == std::chrono::milliseconds(2500));
  REQUIRE(s.gemini.safety_settings.size() == 2);
  CHECK(s.gemini.safety_settings[1].category == "HARM_B");
  CHECK(s.gemini.safety_settings[1].threshold == "OFF");
  CHECK_FALSE(s.create_unknown_sessions);
  CHECK(s.log_level == "debug");
  CHECK(s.heartbeat == std::chrono::milliseconds(250));
  CHECK_FALSE(s.chat_page);
  CHECK(s.rate_limits.at(RateClass::kMessage, RateScope::kSession) ==
        RateLimit{5, std::chrono::hours(1)});
  CHECK(s.rate_limits.at(RateClass::kMessage, RateScope::kAddress).count == 600);
  REQUIRE(s.trusted_proxies.size() == 2);
  CHECK(s.trusted_proxies[0].bits == 104);
  CHECK(s.drain_delay == std::chrono::milliseconds(1500));
}

TEST_CASE("A value that is not what the setting takes is refused in one sentence") {
  const auto [name, value] = GENERATE(table<std::string, std::string>({
      {"DEBUG", "maybe"},
      {"PORT", "http"},
      {"PORT", "65536"},
      {"PORT", "-1"},
      {"PORT", "80 80"},
      {"PORT", "8000x"},
      {"ALLOWED_HOSTS", "http://example.com"},
      {"ALLOWED_HOSTS", ","},
      {"CORS_ALLOWED_ORIGINS", "example.com"},
      {"CORS_ALLOWED_ORIGINS", "*"},
      {"CORS_ALLOWED_ORIGINS", "http://a/path"},
      {"DATABASE_URL", "mysql://user:word@host/db"},
      {"DATABASE_URL", "sqlite:///"},
      {"DATABASE_POOL_SIZE", "0"},
      {"LOG_LEVEL", "loud"},
      {"GEMINI_BASE_URL", "ftp://x"},
      {"GEMINI_API_VERSION", "v2"},
      {"GEMINI_TEMPERATURE", "hot"},
      {"GEMINI_TEMPERATURE", "2.1"},
      {"GEMINI_TEMPERATURE", "nan"},
      {"GEMINI_MAX_OUTPUT_TOKENS", "0"},
      {"GEMINI_THINKING_LEVEL", "very"},
      {"GEMINI_SAFETY_SETTINGS", "HARM_A"},
      {"GEMINI_MAX_ATTEMPTS", "11"},
      {"GEMINI_IDLE_TIMEOUT", "0"},
      {"GEMINI_API_KEY", "with space"},
      {"CHAT_TIMEOUT", "inf"},
      {"CHAT_RATE_LIMITS", "often"},
      {"CHAT_RATE_LIMITS", "message.session=20"},
      {"TRUSTED_PROXIES", "proxy.example"},
      {"TRUSTED_PROXIES", "10.0.0.0/33"},
      {"DRAIN_DELAY", "-1"},
      {"SECURE_PROXY_SSL_HEADER", "https-only"},
      {"SECURE_PROXY_SSL_HEADER", "X Forwarded,https"},
      {"SECURE_SSL_REDIRECT", "maybe"},
      {"SECURE_SSL_HOST", "http://example.com"},
      {"SECURE_REDIRECT_EXEMPT", "static/*"},
      {"SECURE_HSTS_SECONDS", "-1"},
      {"SECURE_HSTS_SECONDS", "a year"},
      {"SECURE_REFERRER_POLICY", "none"},
      {"CHAT_SYSTEM_PROMPT", "\xFF"},
  }));
  CAPTURE(name, value);
  const std::string error = error_of([&, n = name, v = value] { load({{n, v}}); });
  CHECK(error.find(name + " in the environment is not usable: it takes ") == 0);
  CHECK(error.back() == '.');
  CHECK_FALSE(contains(error, value == "," ? "\x01" : " " + value + " "));
}

TEST_CASE("A database is shown without who logs in and how") {
  const auto [url, shown] = GENERATE(table<std::string, std::string>({
      {"sqlite:///chat@home.db", "sqlite:///chat@home.db"},
      {"memory:", "memory:"},
      {"postgresql://host:5433/chat", "postgresql://host:5433/chat"},
      {"postgres://user:secret@a,b:5433/chat", "postgresql://a,b:5433/chat"},
      {"postgresql://user:sec@ret@host/chat?password=secret", "postgresql://host/chat"},
      {"postgresql://user:sec/ret@host/chat", "postgresql://host/chat"},
      {"postgresql://user:secret?x@host/chat", "postgresql://..."},
      {"postgresql://host/chat?user=a@b&password=secret", "postgresql://..."},
      {"postgresql:///chat?host=/run/postgresql", "postgresql:///chat"},
  }));
  CHECK(load({{"DATABASE_URL", url}}).database_shown() == shown);
}

TEST_CASE("A bad value is traced to its source") {
  CHECK(contains(error_of([] { load({}, "# x\nPORT=x"); }), "PORT in .env line 2 is not usable"));
  CHECK(contains(error_of([] {
                   load({}, "", {{"PORT", "x"}});
                 }),
                 "PORT on the command line is not usable"));
}

TEST_CASE("A missing, short, known or repetitive SECRET_KEY is refused unless DEBUG is on") {
  const std::string key = GENERATE(as<std::string>(), "", "Xy7!", "your-secret-key-here",
                                   "django-insecure-abcdefghijklmnopqrstuvwxyz0123456789",
                                   "change-me-abcdefghijklmnopqrstuvwxyz0123456789",
                                   std::string(64, 'x'), "abababababababababababababababababab");
  CAPTURE(key);
  CHECK(secret_key_weakness(key).has_value());
  const std::string error = error_of([&] { load({{"SECRET_KEY", key}}); });
  CHECK(error.find("SECRET_KEY is ") == 0);
  CHECK((key.empty() || !contains(error, key)));
  CHECK_NOTHROW(load({{"SECRET_KEY", key}, {"DEBUG", "True"}}));
}

TEST_CASE("A random SECRET_KEY is taken") {
  CHECK_FALSE(secret_key_weakness(kGoodSecret));
}

TEST_CASE("Without a Gemini key the demo answers under DEBUG and nothing does otherwise") {
  const std::string key = GENERATE(as<std::string>(), "", "your-gemini-api-key-here");
  CHECK(load({{"GEMINI_API_KEY", key}, {"DEBUG", "1"}}).demo());
  const std::string error = error_of([&] { load({{"GEMINI_API_KEY", key}}); });
  CHECK(error.find("GEMINI_API_KEY is missing") == 0);
}

TEST_CASE("The proxy's header may be named as Django names it, or as it is") {
  for (const char* text : {"HTTP_X_FORWARDED_PROTO,https", "X-Forwarded-Proto, https"}) {
    const Settings s = load({{"SECURE_PROXY_SSL_HEADER", text}});
    CHECK(s.https.proxy_header == "x-forwarded-proto");
    CHECK(s.https.proxy_value == "https");
  }
  CHECK(load({}).https.proxy_header == "x-forwarded-proto");
  CHECK(load({{"SECURE_PROXY_SSL_HEADER", "off"}}).https.proxy_header.empty());
}

TEST_CASE("A certificate comes with its key") {
  CHECK(contains(error_of([] { load({{"TLS_KEY", "k"}}); }), "belong together"));
  CHECK(contains(error_of([] { load({{"TLS_CERTIFICATE", "c"}}); }), "belong together"));
  CHECK(load({{"TLS_CERTIFICATE", "c"}, {"TLS_KEY", "k"}}).tls_key == "k");
}

TEST_CASE("Commands that do not serve ask for no keys") {
  CHECK_NOTHROW(load_settings(SettingSources{}, false));
}

TEST_CASE("Secrets and the prompt may stand in files") {
  SettingSources sources;
  sources.environment = {{"SECRET_KEY_FILE", "/s"}, {"CHAT_SYSTEM_PROMPT_FILE", "/p"}};
  sources.env_file_text = "GEMINI_API_KEY_FILE=/g\n";
  sources.read_file = [](const std::string& path) -> std::optional<std::string> {
    if (path == "/s") return kGoodSecret + "\n";
    if (path == "/g") return "AIzaFromFile\r\n";
    if (path == "/p") return "Be brief.\n";
    return std::nullopt;
  };
  const Settings s = load_settings(sources);
  CHECK(s.secret_key == kGoodSecret);
  CHECK(s.gemini_api_key == "AIzaFromFile");
  CHECK(s.system_prompt == "Be brief.\n");
  CHECK(s.warnings.empty());

  sources.environment["SECRET_KEY_FILE"] = "/missing";
  CHECK(error_of([&] { load_settings(sources); }) ==
        "SECRET_KEY_FILE in the environment names a file that cannot be read.");
  sources.environment["SECRET_KEY"] = kGoodSecret;
  sources.environment["SECRET_KEY_FILE"] = "/s";
  CHECK(contains(error_of([&] { load_settings(sources); }), "SECRET_KEY is given twice"));
}

TEST_CASE("Unknown names that look like ours are warned of, others are not") {
  const Settings s = load({}, "GEMINI_MODLE=x\nPATH=/bin\nCHAT_TEMPRATURE=1\nPORT=1");
  CHECK(s.warnings == std::vector<std::string>{".env line 1: there is no setting GEMINI_MODLE",
                                               ".env line 3: there is no setting CHAT_TEMPRATURE"});
}

TEST_CASE("Secrets have no flag, everything else has") {
  for (const Setting& setting : setting_table()) {
    CAPTURE(std::string(setting.name));
    CHECK(setting.flag().empty() == setting.secret);
  }
  std::set<std::string_view> names;
  for (const Setting& setting : setting_table()) CHECK(names.insert(setting.name).second);
}

TEST_CASE("The defaults of the library's options are those in the table") {
  const GeminiOptions ours = load({}).gemini;
  const GeminiOptions library;
  CHECK(ours.model == library.model);
  CHECK(ours.base_url == library.base_url);
  CHECK(ours.max_output_tokens == library.max_output_tokens);
  CHECK(ours.timeouts == library.timeouts);
  CHECK(ours.max_connections == library.max_connections);
}

TEST_CASE(".env.example is what `twinchat-server settings` prints, and sets nothing but defaults") {
  std::ifstream file(TWINCHAT_ENV_EXAMPLE, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  CHECK(text == env_example());

  CHECK(parse_env_file(text, ".env.example").empty());
  std::string uncommented;
  for (std::size_t at = text.find("\n# "); at != std::string::npos;
       at = text.find("\n# ", at + 1)) {
    const std::string line = text.substr(at + 3, text.find('\n', at + 3) - at - 3);
    const std::size_t equals = line.find('=');
    if (equals != std::string::npos && line.find(' ') > equals) uncommented += line + "\n";
  }
  CHECK(parse_env_file(uncommented, "x").size() == setting_table().size());
  const Settings from_file = load({}, uncommented);
  const Settings from_nothing = load({});
  CHECK(from_file.refusal == from_nothing.refusal);
  CHECK(from_file.cors_allowed_origins == from_nothing.cors_allowed_origins);
}

}  // namespace
}  // namespace twinchat::server
