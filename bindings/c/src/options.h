#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "guard.h"
#include "twinchat.h"
#include "twinchat/twinchat.h"
#include "user_data.h"

namespace twinchat::c {

// The caller's struct as this library knows it: fields that the caller's header did not have yet
// are 0, and those that this library does not have yet must be. All 0 for a null `given`.
// kInvalidArgument.
template <class Struct>
Struct read_struct(const Struct* given, const char* name) {
  Struct own{};
  if (given == nullptr) return own;
  const std::size_t size = given->struct_size;
  if (size < sizeof(std::size_t)) {
    throw Error(ErrorCode::kInvalidArgument, std::string(name) + ": struct_size is not set.");
  }
  const auto* bytes = reinterpret_cast<const char*>(given);
  for (std::size_t i = sizeof own; i < size; ++i) {
    if (bytes[i] != 0) {
      throw Error(ErrorCode::kInvalidArgument,
                  std::string(name) + ": a field is set that this version does not have.");
    }
  }
  std::memcpy(&own, given, std::min(size, sizeof own));
  return own;
}

// The text of that length, which may be TWINCHAT_NTS. `text` may be null when it is 0.
std::string_view text_of(const char* text, std::size_t length);

GeminiOptions gemini_options_from(const twinchat_gemini_options* given);
// The user data of the tools is added to `tools_data`: keep() it when the assistant is there.
AssistantOptions assistant_options_from(const twinchat_assistant_options* given,
                                        std::vector<std::shared_ptr<UserData>>& tools_data);
SendOptions send_options_from(const twinchat_send_options* given);
UserDetails details_from(const twinchat_details* given);
UserDetailsUpdate details_update_from(const twinchat_details* given);

}  // namespace twinchat::c
