// A request's body is refused with an answer of ours or read into texts that are fit to be stored.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/json_body.h"
#include "api/refusal.h"
#include "require.h"
#include "text.h"

namespace {

using twinchat::FieldUpdate;
using namespace twinchat::server;

void require_good(const std::string& text, std::size_t max_length) {
  require(is_utf8(text) && count_code_points(text) <= max_length);
  require(text.find('\0') == std::string::npos && trim(text) == text);
}

// What a refusal says is JSON that can be sent.
void require_sendable(const Refusal& refusal) {
  require(refusal.status == 400 || refusal.status == 415);
  const Json again = Json::parse(to_text(refusal.body));
  require(again.is_object() && !again.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // The first line is the content type when there are two.
  const std::size_t line = bytes.find('\n');
  const bool typed = size > 0 && data[0] == '!' && line != std::string_view::npos;
  try {
    const Json body = parse_json_body(typed ? bytes.substr(1, line - 1) : "application/json",
                                      typed ? bytes.substr(line + 1) : bytes);
    require(Json::parse(to_text(body)) == body);
    BodyFields fields(body);
    const std::string id = fields.required_text("session_id", 255);
    const std::string message = fields.required_text("message", 5000);
    const std::string key = fields.optional_text("client_message_id", 255);
    const twinchat::UserDetailsUpdate details = fields.user_details();
    fields.check();
    require(!id.empty() && !message.empty());
    require_good(id, 255);
    require_good(message, 5000);
    require_good(key, 255);
    require(problems(details).empty());
    twinchat::UserDetails user;
    details.apply_to(user);
    for (const auto& field : {user.name, user.email, user.phone}) {
      if (field) require_good(*field, 255);
    }
  } catch (const Refusal& refusal) {
    require_sendable(refusal);
  }
  return 0;
}
