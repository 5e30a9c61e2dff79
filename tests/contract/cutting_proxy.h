#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace twinchat::testing {

// Stands between a store and PostgreSQL and loses the connection at the worst moment.
//
// Thread safety: every function may be called from any thread.
class CuttingProxy {
 public:
  enum class Mode {
    kPass,       // hands everything on
    kCutBefore,  // the next COMMIT never arrives
    kCutAfter,   // the next COMMIT arrives and its answer does not
    kCutSilent,  // the same, and nobody waits for its answer
    kRefuse,     // nobody gets through
  };

  // To that port of the loopback interface.
  explicit CuttingProxy(std::uint16_t server_port);
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  std::uint16_t port() const { return port_; }
  // From now on. Having cut, it goes over to `then`.
  void set(Mode mode, Mode then = Mode::kPass);
  // COMMITs that were cut off so far.
  int cuts() const { return cuts_; }

 private:
  void accept_all();
  void serve(int client);
  // Takes the turn of cutting, if it is to be done in that mode.
  bool takes(Mode mode);

  const std::uint16_t server_port_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<Mode> mode_{Mode::kPass};
  std::atomic<Mode> then_{Mode::kPass};
  std::atomic<int> cuts_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<std::thread> connections_;  // guarded by it
  std::thread thread_;
};

}  // namespace twinchat::testing
