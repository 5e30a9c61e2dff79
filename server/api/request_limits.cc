#include "api/request_limits.h"

#include <fmt/format.h>

#include "api/refusal.h"

namespace twinchat::server {
namespace {

void refuse(const std::optional<RateExcess>& excess) {
  if (!excess) return;
  const auto wait = excess->retry_after.count();
  const std::string name = name_of(excess->rate_class, excess->scope);
  Refusal refusal(
      429, {{"detail", fmt::format("Too many requests. Please try again in {} second{}.", wait,
                                   wait == 1 ? "" : "s")}});
  refusal.retry_after = static_cast<int>(wait);
  refusal.headers = {
      {"RateLimit-Policy",
       fmt::format("\"{}\";q={};w={}", name, excess->limit.count, excess->limit.window.count())},
      {"RateLimit", fmt::format("\"{}\";r=0;t={}", name, excess->full_after.count())}};
  throw refusal;
}

}  // namespace

IpAddress RequestLimits::client_of(const Call& call) const {
  const IpAddress peer = IpAddress::parse(call.peer()).value_or(IpAddress{});
  if (trusted_.empty()) return peer;
  return client_address(peer, call.request().get_header_value("X-Forwarded-For"), trusted_);
}

void RequestLimits::admit(RateClass rate_class, const IpAddress& client) {
  if (rate_class == RateClass::kLookup) refuse(limiter_.look(RateClass::kMiss, client));
  refuse(limiter_.take(rate_class, client));
}

void RequestLimits::admit(RateClass rate_class, std::string_view session_id) {
  refuse(limiter_.take(rate_class, session_id));
}

}  // namespace twinchat::server
