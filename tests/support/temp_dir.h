#pragma once

#include <filesystem>
#include <string_view>

namespace twinchat::testing {

// A fresh empty folder under the system's temporary folder, removed with everything in it by the
// destructor.
//
// Thread safety: immutable after construction.
class TempDir {
 public:
  // Throws std::filesystem::filesystem_error.
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace twinchat::testing
