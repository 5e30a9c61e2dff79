#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "admin/gate.h"
#include "api/json.h"
#include "twinchat/accounts.h"
#include "twinchat/records.h"

namespace twinchat::server {

// The admin's objects as the OpenAPI document has them. Pure functions.

// The first characters of a text, on one line.
std::string preview(std::string_view text, std::size_t characters);

// What a form was filled from.
std::string version_of(const UserDetails& user);
std::string version_of(const Message& message);

// In a list; the text of messages only for who may see it.
Json listed(const SessionRow& row, bool with_messages);
Json listed(const MessageRow& row);
Json listed(const TurnRow& row);
// In full.
Json in_full(const SessionRow& row, bool with_messages);
Json in_full(const MessageRow& row);
Json to_json(const Utterance& utterance);
Json to_json_of_turn(const Turn& turn);
Json to_json(const DayStatistics& day);
Json to_json(const std::vector<Consent>& consents);
Json to_json(const AuditEntry& entry);
Json to_json(const User& user);
Json to_json(const ApiToken& token);

// The members of a page beside its rows.
template <class Row, class ToJson>
Json page_json(const Page<Row>& page, ToJson to_json_of_row) {
  Json rows = Json::array();
  for (const Row& row : page.rows) rows.push_back(to_json_of_row(row));
  Json json = {{"results", std::move(rows)}};
  json["next"] = page.next.empty() ? Json(nullptr) : Json(page.next);
  json["count"] = page.count ? Json(*page.count) : Json(nullptr);
  json["count_exact"] = page.count_exact;
  json["complete"] = page.complete;
  return json;
}

}  // namespace twinchat::server
