// A chat in the terminal: answers come as they are written, Ctrl-C stops one, earlier conversations
// can be taken up again, and a message that failed can be sent once more. /help lists the commands.
//   GEMINI_API_KEY=... terminal_chat [--continue] [--state DIRECTORY]
#include <pthread.h>

#include <algorithm>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "gemini_from_environment.h"
#include "line_editor.h"
#include "twinchat/twinchat.h"

namespace {

constexpr std::string_view kSystemPrompt =
    "You are a friendly and knowledgeable assistant in a terminal. Answer in plain text without "
    "Markdown, in a few short paragraphs.";

// Ctrl-C stops the answer under way; where there is none it ends the program as it would have
// without this. Made before any other thread is, for they inherit what is blocked.
//
// Thread safety: any thread.
class Interrupts {
 public:
  Interrupts() {
    sigemptyset(&interrupt_);
    sigaddset(&interrupt_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt_, nullptr);
    watcher_ = std::thread([this] { watch(); });
  }
  ~Interrupts() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    pthread_kill(watcher_.native_handle(), SIGINT);
    watcher_.join();
  }
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // For an answer that begins now.
  std::stop_token begin() {
    const std::lock_guard lock(mutex_);
    return answer_.emplace().get_token();
  }
  void end() {
    const std::lock_guard lock(mutex_);
    answer_.reset();
  }

 private:
  void watch() {
    // Whatever else is sent is for the main thread, and the line editor's handlers there.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    while (true) {
      int signal = 0;
      sigwait(&interrupt_, &signal);
      std::unique_lock lock(mutex_);
      if (ending_) return;
      std::optional<std::stop_source> answer = answer_;
      lock.unlock();
      if (answer) {
        answer->request_stop();
      } else {
        pthread_sigmask(SIG_UNBLOCK, &interrupt_, nullptr);
        raise(SIGINT);
        pthread_sigmask(SIG_BLOCK, &interrupt_, nullptr);
      }
    }
  }

  sigset_t interrupt_;
  std::mutex mutex_;
  bool ending_ = false;                     // guarded by mutex_
  std::optional<std::stop_source> answer_;  // guarded by mutex_
  std::thread watcher_;
};

// What a terminal may show of a text that somebody else wrote: control characters could move the
// cursor, or worse.
std::string printable(std::string_view text) {
  std::string safe;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool c1 =
        c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c1) {
      ++i;
    } else if ((c >= ' ' && c != 0x7F) || c == '\n' || c == '\t') {
      safe += text[i];
    }
  }
  return safe;
}

// The beginning of a text as one short line.
std::string headline(std::string_view text) {
  constexpr std::size_t kBytes = 60;
  std::string line = printable(text.substr(0, kBytes));
  std::replace(line.begin(), line.end(), '\n', ' ');
  if (text.size() <= kBytes) return line;
  while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0x80) != 0) line.pop_back();
  return line + "...";
}

// A name for a message under which it can be sent again without being asked twice.
std::string random_key() {
  std::random_device random;
  std::ostringstream key;
  key << std::hex;
  for (int i = 0; i < 4; ++i) key << random() << "-";
  return key.str();
}

// The ids of the conversations, one a line, in the order in which they began.
class SessionList {
 public:
  explicit SessionList(std::filesystem::path file) : file_(std::move(file)) {
    std::ifstream lines(file_);
    for (std::string id; std::getline(lines, id);) ids_.push_back(id);
  }
  void add(const std::string& id) {
    ids_.push_back(id);
    std::ofstream(file_, std::ios::app) << id << std::endl;
  }
  const std::vector<std::string>& ids() const { return ids_; }

 private:
  std::filesystem::path file_;
  std::vector<std::string> ids_;
};

class Chat {
 public:
  Chat(twinchat::Assistant& assistant, SessionList sessions, Interrupts& interrupts)
      : assistant_(assistant), sessions_(std::move(sessions)), interrupts_(interrupts) {}

  // Until /quit or the end of the input.
  void run(LineEditor& editor) {
    std::cout << "Type a message, or /help. Ctrl-C stops an answer, Ctrl-D ends.\n";
    while (!quit_) {
      const auto line = editor.read("you> ");
      if (!line) {
        std::cout << "\n";
        return;
      }
      try {
        take(*line);
      } catch (const twinchat::Error& error) {
        std::cout << "! " << error.what() << "\n";
      }
    }
  }

  // Goes on with the n-th conversation, counted from 1.
  void resume(std::size_t number) {
    if (number == 0 || number > sessions_.ids().size()) {
      std::cout << "! There is no such conversation: see /sessions.\n";
      return;
    }
    session_id_ = sessions_.ids()[number - 1];
    unanswered_.reset();
    show_history("4");
  }
  void resume_newest() {
    if (!sessions_.ids().empty()) resume(sessions_.ids().size());
  }

 private:
  struct Command {
    std::string_view name;
    std::string_view argument;
    std::string_view help;
    void (Chat::*run)(const std::string& argument);
  };
  static const std::vector<Command>& commands() {
    static const std::vector<Command> all = {
        {"/help", "", "this list", &Chat::show_help},
        {"/new", "", "begin a new conversation", &Chat::begin_new},
        {"/history", "[n]", "the newest n questions and answers", &Chat::show_history},
        {"/sessions", "", "all conversations", &Chat::show_sessions},
        {"/resume", "n", "go on with the n-th of /sessions", &Chat::resume_named},
        {"/retry", "", "send the message that failed once more", &Chat::retry},
        {"/details", "[name|email|phone [text]]", "show, set or clear what is known of you",
         &Chat::details},
        {"/quit", "", "end", &Chat::quit}};
    return all;
  }

  void take(const std::string& line) {
    const auto begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos) return;
    if (line[begin] != '/') {
      unanswered_ = {.text = line.substr(begin), .key = random_key()};
      ask();
      return;
    }
    std::istringstream words(line);
    std::string name;
    std::string argument;
    words >> name >> std::ws;
    std::getline(words, argument);
    for (const Command& command : commands()) {
      if (command.name == name) return (this->*command.run)(argument);
    }
    std::cout << "! There is no " << printable(name) << ": see /help.\n";
  }

  // A conversation is kept from its first message on.
  const std::string& session_id() {
    if (session_id_.empty()) {
      session_id_ = assistant_.create_session().session_id;
      sessions_.add(session_id_);
    }
    return session_id_;
  }

  void ask() {
    std::string shown;
    const auto show = [&shown](std::string_view text) {
      shown += text;
      return bool(std::cout << printable(text) << std::flush);
    };
    std::cout << "bot> " << std::flush;
    try {
      const twinchat::Turn turn = assistant_.send(session_id(), unanswered_->text,
                                                  {.on_text = show,
                                                   .stop_token = interrupts_.begin(),
                                                   .idempotency_key = unanswered_->key});
      // A refusal takes the place of what the model had begun to say.
      if (turn.text() != shown) std::cout << (shown.empty() ? "" : "\n") << printable(turn.text());
      std::cout << "\n";
      if (turn.status == twinchat::TurnStatus::kTruncated) std::cout << "[the answer was cut]\n";
      unanswered_.reset();
    } catch (const twinchat::Error& error) {
      if (error.code() == twinchat::ErrorCode::kCancelled) {
        std::cout << "\n[stopped; /retry asks again]\n";
      } else {
        std::cout << "\n! " << error.what() << "\n[your message is kept; /retry asks again";
        if (const auto wait = error.retry_after()) {
          std::cout << ", best in " << std::chrono::ceil<std::chrono::seconds>(*wait).count()
                    << " seconds";
        }
        std::cout << "]\n";
      }
    }
    interrupts_.end();
  }

  void retry(const std::string&) {
    if (unanswered_) {
      ask();
    } else {
      std::cout << "! The last message has its answer.\n";
    }
  }

  void begin_new(const std::string&) {
    session_id_.clear();
    unanswered_.reset();
    std::cout << "[a new conversation]\n";
  }

  void resume_named(const std::string& number) { resume(number_in(number, 0)); }

  void show_history(const std::string& number) {
    for (const twinchat::Turn& turn : assistant_.history(session_id_, number_in(number, 20))) {
      std::cout << "you> " << printable(turn.user_message.text) << "\n";
      if (turn.answer) std::cout << "bot> " << printable(turn.text()) << "\n";
      if (turn.status != twinchat::TurnStatus::kComplete) {
        std::cout << "[" << to_string(turn.status) << "]\n";
      }
    }
  }

  void show_sessions(const std::string&) {
    const auto& ids = sessions_.ids();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto first = assistant_.messages(ids[i], {.limit = 1});
      std::cout << (ids[i] == session_id_ ? "* " : "  ") << i + 1 << "  "
                << (first.empty() ? "(nothing was said)" : headline(first.front().text)) << "\n";
    }
  }

  void details(const std::string& argument) {
    std::istringstream words(argument);
    std::string field;
    std::string text;
    words >> field >> std::ws;
    std::getline(words, text);
    const twinchat::FieldUpdate value =
        text.empty() ? twinchat::FieldUpdate(nullptr) : twinchat::FieldUpdate(text);
    twinchat::UserDetailsUpdate update;
    if (field == "name") {
      update.name = value;
    } else if (field == "email") {
      update.email = value;
    } else if (field == "phone") {
      update.phone = value;
    } else if (!field.empty()) {
      std::cout << "! The details are name, email and phone.\n";
      return;
    }
    if (!update.empty()) assistant_.update_user(session_id(), update);
    const auto session = assistant_.find_session(session_id_);
    const twinchat::UserDetails user = session ? session->user : twinchat::UserDetails{};
    std::cout << "name:  " << printable(user.name.value_or("-")) << "\n"
              << "email: " << printable(user.email.value_or("-")) << "\n"
              << "phone: " << printable(user.phone.value_or("-")) << "\n";
  }

  void show_help(const std::string&) {
    for (const Command& command : commands()) {
      std::string call(command.name);
      call.append(" ").append(command.argument);
      call.resize(36, ' ');
      std::cout << call << command.help << "\n";
    }
  }

  void quit(const std::string&) { quit_ = true; }

  static std::size_t number_in(const std::string& text, std::size_t otherwise) {
    std::istringstream words(text);
    std::size_t number = 0;
    return words >> number ? number : otherwise;
  }

  struct Unanswered {
    std::string text;
    std::string key;
  };

  twinchat::Assistant& assistant_;
  SessionList sessions_;
  Interrupts& interrupts_;
  std::string session_id_;  // empty: the conversation has not begun
  std::optional<Unanswered> unanswered_;
  bool quit_ = false;
};

// Where conversations and the history of what was typed are kept, for their owner alone.
std::filesystem::path make_private_directory(std::filesystem::path given) {
  if (given.empty()) {
    const char* state = std::getenv("XDG_STATE_HOME");
    const char* home = std::getenv("HOME");
    given = state != nullptr && *state != '\0'
                ? std::filesystem::path(state)
                : std::filesystem::path(home ? home : ".") / ".local" / "state";
    given /= "twinchat";
  }
  if (std::filesystem::create_directories(given)) {
    std::filesystem::permissions(given, std::filesystem::perms::owner_all);
  }
  return given;
}

}  // namespace

int main(int argc, char** argv) {
  std::setlocale(LC_CTYPE, "");
  bool go_on = false;
  std::filesystem::path directory;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--continue") {
      go_on = true;
    } else if (argument == "--state" && i + 1 < argc) {
      directory = argv[++i];
    } else {
      std::cerr << "Usage: terminal_chat [--continue] [--state DIRECTORY]\n";
      return argument == "--help" ? 0 : 2;
    }
  }
  twinchat::GeminiOptions gemini = gemini_from_environment();
  if (gemini.api_key.empty()) {
    std::cerr << "There is no GEMINI_API_KEY in the environment. Get a key at\n"
                 "https://aistudio.google.com (Get API key), then: export GEMINI_API_KEY=...\n";
    return 2;
  }
  try {
    Interrupts interrupts;
    directory = make_private_directory(directory);
    twinchat::Assistant assistant(twinchat::open_sqlite_store(directory / "chat.db"),
                                  twinchat::make_gemini_model(std::move(gemini)),
                                  {.system_prompt = std::string(kSystemPrompt)});
    Chat chat(assistant, SessionList(directory / "sessions"), interrupts);
    if (go_on) chat.resume_newest();
    LineEditor editor(directory / "typed");
    chat.run(editor);
  } catch (const std::exception& error) {
    std::cerr << "terminal_chat: " << error.what() << "\n";
    return 1;
  }
}
