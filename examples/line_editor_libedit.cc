#include <histedit.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <utility>

#include "line_editor.h"

class LineEditor::Impl {
 public:
  explicit Impl(std::filesystem::path history) : file_(std::move(history)) {
    if (isatty(STDIN_FILENO) == 0) return;
    editor_.reset(el_init("terminal-chat", stdin, stdout, stderr));
    history_.reset(history_init());
    if (!editor_ || !history_) return;
    HistEvent event;
    ::history(history_.get(), &event, H_SETSIZE, 1000);
    ::history(history_.get(), &event, H_SETUNIQUE, 1);
    ::history(history_.get(), &event, H_LOAD, file_.c_str());
    EditLine* editor = editor_.get();
    el_set(editor, EL_CLIENTDATA, this);
    el_set(editor, EL_PROMPT, &Impl::prompt_of);
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_HIST, ::history, history_.get());
    el_set(editor, EL_SIGNAL, 1);
    // While a line is edited Ctrl-C and Ctrl-Z are keys like others and no signals.
    el_set(editor, EL_SETTY, "-d", "-isig", nullptr);
    el_set(editor, EL_ADDFN, "drop-line", "Drops the line", &Impl::drop_line);
    el_set(editor, EL_BIND, "^C", "drop-line", nullptr);
    el_set(editor, EL_ADDFN, "suspend", "Suspends the program", &Impl::suspend);
    el_set(editor, EL_BIND, "^Z", "suspend", nullptr);
    el_source(editor, nullptr);  // ~/.editrc
  }

  std::optional<std::string> read(const std::string& prompt) {
    if (!editor_) {
      std::string line;
      return std::getline(std::cin, line) ? std::optional(line) : std::nullopt;
    }
    prompt_ = prompt;
    dropped_ = false;
    int length = 0;
    const char* typed = el_gets(editor_.get(), &length);
    if (typed == nullptr || length <= 0) return std::nullopt;
    std::string line(typed, static_cast<std::size_t>(length));
    while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
    if (dropped_) return "";
    if (!line.empty()) remember(line);
    return line;
  }

 private:
  struct Ends {
    void operator()(EditLine* editor) const { el_end(editor); }
    void operator()(History* history) const { history_end(history); }
  };

  static Impl& of(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return *static_cast<Impl*>(self);
  }
  static char* prompt_of(EditLine* editor) { return of(editor).prompt_.data(); }
  static unsigned char drop_line(EditLine* editor, int) {
    of(editor).dropped_ = true;
    std::cout << "^C\n" << std::flush;
    return CC_NEWLINE;
  }
  static unsigned char suspend(EditLine*, int) {
    kill(getpid(), SIGTSTP);  // libedit sees to the terminal before and after
    return CC_REDISPLAY;
  }

  void remember(const std::string& line) {
    HistEvent event;
    ::history(history_.get(), &event, H_ENTER, line.c_str());
    ::history(history_.get(), &event, H_SAVE, file_.c_str());
  }

  std::filesystem::path file_;
  std::string prompt_;
  bool dropped_ = false;
  std::unique_ptr<History, Ends> history_;
  std::unique_ptr<EditLine, Ends> editor_;
};

LineEditor::LineEditor(std::filesystem::path history)
    : impl_(std::make_unique<Impl>(std::move(history))) {}

LineEditor::~LineEditor() = default;

std::optional<std::string> LineEditor::read(const std::string& prompt) {
  return impl_->read(prompt);
}
