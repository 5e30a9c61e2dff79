#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin/gate.h"
#include "admin/live.h"
#include "admin/prices.h"
#include "admin/task_pool.h"
#include "twinchat/assistant.h"
#include "twinchat/records.h"
#include "twinchat/store.h"

namespace twinchat::server {

struct RecordRouteOptions {
  std::optional<TokenPrices> prices = {};
  // How long a live conversation may be silent.
  std::chrono::milliseconds heartbeat{10'000};
};

// Sessions, messages, turns and figures for operators; API.md and the OpenAPI document are the
// manual. Each route reads a request, asks the records, and writes what they say.
//
// Thread safety: every function may be called from any number of threads at once.
class RecordRoutes {
 public:
  // Keeps the references, which must live until every answer has been given.
  RecordRoutes(Store& store, Records& records, Accounts& accounts, const Gate& gate,
               RecordRouteOptions options);

  // Puts the routes on the table. `this` must outlive the router's use.
  void add_to(Router& router);

  // Ends the streams, so that the server can go down.
  void stop();

 private:
  void overview(Call& call, const Operator& who);
  void statistics(Call& call, const Operator& who);
  void sessions(Call& call, const Operator& who);
  void session_facets(Call& call, const Operator& who);
  void add_session(Call& call, const Operator& who);
  void session(Call& call, const Operator& who);
  void edit_session(Call& call, const Operator& who);
  void delete_session(Call& call, const Operator& who);
  void delete_sessions(Call& call, const Operator& who);
  void conversation(Call& call, const Operator& who);
  void events(Call& call, const Operator& who);
  void history(Call& call, const Operator& who);
  void messages(Call& call, const Operator& who);
  void message_facets(Call& call, const Operator& who);
  void add_message(Call& call, const Operator& who);
  void message(Call& call, const Operator& who);
  void edit_message(Call& call, const Operator& who);
  void delete_message(Call& call, const Operator& who);
  void delete_messages(Call& call, const Operator& who);
  void turns(Call& call, const Operator& who);
  void person(Call& call, const Operator& who);
  void preview_person(Call& call, const Operator& who);
  void erase_person(Call& call, const Operator& who);
  void export_sessions(Call& call, const Operator& who, bool leads_only);
  void export_messages(Call& call, const Operator& who);

  // The existing clients' routes.
  void chat_list(Call& call, const Operator& who);
  void chat_create(Call& call, const Operator& who);
  void chat_detail(Call& call, const Operator& who);
  void chat_change(Call& call, const Operator& who);
  void chat_delete(Call& call, const Operator& who);

  SessionRow found_session(const Call& call);
  MessageRow found_message(const Call& call);
  Json session_with_messages(const SessionRow& row);
  void record(const Call& call, const Operator& who, std::string action, std::string model,
              std::string object_id = {}, std::string detail = {});
  AuditEntry entry(const Call& call, const Operator& who, std::string action, std::string model,
                   std::string object_id = {}, std::string detail = {}) const;
  // Streams what `next` gives until that is nothing.
  void stream_file(Call& call, const std::string& name, const std::string& type,
                   std::optional<std::int64_t> count, std::function<std::string()> next);

  Store& store_;  // for what belongs to one session alone
  Records& records_;
  Accounts& accounts_;
  const Gate& gate_;
  const RecordRouteOptions options_;
  LiveConversations live_;
  TaskPool exports_;
  std::atomic<bool> stopping_{false};
};

}  // namespace twinchat::server
