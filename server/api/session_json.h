#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/json.h"
#include "twinchat/session.h"

namespace twinchat::server {

// "2026-11-23T06:45:47.177450Z"
std::string to_text(Timestamp time);

// A session as the API shows it, with its messages oldest first.
Json to_json(const Session& session, std::vector<Message> messages);

// "up", "down" or null.
Json to_json(Feedback feedback);

// The time as a text, or null.
Json to_json(const std::optional<Timestamp>& time);

// A page of messages. Those that one of the turns answers have its `status` and `feedback`.
Json to_json(std::vector<Message> messages, const std::vector<Turn>& turns);

// What a message is answered with: {user_message, bot_response, timestamp, session_id}.
Json to_json(const Turn& turn);

// Tokens, named as in twinchat::Usage.
Json to_json(const Usage& usage);

}  // namespace twinchat::server
