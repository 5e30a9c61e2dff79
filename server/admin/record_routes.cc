#include "admin/record_routes.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>
#include <thread>
#include <utility>

#include "admin/admin_json.h"
#include "admin/csv.h"
#include "admin/person.h"
#include "admin/queries.h"
#include "api/json_body.h"
#include "api/session_json.h"
#include "text.h"

namespace twinchat::server {
namespace {

constexpr std::size_t kMaxContent = 20'000;
constexpr std::size_t kMaxChosen = 500;
constexpr std::int64_t kCounted = 10'000;
constexpr std::size_t kMessagesDeletedAtOnce = 250;
constexpr std::size_t kExportPage = 500;
constexpr std::size_t kExports = 2;
constexpr std::size_t kExportsWaiting = 2;
// From so many bytes on that a client has not taken, an export waits for it.
constexpr std::size_t kExportBacklog = 256 * 1024;
constexpr std::chrono::milliseconds kExportPause{20};
constexpr std::size_t kPageOfChats = 10;

Need with(std::vector<std::string> permissions) {
  return {Need::Who::kStaff, std::move(permissions)};
}

// The problems of details as the fields of a form are called.
[[noreturn]] void refuse_details(const std::vector<FieldProblem>& problems, Json also) {
  for (const FieldProblem& problem : problems) {
    also["user_" + problem.field].push_back(problem.message);
  }
  throw Refusal(400, std::move(also));
}

// user_name, user_email and user_phone of a body. Refusal 400 with all that is wrong.
UserDetailsUpdate details_of(const Json& body) {
  const BodyFields is_object(body);
  UserDetailsUpdate update;
  Json wrong = Json::object();
  const auto read = [&](const char* name, FieldUpdate& field) {
    const auto found = body.find(name);
    if (found == body.end()) return;
    if (found->is_null()) {
      field = nullptr;
    } else if (const auto text = text_of(*found)) {
      field = std::string(trim(*text));
    } else {
      wrong[name].push_back("Not a valid string.");
    }
  };
  read("user_name", update.name);
  read("user_email", update.email);
  read("user_phone", update.phone);
  const std::vector<FieldProblem> found = problems(update);
  if (!found.empty() || !wrong.empty()) refuse_details(found, std::move(wrong));
  return update;
}

std::string changed_fields(const UserDetailsUpdate& update) {
  std::string names;
  const auto add = [&](const char* name, const FieldUpdate& field) {
    if (field.given()) names += (names.empty() ? "" : ", ") + std::string(name);
  };
  add("user_name", update.name);
  add("user_email", update.email);
  add("user_phone", update.phone);
  return names;
}

Refusal changed(Json current) {
  return {409,
          {{"detail", "Somebody else has changed it meanwhile."},
           {"code", "changed"},
           {"current", std::move(current)}}};
}

Refusal nothing_chosen() {
  return {400,
          {{"detail",
            "Items must be selected in order to perform actions on them. No items have been "
            "changed."}}};
}

std::string version_in(const Json& body) {
  const auto found = body.find("version");
  return found == body.end() ? std::string() : text_of(*found).value_or("");
}

Json erased_json(const Erased& erased) {
  return {{"deleted", {{"sessions", erased.sessions}, {"messages", erased.messages}}}};
}

PersonName person_of(const Parameters& parameters) {
  PersonName person;
  person.email = std::string(trim(parameters("email").value_or("")));
  person.phone = std::string(trim(parameters("phone").value_or("")));
  person.session_id = parameters("session_id").value_or("");
  return person;
}

TimeRange from(Timestamp time) {
  return {time, {}};
}

// What a list filter of a bulk action holds, and how many were seen to match.
struct Selection {
  Json filter;
  std::int64_t expected = 0;
};

std::optional<Selection> selection_of(const Json& body) {
  const auto filter = body.find("filter");
  if (filter == body.end()) return std::nullopt;
  const auto expected = body.find("expected");
  if (!filter->is_object() || expected == body.end() || !expected->is_number_integer()) {
    throw Refusal(400, {{"detail", "filter is an object and needs expected, a number."}});
  }
  return Selection{*filter, expected->get<std::int64_t>()};
}

void check_expected(std::size_t found, std::int64_t expected) {
  if (static_cast<std::int64_t>(found) <= expected) return;
  throw Refusal(
      409,
      {{"detail", "More match by now than were shown."}, {"code", "changed"}, {"count", found}});
}

}  // namespace

RecordRoutes::RecordRoutes(Store& store, Records& records, Accounts& accounts, const Gate& gate,
                           RecordRouteOptions options)
    : store_(store),
      records_(records),
      accounts_(accounts),
      gate_(gate),
      options_(std::move(options)),
      live_(records, options_.heartbeat),
      exports_(kExports, kExportsWaiting) {}

void RecordRoutes::stop() {
  stopping_ = true;
  live_.stop();
}

void RecordRoutes::add_to(Router& router) {
  const auto add = [&](const char* method, const char* pattern, Need need,
                       void (RecordRoutes::*function)(Call&, const Operator&)) {
    gate_.add(router, method, pattern, std::move(need),
              [this, function](Call& call, const Operator& who) { (this->*function)(call, who); });
  };
  using R = RecordRoutes;
  const Need view = with({"view_chatsession"});
  const Need view_messages = with({"view_message"});
  const Need view_all = with({"view_chatsession", "view_message"});
  const Need delete_all = with({"delete_chatsession", "delete_message"});
  add("GET", "/api/admin/overview/", {}, &R::overview);
  add("GET", "/api/admin/statistics/", view_all, &R::statistics);
  add("GET", "/api/admin/sessions/", view, &R::sessions);
  add("POST", "/api/admin/sessions/", with({"add_chatsession"}), &R::add_session);
  add("GET", "/api/admin/sessions/facets/", view, &R::session_facets);
  add("POST", "/api/admin/sessions/delete/", delete_all, &R::delete_sessions);
  add("GET", "/api/admin/sessions/{}/", view, &R::session);
  add("PATCH", "/api/admin/sessions/{}/", with({"change_chatsession"}), &R::edit_session);
  add("DELETE", "/api/admin/sessions/{}/", delete_all, &R::delete_session);
  add("GET", "/api/admin/sessions/{}/conversation/", view_all, &R::conversation);
  add("GET", "/api/admin/sessions/{}/events/", view_all, &R::events);
  add("GET", "/api/admin/sessions/{}/history/", view, &R::history);
  add("GET", "/api/admin/messages/", view_messages, &R::messages);
  add("POST", "/api/admin/messages/", with({"add_message"}), &R::add_message);
  add("GET", "/api/admin/messages/facets/", view_messages, &R::message_facets);
  add("POST", "/api/admin/messages/delete/", with({"delete_message"}), &R::delete_messages);
  add("GET", "/api/admin/messages/{}/", view_messages, &R::message);
  add("PATCH", "/api/admin/messages/{}/", with({"change_message"}), &R::edit_message);
  add("DELETE", "/api/admin/messages/{}/", with({"delete_message"}), &R::delete_message);
  add("GET", "/api/admin/turns/", view_all, &R::turns);
  add("GET", "/api/admin/person/", view_all, &R::person);
  add("POST", "/api/admin/person/preview/", view_all, &R::preview_person);
  add("POST", "/api/admin/person/erase/", delete_all, &R::erase_person);
  for (const bool leads : {false, true}) {
    gate_.add(
        router, "GET", leads ? "/api/admin/export/leads/" : "/api/admin/export/sessions/", view,
        [this, leads](Call& call, const Operator& who) { export_sessions(call, who, leads); });
  }
  add("GET", "/api/admin/export/messages/", view_messages, &R::export_messages);

  add("GET", "/api/chat/sessions/", view_all, &R::chat_list);
  add("POST", "/api/chat/sessions/", with({"add_chatsession"}), &R::chat_create);
  add("GET", "/api/chat/sessions/{}/", view_all, &R::chat_detail);
  for (const char* method : {"PUT", "PATCH"}) {
    add(method, "/api/chat/sessions/{}/", with({"change_chatsession"}), &R::chat_change);
  }
  add("DELETE", "/api/chat/sessions/{}/", delete_all, &R::chat_delete);
}

// --- Overview, statistics

void RecordRoutes::overview(Call& call, const Operator& who) {
  const bool sessions = who.may("view_chatsession");
  const bool messages = who.may("view_message");
  const Totals totals = records_.totals();
  Json json;
  json["totals"] = {{"sessions", sessions ? Json(totals.sessions) : nullptr},
                    {"messages", messages ? Json(totals.messages) : nullptr},
                    {"leads", sessions ? Json(totals.leads) : nullptr}};
  const auto turns = [&](const char* filter, const char* value) -> Json {
    if (!sessions || !messages) return nullptr;
    TurnQuery query = turn_query([&](std::string_view name) -> std::optional<std::string> {
      if (name == filter) return value;
      if (name == "created") return "7days";
      return std::nullopt;
    });
    query.limit = 1;
    return records_.turns(query).count.value_or(0);
  };
  json["unanswered"] = turns("status", "unanswered");
  json["flagged"] = turns("status", "flagged");
  json["disliked"] = turns("feedback", "down");
  json["recent_actions"] = Json::array();
  AuditQuery mine{.user = who.user.username, .changes_only = true, .limit = 10};
  for (const AuditEntry& action : accounts_.audit(mine).rows) {
    json["recent_actions"].push_back(to_json(action));
  }
  call.answer(200, json);
}

void RecordRoutes::statistics(Call& call, const Operator&) {
  const Days days = days_of(parameters_of(call));
  Json rows = Json::array();
  for (const DayStatistics& day : records_.statistics(days.first, days.last)) {
    rows.push_back(to_json(day));
  }
  Json prices = nullptr;
  if (options_.prices) {
    prices = {{"input", options_.prices->input},
              {"cached", options_.prices->cached},
              {"output", options_.prices->output},
              {"currency", options_.prices->currency}};
  }
  call.answer(200, {{"days", std::move(rows)}, {"prices", std::move(prices)}});
}

// --- Sessions

void RecordRoutes::sessions(Call& call, const Operator& who) {
  SessionQuery query = session_query(parameters_of(call));
  query.search_messages = who.may("view_message");
  const Page<SessionRow> page = records_.sessions(query);
  Json json =
      page_json(page, [&](const SessionRow& row) { return listed(row, who.may("view_message")); });
  json["total"] = records_.totals().sessions;
  if (query.cursor.empty()) {
    record(call, who, query.search.empty() ? "view" : "search", "session", "",
           fmt::format("list, {} rows", page.rows.size()));
  }
  call.answer(200, json);
}

void RecordRoutes::session_facets(Call& call, const Operator&) {
  const auto facets = [&](TimeRange SessionQuery::*range) {
    Json json = {{"any", records_.totals().sessions}};
    for (const char* choice : {"today", "7days", "month", "year"}) {
      SessionQuery query;
      query.*range = from(since(choice));
      json[choice] = records_.count_sessions(query, kCounted);
    }
    return json;
  };
  call.answer(200, {{"created", facets(&SessionQuery::created)},
                    {"updated", facets(&SessionQuery::updated)},
                    {"leads", records_.totals().leads}});
}

void RecordRoutes::add_session(Call& call, const Operator& who) {
  UserDetails user;
  details_of(call.json()).apply_to(user);
  const SessionRow row = records_.add_session(user, now(), entry(call, who, "add", "session"));
  call.answer(201, in_full(row, who.may("view_message")));
}

void RecordRoutes::session(Call& call, const Operator& who) {
  const SessionRow row = found_session(call);
  record(call, who, "view", "session", row.session.session_id);
  Json shown = in_full(row, who.may("view_message"));
  shown["consents"] = to_json(store_.consents(row.session.session_id));
  call.answer(200, shown);
}

void RecordRoutes::edit_session(Call& call, const Operator& who) {
  const bool with_messages = who.may("view_message");
  const Json body = call.json();
  const UserDetailsUpdate update = details_of(body);
  const std::string version = version_in(body);
  const SessionRow before = found_session(call);
  // Who may change and not view gets no look at it here either.
  const auto shown = [&](const SessionRow& row) {
    return who.may("view_chatsession") ? in_full(row, with_messages)
                                       : Json{{"session_id", row.session.session_id},
                                              {"version", version_of(row.session.user)}};
  };
  if (!version.empty() && version != version_of(before.session.user)) throw changed(shown(before));
  const std::optional<UserDetails> expected =
      version.empty() ? std::nullopt : std::optional(before.session.user);
  try {
    const SessionRow after = records_.edit_session(
        before.session.session_id, update, expected, now(),
        entry(call, who, "change", "session", before.session.session_id, changed_fields(update)));
    call.answer(200, shown(after));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kAborted) throw;
    throw changed(shown(found_session(call)));
  }
}

void RecordRoutes::delete_session(Call& call, const Operator& who) {
  const SessionRow row = found_session(call);
  const std::string& id = row.session.session_id;
  records_.delete_sessions({id}, entry(call, who, "delete", "session", id));
  call.answer_empty(204);
}

void RecordRoutes::delete_sessions(Call& call, const Operator& who) {
  const Json body = call.json();
  const BodyFields is_object(body);
  std::vector<std::string> ids;
  std::string how = "chosen";
  if (const auto selection = selection_of(body)) {
    // What a search finds must be seen by who deletes it.
    who.must("view_chatsession");
    SessionQuery query = session_query(parameters_of(selection->filter));
    query.search_messages = who.may("view_message");
    query.limit = kMaxChosen;
    query.cursor.clear();
    how = "all that match a filter";
    do {
      const Page<SessionRow> page = records_.sessions(query);
      for (const SessionRow& row : page.rows) ids.push_back(row.session.session_id);
      query.cursor = page.next;
      check_expected(ids.size(), selection->expected);
    } while (!query.cursor.empty());
  } else if (const auto chosen = body.find("session_ids");
             chosen != body.end() && chosen->is_array() && chosen->size() <= kMaxChosen) {
    for (const Json& id : *chosen) ids.push_back(text_of(id).value_or(""));
  }
  if (ids.empty()) throw nothing_chosen();
  const AuditEntry audit =
      entry(call, who, "delete", "session", ids.size() == 1 ? ids.front() : std::string(),
            fmt::format("{} sessions, {}", ids.size(), how));
  call.answer(200, erased_json(delete_in_steps(records_, ids, audit, false)));
}

void RecordRoutes::conversation(Call& call, const Operator& who) {
  const SessionRow row = found_session(call);
  const Parameters parameters = parameters_of(call);
  const auto limit = static_cast<std::size_t>(number_of(parameters, "limit", 1, 500, 200));
  const std::int64_t before = number_of(parameters, "before", 1, INT64_MAX, 0);
  std::vector<Utterance> found = records_.conversation(row.session.session_id, before, limit + 1);
  const bool earlier = found.size() > limit;
  if (earlier) found.erase(found.begin());
  Json shown = Json::array();
  for (const Utterance& one : found) shown.push_back(to_json(one));
  record(call, who, "view", "session", row.session.session_id, "conversation");
  call.answer(200, {{"messages", std::move(shown)}, {"earlier", earlier}});
}

void RecordRoutes::events(Call& call, const Operator& who) {
  const SessionRow row = found_session(call);
  std::int64_t after = number_of(parameters_of(call), "after", 0, INT64_MAX, 0);
  // What EventSource says when it comes again.
  const auto last = id_of(call.request().get_header_value("Last-Event-ID"));
  if (last) after = *last;
  record(call, who, "view", "session", row.session.session_id, "conversation, live");
  const std::string hash = who.login ? who.login->token_hash : std::string();
  live_.open(call, row.session.session_id, after, [this, hash, id = who.user.id] {
    if (!hash.empty()) {
      const auto login = accounts_.find_login(hash, now());
      if (!login || login->seen_at + Gate::kIdle <= now()) return false;
    }
    const auto user = accounts_.user(id);
    return user && user->is_active && user->is_staff && Operator{*user}.may("view_chatsession") &&
           Operator{*user}.may("view_message");
  });
}

void RecordRoutes::history(Call& call, const Operator&) {
  const SessionRow row = found_session(call);
  const AuditQuery query{.object_id = row.session.session_id, .changes_only = true, .limit = 200};
  Json rows = Json::array();
  for (const AuditEntry& one : accounts_.audit(query).rows) rows.push_back(to_json(one));
  call.answer(200, {{"results", std::move(rows)}});
}

// --- Messages

void RecordRoutes::messages(Call& call, const Operator& who) {
  const RowQuery query = row_query(parameters_of(call));
  const Page<MessageRow> page = records_.messages(query);
  Json json = page_json(page, [](const MessageRow& row) { return listed(row); });
  json["total"] = records_.totals().messages;
  if (query.cursor.empty()) {
    record(call, who, query.search.empty() ? "view" : "search", "message", "",
           fmt::format("list, {} rows", page.rows.size()));
  }
  call.answer(200, json);
}

void RecordRoutes::message_facets(Call& call, const Operator&) {
  const std::int64_t all = records_.totals().messages;
  Json created = {{"any", all}};
  for (const char* choice : {"today", "7days", "month", "year"}) {
    RowQuery query;
    query.created = from(since(choice));
    created[choice] = records_.count_messages(query, kCounted);
  }
  const auto said_by = [&](bool bot) {
    RowQuery query;
    query.is_bot = bot;
    return records_.count_messages(query, kCounted);
  };
  call.answer(200, {{"created", std::move(created)},
                    {"is_bot", {{"any", all}, {"yes", said_by(true)}, {"no", said_by(false)}}}});
}

void RecordRoutes::add_message(Call& call, const Operator& who) {
  const Json body = call.json();
  BodyFields fields(body);
  const std::string session_id = fields.required_text("session_id", 255);
  const std::string content = fields.required_text("content", kMaxContent);
  fields.check();
  const bool is_bot = body.value("is_bot", Json(false)) == Json(true);
  try {
    const MessageRow row = records_.add_message(session_id, content, is_bot, now(),
                                                entry(call, who, "add", "message", session_id, ""));
    call.answer(201, in_full(row));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    throw Refusal(400, {{"session_id", Json::array({"There is no such session."})}});
  }
}

void RecordRoutes::message(Call& call, const Operator& who) {
  const MessageRow row = found_message(call);
  record(call, who, "view", "message", row.session_id, fmt::format("message {}", row.message.id));
  call.answer(200, in_full(row));
}

void RecordRoutes::edit_message(Call& call, const Operator& who) {
  const Json body = call.json();
  BodyFields fields(body);
  const MessageRow before = found_message(call);
  const std::string content =
      body.contains("content") ? fields.required_text("content", kMaxContent) : before.message.text;
  fields.check();
  const auto bot = body.find("is_bot");
  const bool is_bot =
      bot != body.end() && bot->is_boolean() ? bot->get<bool>() : before.message.is_bot;
  const auto shown = [&](const MessageRow& row) {
    return who.may("view_message")
               ? in_full(row)
               : Json{{"id", row.message.id}, {"version", version_of(row.message)}};
  };
  const std::string version = version_in(body);
  if (!version.empty() && version != version_of(before.message)) throw changed(shown(before));
  const std::optional<Message> expected =
      version.empty() ? std::nullopt : std::optional(before.message);
  std::string what = fmt::format("message {}", before.message.id);
  if (content != before.message.text) what += ": content";
  if (is_bot != before.message.is_bot) what += ": is_bot";
  try {
    const MessageRow after =
        records_.edit_message(before.message.id, content, is_bot, expected,
                              entry(call, who, "change", "message", before.session_id, what));
    call.answer(200, shown(after));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kAborted) throw;
    throw changed(shown(found_message(call)));
  }
}

void RecordRoutes::delete_message(Call& call, const Operator& who) {
  const MessageRow row = found_message(call);
  records_.delete_messages({row.message.id}, entry(call, who, "delete", "message", row.session_id,
                                                   fmt::format("message {}", row.message.id)));
  call.answer_empty(204);
}

void RecordRoutes::delete_messages(Call& call, const Operator& who) {
  const Json body = call.json();
  const BodyFields is_object(body);
  std::vector<std::int64_t> ids;
  std::string how = "chosen";
  if (const auto selection = selection_of(body)) {
    who.must("view_message");
    RowQuery query = row_query(parameters_of(selection->filter));
    query.limit = kMaxChosen;
    query.cursor.clear();
    how = "all that match a filter";
    do {
      const Page<MessageRow> page = records_.messages(query);
      for (const MessageRow& row : page.rows) ids.push_back(row.message.id);
      query.cursor = page.next;
      check_expected(ids.size(), selection->expected);
      if (ids.size() > static_cast<std::size_t>(kCounted)) {
        throw Refusal(400, {{"detail", "More than 10,000 messages match: narrow the filter."}});
      }
    } while (!query.cursor.empty());
  } else if (const auto chosen = body.find("ids");
             chosen != body.end() && chosen->is_array() && chosen->size() <= kMaxChosen) {
    for (const Json& id : *chosen) {
      if (id.is_number_integer()) ids.push_back(id.get<std::int64_t>());
    }
  }
  if (ids.empty()) throw nothing_chosen();
  std::int64_t deleted = 0;
  const AuditEntry audit =
      entry(call, who, "delete", "message", "", fmt::format("{} messages, {}", ids.size(), how));
  for (std::size_t at = 0; at < ids.size(); at += kMessagesDeletedAtOnce) {
    const std::size_t end = std::min(ids.size(), at + kMessagesDeletedAtOnce);
    deleted += records_.delete_messages({ids.begin() + static_cast<std::ptrdiff_t>(at),
                                         ids.begin() + static_cast<std::ptrdiff_t>(end)},
                                        audit);
  }
  call.answer(200, {{"deleted", {{"messages", deleted}}}});
}

// --- Turns

void RecordRoutes::turns(Call& call, const Operator& who) {
  const TurnQuery query = turn_query(parameters_of(call));
  const Page<TurnRow> page = records_.turns(query);
  if (query.cursor.empty()) {
    record(call, who, "view", "session", "", fmt::format("turns, {} rows", page.rows.size()));
  }
  call.answer(200, page_json(page, [](const TurnRow& row) { return listed(row); }));
}

// --- One person

void RecordRoutes::person(Call& call, const Operator& who) {
  const std::vector<std::string> ids = records_.sessions_of(person_of(parameters_of(call)));
  const Json file = person_json(store_, records_, accounts_, ids, now());
  record(call, who, "export", "session", ids.size() == 1 ? ids.front() : std::string(),
         fmt::format("one person, {} sessions", ids.size()));
  call.answer(200, file, {{"Content-Disposition", "attachment; filename=\"person.json\""}});
}

void RecordRoutes::preview_person(Call& call, const Operator&) {
  const Json body = call.json();
  const BodyFields is_object(body);
  const std::vector<std::string> ids = records_.sessions_of(person_of(parameters_of(body)));
  call.answer(
      200,
      {{"sessions", ids.size()}, {"messages", messages_of(records_, ids)}, {"session_ids", ids}});
}

void RecordRoutes::erase_person(Call& call, const Operator& who) {
  const Json body = call.json();
  const BodyFields is_object(body);
  const std::vector<std::string> ids = records_.sessions_of(person_of(parameters_of(body)));
  const AuditEntry audit =
      entry(call, who, "erase", "session", "", fmt::format("{} sessions", ids.size()));
  call.answer(200, erased_json(delete_in_steps(records_, ids, audit, true)));
}

// --- Exports

void RecordRoutes::export_sessions(Call& call, const Operator& who, bool leads_only) {
  SessionQuery query = session_query(parameters_of(call));
  query.search_messages = who.may("view_message");
  query.leads_only = query.leads_only || leads_only;
  query.limit = kExportPage;
  query.cursor.clear();
  const bool csv = csv_wanted(call.query("format"));
  SessionQuery one = query;
  one.limit = 1;
  const Page<SessionRow> first = records_.sessions(one);
  const std::string name = leads_only ? "leads" : "sessions";
  record(call, who, "export", "session", "", name + (csv ? ", csv" : ", json"));
  const auto row_text = [](const SessionRow& row, const std::string& consent) {
    const Session& session = row.session;
    return csv_line({session.session_id, session.user.name.value_or(""),
                     session.user.email.value_or(""), session.user.phone.value_or(""),
                     to_text(session.created_at), to_text(session.updated_at),
                     std::to_string(row.message_count), consent});
  };
  stream_file(call, name, csv ? "csv" : "json", first.count_exact ? first.count : std::nullopt,
              [this, query, csv, row_text, began = false, ended = false]() mutable {
                std::string text;
                if (ended) return text;
                if (!std::exchange(began, true)) {
                  text = csv ? csv_begin({"session_id", "user_name", "user_email", "user_phone",
                                          "created_at", "updated_at", "message_count", "consent"})
                             : "[";
                }
                const bool first_page = query.cursor.empty();
                const Page<SessionRow> page = records_.sessions(query);
                std::vector<std::int64_t> ids;
                for (const SessionRow& row : page.rows) ids.push_back(row.session.id);
                const auto consents = records_.standing_consents(ids);
                for (const SessionRow& row : page.rows) {
                  const auto consent = consents.find(row.session.id);
                  const bool agreed = consent != consents.end();
                  if (csv) {
                    text += row_text(row, agreed ? consent->second.version : "");
                    continue;
                  }
                  Json json = listed(row, false);
                  json.erase("last_message");
                  json["consent"] = agreed ? Json(consent->second.version) : nullptr;
                  text += (first_page && text == "[" ? "\n" : ",\n") + to_text(json);
                }
                query.cursor = page.next;
                ended = page.next.empty();
                if (ended && !csv) text += "\n]\n";
                return text;
              });
}

void RecordRoutes::export_messages(Call& call, const Operator& who) {
  RowQuery query = row_query(parameters_of(call));
  query.limit = kExportPage;
  query.cursor.clear();
  const bool csv = csv_wanted(call.query("format"));
  RowQuery one = query;
  one.limit = 1;
  const Page<MessageRow> first = records_.messages(one);
  record(call, who, "export", "message", "", csv ? "messages, csv" : "messages, json");
  stream_file(
      call, "messages", csv ? "csv" : "json", first.count_exact ? first.count : std::nullopt,
      [this, query, csv, began = false, ended = false]() mutable {
        std::string text;
        if (ended) return text;
        if (!std::exchange(began, true)) {
          text =
              csv ? csv_begin({"id", "session_id", "is_bot", "created_at", "content", "feedback"})
                  : "[";
        }
        const bool first_page = query.cursor.empty();
        const Page<MessageRow> page = records_.messages(query);
        std::vector<std::int64_t> answers;
        for (const MessageRow& row : page.rows) {
          if (row.message.is_bot) answers.push_back(row.message.id);
        }
        const auto given = records_.feedback(answers);
        for (const MessageRow& row : page.rows) {
          const Message& message = row.message;
          const auto found = given.find(message.id);
          const Json feedback = to_json(found == given.end() ? Feedback::kNone : found->second);
          if (csv) {
            text += csv_line({std::to_string(message.id), row.session_id,
                              message.is_bot ? "1" : "0", to_text(message.created_at), message.text,
                              text_of(feedback).value_or("")});
            continue;
          }
          const Json json = {
              {"id", message.id},         {"session_id", row.session_id},
              {"is_bot", message.is_bot}, {"created_at", to_text(message.created_at)},
              {"content", message.text},  {"feedback", feedback}};
          text += (first_page && text == "[" ? "\n" : ",\n") + to_text(json);
        }
        query.cursor = page.next;
        ended = page.next.empty();
        if (ended && !csv) text += "\n]\n";
        return text;
      });
}

void RecordRoutes::stream_file(Call& call, const std::string& name, const std::string& type,
                               std::optional<std::int64_t> count,
                               std::function<std::string()> next) {
  HeaderList headers{
      {"Content-Type", type == "csv" ? "text/csv; charset=utf-8" : "application/json"},
      {"Content-Disposition", fmt::format("attachment; filename=\"{}.{}\"", name, type)}};
  if (count) headers.emplace_back("X-Total-Count", std::to_string(*count));
  const auto later = std::make_shared<LateAnswer>(call.later());
  const bool taken = exports_.post([this, later, headers, next = std::move(next)] {
    const std::shared_ptr<Reply> reply = later->begin_stream(headers);
    std::size_t bytes = 0;
    try {
      for (std::string text = next(); !text.empty() && !stopping_; text = next()) {
        // In pieces: one page of long messages is more than may wait for a client.
        for (std::size_t at = 0; at < text.size(); at += kExportBacklog) {
          while (reply->backlog() > kExportBacklog && !reply->closed() && !stopping_) {
            std::this_thread::sleep_for(kExportPause);
          }
          if (!reply->write(std::string_view(text).substr(at, kExportBacklog))) {
            return later->stream_ended(bytes);
          }
        }
        bytes += text.size();
      }
      if (!stopping_) reply->end();
    } catch (const Error& error) {
      // Not ended, so that the client does not take it for the whole.
      spdlog::warn("an export broke off: {}", error.what());
    }
    later->stream_ended(bytes);
  });
  if (!taken) {
    Refusal refusal(503, {{"detail", "Too many exports are under way right now."}});
    refusal.retry_after = 10;
    later->send(refusal);
  }
}

// --- The existing clients' routes

void RecordRoutes::chat_list(Call& call, const Operator& who) {
  const auto page =
      static_cast<std::size_t>(number_of(parameters_of(call), "page", 1, 1'000'000, 1));
  const std::int64_t count = records_.totals().sessions;
  SessionQuery query;
  query.sort = {{SessionOrder::kCreated, true}};
  query.limit = kPageOfChats;
  // By number, as these clients ask: the pages before are passed over.
  Page<SessionRow> rows;
  for (std::size_t at = 1; at <= page; ++at) {
    query.limit = kPageOfChats;
    if (at + 50 <= page) {
      query.limit = 50 * kPageOfChats;
      at += 49;
    }
    rows = records_.sessions(query);
    query.cursor = rows.next;
    if (rows.next.empty() && at < page) throw Refusal(404, {{"detail", "Invalid page."}});
  }
  const std::string scheme = call.secure() ? "https" : "http";
  const auto link = [&](std::size_t number) {
    return fmt::format("{}://{}/api/chat/sessions/{}", scheme,
                       call.request().get_header_value("Host"),
                       number > 1 ? fmt::format("?page={}", number) : "");
  };
  Json results = Json::array();
  for (const SessionRow& row : rows.rows) results.push_back(session_with_messages(row));
  record(call, who, "view", "session", "", fmt::format("list, {} rows", rows.rows.size()));
  call.answer(200, {{"count", count},
                    {"next", rows.next.empty() ? Json(nullptr) : Json(link(page + 1))},
                    {"previous", page == 1 ? Json(nullptr) : Json(link(page - 1))},
                    {"results", std::move(results)}});
}

void RecordRoutes::chat_create(Call& call, const Operator& who) {
  UserDetails user;
  details_of(call.json()).apply_to(user);
  const SessionRow row = records_.add_session(user, now(), entry(call, who, "add", "session"));
  call.answer(201, session_with_messages(row));
}

void RecordRoutes::chat_detail(Call& call, const Operator& who) {
  const SessionRow row = found_session(call);
  record(call, who, "view", "session", row.session.session_id, "conversation");
  call.answer(200, session_with_messages(row));
}

void RecordRoutes::chat_change(Call& call, const Operator& who) {
  const UserDetailsUpdate update = details_of(call.json());
  const SessionRow before = found_session(call);
  const std::string& id = before.session.session_id;
  const SessionRow after =
      records_.edit_session(id, update, std::nullopt, now(),
                            entry(call, who, "change", "session", id, changed_fields(update)));
  if (!who.may("view_chatsession") || !who.may("view_message"))
    return call.answer(200, Json::object());
  call.answer(200, session_with_messages(after));
}

void RecordRoutes::chat_delete(Call& call, const Operator& who) {
  delete_session(call, who);
}

// --- Helpers

SessionRow RecordRoutes::found_session(const Call& call) {
  if (auto row = records_.session(call.parameter())) return *std::move(row);
  throw not_found();
}

MessageRow RecordRoutes::found_message(const Call& call) {
  if (const auto id = id_of(call.parameter())) {
    if (auto row = records_.message(*id)) return *std::move(row);
  }
  throw not_found();
}

Json RecordRoutes::session_with_messages(const SessionRow& row) {
  std::vector<Message> messages;
  for (Utterance& one : records_.conversation(row.session.session_id, 0, SIZE_MAX)) {
    messages.push_back(std::move(one.message));
  }
  return to_json(row.session, messages);
}

AuditEntry RecordRoutes::entry(const Call& call, const Operator& who, std::string action,
                               std::string model, std::string object_id, std::string detail) const {
  return gate_.entry(call, who.user.username, std::move(action), std::move(model),
                     std::move(object_id), std::move(detail));
}

void RecordRoutes::record(const Call& call, const Operator& who, std::string action,
                          std::string model, std::string object_id, std::string detail) {
  accounts_.record(entry(call, who, std::move(action), std::move(model), std::move(object_id),
                         std::move(detail)));
}

}  // namespace twinchat::server
