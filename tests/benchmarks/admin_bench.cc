// What the admin's lists and searches take on a large database, and what their index costs.
//
//   admin-bench [--rounds N] FILE|URL...
//
// FILE is a database that fill_database.py has filled and nobody else has open; URL is one of
// PostgreSQL that fill_postgres.py has filled. Of each it prints the time and space that the index
// takes when it is made from nothing (for a FILE), then p50, p99 and the longest time of every list
// and search, each asked N times (50), with other words, pages and filters each time where that
// makes a difference. Also what a turn costs in the store while the index is kept up with it, and
// without that.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "twinchat/database.h"

namespace twinchat {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_of(Clock::duration took) {
  return std::chrono::duration<double, std::milli>(took).count();
}

// The p99 of everything that was measured, one for each database.
std::vector<std::pair<std::string, std::vector<double>>> measured;

void note(const char* name, double p99) {
  for (auto& [known, figures] : measured) {
    if (known != name) continue;
    figures.push_back(p99);
    return;
  }
  measured.push_back({name, {p99}});
}

void measure(const char* name, int rounds, const std::function<std::size_t(int)>& ask) {
  std::vector<double> times;
  std::size_t rows = 0;
  for (int i = 0; i < rounds; ++i) {
    const auto began = Clock::now();
    rows = ask(i);
    times.push_back(milliseconds_of(Clock::now() - began));
  }
  std::sort(times.begin(), times.end());
  const auto at = [&](std::size_t percent) {
    return times[(times.size() * percent + 99) / 100 - 1];
  };
  std::printf("%-52s p50 %7.2f ms  p99 %7.2f ms  max %7.2f ms  (%zu rows)\n", name, at(50), at(99),
              times.back(), rows);
  note(name, at(99));
}

std::uintmax_t size_of(const std::filesystem::path& file) {
  std::error_code none;
  const auto size = std::filesystem::file_size(file, none);
  const auto log = std::filesystem::file_size(file.string() + "-wal", none);
  return size + (none ? 0 : log);
}

// Microseconds for a question and its answer, stored one after the other.
double turn_cost(Store& store) {
  constexpr int kTurns = 3'000;
  const auto began = Clock::now();
  for (int i = 0; i < kTurns; ++i) {
    NewTurn turn;
    turn.session_id = "a-benchmark-" + std::to_string(i % 100);
    turn.create_session = true;
    turn.text = "How much does it cost to write this message? " + std::to_string(i);
    turn.now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    turn.expires_at = turn.now + std::chrono::hours(1);
    FinishedTurn finished;
    finished.turn_id = store.begin_turn(turn).turn.id;
    finished.status = TurnStatus::kComplete;
    finished.answer = turn.text + " It costs what it costs.";
    finished.now = turn.now;
    store.finish_turn(finished);
  }
  return milliseconds_of(Clock::now() - began) * 1000 / kTurns;
}

// The same with the thread that keeps the index and without it. (The index has no trigger that an
// insert would fire.)
void compare_turns(const std::filesystem::path& file) {
  const SqliteStoreOptions options{.durable = false};
  const auto delete_turns = [&] {
    Database database = open_sqlite_database(file, options);
    for (int i = 0; i < 100; ++i) {
      database.records->delete_sessions({"a-benchmark-" + std::to_string(i)}, {});
    }
  };
  double with = 1e9;
  double without = 1e9;
  for (int round = 0; round < 3; ++round) {
    {
      const Database database = open_sqlite_database(file, options);
      with = std::min(with, turn_cost(*database.store));
    }
    delete_turns();
    {
      const auto store = open_sqlite_store(file, options);
      without = std::min(without, turn_cost(*store));
    }
    delete_turns();
  }
  std::printf(
      "a turn in the store, best of 3: %.1f us with the index being kept, %.1f us without "
      "(%+.1f %%)\n",
      with, without, (with / without - 1) * 100);
}

// FILE's database, or URL's.
Database open(const std::string& name) {
  if (name.find("://") != name.npos) return open_database(name);
  return open_sqlite_database(name, {.durable = false});
}

// The databases beside each other.
void compare(const std::vector<std::string>& names) {
  std::printf("%-52s", "p99 in ms");
  for (const std::string& name : names) {
    std::printf("%12s", name.find("://") == name.npos ? "SQLite" : "PostgreSQL");
  }
  for (const auto& [name, figures] : measured) {
    std::printf("\n%-52s", name.c_str());
    for (const double p99 : figures) std::printf("%12.2f", p99);
  }
  std::printf("\n");
}

void run(const std::string& file, int rounds) {
  const bool is_file = file.find("://") == file.npos;
  const auto before = is_file ? size_of(file) : 0;
  {
    Database database = open(file);
    const bool complete = database.records->sessions({.limit = 1}).complete;
    const auto began = Clock::now();
    while (!database.records->messages({.limit = 1}).complete) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    const Totals totals = database.records->totals();
    if (!complete && is_file) {
      const double seconds = milliseconds_of(Clock::now() - began) / 1000;
      const auto grown = size_of(file) - before;
      std::printf(
          "index of %lld messages: %.1f s, %.1f us and %.0f bytes a message (%.0f MB on %.0f "
          "MB)\n",
          static_cast<long long>(totals.messages), seconds,
          seconds * 1e6 / static_cast<double>(totals.messages),
          static_cast<double>(grown) / static_cast<double>(totals.messages),
          static_cast<double>(grown) / 1e6, static_cast<double>(before) / 1e6);
    }
    std::printf("%lld sessions, %lld messages, %lld leads\n",
                static_cast<long long>(totals.sessions), static_cast<long long>(totals.messages),
                static_cast<long long>(totals.leads));
    Records& records = *database.records;
    const auto sessions = [&](const char* name, const std::function<SessionQuery(int)>& query) {
      measure(name, rounds, [&](int i) { return records.sessions(query(i)).rows.size(); });
    };
    // Each round the next page.
    const auto paged = [&](const char* name, SessionQuery query) {
      measure(name, rounds, [&](int) {
        const Page<SessionRow> page = records.sessions(query);
        query.cursor = page.next;
        return page.rows.size();
      });
    };
    const auto messages = [&](const char* name, const std::function<RowQuery(int)>& query) {
      measure(name, rounds, [&](int i) { return records.messages(query(i)).rows.size(); });
    };
    const auto number = [](int i) { return std::to_string(i * 7919 % 100'000 + 1); };
    const auto day = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
    const Timestamp today = day;

    paged("sessions, newest talk first, page after page", {});
    paged("sessions by name", {.sort = {{SessionOrder::kName, false}}});
    paged("sessions by e-mail, then name",
          {.sort = {{SessionOrder::kEmail, false}, {SessionOrder::kName, true}}});
    paged("sessions by number of messages, then creation",
          {.sort = {{SessionOrder::kMessages, true}, {SessionOrder::kCreated, true}}});
    paged("sessions by creation, oldest first", {.sort = {{SessionOrder::kCreated, false}}});
    // As far behind as the pages of 10 rows number 9,900 and on.
    SessionQuery deep{.limit = 10};
    for (int i = 0; i < 99; ++i) {
      SessionQuery far = deep;
      far.limit = 1'000;
      deep.cursor = records.sessions(far).next;
    }
    paged("sessions, the 9,900th page and on", deep);
    paged("sessions, the first page and on, ten rows each", {.limit = 10});
    measure("totals", rounds,
            [&](int) { return static_cast<std::size_t>(records.totals().sessions > 0); });
    paged("leads", {.leads_only = true});
    paged("sessions of today by name",
          {.created = {today, {}}, .sort = {{SessionOrder::kName, false}}});
    paged("leads of the last week by name", {.created = {today - std::chrono::days(6), {}},
                                             .leads_only = true,
                                             .sort = {{SessionOrder::kName, false}}});
    sessions("search: a name that one has",
             [&](int i) { return SessionQuery{.search = "\"visitor " + number(i) + "\""}; });
    sessions("search: an e-mail address", [&](int i) {
      return SessionQuery{.search = "visitor" + number(i) + "@mail.example"};
    });
    sessions("search: a phone number", [&](int i) {
      char phone[32];
      std::snprintf(phone, sizeof phone, "+1555%07d", i * 7919 % 100'000 + 1);
      return SessionQuery{.search = phone};
    });
    sessions("search: part of a session id", [&](int i) {
      char id[32];
      std::snprintf(id, sizeof id, "8000-%012x", static_cast<unsigned>(i * 7919 % 100'000 + 1));
      return SessionQuery{.search = id};
    });
    sessions("search: what was said once", [&](int i) {
      return SessionQuery{.search = "\"question " + std::to_string(i * 15'485'863LL % 1'000'000) +
                                    " of many\""};
    });
    sessions("search: a word that everybody says",
             [](int) { return SessionQuery{.search = "diabetes"}; });
    sessions("search: three words that everybody says",
             [](int) { return SessionQuery{.search = "reverse medicine diabetes"}; });
    sessions("search: a common word and a rare one",
             [&](int i) { return SessionQuery{.search = "diabetes visitor" + number(i) + "@"}; });
    sessions("search: two letters", [](int) { return SessionQuery{.search = "ca"}; });
    sessions("search: what is nowhere",
             [](int i) { return SessionQuery{.search = "xylophone" + std::to_string(i)}; });
    sessions("search: two letters that are nowhere",
             [](int) { return SessionQuery{.search = "qz"}; });
    RowQuery pages;
    measure("messages, page after page", rounds, [&](int) {
      const Page<MessageRow> page = records.messages(pages);
      pages.cursor = page.next;
      return page.rows.size();
    });
    messages("messages of visitors today", [&](int) {
      return RowQuery{.is_bot = false, .created = {today, {}}};
    });
    messages("messages of one session", [&](int i) {
      char id[64];
      const int n = i * 7919 % 100'000 + 1;
      std::snprintf(id, sizeof id, "%08llx-0000-4000-8000-%012x",
                    static_cast<unsigned long long>(n) * 2'654'435'761ULL % 4'294'967'296ULL,
                    static_cast<unsigned>(n));
      return RowQuery{.session_id = id};
    });
    messages("search in messages: what was said once", [&](int i) {
      return RowQuery{.search =
                          "\"question " + std::to_string(i * 15'485'863LL % 1'000'000) + " \""};
    });
    messages("search in messages: a word of all",
             [](int) { return RowQuery{.search = "diabetes"}; });
    messages("search in messages: two words of all",
             [](int) { return RowQuery{.search = "reverse question"}; });
    messages("search in messages: two that never meet",
             [](int) { return RowQuery{.search = "reverse remission"}; });
    messages("search in messages: a session id", [&](int i) {
      char id[32];
      std::snprintf(id, sizeof id, "8000-%012x", static_cast<unsigned>(i * 7919 % 100'000 + 1));
      return RowQuery{.search = id};
    });
    messages("search in messages: two letters", [](int) { return RowQuery{.search = "zz"}; });
    measure("turns that went wrong", rounds, [&](int) { return records.turns({}).rows.size(); });
    measure("counts of the filters of sessions", rounds, [&](int) {
      std::size_t all = 0;
      for (const int days : {0, 6, 30, 365}) {
        SessionQuery query;
        query.created.from = today - std::chrono::days(days);
        all += static_cast<std::size_t>(records.count_sessions(query, 10'000));
        query.updated = std::exchange(query.created, {});
        all += static_cast<std::size_t>(records.count_sessions(query, 10'000));
      }
      return all;
    });
    measure("a conversation", rounds, [&](int i) {
      char id[64];
      const int n = i * 7919 % 100'000 + 1;
      std::snprintf(id, sizeof id, "%08llx-0000-4000-8000-%012x",
                    static_cast<unsigned long long>(n) * 2'654'435'761ULL % 4'294'967'296ULL,
                    static_cast<unsigned>(n));
      return records.conversation(id, 0, 200).size();
    });
    measure("statistics of 30 days, the first time", 1,
            [&](int) { return records.statistics(day - std::chrono::days(29), day).size(); });
    measure("statistics of 30 days, from then on", 5,
            [&](int) { return records.statistics(day - std::chrono::days(29), day).size(); });
    measure("adding 100 messages and finding them", 10, [&](int i) {
      for (int j = 0; j < 100; ++j) {
        const std::string text = "benchmark " + std::to_string(i * 100 + j);
        FinishedTurn finished;
        NewTurn turn;
        turn.session_id = "a-benchmark";
        turn.create_session = true;
        turn.text = text;
        turn.now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
        turn.expires_at = turn.now + std::chrono::hours(1);
        finished.turn_id = database.store->begin_turn(turn).turn.id;
        finished.status = TurnStatus::kComplete;
        finished.answer = text;
        finished.now = turn.now;
        database.store->finish_turn(finished);
      }
      return records.messages({.search = "benchmark", .limit = 500}).rows.size();
    });
    records.delete_sessions({"a-benchmark"}, {});
  }
  if (is_file) {
    compare_turns(file);
    return;
  }
  const Database database = open(file);
  std::printf("a turn in the store: %.1f us\n", turn_cost(*database.store));
  for (int i = 0; i < 100; ++i) {
    database.records->delete_sessions({"a-benchmark-" + std::to_string(i)}, {});
  }
}

}  // namespace
}  // namespace twinchat

int main(int argc, char** argv) {
  std::vector<std::string> names(argv + 1, argv + argc);
  int rounds = 50;
  if (names.size() > 2 && names[0] == "--rounds") {
    rounds = std::atoi(names[1].c_str());
    names.erase(names.begin(), names.begin() + 2);
  }
  if (names.empty() || rounds < 1) {
    std::fprintf(stderr, "usage: admin-bench [--rounds N] FILE|URL...\n");
    return 2;
  }
  for (const std::string& name : names) twinchat::run(name, rounds);
  if (names.size() > 1) twinchat::compare(names);
  return 0;
}
