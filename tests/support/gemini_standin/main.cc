// gemini-standin: a loopback server that answers as the Gemini API does. README.md beside this
// file says how it is scripted.

#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "gemini_standin/gemini_api.h"
#include "gemini_standin/server.h"

namespace {

struct Arguments {
  std::uint16_t port = 0;
  twinchat::testing::ApiOptions api;
  std::string tls_certificate;
  std::string tls_key;
};

template <typename T>
T number(std::string_view option, std::string_view text) {
  T value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || rest != text.data() + text.size()) {
    throw std::invalid_argument(std::string(option) + " wants a number");
  }
  return value;
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const std::string_view value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--port") {
      arguments.port = number<std::uint16_t>(option, value);
      ++i;
    } else if (option == "--latency-ms") {
      arguments.api.latency_ms = number<int>(option, value);
      ++i;
    } else if (option == "--tls-cert") {
      arguments.tls_certificate = value;
      ++i;
    } else if (option == "--tls-key") {
      arguments.tls_key = value;
      ++i;
    } else if (option == "--no-record") {
      arguments.api.record = false;
    } else if (option == "--blind") {
      arguments.api.blind = true;
    } else {
      throw std::invalid_argument("unknown option " + std::string(option));
    }
  }
  if (arguments.tls_certificate.empty() != arguments.tls_key.empty()) {
    throw std::invalid_argument("--tls-cert and --tls-key go together");
  }
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  try {
    arguments = parse(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr,
                 "gemini-standin: %s\nusage: gemini-standin [--port N] [--latency-ms N] "
                 "[--no-record] [--blind]\n"
                 "  [--tls-cert FILE --tls-key FILE]\n",
                 error.what());
    return 2;
  }
  try {
    sigset_t stop_signals;
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGTERM);
    sigaddset(&stop_signals, SIGINT);
    sigprocmask(SIG_BLOCK, &stop_signals, nullptr);
    twinchat::testing::GeminiApi api(arguments.api);
    twinchat::testing::Server server(
        arguments.port,
        [&api](twinchat::testing::HttpRequest request) { return api.handle(std::move(request)); });
    api.attach(&server);
    const bool tls = !arguments.tls_certificate.empty();
    if (tls) server.use_tls(arguments.tls_certificate, arguments.tls_key);
    // OpenSSL writes with write(), which knows no MSG_NOSIGNAL.
    std::signal(SIGPIPE, SIG_IGN);
    std::printf("listening on %s://127.0.0.1:%d\n", tls ? "https" : "http",
                static_cast<int>(server.port()));
    std::fflush(stdout);
    server.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gemini-standin: %s\n", error.what());
    return 1;
  }
  return 0;
}
