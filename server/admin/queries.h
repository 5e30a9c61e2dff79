#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "api/call.h"
#include "api/json.h"
#include "twinchat/accounts.h"
#include "twinchat/records.h"

namespace twinchat::server {

// Parameters as they were sent, by name.
using Parameters = std::function<std::optional<std::string>(std::string_view name)>;

Parameters parameters_of(const Call& call);
// The members of a JSON object; those that are no text, number or boolean are not there.
Parameters parameters_of(const Json& object);

// What the parameters of the lists mean; API.md and the OpenAPI document have the words. Refusal
// 400 that names the parameter for a value that cannot be.
SessionQuery session_query(const Parameters& parameters);
RowQuery row_query(const Parameters& parameters);
TurnQuery turn_query(const Parameters& parameters);
UserQuery user_query(const Parameters& parameters);
AuditQuery audit_query(const Parameters& parameters);

struct Days {
  std::chrono::sys_days first, last;
};
// "from" and "to", or the last thirty days.
Days days_of(const Parameters& parameters);

// "today", "7days", "month", "year": from when on.
Timestamp since(std::string_view choice);

// A whole number in that range; `otherwise` when it is not there.
std::int64_t number_of(const Parameters& parameters, std::string_view name, std::int64_t least,
                       std::int64_t most, std::int64_t otherwise);
// That the text is; nullopt when it is none or negative.
std::optional<std::int64_t> id_of(std::string_view text);

}  // namespace twinchat::server
