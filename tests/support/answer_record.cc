#include "answer_record.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <unordered_set>

namespace twinchat::testing {
namespace {

using Json = nlohmann::ordered_json;

// Of more there is nothing to learn.
constexpr std::size_t kMaxBody = 256 * 1024;

const char* folder() {
  static const char* const name = std::getenv("TWINCHAT_ANSWERS");
  return name;
}

// Every answer of twinchat-server has an id, except the metrics'.
bool is_of_us(const RecordedRequest& request, const HttpResponse& response) {
  return response.header("x-request-id") || request.target == "/metrics";
}

}  // namespace

bool records_answers() {
  return folder() != nullptr;
}

void record_answer(const RecordedRequest& request, const HttpResponse& response,
                   std::string_view body, bool whole) {
  if (!records_answers() || !is_of_us(request, response)) return;
  Json headers = Json::object();
  for (const auto& [name, value] : response.headers) headers[name] = value;
  for (const char* varying : {"x-request-id", "date"}) headers.erase(varying);
  const Json line = {
      {"method", request.method},
      {"target", request.target},
      {"metrics", !response.header("x-request-id")},
      {"request", request.body.size() > kMaxBody ? Json(nullptr) : Json(request.body)},
      {"status", response.status},
      {"headers", std::move(headers)},
      {"body", body.substr(0, kMaxBody)},
      {"whole", whole && body.size() <= kMaxBody}};
  std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";

  static std::mutex mutex;
  static std::unordered_set<std::string> written;
  static std::ofstream file(std::string(folder()) + "/" + std::to_string(getpid()) + ".jsonl",
                            std::ios::app);
  std::lock_guard lock(mutex);
  // The same call again and again says nothing new.
  if (!written.insert(text).second) return;
  file << text << std::flush;
}

}  // namespace twinchat::testing
