// What Accounts promises, over every kind of database.

#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "databases.h"
#include "stores.h"
#include "temp_dir.h"

namespace twinchat::testing {
namespace {

using Strings = std::vector<std::string>;
using std::chrono::hours;

class Fixture {
 public:
  Fixture()
      : kind_(GENERATE(from_range(database_kinds()))), database_(kind_.make(folder_.path())) {}
  Accounts* operator->() { return database_.accounts.get(); }
  const std::string& name() const { return kind_.name; }

  User add(const std::string& name, bool superuser = false, Strings permissions = {}) {
    User user;
    user.username = name;
    user.password = "hash of " + name;
    user.email = name + "@example.com";
    user.is_staff = true;
    user.is_superuser = superuser;
    user.date_joined = moment();
    user.permissions = std::move(permissions);
    return database_.accounts->add_user(user, by_op("user", "user"));
  }

  void log_in(const User& user, const std::string& hash, Timestamp at = moment()) {
    database_.accounts->add_login({hash, user.id, "csrf " + hash, at, at, at + hours(12)},
                                  by_op("login"));
  }

  bool logged_in(const std::string& hash, Timestamp now = moment()) {
    return database_.accounts->find_login(hash, now).has_value();
  }

 private:
  TempDir folder_;
  DatabaseKind kind_;
  Database database_;
};

#define WITH_EVERY_DATABASE() \
  Fixture accounts;           \
  INFO("database: " << accounts.name())

Strings actions(const Page<AuditEntry>& page) {
  Strings found;
  for (const AuditEntry& entry : page.rows) found.push_back(entry.action + " " + entry.object_id);
  return found;
}

TEST_CASE("Where there are no users nobody is found") {
  WITH_EVERY_DATABASE();
  CHECK_FALSE(accounts->find_user("jane"));
  CHECK_FALSE(accounts->user(1));
  CHECK(accounts->users({}).rows.empty());
  CHECK(accounts->active_superusers() == 0);
  accounts->rehash_password(1, "a", "b");
}

TEST_CASE("A user that was added is found with everything") {
  WITH_EVERY_DATABASE();
  const User jane = accounts.add("jane", false, {"chat.view_message", "chat.add_message"});
  CHECK(jane.id > 0);
  CHECK(jane.permissions == Strings{"chat.add_message", "chat.view_message"});
  CHECK(accounts->find_user("jane") == jane);
  CHECK(accounts->user(jane.id) == jane);
  CHECK_FALSE(accounts->find_user("Jane"));
  CHECK(code_of([&] { accounts.add("jane"); }) == ErrorCode::kAlreadyExists);
  CHECK(actions(accounts->audit({})) == Strings{"user " + std::to_string(jane.id)});
}

TEST_CASE("Users are listed by name and searched by name and e-mail") {
  WITH_EVERY_DATABASE();
  for (const char* name : {"carl", "anna", "bert"}) accounts.add(name);
  UserQuery query;
  query.limit = 2;
  const Page<User> first = accounts->users(query);
  REQUIRE(first.rows.size() == 2);
  CHECK(first.rows[0].username == "anna");
  CHECK(first.count == 3);
  query.cursor = first.next;
  const Page<User> second = accounts->users(query);
  REQUIRE(second.rows.size() == 1);
  CHECK(second.rows[0].username == "carl");
  CHECK(second.next.empty());
  query = {};
  query.search = "ERT@exa";
  CHECK(accounts->users(query).rows.size() == 1);
  CHECK(accounts->users(query).count == 1);
}

TEST_CASE("A user is changed, but for the password and what the store itself knows") {
  WITH_EVERY_DATABASE();
  accounts.add("boss", true);
  User jane = accounts.add("jane", false, {"chat.view_message"});
  const User before = jane;
  jane.username = "janet";
  jane.is_active = false;
  jane.password = "other";
  jane.date_joined = moment(99);
  jane.permissions = {"chat.delete_message"};
  const User after = accounts->edit_user(jane, by_op("user"));
  CHECK(after.username == "janet");
  CHECK_FALSE(after.is_active);
  CHECK(after.password == before.password);
  CHECK(after.date_joined == before.date_joined);
  CHECK(after.permissions == Strings{"chat.delete_message"});
  CHECK(accounts->user(jane.id) == after);
  jane.username = "boss";
  CHECK(code_of([&] { accounts->edit_user(jane, by_op("user")); }) == ErrorCode::kAlreadyExists);
  jane.id = 99;
  CHECK(code_of([&] { accounts->edit_user(jane, by_op("user")); }) == ErrorCode::kNotFound);
}

TEST_CASE("The last active superuser stays one") {
  WITH_EVERY_DATABASE();
  User boss = accounts.add("boss", true);
  boss.is_superuser = false;
  CHECK(code_of([&] { accounts->edit_user(boss, by_op("user")); }) ==
        ErrorCode::kFailedPrecondition);
  CHECK(code_of([&] { accounts->delete_user(boss.id, by_op("user")); }) ==
        ErrorCode::kFailedPrecondition);
  CHECK(accounts->active_superusers() == 1);
  CHECK(accounts->user(boss.id)->is_superuser);
  accounts.add("second", true);
  CHECK_FALSE(accounts->edit_user(boss, by_op("user")).is_superuser);
}

TEST_CASE("A log-in lasts until it ends, expires or its user may no longer") {
  WITH_EVERY_DATABASE();
  User jane = accounts.add("jane");
  const User john = accounts.add("john");
  accounts.log_in(jane, "h1");
  const auto login = accounts->find_login("h1", moment());
  REQUIRE(login);
  CHECK(*login == Login{"h1", jane.id, "csrf h1", moment(), moment(), moment() + hours(12)});
  CHECK(accounts->user(jane.id)->last_login == moment());
  CHECK_FALSE(accounts.logged_in("h2"));
  CHECK(accounts.logged_in("h1", moment() + hours(12) - std::chrono::microseconds(1)));
  CHECK_FALSE(accounts.logged_in("h1", moment() + hours(12)));
  accounts->touch_login("h1", moment(7));
  CHECK(accounts->find_login("h1", moment())->seen_at == moment(7));
  accounts->end_login("h1", by_op("logout"));
  CHECK_FALSE(accounts.logged_in("h1"));

  for (const char* hash : {"a", "b"}) accounts.log_in(jane, hash);
  accounts.log_in(john, "c");
  accounts->end_logins(jane.id, by_op("logout"));
  CHECK_FALSE(accounts.logged_in("a"));
  CHECK_FALSE(accounts.logged_in("b"));
  CHECK(accounts.logged_in("c"));

  for (const char* hash : {"a", "b"}) accounts.log_in(jane, hash);
  accounts->set_password(jane.id, "new", "b", by_op("password"));
  CHECK(accounts->user(jane.id)->password == "new");
  CHECK_FALSE(accounts.logged_in("a"));
  CHECK(accounts.logged_in("b"));
  jane.is_staff = false;
  accounts->edit_user(jane, by_op("user"));
  CHECK_FALSE(accounts.logged_in("b"));
  accounts->delete_user(john.id, by_op("user"));
  CHECK_FALSE(accounts.logged_in("c"));
  CHECK_FALSE(accounts->user(john.id));
  CHECK(code_of([&] { accounts.log_in(john, "d"); }) == ErrorCode::kNotFound);
}

TEST_CASE("A password is hashed anew only where it is the one that was checked") {
  WITH_EVERY_DATABASE();
  const User jane = accounts.add("jane");
  accounts.log_in(jane, "h");
  accounts->rehash_password(jane.id, "hash of jane", "stronger");
  CHECK(accounts->user(jane.id)->password == "stronger");
  accounts->rehash_password(jane.id, "hash of jane", "late");
  CHECK(accounts->user(jane.id)->password == "stronger");
  CHECK(accounts.logged_in("h"));
}

TEST_CASE("A token lets in until it expires or is taken back by its owner") {
  WITH_EVERY_DATABASE();
  const User jane = accounts.add("jane");
  ApiToken token{0, "t1", jane.id, "crm", moment(), moment() + hours(24), {}};
  token = accounts->add_token(token, by_op("token"));
  CHECK(token.id > 0);
  CHECK(accounts->find_token("t1", moment()) == token);
  CHECK_FALSE(accounts->find_token("t1", moment() + hours(24)));
  CHECK_FALSE(accounts->find_token("t2", moment()));
  accounts->touch_token(token.id, moment(5));
  CHECK(accounts->tokens(jane.id).at(0).last_used_at == moment(5));
  CHECK(accounts->tokens(jane.id + 1).empty());
  CHECK(code_of([&] { accounts->delete_token(token.id, jane.id + 1, by_op("token")); }) ==
        ErrorCode::kNotFound);
  accounts->delete_token(token.id, jane.id, by_op("token"));
  CHECK_FALSE(accounts->find_token("t1", moment()));
  accounts->add_token({0, "t3", jane.id, "x", moment(), {}, {}}, by_op("token"));
  CHECK(accounts->find_token("t3", moment() + hours(100'000)));
  accounts->delete_user(jane.id, by_op("user"));
  CHECK_FALSE(accounts->find_token("t3", moment()));
}

TEST_CASE("The audit log is read newest first, by user, action, object and time") {
  WITH_EVERY_DATABASE();
  for (int i = 0; i < 5; ++i) {
    AuditEntry entry = by_op(i % 2 ? "view" : "change", "session", std::to_string(i));
    entry.at = moment(i);
    if (i == 4) entry.user = "other";
    accounts->record(entry);
  }
  const auto read = [&](AuditQuery query) {
    Strings found = actions(accounts->audit(query));
    query.limit = 1;
    Strings piecewise;
    for (;;) {
      const Page<AuditEntry> page = accounts->audit(query);
      for (const std::string& action : actions(page)) piecewise.push_back(action);
      if (page.next.empty()) break;
      query.cursor = page.next;
    }
    CHECK(piecewise == found);
    return found;
  };
  CHECK(read({}) == Strings{"change 4", "view 3", "change 2", "view 1", "change 0"});
  CHECK(read({.user = "op", .action = "change"}) == Strings{"change 2", "change 0"});
  CHECK(read({.object_id = "3"}) == Strings{"view 3"});
  CHECK(read({.at = {moment(1), moment(3)}}) == Strings{"change 2", "view 1"});
  CHECK(read({.user = "op", .changes_only = true}) == Strings{"change 2", "change 0"});
  const AuditEntry newest = accounts->audit({}).rows.front();
  CHECK(newest.at == moment(4));
  CHECK(newest.address == "192.0.2.1");
  CHECK(newest.model == "session");
}

TEST_CASE("What is remembered of failed log-ins is changed in one step, and forgotten in time") {
  WITH_EVERY_DATABASE();
  using Failures = std::vector<LoginFailures>;
  const Strings keys{"name:b", "address:a", "all"};
  Failures seen;
  const auto look = [&](Timestamp now) {
    accounts->change_failures(keys, now, [&](Failures& failures) {
      seen = failures;
      return false;
    });
    return seen;
  };
  const Failures nothing{{"name:b"}, {"address:a"}, {"all"}};
  CHECK(look(moment()) == nothing);
  const Failures some{{"name:b", 3, moment(5), true, moment(2'000'000)},
                      {"address:a", 1, moment(7), false, moment(1'000'000)},
                      {"all", 0, {}, false, moment(2'000'000)}};
  accounts->change_failures(keys, moment(), [&](Failures& failures) {
    CHECK(failures == nothing);
    failures = some;
    return true;
  });
  CHECK(look(moment()) == some);
  // Looking and changing its mind leaves everything as it was.
  accounts->change_failures({"all"}, moment(), [&](Failures& failures) {
    CHECK(failures == Failures{some[2]});
    failures[0].count = 9;
    return false;
  });
  CHECK(look(moment()) == some);
  CHECK(look(moment(1'000'000)) == Failures{some[0], nothing[1], some[2]});
  CHECK(look(moment(2'000'000)) == nothing);
  accounts->change_failures({"other"}, moment(2'000'000), [&](Failures& failures) {
    failures[0].forget_at = moment(3'000'000);
    return true;
  });
  CHECK(look(moment()) == nothing);
}

TEST_CASE("Failures that are counted at the same moment are all counted") {
  WITH_EVERY_DATABASE();
  constexpr int kThreads = 4;
  constexpr int kTimes = 25;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        // Each names them in an order of its own.
        const Strings keys = i % 2 == 0 ? Strings{"a", "b"} : Strings{"b", "a"};
        for (int n = 0; n < kTimes; ++n) {
          accounts->change_failures(keys, moment(), [](std::vector<LoginFailures>& failures) {
            for (LoginFailures& one : failures) {
              ++one.count;
              one.forget_at = moment(1'000'000);
            }
            return true;
          });
        }
      });
    }
  }
  std::vector<std::int64_t> counts;
  accounts->change_failures({"a", "b"}, moment(), [&](std::vector<LoginFailures>& failures) {
    for (const LoginFailures& one : failures) counts.push_back(one.count);
    return false;
  });
  CHECK(counts == std::vector<std::int64_t>(2, kThreads * kTimes));
}

}  // namespace
}  // namespace twinchat::testing
