#include "twinchat/session.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "text.h"

namespace twinchat {
namespace {

constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxEmail = 254;
constexpr std::size_t kMaxPhone = 20;

bool is_ascii_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_host_label(std::string_view label) {
  if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
    return false;
  }
  return std::all_of(label.begin(), label.end(), [](char c) {
    return is_ascii_alnum(c) || c == '-' || static_cast<unsigned char>(c) >= 0x80;
  });
}

// A dot-atom, "@", and a host name of at least two labels: what people have as an address. Quoted
// local parts and address literals are legal in mail and not here.
bool is_email(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos || at == 0 || at > 64) return false;
  static constexpr std::string_view kAtomSymbols = "!#$%&'*+-/=?^_`{|}~.";
  const std::string_view local = text.substr(0, at);
  if (local.front() == '.' || local.back() == '.' || local.find("..") != std::string_view::npos) {
    return false;
  }
  if (!std::all_of(local.begin(), local.end(), [](char c) {
        return is_ascii_alnum(c) || kAtomSymbols.find(c) != std::string_view::npos;
      })) {
    return false;
  }
  std::string_view host = text.substr(at + 1);
  std::size_t labels = 0;
  std::string_view last;
  while (true) {
    const std::size_t dot = host.find('.');
    last = host.substr(0, dot);
    if (!is_host_label(last)) return false;
    ++labels;
    if (dot == std::string_view::npos) break;
    host.remove_prefix(dot + 1);
  }
  const bool numeric =
      std::all_of(last.begin(), last.end(), [](char c) { return c >= '0' && c <= '9'; });
  return labels >= 2 && last.size() >= 2 && !numeric;
}

void check(std::vector<FieldProblem>& found, const char* field, const FieldUpdate& update,
           std::size_t max, bool email) {
  if (!update.given() || !update.value() || update.value()->empty()) return;
  const std::string& text = *update.value();
  const auto length = count_code_points(text);
  if (!length) {
    found.push_back({field, "Not a valid string."});
    return;
  }
  if (text.find('\0') != std::string::npos) {
    found.push_back({field, "Null characters are not allowed."});
  }
  if (email && !is_email(text)) found.push_back({field, "Enter a valid email address."});
  if (*length > max) {
    found.push_back(
        {field, "Ensure this field has no more than " + std::to_string(max) + " characters."});
  }
}

}  // namespace

void UserDetailsUpdate::apply_to(UserDetails& details) const {
  if (name.given()) details.name = name.value();
  if (email.given()) details.email = email.value();
  if (phone.given()) details.phone = phone.value();
}

std::vector<FieldProblem> problems(const UserDetailsUpdate& update) {
  std::vector<FieldProblem> found;
  check(found, "name", update.name, kMaxName, false);
  check(found, "email", update.email, kMaxEmail, true);
  check(found, "phone", update.phone, kMaxPhone, false);
  return found;
}

const char* to_string(Feedback feedback) noexcept {
  switch (feedback) {
    case Feedback::kNone:
      return "none";
    case Feedback::kUp:
      return "up";
    case Feedback::kDown:
      return "down";
  }
  return "none";
}

const char* to_string(TurnStatus status) noexcept {
  switch (status) {
    case TurnStatus::kPending:
      return "pending";
    case TurnStatus::kComplete:
      return "complete";
    case TurnStatus::kTruncated:
      return "truncated";
    case TurnStatus::kBlocked:
      return "blocked";
    case TurnStatus::kEmpty:
      return "empty";
    case TurnStatus::kFailed:
      return "failed";
    case TurnStatus::kCancelled:
      return "cancelled";
    case TurnStatus::kInterrupted:
      return "interrupted";
  }
  return "failed";
}

}  // namespace twinchat
