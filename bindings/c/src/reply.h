#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "twinchat/error.h"
#include "twinchat/model.h"

// What a callback of the program's has replied so far.
//
// Thread safety: used by one callback at a time.
struct twinchat_reply {
  std::string text;
  std::string finish_reason = "STOP";
  twinchat::Usage usage;
  std::optional<twinchat::Error> failure;
  // Reads along, and whether anybody still waits; may be empty. Once one of them has returned false
  // nothing is added any more.
  std::function<bool(std::string_view)> on_text;
  std::function<bool()> wanted;
  bool stopped = false;
  // What could not be thrown through the callback.
  std::exception_ptr thrown;
};
