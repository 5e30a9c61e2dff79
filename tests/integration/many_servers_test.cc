// Three servers behind a load balancer over one database: for visitors they are one.

#include <algorithm>
#include <atomic>
#include <csignal>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "admin_server.h"
#include "catch.h"
#include "cluster.h"
#include "temp_dir.h"
#include "wait.h"

namespace twinchat::testing {
namespace {

using namespace std::chrono_literals;

constexpr const char* kMessagePath = "/api/chat/message/";

std::string new_session(const std::string& url) {
  const HttpResponse made = HttpClient(url).post_json("/api/chat/sessions/create_session/", "{}");
  REQUIRE(made.status == 201);
  return json_of(made).at("session_id");
}

std::string message(const std::string& session_id, const std::string& text) {
  return Json{{"session_id", session_id}, {"message", text}, {"client_message_id", text}}.dump();
}

std::string shown(const std::map<int, int>& counts) {
  std::string text;
  for (const auto& [status, count] : counts) {
    text += std::to_string(status) + ": " + std::to_string(count) + " ";
  }
  return text;
}

// What a good client does: asks again under the same key until it is told an answer. Throws
// nothing; an answer that no healthy server gives ends it.
class Visitors {
 public:
  Visitors(std::string url, std::vector<std::string> sessions, std::size_t count)
      : url_(std::move(url)), sessions_(std::move(sessions)) {
    for (std::size_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, i] { visit(i); });
    }
  }
  ~Visitors() { stop(); }

  void stop() {
    stopping_ = true;
    threads_.clear();
  }
  int answered() const { return answered_; }
  // By session, the texts that were acknowledged and their answers.
  std::map<std::string, std::map<std::string, std::string>> acknowledged() const {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  std::vector<std::string> refusals() const {
    const std::lock_guard lock(mutex_);
    return refusals_;
  }
  // Requests that had to be asked again, by what they were answered with (0: not at all).
  std::map<int, int> repeated() const {
    const std::lock_guard lock(mutex_);
    return repeated_;
  }

 private:
  void visit(std::size_t number) {
    for (int n = 0; !stopping_; ++n) {
      const std::string text = "visitor " + std::to_string(number) + " says " + std::to_string(n);
      const std::string& session =
          sessions_[(number + static_cast<std::size_t>(n) * 7) % sessions_.size()];
      if (!ask(session, text)) return;
    }
  }

  bool ask(const std::string& session, const std::string& text) {
    for (;;) {
      int status = 0;
      std::string body;
      try {
        // A connection for each request: the balancer hands out requests, not connections.
        const HttpResponse response =
            HttpClient(url_).post_json(kMessagePath, message(session, text));
        status = response.status;
        body = response.body;
      } catch (const HttpError&) {
      }
      const std::lock_guard lock(mutex_);
      if (status == 200) {
        told_[session][text] = Json::parse(body).at("bot_response");
        ++answered_;
        return true;
      }
      // 409: the server that had begun it is still at it, or gone and not yet given up.
      const bool passes = status == 0 || status == 409 || (status >= 502 && status <= 504);
      if (!passes) {
        refusals_.push_back(std::to_string(status) + " " + body);
        return false;
      }
      ++repeated_[status];
      std::this_thread::sleep_for(20ms);
    }
  }

  const std::string url_;
  const std::vector<std::string> sessions_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> answered_{0};
  mutable std::mutex mutex_;
  // All guarded by mutex_.
  std::map<std::string, std::map<std::string, std::string>> told_;
  std::vector<std::string> refusals_;
  std::map<int, int> repeated_;
  std::vector<std::jthread> threads_;
};

TEST_CASE("Of three servers one is killed and one drained under load: nothing is lost or doubled",
          "[many]") {
  Cluster cluster(3, {{"CHAT_TIMEOUT", "10"}});
  std::vector<std::string> sessions;
  for (int i = 0; i < 5; ++i) sessions.push_back(new_session(cluster.url()));
  Visitors visitors(cluster.url(), sessions, 6);
  const auto more = [&](int count) {
    const int before = visitors.answered();
    return eventually(
        [&] { return visitors.answered() >= before + count || !visitors.refusals().empty(); });
  };
  REQUIRE(more(60));

  cluster.stop(0, SIGKILL);
  REQUIRE(more(60));
  cluster.start(0);
  REQUIRE(more(60));

  // A drained server first says so to the balancer, then answers what it has.
  const auto before_drain = visitors.repeated();
  CHECK(cluster.stop(1, SIGTERM) == 0);
  REQUIRE(more(30));
  const auto after_drain = visitors.repeated();
  cluster.start(1);
  REQUIRE(more(60));
  visitors.stop();
  CHECK(visitors.refusals() == std::vector<std::string>{});
  // Nobody noticed the drained one.
  CHECK(shown(after_drain) == shown(before_drain));

  // Each text is there once, followed by its answer, whichever server one asks.
  for (const auto& [session, told] : visitors.acknowledged()) {
    for (std::size_t n = 0; n < 3; ++n) {
      const HttpResponse response =
          HttpClient(cluster.server_url(n))
              .get("/api/chat/sessions/get_session/?session_id=" + session);
      REQUIRE(response.status == 200);
      std::map<std::string, int> count;
      std::vector<std::string> bot;
      const Json history = json_of(response);
      for (const Json& shown : history.at("messages")) {
        const std::string text = shown.at("content");
        if (shown.at("is_bot")) {
          bot.push_back(text);
        } else {
          ++count[text];
        }
      }
      CHECK(bot.size() == told.size());
      CHECK(count.size() == told.size());
      for (const auto& [text, answer] : told) {
        INFO(text);
        CHECK(count[text] == 1);
        CHECK(std::find(bot.begin(), bot.end(), answer) != bot.end());
      }
    }
  }
  PostgresClient look(cluster.database().url());
  CHECK(look.value("SELECT count(*) FROM twinchat_turn WHERE status <> 'complete'") == "0");
  CHECK(look.value("SELECT count(*) FROM chat_message AS m WHERE NOT EXISTS (SELECT 1 FROM "
                   "twinchat_turn AS t WHERE m.id IN (t.user_message_id, t.answer_message_id))") ==
        "0");
  // The sessions moved freely: every server answered messages.
  for (std::size_t n = 0; n < 3; ++n) CHECK(cluster.requests(n, kMessagePath) > 10);
}

TEST_CASE("One key sent to all servers at once is one question to the model and one answer",
          "[many]") {
  Cluster cluster(3);
  const std::string session = new_session(cluster.url());
  for (int round = 0; round < 5; ++round) {
    cluster.gemini().script(Json{{"latency_ms", 200}, {"text", "the only answer"}});
    const auto calls = cluster.gemini().stats().calls;
    const std::string body = message(session, "question " + std::to_string(round));
    std::vector<HttpResponse> first(3);
    {
      std::vector<std::jthread> threads;
      for (std::size_t n = 0; n < 3; ++n) {
        threads.emplace_back(
            [&, n] { first[n] = HttpClient(cluster.server_url(n)).post_json(kMessagePath, body); });
      }
    }
    int answered = 0;
    for (const HttpResponse& response : first) {
      CHECK((response.status == 200 || response.status == 409));
      answered += response.status == 200;
    }
    CHECK(answered >= 1);
    for (std::size_t n = 0; n < 3; ++n) {
      const HttpResponse again = HttpClient(cluster.server_url(n)).post_json(kMessagePath, body);
      REQUIRE(again.status == 200);
      CHECK(json_of(again).at("bot_response") == "the only answer");
    }
    CHECK(cluster.gemini().stats().calls == calls + 1);
  }
  const HttpResponse other = HttpClient(cluster.url())
                                 .post_json(kMessagePath, Json{{"session_id", session},
                                                               {"message", "something else"},
                                                               {"client_message_id", "question 0"}}
                                                              .dump());
  CHECK(other.status == 422);
}

TEST_CASE("Rate limits hold for all servers together, but for what comes within an interval",
          "[many]") {
  Cluster cluster(
      3, {{"CHAT_RATE_LIMITS", "message.session=20/h"}, {"CHAT_RATE_SHARE_INTERVAL", "0.05"}});
  const std::string session = new_session(cluster.url());
  int through = 0;
  for (int i = 0; i < 60; ++i) {
    const HttpResponse response =
        HttpClient(cluster.server_url(static_cast<std::size_t>(i) % 3))
            .post_json(kMessagePath, message(session, "question " + std::to_string(i)));
    CHECK((response.status == 200 || response.status == 429));
    if (response.status == 429) CHECK(response.header("retry-after"));
    through += response.status == 200;
    std::this_thread::sleep_for(50ms);
  }
  // Each counting for itself would have let all 60 through.
  CHECK(through >= 20);
  CHECK(through <= 40);
}

TEST_CASE("The daily cap on tokens is one for all servers", "[many]") {
  Cluster cluster(3, {{"CHAT_DAILY_TOKENS", "100"}});
  const std::string session = new_session(cluster.url());
  int through = 0;
  int refused = 0;
  for (int i = 0; i < 30 && refused < 6; ++i) {
    const HttpResponse response =
        HttpClient(cluster.server_url(static_cast<std::size_t>(i) % 3))
            .post_json(kMessagePath, message(session, "question " + std::to_string(i)));
    CHECK((response.status == 200 || response.status == 429));
    // Once it is used up it is so everywhere.
    if (response.status == 200) CHECK(refused == 0);
    (response.status == 200 ? through : refused) += 1;
  }
  CHECK(refused == 6);
  PostgresClient look(cluster.database().url());
  const int used = std::stoi(look.value("SELECT sum(tokens) FROM twinchat_day"));
  CHECK(used >= 100);
  // All but the last one began below it.
  const int last =
      std::stoi(look.value("SELECT total_tokens FROM twinchat_turn ORDER BY id DESC LIMIT 1"));
  CHECK(used - last < 100);
  CHECK(through == std::stoi(look.value("SELECT count(*) FROM twinchat_turn")));
}

TEST_CASE("Failed log-ins count for all servers together, for names of users and for others alike",
          "[many]") {
  Cluster cluster(2);
  const TempDir folder;
  make_superuser(cluster.database().url(), folder.path(), "boss");
  PostgresClient look(cluster.database().url());
  const auto log_in = [&](std::size_t server, const std::string& name, const std::string& password,
                          const std::string& from) {
    return HttpClient(cluster.server_url(server))
        .request("POST", "/api/admin/login/",
                 {{"Content-Type", "application/json"}, {"X-Forwarded-For", from}},
                 Json{{"username", name}, {"password", password}}.dump());
  };
  const std::string of_names = " FROM twinchat_login_failure WHERE key LIKE 'name:%'";
  std::vector<std::string> told;
  for (const std::string name : {"boss", "nobody"}) {
    const std::string from = name == "boss" ? "192.0.2.1" : "192.0.2.2";
    look.exec("DELETE FROM twinchat_login_failure");
    CHECK(log_in(0, name, "a guess", from).status == 400);
    CHECK(log_in(1, name, "a guess", from).status == 400);
    // Both in one row, which names neither.
    CHECK(look.rows("SELECT failures" + of_names) == std::vector<std::string>{"2"});
    CHECK(look.value("SELECT count(*) FROM twinchat_login_failure AS f WHERE f::text LIKE '%" +
                     name + "%' OR f::text LIKE '%192.0.2%'") == "0");
    // So many that there is a long time to wait, however slow this machine is.
    look.exec("UPDATE twinchat_login_failure SET failures = 12 WHERE key LIKE 'name:%'");
    CHECK(log_in(0, name, "a guess", from).status == 400);
    for (const std::size_t server : {0U, 1U}) {
      const HttpResponse refused = log_in(server, name, kPassword, from);
      CHECK(refused.status == 429);
      const int wait = std::stoi(refused.header("retry-after").value());
      CHECK(wait > 600);
      CHECK(wait <= 900);
      told.push_back(refused.body);
      // Somebody elsewhere, and others here, are not held up.
      CHECK(log_in(server, "boss", kPassword, "192.0.2.3").status == 200);
    }
    CHECK(log_in(1, "another", "a guess", from).status == 400);
    // Whoever waited gets in, at any server, and may then fail again.
    look.exec("UPDATE twinchat_login_failure SET until = now()");
    CHECK(log_in(1, name, kPassword, from).status == (name == "boss" ? 200 : 400));
  }
  CHECK(std::set<std::string>(told.begin(), told.end()).size() == 1);
}

}  // namespace
}  // namespace twinchat::testing
