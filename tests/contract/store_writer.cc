// A program for the tests that kill: it writes to a store and says on standard output what
// has been acknowledged to it.
//
//   store_writer write URL THREADS NAME   whole turns in session NAME on so many threads, for ever
//   store_writer pending URL              one pending turn in session "pending" under the key
//                                         "key"; says "opening" before it opens the store

#include <unistd.h>

#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "stores.h"

namespace {

using namespace twinchat;
using testing::new_turn;

// One write() a line: lines of several threads never mix, and none is left in a buffer.
void say(const std::string& line) {
  const std::string text = line + '\n';
  if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) std::exit(1);
}

void write_for_ever(Store& store, const std::string& session, int thread) {
  for (int n = 0;; ++n) {
    const std::string text = session + '/' + std::to_string(thread) + '/' + std::to_string(n);
    NewTurn turn = new_turn(session, text);
    turn.create_session = true;
    turn.idempotency_key = text;
    FinishedTurn finished;
    finished.turn_id = store.begin_turn(turn).turn.id;
    say("begun " + text);
    finished.status = TurnStatus::kComplete;
    finished.answer = "re: " + text;
    finished.now = turn.now;
    store.finish_turn(finished);
    say("done re: " + text);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() == 4 && args[0] == "write") {
    const auto store = open_store(args[1]);
    std::vector<std::jthread> threads;
    for (int i = 0; i < std::stoi(args[2]); ++i) {
      threads.emplace_back([&, i] { write_for_ever(*store, args[3], i); });
    }
    return 0;
  }
  if (args.size() == 2 && args[0] == "pending") {
    say("opening");
    const auto store = open_store(args[1]);
    NewTurn turn = new_turn("pending", "hello");
    turn.create_session = true;
    turn.idempotency_key = "key";
    store->begin_turn(turn);
    say("pending");
    for (;;) ::pause();
  }
  std::cerr << "usage: store_writer write URL THREADS NAME | pending URL\n";
  return 2;
}
