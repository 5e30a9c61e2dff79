#include "api/request_limits.h"

#include <fmt/format.h>

#include "api/refusal.h"

namespace twinchat::server {
namespace {

void refuse(const std::optional<RateExcess>& excess) {
  if (!excess) return;
  const auto wait = excess->retry_after.count();
  const std::string name = name_of(excess->rate_class, excess->scope);
  const bool of_all = excess->scope == RateScope::kAll;
  Refusal refusal(
      429, {{"detail", of_all ? "Too many requests just now. Please try again later."
                              : fmt::format("Too many requests. Please try again in {} second{}.",
                                            wait, wait == 1 ? "" : "s")}});
  refusal.retry_after = static_cast<int>(wait);
  if (of_all) refusal.spread = RetrySpread::suited_to(*refusal.retry_after);
  refusal.headers = {
      {"RateLimit-Policy",
       fmt::format("\"{}\";q={};w={}", name, excess->limit.count, excess->limit.window.count())},
      {"RateLimit", fmt::format("\"{}\";r=0;t={}", name, excess->full_after.count())}};
  throw refusal;
}

}  // namespace

IpAddress RequestLimits::client_of(const Call& call) const {
  return client_of(call.peer(), call.request().get_header_value("X-Forwarded-For"));
}

IpAddress RequestLimits::client_of(std::string_view peer, std::string_view forwarded_for) const {
  const IpAddress address = IpAddress::parse(peer).value_or(IpAddress{});
  return trusted_.empty() ? address : client_address(address, forwarded_for, trusted_);
}

void RequestLimits::admit(RateClass rate_class, const IpAddress& client) {
  if (rate_class == RateClass::kLookup) refuse(limiter_.look(RateClass::kMiss, client));
  refuse(limiter_.take(rate_class, client));
}

void RequestLimits::admit(RateClass rate_class, std::string_view session_id) {
  refuse(limiter_.take(rate_class, session_id));
}

}  // namespace twinchat::server
