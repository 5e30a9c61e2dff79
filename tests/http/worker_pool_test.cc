#include "http/worker_pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "wait.h"

using namespace twinchat::server;
using twinchat::testing::eventually;

namespace {

// Holds jobs until it is opened.
class Gate {
 public:
  void wait() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    opened_.wait(lock, [this] { return open_; });
  }
  void open() {
    std::unique_lock lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  int waiting() {
    std::unique_lock lock(mutex_);
    return waiting_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
  int waiting_ = 0;
};

}  // namespace

TEST_CASE("A pool runs every job, whoever submits it") {
  std::atomic<int> ran{0};
  {
    WorkerPool pool({});
    std::vector<std::thread> submitters;
    for (int i = 0; i < 4; ++i) {
      submitters.emplace_back([&] {
        for (int j = 0; j < 1000; ++j) pool.submit([&ran] { ++ran; });
      });
    }
    for (std::thread& thread : submitters) thread.join();
  }
  CHECK(ran == 4000);
}

TEST_CASE("A pool with one worker keeps the order") {
  std::vector<int> order;
  {
    WorkerPool pool({.min_workers = 1, .max_workers = 1});
    for (int i = 0; i < 100; ++i) pool.submit([&order, i] { order.push_back(i); });
  }
  REQUIRE(order.size() == 100);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("A pool grows while its workers are blocked, up to its cap, and shrinks again") {
  Gate gate;
  WorkerPool pool(
      {.min_workers = 2, .max_workers = 20, .idle_time = std::chrono::milliseconds(20)});
  for (int i = 0; i < 30; ++i) pool.submit([&gate] { gate.wait(); });
  CHECK(eventually([&] { return gate.waiting() == 20; }));
  CHECK(pool.workers() == 20);
  CHECK(pool.queued() == 10);
  gate.open();
  CHECK(eventually([&] { return gate.waiting() == 30; }));
  CHECK(eventually([&] { return pool.workers() == 2; }));

  std::atomic<bool> ran = false;
  pool.submit([&ran] { ran = true; });
  CHECK(eventually([&] { return ran.load(); }));
}

TEST_CASE("Short jobs one after the other do not make a pool grow") {
  WorkerPool pool({.min_workers = 1, .patience = std::chrono::seconds(60)});
  std::atomic<int> ran{0};
  for (int i = 0; i < 1000; ++i) pool.submit([&ran] { ++ran; });
  CHECK(eventually([&] { return ran == 1000; }));
  CHECK(pool.workers() == 1);
}

TEST_CASE("A job may submit jobs") {
  std::atomic<int> ran{0};
  WorkerPool pool({.min_workers = 1, .max_workers = 1});
  pool.submit([&] {
    ++ran;
    pool.submit([&] { ++ran; });
  });
  CHECK(eventually([&] { return ran == 2; }));
}

TEST_CASE("An exception that leaves a job is reported and the worker goes on") {
  std::mutex mutex;
  std::vector<std::string> reported;
  std::atomic<bool> ran{false};
  {
    WorkerPool pool(
        {.min_workers = 1, .max_workers = 1, .on_escaped_exception = [&](std::string_view what) {
           std::unique_lock lock(mutex);
           reported.emplace_back(what);
         }});
    pool.submit([] { throw std::runtime_error("oops"); });
    pool.submit([] { throw 1; });
    pool.submit([&ran] { ran = true; });
  }
  CHECK(ran);
  CHECK(reported == std::vector<std::string>{"oops", "unknown exception"});
}

TEST_CASE("A pool that shuts down runs what is queued and takes nothing new") {
  std::atomic<int> ran{0};
  WorkerPool pool({.min_workers = 1, .max_workers = 1});
  for (int i = 0; i < 50; ++i) pool.submit([&ran] { ++ran; });
  pool.shutdown();
  CHECK(ran == 50);
  CHECK_FALSE(pool.submit([&ran] { ++ran; }));
  pool.shutdown();
  CHECK(ran == 50);
}
