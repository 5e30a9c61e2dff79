#pragma once

#include <chrono>
#include <string>

#include "twinchat/model.h"

namespace twinchat::server {

// Stands in for Gemini when there is no key: answers from a small list of questions and answers, by
// counting words, and says in every answer that it is the offline demo.
//
// Thread safety: as every Model.
class DemoModel final : public Model {
 public:
  // `word_delay` passes before each word of a streamed answer, so that it looks like one.
  explicit DemoModel(std::chrono::milliseconds word_delay = std::chrono::milliseconds(15))
      : word_delay_(word_delay) {}
  ~DemoModel() override { wait_for_started(); }

  // "demo"
  std::string name() const override { return "demo"; }

  // Answers the newest question. Errors: kCancelled and kDeadlineExceeded while streaming.
  ModelAnswer generate(const GenerateRequest& request, const CallOptions& options) override;

 private:
  const std::chrono::milliseconds word_delay_;
};

}  // namespace twinchat::server
