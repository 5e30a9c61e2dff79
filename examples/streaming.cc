// An answer that is shown as it comes, and that Ctrl-C stops. What had come by then stays stored.
//   GEMINI_API_KEY=... streaming "Tell me about sleep and blood sugar"
#include <csignal>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>

#include "gemini_from_environment.h"
#include "twinchat/twinchat.h"

namespace {

// shown: interrupt
// Asks a stop_source to stop when Ctrl-C comes. request_stop() is not for signal handlers: a thread
// waits for the signal, which all others block. Made before any other thread is, for they inherit
// what is blocked.
class StopOnInterrupt {
 public:
  StopOnInterrupt() {
    sigemptyset(&interrupt_);
    sigaddset(&interrupt_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt_, nullptr);
    watcher_ = std::thread([this] {
      int signal = 0;
      sigwait(&interrupt_, &signal);
      stop_.request_stop();
    });
  }
  ~StopOnInterrupt() {
    pthread_kill(watcher_.native_handle(), SIGINT);  // it may still be waiting
    watcher_.join();
  }
  StopOnInterrupt(const StopOnInterrupt&) = delete;
  StopOnInterrupt& operator=(const StopOnInterrupt&) = delete;

  std::stop_token token() const { return stop_.get_token(); }

 private:
  sigset_t interrupt_;
  std::stop_source stop_;
  std::thread watcher_;
};
// shown: end

}  // namespace

int main(int argc, char** argv) {
  const std::string question = argc > 1 ? argv[1] : "How do sleep and blood sugar hang together?";
  try {
    StopOnInterrupt interrupt;
    twinchat::Assistant assistant(twinchat::open_store("sqlite:///chat.db"),
                                  twinchat::make_gemini_model(gemini_from_environment()));
    const std::string id = assistant.create_session().session_id;
    // shown: stop
    const auto print = [](std::string_view text) { return bool(std::cout << text << std::flush); };
    try {
      assistant.send(id, question, {.on_text = print, .stop_token = interrupt.token()});
    } catch (const twinchat::Error& error) {
      if (error.code() != twinchat::ErrorCode::kCancelled) throw;
    }
    const twinchat::Turn turn = assistant.history(id).back();
    std::cout << "\n[" << to_string(turn.status) << ", " << turn.text().size()
              << " bytes stored]\n";
    // shown: end
  } catch (const std::exception& error) {
    std::cerr << "streaming: " << error.what() << "\n";
    return 1;
  }
}
