#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

// Lines that a person types: with editing, arrow keys and a history that outlives the program where
// standard input is a terminal and the program was built with libedit; plain lines otherwise.
//
// Thread safety: one thread at a time.
class LineEditor {
 public:
  // The history is kept in `history`, which nobody but its owner may read.
  explicit LineEditor(std::filesystem::path history);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // The next line without its end; empty when Ctrl-C dropped what was typed, nothing at the end of
  // the input (Ctrl-D).
  std::optional<std::string> read(const std::string& prompt);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};
