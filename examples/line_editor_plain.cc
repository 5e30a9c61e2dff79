#include <unistd.h>

#include <iostream>

#include "line_editor.h"

class LineEditor::Impl {};

LineEditor::LineEditor(std::filesystem::path) {}

LineEditor::~LineEditor() = default;

std::optional<std::string> LineEditor::read(const std::string& prompt) {
  if (isatty(STDIN_FILENO) != 0) std::cout << prompt << std::flush;
  std::string line;
  return std::getline(std::cin, line) ? std::optional(line) : std::nullopt;
}
