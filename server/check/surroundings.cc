#include "check/surroundings.h"

#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <system_error>

#include "application.h"
#include "http/tls_context.h"
#include "twinchat/backup.h"
#include "twinchat/error.h"
#include "twinchat/version.h"

namespace twinchat::server {
namespace {

// linux/magic.h has not all of them.
constexpr std::array<unsigned long, 5> kNetworkFileSystems = {
    NFS_SUPER_MAGIC, 0xff534d42 /* cifs */, 0xfe534d42 /* smb2 */, 0x65735546 /* fuse */,
    0x01021997 /* 9p */};

std::optional<unsigned> mode_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  return status.st_mode & 07777u;
}

void look_at_secret_file(const std::string& name, Surroundings& around) {
  if (const auto mode = mode_of(name)) around.secret_files.emplace_back(name, *mode);
}

void look_at_database_file(const std::filesystem::path& file, Surroundings& around) {
  std::filesystem::path folder = file.parent_path();
  if (folder.empty()) folder = ".";
  around.database_mode = mode_of(file);
  around.database_folder_mode = mode_of(folder);
  std::error_code none;
  const auto size = std::filesystem::file_size(file, none);
  if (!none) around.database_bytes = size;
  struct statfs system {};
  if (::statfs(folder.c_str(), &system) != 0) return;
  around.disk_free = std::uint64_t{system.f_bavail} * static_cast<std::uint64_t>(system.f_bsize);
  for (const unsigned long magic : kNetworkFileSystems) {
    if (static_cast<unsigned long>(system.f_type) == magic) around.database_on_network = true;
  }
}

void look_at_database(const Settings& settings, Surroundings& around) {
  if (settings.database_url == "memory:") return;
  try {
    around.superusers = open_database(settings, false).accounts->active_superusers();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) {
      around.database_absent = true;
    } else {
      around.database_error = error.what();
    }
  }
}

}  // namespace

Surroundings look_around(const Settings& settings, const SettingSources& sources) {
  Surroundings around;
  look_at_secret_file(sources.env_file_name, around);
  for (const EffectiveSetting& setting : effective_settings(sources)) {
    // A database's URL may have a password in it.
    const bool secret = setting.secret || setting.name == "DATABASE_URL";
    if (secret && !setting.file.empty()) look_at_secret_file(setting.file, around);
  }
  if (!settings.tls_key.empty()) look_at_secret_file(settings.tls_key, around);

  if (const auto file = sqlite_file(settings.database_url)) look_at_database_file(*file, around);
  look_at_database(settings, around);
  for (const LinkedLibrary& library : linked_libraries()) {
    if (library.name == "SQLite") around.sqlite_version = library.version;
  }
  if (!settings.backup_dir.empty()) {
    around.newest_backup = BackupFolder(settings.backup_dir)
                               .newest(std::chrono::floor<std::chrono::microseconds>(
                                   std::chrono::system_clock::now()));
  }

  if (!settings.tls_certificate.empty()) {
    try {
      around.certificate_expires = TlsContext(settings.tls_certificate, settings.tls_key).expires();
    } catch (const std::runtime_error& error) {
      around.certificate_error = error.what();
    }
  }

  around.is_root = ::geteuid() == 0;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  around.open_files = files.rlim_max == RLIM_INFINITY ? std::numeric_limits<std::size_t>::max()
                                                      : static_cast<std::size_t>(files.rlim_max);
  around.now = std::chrono::system_clock::now();
  timex clock{};
  around.clock_synchronised = ::adjtimex(&clock) != TIME_ERROR;
  return around;
}

}  // namespace twinchat::server
