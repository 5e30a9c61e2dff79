#pragma once

#include <string>
#include <vector>

#include "api/json.h"
#include "twinchat/database.h"

namespace twinchat::server {

// What a person may ask for, whoever carries it out: the admin's routes or a command.

// Everything of those sessions, as a file to hand out: details, messages, turns, consents,
// and what was done to them by whom. Of the log the addresses of operators are left out.
Json person_json(Store& store, Records& records, Accounts& accounts,
                 const std::vector<std::string>& session_ids, Timestamp now);

// How many messages those sessions have.
std::int64_t messages_of(Records& records, const std::vector<std::string>& session_ids);

// Deletes, or erases, the sessions a few at a time: others want to write in between. Each step has
// a line of its own in the log.
Erased delete_in_steps(Records& records, const std::vector<std::string>& session_ids,
                       const AuditEntry& audit, bool erase);

}  // namespace twinchat::server
