#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/json.h"

namespace twinchat::server {

// What the widget and the chat page are told about themselves: CHAT_WIDGET, merged over what is
// built in.
//
// Thread safety: a plain value.
class WidgetSettings {
 public:
  // What is built in.
  WidgetSettings();

  // `text` is a JSON object with what is to differ, in the form of document(). Objects are merged
  // member by member, everything else takes the place of what is built in; null in place of a
  // language takes that away. SettingsError, which begins with the place in the document, for what
  // is not of that form.
  static WidgetSettings parse(std::string_view text);

  // As GET /api/chat/widget/ shows it:
  //   texts             {LANGUAGE: {title, welcome, consent, quick_actions [{label, message}]}}
  //   default_language  one of them
  //   details           {when "before_first_answer", "after_first_answer" or "never",
  //                      fields [{name "name", "email" or "phone", required, pattern or null}]}
  //   consent           {required, version, link or null}, or null: nobody is asked for it
  //   feedback          whether answers have thumbs
  //   max_message_length  what the input takes, 1 to 5000
  const Json& document() const noexcept { return document_; }

  // Whether visitors are asked to agree to something that has this name.
  bool has_consent(std::string_view version) const;
  // The words to agree to, in that language; nullopt when there are no such texts.
  std::optional<std::string> consent_text(std::string_view language) const;

 private:
  Json document_;
};

}  // namespace twinchat::server
