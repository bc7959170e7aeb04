// SPDX-License-Identifier: Apache-2.0
#include "cli/store_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "cli/exit_codes.hpp"

namespace cubby::cli {

namespace fs = std::filesystem;

namespace {

int lock_folder(const fs::path& folder, const std::string& given) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) {
    const int reason = errno;
    throw StoreError(fmt::format("folder {} of store file {} can't be opened: {}{}", folder.string(), given,
                                 std::strerror(reason), reason == ENOENT ? "; make it first (mkdir -p)" : ""));
  }
  while (::flock(descriptor, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    const int reason = errno;
    ::close(descriptor);
    throw StoreError(
        fmt::format("folder {} of store file {} can't be locked: {}", folder.string(), given, std::strerror(reason)));
  }
  return descriptor;
}

}  // namespace

StoreFile::StoreFile(const std::string& path, Access access) : given_(path) {
  if (path.empty()) throw UsageError("which store? Add --file store.json, or set CUBBY_FILE");
  std::error_code error;
  file_ = fs::absolute(path, error);
  // A link that leads nowhere yet counts as what it leads to: all who write there must lock the same folder.
  for (int links = 0; !error && links < 40 && fs::is_symlink(fs::symlink_status(file_)); ++links) {
    file_ = file_.parent_path() / fs::read_symlink(file_, error);
  }
  if (!error) file_ = fs::weakly_canonical(file_, error);
  if (error) throw StoreError(fmt::format("store file {} can't be reached: {}", path, error.message()));
  if (access != Access::read) folder_ = lock_folder(file_.parent_path(), given_);

  const fs::file_status status = fs::status(file_, error);
  if (status.type() == fs::file_type::directory) throw StoreError(fmt::format("{} is a folder: name a file in it", path));
  if (status.type() == fs::file_type::not_found && access != Access::create) {
    throw StoreError(
        fmt::format("no store file {}: check --file (or CUBBY_FILE), or create it, for instance with cubby set", path));
  }

  Options options;
  options.persist = file_;
  options.read_only = access == Access::read;
  options.max_value_bytes = 0;
  store_ = open(file_.string(), options);
}

StoreFile::~StoreFile() {
  if (folder_ >= 0) ::close(folder_);  // drops the lock
}

void StoreFile::save() {
  store_.reset();
  cubby::close(file_.string());
}

}  // namespace cubby::cli
