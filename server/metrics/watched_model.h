#pragma once

#include <memory>
#include <string>

#include "metrics/metrics.h"
#include "twinchat/model.h"

namespace twinchat::server {

// Another model, whose calls are counted.
//
// Thread safety: as every Model.
class WatchedModel final : public Model {
 public:
  // The metrics must outlive the last call.
  WatchedModel(std::shared_ptr<Model> model, Metrics& metrics)
      : model_(std::move(model)), metrics_(metrics) {}

  std::string name() const override { return model_->name(); }
  ModelAnswer generate(const GenerateRequest& request, const CallOptions& options) override;
  void start(GenerateRequest request, CallOptions options, OnAnswer on_answer) override;

 private:
  const std::shared_ptr<Model> model_;
  Metrics& metrics_;
};

}  // namespace twinchat::server
