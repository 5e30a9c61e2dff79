#include "admin/live.h"

#include <map>

#include "admin/admin_json.h"
#include "twinchat/error.h"

namespace twinchat::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxStreams = 64;
constexpr std::chrono::seconds kInterval{1};
constexpr std::chrono::minutes kLongestStream{10};
// Of a conversation, looked at every time: enough for what may still change.
constexpr std::size_t kWindow = 50;

}  // namespace

struct LiveConversations::Watched {
  std::string session_id;
  std::int64_t after = 0;
  std::shared_ptr<LateAnswer> answer;
  std::shared_ptr<EventStream> events;
  std::function<bool()> still_allowed;
  Clock::time_point ends = Clock::now() + kLongestStream;
  std::map<std::int64_t, Json> turns = {};  // as they were shown, by message
  std::optional<Json> session = {};
};

LiveConversations::LiveConversations(Records& records, std::chrono::milliseconds heartbeat)
    : records_(records),
      heartbeat_(heartbeat),
      thread_([this](std::stop_token stop) { run(stop); }) {}

LiveConversations::~LiveConversations() {
  stop();
  thread_.join();
}

void LiveConversations::stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  thread_.request_stop();
}

void LiveConversations::end(Watched& watched) {
  watched.events->end();
  watched.answer->stream_ended(watched.events->bytes());
}

void LiveConversations::open(Call& call, const std::string& session_id, std::int64_t after,
                             std::function<bool()> still_allowed) {
  std::lock_guard lock(mutex_);
  if (stopped_ || open_ >= kMaxStreams) {
    Refusal refusal(503, {{"detail", "Too many conversations are open right now."}});
    refusal.retry_after = 5;
    throw refusal;
  }
  auto watched = std::make_unique<Watched>();
  watched->session_id = session_id;
  watched->after = after;
  watched->still_allowed = std::move(still_allowed);
  watched->answer = std::make_shared<LateAnswer>(call.later());
  watched->events = std::make_shared<EventStream>(watched->answer->begin_stream(
      {{"Content-Type", "text/event-stream"}, {"X-Accel-Buffering", "no"}}));
  heartbeat_.watch(watched->events);
  watched_.push_back(std::move(watched));
  ++open_;
  wake_.notify_one();
}

// False when the stream is over.
bool LiveConversations::look(Watched& watched) {
  if (watched.answer->client_left()) return false;
  if (Clock::now() >= watched.ends) return false;
  const auto row = records_.session(watched.session_id);
  if (!row || !watched.still_allowed()) {
    watched.events->send("gone", Json::object());
    return false;
  }
  Json session = in_full(*row, true);
  Json details = {{"version", session["version"]}};
  if (watched.session && *watched.session != details && !watched.events->send("session", session)) {
    return false;
  }
  watched.session = std::move(details);
  for (const Utterance& one : records_.conversation(watched.session_id, 0, kWindow)) {
    const std::int64_t id = one.message.id;
    Json turn = one.turn ? to_json_of_turn(*one.turn) : Json(nullptr);
    if (id > watched.after) {
      if (!watched.events->send("message", to_json(one), id)) return false;
      watched.after = id;
    } else if (const auto shown = watched.turns.find(id);
               one.turn && (shown == watched.turns.end() || shown->second != turn)) {
      // At first all of them: which have changed since the client has looked is not known.
      Json event = turn;
      event["user_message_id"] = id;
      if (!watched.events->send("turn", event, watched.after)) return false;
    }
    watched.turns[id] = std::move(turn);
  }
  return true;
}

void LiveConversations::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    std::vector<std::unique_ptr<Watched>> mine;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, stop, [this] { return !watched_.empty(); });
      mine.swap(watched_);
    }
    const std::size_t ended = std::erase_if(mine, [&](const std::unique_ptr<Watched>& watched) {
      bool goes_on = true;
      try {
        goes_on = look(*watched);
      } catch (const Error&) {
        // The database may be back the next time.
      }
      if (!goes_on) end(*watched);
      return !goes_on;
    });
    std::unique_lock lock(mutex_);
    open_ -= ended;
    for (auto& watched : mine) watched_.push_back(std::move(watched));
    wake_.wait_for(lock, stop, kInterval, [] { return false; });
  }
  std::lock_guard lock(mutex_);
  for (const auto& watched : watched_) end(*watched);
  watched_.clear();
}

}  // namespace twinchat::server
