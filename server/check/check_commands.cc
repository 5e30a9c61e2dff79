#include "check/check_commands.h"

#include <fmt/format.h>
#include <httplib.h>
#include <openssl/crypto.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>

#include "api/json.h"
#include "application.h"
#include "check/deployment.h"
#include "check/known_faults.h"
#include "twinchat/error.h"
#include "twinchat/gemini.h"
#include "twinchat/version.h"

namespace twinchat::server {
namespace {

constexpr std::array<Severity, 3> kSeverities = {Severity::kError, Severity::kWarning,
                                                 Severity::kNote};

bool fails_at(Severity severity, std::string_view level) {
  for (const Severity from : kSeverities) {
    if (name_of(from) == level) return static_cast<int>(severity) >= static_cast<int>(from);
  }
  return false;
}

Json versions() {
  std::vector<LinkedLibrary> all = linked_libraries();
  all.push_back({"OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING)});
  all.push_back({"cpp-httplib", CPPHTTPLIB_VERSION});
  Json list = Json::array();
  for (const LinkedLibrary& library : all) {
    Json faults = Json::array();
    for (const KnownFault& fault : known_faults(library.name, library.version)) {
      faults.push_back({{"id", fault.id}, {"reaches", fault.reaches}, {"what", fault.what}});
    }
    list.push_back(
        {{"name", library.name}, {"version", library.version}, {"known_faults", faults}});
  }
  return list;
}

Json database(const Settings& settings) {
  try {
    const Database opened = open_database(settings, false);
    opened.store->check();
    const Totals totals = opened.records->totals();
    return {
        {"reached", true}, {"schema", "as this version needs it"}, {"sessions", totals.sessions}};
  } catch (const Error& error) {
    return {{"reached", false}, {"error", error.what()}};
  }
}

Json gemini(const Settings& settings) {
  if (settings.demo()) return {{"reached", false}, {"error", "GEMINI_API_KEY is missing."}};
  GeminiOptions options = settings.gemini;
  options.api_key = settings.gemini_api_key;
  options.retry.max_attempts = 1;
  try {
    GenerateRequest request;
    request.contents = {text_content(Role::kUser, "Say yes.")};
    CallOptions call;
    call.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const ModelAnswer answer = make_gemini_model(std::move(options))->generate(request, call);
    return {{"reached", true},
            {"model_version", answer.model_version},
            {"tokens", answer.usage.prompt_tokens + answer.usage.output_tokens +
                           answer.usage.thought_tokens}};
  } catch (const Error& error) {
    return {{"reached", false}, {"error", error.what()}};
  }
}

std::string said(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string as_text(const Json& report) {
  std::string text =
      fmt::format("{} on {}\n\nsettings\n", said(report.at("program")), said(report.at("system")));
  for (const Json& setting : report.at("settings")) {
    text += fmt::format("  {}={}  ({})\n", said(setting.at("name")), said(setting.at("value")),
                        said(setting.at("origin")));
  }
  text +=
      "\nlibraries, with the known faults of their versions (which a distribution may have "
      "mended)\n";
  for (const Json& library : report.at("libraries")) {
    text += fmt::format("  {} {}\n", said(library.at("name")), said(library.at("version")));
    for (const Json& fault : library.at("known_faults")) {
      text += fmt::format("    {} {}: {}\n", fault.at("reaches").get<bool>() ? "!" : "-",
                          said(fault.at("id")), said(fault.at("what")));
    }
  }
  text += "    (! the server can run into it, - it cannot)\n";
  for (const char* part : {"database", "gemini"}) {
    if (!report.contains(part)) continue;
    text += fmt::format("\n{}\n", part);
    for (const auto& [name, value] : report.at(part).items()) {
      text += fmt::format("  {}: {}\n", name, said(value));
    }
  }
  return text;
}

}  // namespace

Report check_deployment(const Settings& settings, const SettingSources& sources,
                        const CheckOptions& options) {
  const std::vector<Finding> findings = judge_deployment(settings, look_around(settings, sources));
  Report report;
  report.good = std::none_of(findings.begin(), findings.end(), [&](const Finding& finding) {
    return fails_at(finding.severity, options.fail_level);
  });
  if (options.json) {
    Json list = Json::array();
    for (const Finding& finding : findings) {
      list.push_back({{"id", finding.id},
                      {"severity", std::string(name_of(finding.severity))},
                      {"what", finding.what},
                      {"remedy", finding.remedy}});
    }
    report.text = Json{{"good", report.good}, {"findings", list}}.dump(2) + "\n";
    return report;
  }
  for (const Finding& finding : findings) {
    report.text += fmt::format("{:<8} {}: {}\n         {}\n", name_of(finding.severity), finding.id,
                               finding.what, finding.remedy);
  }
  for (const Severity severity : kSeverities) {
    report.text += fmt::format(
        "{}{} {}s", severity == kSeverities.front() ? "" : ", ",
        std::count_if(findings.begin(), findings.end(),
                      [&](const Finding& finding) { return finding.severity == severity; }),
        name_of(severity));
  }
  report.text += '\n';
  return report;
}

Report examine(const Settings& settings, const SettingSources& sources,
               const DoctorOptions& options) {
  utsname system{};
  ::uname(&system);
  Json list = Json::array();
  for (const EffectiveSetting& setting : effective_settings(sources)) {
    list.push_back(
        {{"name", setting.name},
         {"value", setting.name == "DATABASE_URL" ? settings.database_shown() : setting.value},
         {"origin", setting.origin}});
  }
  Json report = {
      {"program", std::string("twinchat-server ") + version()},
      {"system", fmt::format("{} {} {}", system.sysname, system.release, system.machine)},
      {"settings", std::move(list)},
      {"libraries", versions()},
      {"database", database(settings)}};
  if (options.online) report["gemini"] = gemini(settings);
  const bool good = report["database"]["reached"].get<bool>() &&
                    (!options.online || report["gemini"]["reached"].get<bool>());
  return {options.json ? report.dump(2) + "\n" : as_text(report), good};
}

}  // namespace twinchat::server
