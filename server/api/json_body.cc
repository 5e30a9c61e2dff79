#include "api/json_body.h"

#include <fmt/format.h>

#include <charconv>

#include "api/refusal.h"
#include "text.h"

namespace twinchat::server {
namespace {

constexpr int kMaxDepth = 32;

// Whatever the parser throws is replaced by words of ours: its own quote the body.
[[noreturn]] void refuse_json(std::string_view why) {
  throw Refusal(400, {{"detail", fmt::format("JSON parse error - {}", why)}});
}

bool is_json_type(std::string_view content_type) {
  return ascii_lower(trim(content_type.substr(0, content_type.find(';')))) == "application/json";
}

// The type as the prototype's messages name it.
std::string_view type_name(const Json& value) {
  if (value.is_array()) return "list";
  if (value.is_string()) return "str";
  if (value.is_boolean()) return "bool";
  return value.is_number_float() ? "float" : "int";
}

}  // namespace

std::string to_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json parse_json_body(std::string_view content_type, std::string_view body) {
  if (body.empty()) return Json::object();
  if (!is_json_type(content_type)) {
    throw Refusal(415, {{"detail", fmt::format("Unsupported media type \"{}\" in request.",
                                               content_type.substr(0, 200))}});
  }
  if (body.starts_with("\xEF\xBB\xBF")) refuse_json("unexpected byte order mark");
  // The parser keeps its own stack and tells of every level before it makes it.
  const auto watch_depth = [](int depth, Json::parse_event_t event, Json&) {
    const bool opens =
        event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (opens && depth >= kMaxDepth) {
      refuse_json(fmt::format("nested more than {} levels deep", kMaxDepth));
    }
    return true;
  };
  try {
    return Json::parse(body, watch_depth);
  } catch (const Json::parse_error& e) {
    refuse_json(fmt::format("not valid JSON at byte {}", e.byte));
  } catch (const Json::exception&) {
    refuse_json("a number is out of range");
  }
}

std::optional<std::string> text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number()) return value.dump();
  return std::nullopt;
}

BodyFields::BodyFields(const Json& body) : body_(body) {
  if (body.is_object()) return;
  const std::string message =
      body.is_null()
          ? "No data provided"
          : fmt::format("Invalid data. Expected a dictionary, but got {}.", type_name(body));
  throw Refusal(400, {{"non_field_errors", Json::array({message})}});
}

void BodyFields::complain(const std::string& name, const std::string& message) {
  problems_[name].push_back(message);
}

std::string BodyFields::text(const std::string& name, const Json& value, std::size_t max_length) {
  const auto given = text_of(value);
  if (!given) {
    complain(name, value.is_null() ? "This field may not be null." : "Not a valid string.");
    return {};
  }
  std::string text(trim(*given));
  if (text.empty()) complain(name, "This field may not be blank.");
  if (count_code_points(text) > max_length) {
    complain(name, fmt::format("Ensure this field has no more than {} characters.", max_length));
  }
  if (text.find('\0') != std::string::npos) complain(name, "Null characters are not allowed.");
  return text;
}

std::string BodyFields::required_text(const std::string& name, std::size_t max_length) {
  const auto it = body_.find(name);
  if (it == body_.end()) {
    complain(name, "This field is required.");
    return {};
  }
  return text(name, *it, max_length);
}

std::string BodyFields::optional_text(const std::string& name, std::size_t max_length) {
  const auto it = body_.find(name);
  return it == body_.end() || it->is_null() ? std::string() : text(name, *it, max_length);
}

std::int64_t BodyFields::required_integer(const std::string& name) {
  const auto it = body_.find(name);
  if (it == body_.end() || it->is_null()) {
    complain(name, it == body_.end() ? "This field is required." : "This field may not be null.");
    return 0;
  }
  // A float and what is too large are numbers, too, and not written so.
  const std::string text = text_of(*it).value_or("");
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
    complain(name, "A valid integer is required.");
    return 0;
  }
  return value;
}

std::optional<std::string> BodyFields::required_choice(const std::string& name,
                                                       const std::vector<std::string>& choices) {
  const auto it = body_.find(name);
  if (it == body_.end()) {
    complain(name, "This field is required.");
    return std::nullopt;
  }
  if (it->is_null()) return std::nullopt;
  for (const std::string& choice : choices) {
    if (*it == choice) return choice;
  }
  complain(name, "Not a valid choice.");
  return std::nullopt;
}

bool BodyFields::optional_flag(const std::string& name) {
  const auto it = body_.find(name);
  if (it == body_.end() || it->is_null()) return false;
  if (!it->is_boolean()) {
    complain(name, "Must be a valid boolean.");
    return false;
  }
  return it->get<bool>();
}

UserDetailsUpdate BodyFields::user_details() {
  UserDetailsUpdate update;
  const auto details = body_.find("user_details");
  if (details == body_.end()) return update;
  if (!details->is_object()) {
    complain("user_details", "Expected a dictionary.");
    return update;
  }
  Json problems_of = Json::object();
  const auto read = [&](const char* name, FieldUpdate& field) {
    const auto it = details->find(name);
    if (it == details->end()) return;
    if (it->is_null()) {
      field = nullptr;
    } else if (const auto text = text_of(*it)) {
      field = std::string(trim(*text));
    } else {
      problems_of[name].push_back("Not a valid string.");
    }
  };
  read("name", update.name);
  read("email", update.email);
  read("phone", update.phone);
  for (const FieldProblem& problem : problems(update)) {
    problems_of[problem.field].push_back(problem.message);
  }
  if (!problems_of.empty()) problems_["user_details"] = std::move(problems_of);
  return update;
}

void BodyFields::check() const {
  if (!problems_.empty()) throw Refusal(400, problems_);
}

}  // namespace twinchat::server
