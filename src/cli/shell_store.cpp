// SPDX-License-Identifier: Apache-2.0
#include "cli/shell_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <system_error>
#include <vector>

#include "cli/exit_codes.hpp"
#include "cli/text.hpp"
#include "server/databases.hpp"
#include "storage/folder_tools.hpp"

namespace cubby::cli {

namespace fs = std::filesystem;

namespace {

std::string environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? std::string() : std::string(text);
}

/// Holds flock(2) on the folder. One that is replaced meanwhile (by repair) is locked again under its name.
int lock_folder(const fs::path& folder, const std::string& whose) {
  for (;;) {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
      const int reason = errno;
      throw StoreError(fmt::format("folder {} of {} can't be opened: {}{}", folder.string(), whose, std::strerror(reason),
                                   reason == ENOENT ? "; make it first (mkdir -p)" : ""));
    }
    while (::flock(descriptor, LOCK_EX) != 0) {
      if (errno == EINTR) continue;
      const int reason = errno;
      ::close(descriptor);
      throw StoreError(fmt::format("folder {} of {} can't be locked: {}", folder.string(), whose, std::strerror(reason)));
    }
    struct stat held {};
    struct stat named {};
    if (::fstat(descriptor, &held) != 0 || ::stat(folder.c_str(), &named) != 0 || held.st_ino == named.st_ino)
      return descriptor;
    ::close(descriptor);
  }
}

std::string in_use(const std::string& path) {
  const auto holder = detail::lock_holder(path);
  const std::string by = holder && *holder > 0 ? fmt::format("process {}", *holder) : std::string("another process");
  return fmt::format(
      "{} is in use by {}: commands that read it work, those that change it have to wait until it is closed there", path, by);
}

/// The stores that lie in the folder, by name.
std::vector<std::string> stores_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    try {
      if (detail::holds_store(detail::real_file_system(), at->path()) && !server::Databases::is_left_by_repair(name)) {
        names.push_back(name);
      }
    } catch (const Error&) {
      // It can't be read: nothing to name.
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Throws StoreError if there are stores in the folder: it is that of a server, and no place for a store's own files.
void refuse_folder_of_stores(const std::string& dir) {
  const std::vector<std::string> names = stores_in(dir);
  if (names.empty()) return;
  constexpr std::size_t kMostNamed = 5;
  const auto named = std::span(names).first(std::min(names.size(), kMostNamed));
  throw StoreError(fmt::format("{} is a folder of stores ({}{}), as cubby serve has it: name one, --dir {}", dir,
                               fmt::join(named, ", "), names.size() > kMostNamed ? ", ..." : "",
                               (fs::path(dir) / names.front()).string()));
}

}  // namespace

std::string in_words(const Error& error, const Invocation& in) {
  // The server says it in its own words.
  if (dynamic_cast<const server::FolderError*>(&error) != nullptr) return error.what();
  const std::string& path = in.store();
  if (error.code() == Errc::locked) return in_use(path);
  std::string what = error.what();
  if (error.code() == Errc::wrong_key) {
    if (what.find("is not encrypted") != what.npos) {
      return fmt::format("{} is not encrypted: leave out --key-file, or unset CUBBY_KEY_FILE", path);
    }
    if (what.find("is encrypted") != what.npos) {
      return fmt::format("{} is encrypted: add --key-file FILE, or set CUBBY_KEY_FILE", path);
    }
    return fmt::format("{} is encrypted with another key than the one in the key file", path);
  }
  // The library says first which call of which store it was. A quotation mark in a key is written otherwise there.
  const auto drop_context = [&what](std::string_view begin) {
    const std::size_t place = what.find(begin);
    const std::size_t end = place == what.npos ? place : what.find("\": ", place + begin.size());
    if (end != what.npos) what.erase(0, end + 3);
    return end != what.npos;
  };
  if (drop_context(" in store \"")) {
    if (!in.key.empty() && error.code() != Errc::io) what = fmt::format("key {} in {}: {}", in_quotes(in.key), path, what);
  } else {
    drop_context(" of store \"");
  }
  // To reopen a store is to run the command again.
  if (const auto advice = what.find("; close the store and open it again"); advice != what.npos) {
    what.replace(advice, what.npos, ". Try again");
  }
  return what;
}

void choose_store(Invocation& in) {
  if (!in.argument.empty() && (!in.file.empty() || !in.dir.empty())) {
    throw UsageError(fmt::format("the store is named twice, as {} and with {}: leave one out", in.argument,
                                 in.dir.empty() ? "--file" : "--dir"));
  }
  if (!in.argument.empty()) {
    std::error_code error;
    const fs::file_type type = fs::status(in.argument, error).type();
    const bool folder =
        type == fs::file_type::directory || (type == fs::file_type::not_found && !in.argument.ends_with(".json"));
    (folder ? in.dir : in.file) = in.argument;
  }
  if (!in.file.empty() && !in.dir.empty()) throw UsageError("--file and --dir: a store is one or the other; leave one out");
  if (in.file.empty() && in.dir.empty()) {
    in.file = environment("CUBBY_FILE");
    in.dir = environment("CUBBY_DIR");
    if (!in.file.empty() && !in.dir.empty()) {
      throw UsageError("CUBBY_FILE and CUBBY_DIR are both set: add --file or --dir, or unset one");
    }
    if (in.file.empty() && in.dir.empty()) {
      throw UsageError("which store? Add --file store.json, or set CUBBY_FILE; for a durable store --dir, or CUBBY_DIR");
    }
  }
  if (!in.file.empty() && !in.key_file.empty()) {
    throw UsageError("--key-file goes with a durable store (--dir): a JSON file is never encrypted");
  }
  if (!in.dir.empty() && in.key_file.empty()) in.key_file = environment("CUBBY_KEY_FILE");
}

void choose_folder(Invocation& in, bool named) {
  if (!in.argument.empty() && !in.dir.empty()) {
    throw UsageError(fmt::format("the store is named twice, as {} and with --dir: leave one out", in.argument));
  }
  if (in.dir.empty()) in.dir = in.argument;
  if (in.dir.empty() && !named) in.dir = environment("CUBBY_DIR");
  if (in.dir.empty()) {
    throw UsageError(named ? "which store? Name its folder (CUBBY_DIR doesn't count for a command that changes all of it)"
                           : "which store? Name its folder, or set CUBBY_DIR");
  }
  if (in.key_file.empty()) in.key_file = environment("CUBBY_KEY_FILE");
  std::error_code error;
  const fs::file_type type = fs::status(in.dir, error).type();
  if (type == fs::file_type::not_found) throw StoreError(fmt::format("there is no folder {}", in.dir));
  if (type != fs::file_type::directory) {
    throw StoreError(fmt::format("{} is no folder: this command is for durable stores", in.dir));
  }
  if (!detail::holds_store(detail::real_file_system(), in.dir)) refuse_folder_of_stores(in.dir);
}

std::array<std::byte, 32> read_key_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  std::array<char, 128> text{};
  const std::size_t got = file ? std::fread(text.data(), 1, text.size(), file.get()) : 0;
  if (!file || std::ferror(file.get()) != 0) {
    throw UsageError(fmt::format("key file {} can't be read: {}", path, std::strerror(errno)));
  }
  std::array<std::byte, 32> key{};
  if (got == key.size()) {
    std::memcpy(key.data(), text.data(), key.size());
    return key;
  }
  std::string_view digits(text.data(), got);
  if (digits.ends_with('\n')) digits.remove_suffix(1);
  if (digits.ends_with('\r')) digits.remove_suffix(1);
  const auto value = [](char digit) {
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
           : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                          : -1;
  };
  if (digits.size() != 2 * key.size() || std::any_of(digits.begin(), digits.end(), [&](char c) { return value(c) < 0; })) {
    throw UsageError(fmt::format("key file {} holds no key: 32 bytes, or 64 hex digits, as openssl rand -hex 32 makes", path));
  }
  for (std::size_t i = 0; i < key.size(); ++i) {
    key[i] = static_cast<std::byte>(value(digits[2 * i]) << 4 | value(digits[2 * i + 1]));
  }
  return key;
}

std::optional<std::array<std::byte, 32>> key_of(const Invocation& in) {
  if (in.key_file.empty()) return std::nullopt;
  return read_key_file(in.key_file);
}

void check_key(const Invocation& in, std::string_view key) {
  if (in.dir.empty()) return check_key(key);
  constexpr std::size_t kLongest = 65535;
  if (key.size() > kLongest) throw UsageError(fmt::format("a key has {} bytes; {} are the most", key.size(), kLongest));
}

ShellStore::ShellStore(const Invocation& in, Access access, bool many)
    : given_(in.store()), durable_(!in.dir.empty()), writes_(access != Access::read) {
  durable_ ? open_folder(in.key_file, access, many) : open_file(access);
}

void ShellStore::open_file(Access access) {
  std::error_code error;
  path_ = fs::absolute(given_, error);
  // A link that leads nowhere yet counts as what it leads to: all who write there must lock the same folder.
  for (int links = 0; !error && links < 40 && fs::is_symlink(fs::symlink_status(path_)); ++links) {
    path_ = path_.parent_path() / fs::read_symlink(path_, error);
  }
  if (!error) path_ = fs::weakly_canonical(path_, error);
  if (error) throw StoreError(fmt::format("store file {} can't be reached: {}", given_, error.message()));
  if (writes_) lock_ = lock_folder(path_.parent_path(), "store file " + given_);

  const fs::file_status status = fs::status(path_, error);
  if (status.type() == fs::file_type::directory) {
    throw StoreError(fmt::format("{} is a folder: name a file in it, or a durable store with --dir", given_));
  }
  if (status.type() == fs::file_type::not_found && access != Access::create) {
    throw StoreError(
        fmt::format("no store file {}: check --file (or CUBBY_FILE), or create it, for instance with cubby set", given_));
  }

  Options options;
  options.persist = path_;
  options.read_only = access == Access::read;
  options.max_value_bytes = 0;
  store_ = open(kOpenedAs, options);
}

void ShellStore::open_folder(const std::string& key_file, Access access, bool many) {
  std::error_code error;
  path_ = fs::weakly_canonical(fs::absolute(given_, error), error);
  if (!error && !path_.has_filename()) path_ = path_.parent_path();
  if (error) throw StoreError(fmt::format("store folder {} can't be reached: {}", given_, error.message()));
  const fs::file_type type = fs::status(path_, error).type();
  if (type != fs::file_type::directory && type != fs::file_type::not_found) {
    throw StoreError(fmt::format("{} is no folder: name a JSON file with --file", given_));
  }
  const bool there = detail::holds_store(detail::real_file_system(), path_);
  if (!there) refuse_folder_of_stores(given_);
  if (!there && access != Access::create) {
    throw StoreError(
        fmt::format("no durable store in {}: check --dir (or CUBBY_DIR), or create it, for instance with cubby set", given_));
  }
  Options options;
  options.directory = path_;
  options.read_only = access == Access::read;
  options.max_value_bytes = 0;
  options.sync = Sync::never();  // the checkpoint at the end is synced, and that is when the command has done it
  constexpr std::size_t kFewBytes = std::size_t{1} << 20;
  if (!many) options.checkpoint_after = kFewBytes;  // what is set aside for the log follows from it
  if (!key_file.empty()) options.encryption_key = read_key_file(key_file);
  if (writes_) {
    if (type == fs::file_type::not_found && ::mkdir(path_.c_str(), 0777) != 0 && errno != EEXIST) {
      throw StoreError(fmt::format("store folder {} can't be made: {}", given_, std::strerror(errno)));
    }
    lock_ = lock_folder(path_, "store " + given_);
  }
  store_ = open(kOpenedAs, options);
}

ShellStore::~ShellStore() {
  if (durable_ && store_) {
    store_.reset();
    try {
      close(kOpenedAs);
    } catch (const Error&) {
      // What was done is in the log; the command has failed, and says why.
    }
  }
  if (lock_ >= 0) ::close(lock_);  // drops the lock
}

void ShellStore::save() {
  store_.reset();
  close(kOpenedAs);
}

std::uintmax_t ShellStore::bytes_on_disk() const {
  if (!durable_) return fs::file_size(path_);
  std::uintmax_t bytes = 0;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
    const std::uintmax_t size = entry.file_size(error);
    if (!error) bytes += size;
  }
  return bytes;
}

}  // namespace cubby::cli
