#pragma once

#include <chrono>
#include <cstddef>
#include <string_view>

namespace twinchat::server {

// Hears of every answer, for whoever counts them.
//
// Thread safety: add_route() before the server runs, by one thread; answered() from any number of
// threads at once.
class RequestObserver {
 public:
  virtual ~RequestObserver() = default;

  // Announces a route by its pattern; the number stands for it afterwards. 0 is "no route".
  virtual std::size_t add_route(std::string_view pattern) = 0;

  // A request got its answer, or the last byte of a streamed one. `method` is what the client sent,
  // whatever that is.
  virtual void answered(std::size_t route, std::string_view method, int status,
                        std::chrono::steady_clock::duration took) noexcept = 0;

  // Requests that are being worked on: each enters, and leaves when nothing of it is left.
  virtual void entered() noexcept = 0;
  virtual void left() noexcept = 0;
};

}  // namespace twinchat::server
