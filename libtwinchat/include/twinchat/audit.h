#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "twinchat/session.h"

namespace twinchat {

// One line of the audit log: who did what, never what it was done to in words. Where a function
// takes one, it is written in the same transaction as what it tells of, or neither is.
struct AuditEntry {
  std::int64_t id = 0;    // given by the store
  Timestamp at = {};      // when
  std::string user;       // the user name; empty for nobody
  std::string address;    // from where
  std::string action;     // "change"
  std::string model;      // "session", "message", "user", "token"; empty when it is about none
  std::string object_id;  // a session's public id, otherwise the row; empty for none
  std::string detail;     // names of fields and counts, never values

  friend bool operator==(const AuditEntry&, const AuditEntry&) = default;
};

}  // namespace twinchat
