#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/json.h"
#include "twinchat/session.h"

namespace twinchat::server {

// The JSON of a request's body; {} when there is no body at all. At most 32 levels deep; when a
// name comes twice the last one counts.
//
// Refusal 415 for a body that does not call itself application/json, 400 for one that is not JSON
// (a byte order mark, NaN, bytes that are not UTF-8 and lone surrogates included).
//
// Thread safety: a pure function.
Json parse_json_body(std::string_view content_type, std::string_view body);

// Reads the fields of a request, gathers what is wrong with all of them, and refuses them together:
//
//   BodyFields fields(body);
//   const std::string id = fields.required_text("session_id", 255);
//   const UserDetailsUpdate details = fields.user_details();
//   fields.check();   // throws when one of them would not do
//
// Until check() has returned, what the other functions gave may be empty for a field that would
// not do. The messages are those that the existing web client knows.
//
// Thread safety: for one thread.
class BodyFields {
 public:
  // Keeps a reference to `body`. Refusal 400 when it is not an object.
  explicit BodyFields(const Json& body);

  // The text without white space at its ends: 1 to `max_length` code points. A number is taken as
  // its text.
  std::string required_text(const std::string& name, std::size_t max_length);

  // The same for a field that may be left out or null: empty then.
  std::string optional_text(const std::string& name, std::size_t max_length);

  // A whole number, also one that is written as a text.
  std::int64_t required_integer(const std::string& name);

  // One of the choices; nullopt for null. Must be there.
  std::optional<std::string> required_choice(const std::string& name,
                                             const std::vector<std::string>& choices);

  // True or false; false when it is left out or null.
  bool optional_flag(const std::string& name);

  // The change that "user_details" asks for: absent names stay, null clears, others set.
  UserDetailsUpdate user_details();

  // Notes that something is wrong with the field.
  void complain(const std::string& name, const std::string& message);

  // Refusal 400 with all messages, if there are any: {"field":["message"]}.
  void check() const;

 private:
  std::string text(const std::string& name, const Json& value, std::size_t max_length);

  const Json& body_;
  Json problems_ = Json::object();
};

// The text of a JSON string or number; nullopt for any other value.
std::optional<std::string> text_of(const Json& value);

}  // namespace twinchat::server
