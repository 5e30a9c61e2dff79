#include "check/known_faults.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace twinchat::server {
namespace {

using Version = std::array<int, 3>;

struct Entry {
  std::string_view library;
  Version since;  // the first with the fault
  // The first without it, then the first of each older line (the same two numbers in front) that
  // was mended as well.
  std::vector<Version> mended;
  std::string_view id;
  std::string_view what;
  bool reaches;
};

constexpr std::string_view kFramed =
    "requests are read and bounded by this server before cpp-httplib sees them";

// Sources: the advisories of github.com/yhirose/cpp-httplib, sqlite.org/wal.html and
// sqlite.org/cves.html, curl.se/docs/security.html, openssl-library.org/news/vulnerabilities.
const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = {
      {"cpp-httplib", {0, 0, 0}, {{0, 20, 1}}, "CVE-2025-46728", kFramed, false},
      {"cpp-httplib", {0, 0, 0}, {{0, 23, 0}}, "CVE-2025-53629", kFramed, false},
      {"cpp-httplib", {0, 0, 0}, {{0, 23, 0}}, "CVE-2025-53628", kFramed, false},
      {"cpp-httplib", {0, 0, 0}, {{0, 22, 0}}, "CVE-2025-52887", kFramed, false},
      {"cpp-httplib",
       {0, 17, 3},
       {{0, 18, 4}},
       "CVE-2025-0825",
       "answers are written by this server",
       false},
      {"cpp-httplib", {0, 0, 0}, {{0, 27, 0}}, "CVE-2025-66570", kFramed, false},
      {"cpp-httplib",
       {0, 0, 0},
       {{0, 30, 1}},
       "CVE-2026-22776",
       "compressed requests are refused before",
       false},
      {"cpp-httplib",
       {0, 0, 0},
       {{0, 35, 0}},
       "CVE-2026-28434",
       "answers are written by this server",
       false},
      {"cpp-httplib",
       {0, 0, 0},
       {{0, 36, 0}},
       "CVE-2026-29076",
       "multipart bodies are refused",
       false},
      {"cpp-httplib", {0, 0, 0}, {{0, 40, 0}}, "CVE-2026-34441", kFramed, false},
      {"cpp-httplib", {0, 0, 0}, {{0, 43, 4}}, "CVE-2026-45352", kFramed, false},
      {"cpp-httplib", {0, 0, 0}, {{0, 44, 0}}, "CVE-2026-45372", kFramed, false},

      {"SQLite",
       {3, 7, 0},
       {{3, 51, 3}, {3, 50, 7}, {3, 44, 6}},
       "WAL-reset",
       "two connections that write at the same moment can damage the database: let no other "
       "program "
       "write to it while the server runs",
       true},
      {"SQLite",
       {0, 0, 0},
       {{3, 50, 2}},
       "CVE-2025-6965",
       "needs statements of an attacker's; there are none but the server's own",
       false},
      {"SQLite",
       {3, 44, 0},
       {{3, 49, 1}},
       "CVE-2025-29087",
       "needs concat_ws() with a separator of megabytes; it is not used",
       false},
      {"SQLite",
       {0, 0, 0},
       {{3, 43, 1}},
       "CVE-2023-7104",
       "in the session extension; it is not used",
       false},

      {"libcurl",
       {7, 69, 0},
       {{8, 4, 0}},
       "CVE-2023-38545",
       "in SOCKS5 proxies that resolve names: name no such GEMINI_PROXY",
       true},
      {"libcurl",
       {7, 44, 0},
       {{8, 7, 0}},
       "CVE-2024-2398",
       "in HTTP/2 server push; it is not taken",
       false},
      {"libcurl",
       {7, 32, 0},
       {{8, 9, 1}},
       "CVE-2024-7264",
       "in back ends of TLS other than OpenSSL",
       false},
      {"libcurl",
       {7, 10, 5},
       {{8, 12, 0}},
       "CVE-2025-0725",
       "with a zlib of before 2003 only",
       false},

      {"OpenSSL",
       {3, 0, 0},
       {{3, 0, 7}},
       "CVE-2022-3602",
       "a certificate of Gemini's host, or of a proxy's, could end the program",
       true},
      {"OpenSSL",
       {3, 0, 0},
       {{3, 1, 0}, {3, 0, 8}},
       "CVE-2023-0286",
       "in revocation lists; none are read",
       false},
      {"OpenSSL",
       {3, 0, 0},
       {{3, 4, 0}, {3, 3, 1}, {3, 2, 2}, {3, 1, 6}, {3, 0, 14}},
       "CVE-2024-2511",
       "in the cache of sessions; it is off",
       false},
      {"OpenSSL",
       {3, 0, 0},
       {{3, 5, 0}, {3, 4, 1}, {3, 3, 3}, {3, 2, 4}, {3, 1, 8}, {3, 0, 16}},
       "CVE-2024-13176",
       "the time that a signature takes tells of a P-521 key: have another kind in TLS_KEY",
       true},
  };
  return all;
}

// "3.0.22", "7.88.1-DEV", "0.11.4"; what is not there is 0.
Version parse(std::string_view text) {
  Version version{};
  for (int& part : version) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), part);
    if (error != std::errc{}) break;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.starts_with('.')) break;
    text.remove_prefix(1);
  }
  return version;
}

bool has(const Entry& entry, const Version& version) {
  if (version < entry.since || version >= entry.mended.front()) return false;
  return std::none_of(entry.mended.begin() + 1, entry.mended.end(), [&](const Version& mended) {
    return version[0] == mended[0] && version[1] == mended[1] && version >= mended;
  });
}

}  // namespace

std::vector<KnownFault> known_faults(std::string_view library, std::string_view version) {
  std::vector<KnownFault> faults;
  for (const Entry& entry : entries()) {
    if (entry.library == library && has(entry, parse(version))) {
      faults.push_back({std::string(entry.id), std::string(entry.what), entry.reaches});
    }
  }
  return faults;
}

bool has_wal_reset_fault(std::string_view sqlite_version) {
  const std::vector<KnownFault> faults = known_faults("SQLite", sqlite_version);
  return std::any_of(faults.begin(), faults.end(),
                     [](const KnownFault& fault) { return fault.id == "WAL-reset"; });
}

}  // namespace twinchat::server
