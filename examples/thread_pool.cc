// Many sessions from a pool of threads that a program has anyway: every line of standard input is
// asked in a session of its own, eight at a time. (To wait for answers alone no threads are needed:
// see event_loop.cc.)
//   GEMINI_API_KEY=... thread_pool < questions.txt
#include <atomic>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "gemini_from_environment.h"
#include "twinchat/twinchat.h"

namespace {

struct Job {
  std::string question;
  std::string outcome = {};
  std::int64_t tokens = 0;
};

// shown: threads
// One assistant for all threads.
void answer(twinchat::Assistant& assistant, Job& job) {
  try {
    const twinchat::Session session = assistant.create_session();
    const twinchat::Turn turn = assistant.send(session.session_id, job.question);
    job.outcome = turn.text();
    job.tokens = turn.usage.total_tokens;
  } catch (const twinchat::Error& error) {
    job.outcome = std::string(to_string(error.code())) + ": " + error.what();
  }
}

void answer_all(twinchat::Assistant& assistant, std::vector<Job>& jobs, unsigned threads) {
  std::atomic<std::size_t> next = 0;
  std::vector<std::jthread> pool;
  for (unsigned i = 0; i < threads; ++i) {
    pool.emplace_back([&] {
      for (std::size_t job = next++; job < jobs.size(); job = next++) answer(assistant, jobs[job]);
    });
  }
}
// shown: end

}  // namespace

int main() {
  std::vector<Job> jobs;
  for (std::string line; std::getline(std::cin, line);) jobs.push_back({.question = line});
  try {
    twinchat::Assistant assistant(twinchat::open_store("sqlite:///chat.db"),
                                  twinchat::make_gemini_model(gemini_from_environment()));
    answer_all(assistant, jobs, 8);
  } catch (const std::exception& error) {
    std::cerr << "thread_pool: " << error.what() << "\n";
    return 1;
  }
  std::int64_t tokens = 0;
  for (const Job& job : jobs) {
    std::cout << job.question << " -> " << job.outcome << "\n";
    tokens += job.tokens;
  }
  std::cout << jobs.size() << " questions, " << tokens << " tokens\n";
}
