#include "commands.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <system_error>

#include "admin/account_commands.h"
#include "application.h"
#include "check/check_commands.h"
#include "config/settings.h"
#include "log/log.h"
#include "maintenance/backup_commands.h"
#include "maintenance/person_commands.h"
#include "maintenance/retention.h"
#include "twinchat/transfer.h"
#include "twinchat/version.h"

namespace twinchat::server {
namespace {

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kBadSettings = 2;

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  return file ? std::optional(std::move(text)) : std::nullopt;
}

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

// What the command line says.
struct CommandLine {
  std::map<std::string, std::string> flags = {};
  std::string env_file = {};
  // Of the commands about users.
  AccountCommand account = {};
  // Of those about one person.
  PersonCommand person = {};
  // Of import.
  std::string import_from = {};
  std::string import_to = {};
  bool resume = false;
  // Of retention.
  bool erase_now = false;
  // Of those about backups.
  BackupCommand backup = {};
  // Of check and doctor.
  bool deploy = false;
  CheckOptions check = {};
  DoctorOptions doctor = {};

  SettingSources sources() const {
    SettingSources sources;
    sources.flags = flags;
    sources.environment = environment();
    sources.read_file = read_file;
    if (!env_file.empty()) sources.env_file_name = env_file;
    const auto text = read_file(sources.env_file_name);
    if (!text && !env_file.empty()) {
      throw SettingsError(fmt::format("--env-file: {} cannot be read.", env_file));
    }
    sources.env_file_text = text.value_or("");
    return sources;
  }

  Settings settings(bool for_serving) const {
    const SettingSources sources = this->sources();
    set_log_format(log_format(sources));
    Settings settings = load_settings(sources, for_serving);
    spdlog::set_level(spdlog::level::from_str(settings.log_level));
    for (const std::string& warning : settings.warnings) spdlog::warn("{}", warning);
    return settings;
  }
};

void add_setting_flags(CLI::App& command, CommandLine& line) {
  command.add_option("--env-file", line.env_file, "File with settings [.env, where there is one]");
  for (const Setting& setting : setting_table()) {
    if (setting.secret) continue;
    const std::string name(setting.name);
    std::string help = fmt::format("{} It takes {}.", setting.help, setting.takes);
    if (!setting.default_value.empty()) help += fmt::format(" [{}]", setting.default_value);
    command.add_option_function<std::string>(
        setting.flag(), [&line, name](const std::string& value) { line.flags[name] = value; },
        help);
  }
}

std::atomic<Application*> g_application{nullptr};
std::atomic<std::int64_t> g_drain_ms{0};

// Rings as SIGALRM when the drain delay has passed; made before the first signal can come.
std::atomic<std::int64_t> g_drain_delay_ms{0};
timer_t g_drain_delay_timer;

// The first signal lets requests finish, the second does not, the third waits for nothing at all.
extern "C" void on_signal(int) {
  static std::atomic<int> signals{0};
  const int count = ++signals;
  if (count > 2) _exit(kFailed);
  const std::chrono::milliseconds drain(count == 1 ? g_drain_ms.load() : 0);
  Application* application = g_application.load();
  if (!application) return;
  if (count == 1 && g_drain_delay_ms > 0) {
    application->announce_stop();
    const std::int64_t ms = g_drain_delay_ms;
    const itimerspec delay = {{0, 0}, {ms / 1000, (ms % 1000) * 1'000'000}};
    if (timer_settime(g_drain_delay_timer, 0, &delay, nullptr) == 0) return;
  }
  application->stop(drain);
}

// The delay has passed.
extern "C" void on_drain_delay(int) {
  if (Application* application = g_application.load()) {
    application->stop(std::chrono::milliseconds(g_drain_ms.load()));
  }
}

extern "C" void on_reload(int) {
  if (Application* application = g_application.load()) application->reload();
}

int serve(const CommandLine& line) {
  const Settings settings = line.settings(true);
  const ServiceManager manager([](const char* name) { return std::getenv(name); });
  std::signal(SIGPIPE, SIG_IGN);
  Application application(settings, manager);
  g_drain_ms = settings.shutdown_timeout.count();
  g_drain_delay_ms = settings.drain_delay.count();
  g_application = &application;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigevent ring = {};
  ring.sigev_notify = SIGEV_SIGNAL;
  ring.sigev_signo = SIGALRM;
  if (timer_create(CLOCK_MONOTONIC, &ring, &g_drain_delay_timer) != 0) {
    throw std::system_error(errno, std::generic_category(), "timer_create");
  }
  struct sigaction on_ring = {};
  on_ring.sa_handler = on_drain_delay;
  on_ring.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &on_ring, nullptr);
  struct sigaction on_hang_up = {};
  on_hang_up.sa_handler = on_reload;
  on_hang_up.sa_flags = SA_RESTART;
  sigaction(SIGHUP, &on_hang_up, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  application.run();
  g_application = nullptr;
  return kOk;
}

int migrate(const CommandLine& line) {
  const Settings settings = line.settings(false);
  open_database(settings, true, true);
  fmt::print("{} is ready.\n", settings.database_shown());
  return kOk;
}

int print(const Report& report) {
  fmt::print("{}", report.text);
  return report.good ? kOk : kFailed;
}

int doctor(const CommandLine& line) {
  return print(examine(line.settings(false), line.sources(), line.doctor));
}

int check(const CommandLine& line) {
  if (line.deploy) {
    return print(check_deployment(line.settings(false), line.sources(), line.check));
  }
  const Settings settings = line.settings(true);
  fmt::print("settings: ok{}\n", settings.demo() ? " (offline demo model: no GEMINI_API_KEY)" : "");
  try {
    open_database(settings, false);
    fmt::print("database: {} is ready\n", settings.database_shown());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    fmt::print("database: {} is not there yet; serve or migrate makes it\n",
               settings.database_shown());
  }
  return kOk;
}

Console terminal() {
  return {ask_at_terminal, [](const std::string& text) { fmt::print("{}\n", text); }};
}

int run_for_accounts(const CommandLine& line,
                     bool (*function)(Accounts& accounts, const AccountCommand& command)) {
  const Settings settings = line.settings(false);
  AccountCommand command = line.account;
  command.environment = environment();
  command.console = terminal();
  return function(*open_database(settings, true).accounts, command) ? kOk : kFailed;
}

int create_superuser_command(const CommandLine& line) {
  return run_for_accounts(line, create_superuser);
}

int change_password_command(const CommandLine& line) {
  return run_for_accounts(line, change_password);
}

int run_for_backups(const CommandLine& line,
                    bool (*function)(const Settings& settings, const BackupCommand& command)) {
  BackupCommand command = line.backup;
  command.say = terminal().say;
  return function(line.settings(false), command) ? kOk : kFailed;
}

int backup(const CommandLine& line) {
  return run_for_backups(line, back_up_command);
}

int verify(const CommandLine& line) {
  return run_for_backups(line, verify_command);
}

int restore(const CommandLine& line) {
  return run_for_backups(line, restore_command);
}

int run_for_person(const CommandLine& line,
                   bool (*function)(const Database& database, const PersonCommand& command)) {
  PersonCommand command = line.person;
  command.console = terminal();
  return function(open_database(line.settings(false), false), command) ? kOk : kFailed;
}

int export_command(const CommandLine& line) {
  return run_for_person(line, export_person);
}

int erase_command(const CommandLine& line) {
  return run_for_person(line, erase_person);
}

int import_command(const CommandLine& line) {
  const std::string to =
      line.import_to.empty() ? line.settings(false).database_url : line.import_to;
  TransferOptions options;
  options.resume = line.resume;
  options.on_progress = [](const TransferredTable& table) {
    spdlog::info("import: {}, {} rows", table.name, table.rows);
  };
  for (const TransferredTable& table : transfer_database(line.import_from, to, options)) {
    fmt::print("{} {} rows, checksum {} on both sides\n", table.name, table.rows, table.checksum);
  }
  fmt::print("Everything is there. Log-ins have ended; everybody has to log in again.\n");
  return kOk;
}

int retention(const CommandLine& line) {
  const Settings settings = line.settings(false);
  const RetentionRules rules = retention_rules(settings);
  if (line.erase_now == line.person.dry_run) {
    throw SettingsError("retention: it takes one of --dry-run and --now.");
  }
  if (!rules.any()) {
    fmt::print("RETENTION_DAYS_CHATS and RETENTION_DAYS_LEADS are 0: everything is kept.\n");
    return kOk;
  }
  const Database database = open_database(settings, false);
  if (line.person.dry_run) {
    const ExpiredCounts counts = count_expired(*database.records, rules, now());
    fmt::print("{} sessions of visitors who cannot be reached and {} leads have expired.\n",
               counts.chats, counts.leads);
    return kOk;
  }
  const Erased erased =
      erase_expired(*database.records, rules, now(), by_console("erase", "session", "", ""),
                    [](std::chrono::nanoseconds) { return true; });
  fmt::print("Erased {} sessions with {} messages.\n", erased.sessions, erased.messages);
  return kOk;
}

// Everything that is served, from the real table.
int print_routes() {
  SettingSources sources;
  sources.flags = {{"DEBUG", "True"}, {"DATABASE_URL", "memory:"}, {"METRICS_ADDRESS", "off"}};
  const Settings settings = load_settings(sources, false);
  fmt::print("{}", Application(settings).routes());
  return kOk;
}

int fail(int code, std::string_view what) {
  log_failure(what);
  return code;
}

}  // namespace

int run_command(int argc, const char* const* argv) {
  set_up_log();
  CLI::App app(
      "The chat server on libtwinchat: REST API and Server-Sent Events in front of Gemini.",
      "twinchat-server");
  app.set_version_flag("--version", std::string("twinchat-server ") + version());
  app.require_subcommand(1);
  CommandLine line;
  int exit_code = kOk;
  const auto add = [&](const char* name, const char* help, int (*function)(const CommandLine&)) {
    CLI::App* command = app.add_subcommand(name, help);
    add_setting_flags(*command, line);
    command->callback([&line, &exit_code, function] { exit_code = function(line); });
    return command;
  };
  add("serve", "Serve until SIGTERM or Ctrl-C.", serve);
  add("migrate", "Make the database, or bring it up to date.", migrate);
  CLI::App* judge =
      add("check", "Judge the settings and the database without changing anything.", check);
  judge->add_flag("--deploy", line.deploy, "Judge whether the public can be served this way");
  judge->add_flag("--json", line.check.json, "With --deploy: findings as JSON");
  judge
      ->add_option("--fail-level", line.check.fail_level,
                   "With --deploy: from which severity on to fail [warning]")
      ->check(CLI::IsMember({"note", "warning", "error", "never"}));
  CLI::App* tell = add("doctor",
                       "Tell the settings in force, the versions of libraries and their known "
                       "faults, and whether the database can be reached.",
                       doctor);
  tell->add_flag("--json", line.doctor.json, "As JSON");
  tell->add_flag("--online", line.doctor.online, "Also ask Gemini, which costs a few tokens");
  CLI::App* create = add("createsuperuser", "Add a user who may do everything in the admin.",
                         create_superuser_command);
  create->add_option("--username", line.account.username, "The name; asked for otherwise");
  create->add_option("--email", line.account.email, "The e-mail address; asked for otherwise");
  CLI::App* change = add("changepassword", "Set a user's password.", change_password_command);
  change->add_option("username", line.account.username, "Whose")->required();
  for (CLI::App* command : {create, change}) {
    command->add_flag("--no-input,--noinput", line.account.no_input,
                      "Ask nothing: DJANGO_SUPERUSER_USERNAME, _EMAIL and _PASSWORD say it");
  }
  CLI::App* back_up =
      add("backup", "Make a verified backup of the database, which may be in use.", backup);
  back_up->add_option("target", line.backup.target, "A new file, or a folder (DIR/)")->required();
  back_up->add_option("--keep", line.backup.keep, "Of the backups in the folder, keep so many");
  add("verify", "Look through a backup, or a SQLite database.", verify)
      ->add_option("file", line.backup.target, "Which")
      ->required();
  add("restore", "Put a backup in the place of the database, which nobody may be using.", restore)
      ->add_option("file", line.backup.target, "The backup")
      ->required();
  CLI::App* exported = add("export", "Write everything of one person as JSON.", export_command);
  exported->add_option("--output", line.person.output, "A new file, for its owner only");
  CLI::App* erased = add("erase", "Erase everything of one person.", erase_command);
  erased->add_flag("--yes", line.person.yes, "Do not ask");
  for (CLI::App* command : {exported, erased}) {
    CLI::Option_group* who = command->add_option_group("Person", "By what the person is found");
    who->add_option("--email", line.person.person.email, "In any case");
    who->add_option("--phone", line.person.person.phone, "Compared by its digits");
    who->add_option("--session-id", line.person.person.session_id, "One conversation");
    who->require_option(1);
  }
  CLI::App* import =
      add("import", "Copy everything of another database into an empty one.", import_command);
  import->add_option("--from", line.import_from, "The URL of the database to read")
      ->envname("IMPORT_FROM")
      ->required();
  import->add_option("--to", line.import_to, "That of the one to fill [DATABASE_URL]")
      ->envname("IMPORT_TO");
  import->add_flag("--resume", line.resume, "Go on with an import that did not end");
  CLI::App* expire = add("retention", "Erase what RETENTION_DAYS_* say has expired.", retention);
  expire->add_flag("--now", line.erase_now, "Do so, which a server does by itself");
  for (CLI::App* command : {erased, expire}) {
    command->add_flag("--dry-run", line.person.dry_run, "Only say how much that would be");
  }
  app.add_subcommand("routes", "Print the methods and paths that are served.")
      ->callback([&exit_code] { exit_code = print_routes(); });
  app.add_subcommand("settings", "Print all settings as an .env file with comments.")->callback([] {
    fmt::print("{}", env_example());
  });
  try {
    app.parse(argc, argv);
    return exit_code;
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::Error& e) {
    app.exit(e);
    return kBadSettings;
  } catch (const SettingsError& e) {
    return fail(kBadSettings, e.what());
  } catch (const Error& e) {
    const bool settings = e.code() == ErrorCode::kInvalidArgument;
    const std::string& more = e.details().diagnostic;
    return fail(settings ? kBadSettings : kFailed,
                more.empty() ? e.what() : fmt::format("{} ({})", e.what(), more));
  } catch (const std::exception& e) {
    return fail(kFailed, e.what());
  }
}

}  // namespace twinchat::server
