// SPDX-License-Identifier: Apache-2.0
#include "server/databases.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <utility>

#include "server/values.hpp"
#include "storage/folder_tools.hpp"

namespace cubby::server {

namespace {

namespace fs = std::filesystem;

std::string next_prefix() {
  static std::atomic<unsigned> count{0};
  return std::to_string(count.fetch_add(1, std::memory_order_relaxed) + 1) + "/";
}

int hex_value(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

std::array<std::byte, 32> read_encryption_key(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::array<char, 128> bytes{};
  in.read(bytes.data(), bytes.size());
  if (!in && !in.eof()) throw SettingError("encryption-key-file: " + path + " can't be read: " + std::strerror(errno));
  std::string_view text(bytes.data(), static_cast<std::size_t>(in.gcount()));
  std::array<std::byte, 32> key{};
  if (text.size() == key.size()) {
    std::memcpy(key.data(), text.data(), key.size());
    return key;
  }
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (text.size() != 2 * key.size() || std::ranges::any_of(text, [](char digit) { return hex_value(digit) < 0; })) {
    throw SettingError("encryption-key-file: " + path + " holds no key: 32 bytes, or 64 hex digits");
  }
  for (std::size_t at = 0; at < key.size(); ++at) {
    key[at] = static_cast<std::byte>(hex_value(text[2 * at]) << 4 | hex_value(text[2 * at + 1]));
  }
  return key;
}

/// Whether a folder of this name, in the folder of the stores, can be a store.
bool can_be_a_folder(std::string_view name) noexcept {
  if (name.empty() || name.size() > 255 || name.front() == '.') return false;
  return std::ranges::none_of(name, [](char byte) { return byte == '/' || (byte >= 0 && byte < ' ') || byte == '\x7f'; });
}

/// Of the characters beyond ASCII those that show nothing, are blanks, or turn the direction of what stands behind them.
bool is_shown(char32_t character) noexcept {
  constexpr std::pair<char32_t, char32_t> kNotShown[] = {
      {0x80, 0xa0},     {0xad, 0xad},     {0x61c, 0x61c},   {0x1680, 0x1680}, {0x180e, 0x180e}, {0x2000, 0x200f},
      {0x2028, 0x202f}, {0x205f, 0x206f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f}};
  return std::ranges::none_of(kNotShown,
                              [character](const auto& range) { return character >= range.first && character <= range.second; });
}

/// REQUIRES: UTF-8.
bool are_shown(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    char32_t character = size == 1 ? lead : lead & (0x7fU >> size);
    for (std::size_t step = 1; step < size; ++step) {
      character = character << 6 | (static_cast<unsigned char>(text[at + step]) & 0x3fU);
    }
    if (size == 1 ? character <= ' ' || character == 0x7f : !is_shown(character)) return false;
    at += size;
  }
  return true;
}

/// Whether a client may give a store this name.
bool can_be_given(std::string_view name) noexcept {
  if (!can_be_a_folder(name) || !is_utf8(name) || !are_shown(name) || Databases::is_left_by_repair(name)) return false;
  const bool number = std::ranges::all_of(name, [](char byte) { return byte >= '0' && byte <= '9'; });
  // `__keyspace@0__:key` tells of database 0.
  return !number && name.find('=') == std::string_view::npos && name.find("__:") == std::string_view::npos;
}

[[noreturn]] void fail_closed(const std::string& operation) {
  throw Error(Errc::closed, operation + ": the server is closing its stores");
}

std::string message_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

FolderError::FolderError(const Error& cause, const fs::path& folder, const std::string& text)
    : Error(static_cast<Errc>(cause.code().value()), text, cause.offset()),
      cause_(std::make_shared<const Error>(cause)),
      folder_(std::make_shared<const fs::path>(folder)) {}

Databases::Databases(std::map<std::string, Datastore> given)
    : given_(true), databases_(0), most_stores_(0), stores_(std::move(given)) {
  saves_.last = std::chrono::system_clock::now();
}

Databases::Databases(const Settings& settings)
    : dir_(settings.dir),
      prefix_(next_prefix()),
      key_file_(settings.encryption_key_file),
      given_(false),
      databases_(settings.databases),
      most_stores_(settings.max_stores) {
  options_.max_value_bytes = 0;  // as Redis: what a request can carry is limited, what it adds up to isn't
  if (durable()) {
    options_.sync = settings.sync;
    options_.checkpoint_after = settings.checkpoint_after;
    if (!settings.encryption_key_file.empty()) options_.encryption_key = read_encryption_key(settings.encryption_key_file);
  }
  try {
    if (durable()) open_folder();
    open(name_of(0));
  } catch (const std::exception&) {
    close_quietly();
    throw;
  }
  saves_.last = std::chrono::system_clock::now();
}

void Databases::open_folder() {
  try {
    fs::create_directories(dir_);
    refuse_store();
    for (const fs::directory_entry& entry : fs::directory_iterator(dir_)) {
      const std::string name = entry.path().filename().string();
      if (!can_be_a_folder(name) || !fs::exists(entry.path() / detail::kManifestName)) continue;
      if (is_left_by_repair(name)) {
        refuse_interrupted_repair(name);
        left_out_.push_back(name);
      } else {
        stores_.emplace(name, open_locked(name));
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(Errc::io, "dir: " + std::string(error.what()));
  }
}

/// Where the file system can't exchange names, a repair that was killed may leave nothing under the store's name. An empty
/// store there would be in the way.
void Databases::refuse_interrupted_repair(const std::string& name) const {
  const std::size_t end = name.rfind(".repaired-");
  const fs::path store = dir_ / name.substr(0, end);
  if (end == std::string::npos || fs::exists(store)) return;
  const std::string left = (dir_ / name).string();
  throw Error(Errc::io, left + " is there and " + store.string() +
                            " isn't, as a repair was interrupted: rename it to that (mv " + left + " " + store.string() + ")");
}

/// One that serves stores beside a store's own files would serve all but those.
void Databases::refuse_store() const {
  if (!detail::holds_store(detail::real_file_system(), dir_)) return;
  std::string text = "dir: " + dir_.string() + " is a durable store itself: name the folder above it";
  if (detail::holds_store(detail::real_file_system(), dir_ / name_of(0))) {
    text +=
        ". It has stores in it too: to serve these, move its own files (MANIFEST and those beside it) to a folder of their "
        "own, " +
        (dir_ / "NAME").string();
  }
  throw SettingError(text);
}

Databases::~Databases() { close_quietly(); }

void Databases::close_quietly() noexcept {
  try {
    close();
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
  }
}

Datastore Databases::open(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (closed_) fail_closed("open(\"" + name + "\")");
  const auto found = stores_.find(name);
  if (found != stores_.end()) return found->second;
  if (given_) throw Error(Errc::invalid_argument, "there is no store " + name + " here");
  check_may_be_made(name);
  return stores_.emplace(name, open_locked(name)).first->second;
}

bool Databases::is_database(std::string_view name) const noexcept {
  const auto number = number_of(name);
  return number && *number < databases_;
}

bool Databases::knows(const std::string& name) const {
  if (is_database(name)) return true;
  const std::lock_guard lock(mutex_);
  return stores_.contains(name);
}

void Databases::check_may_be_made(const std::string& name) const {
  if (is_database(name)) return;
  if (!can_be_given(name)) {
    throw Error(Errc::invalid_argument,
                "a store's name is 1 to 255 bytes of UTF-8 without blanks, control characters, slashes, = and __:, "
                "doesn't begin with a dot, is no number and none of those that cubby repair gives");
  }
  const auto others = std::ranges::count_if(stores_, [this](const auto& store) { return !is_database(store.first); });
  const std::size_t most = most_stores_.load(std::memory_order_relaxed);
  if (static_cast<std::size_t>(others) >= most) {
    throw Error(Errc::invalid_argument,
                "there is no store " + name + ", and no more can be made: max-stores is " + std::to_string(most));
  }
}

Datastore Databases::open_locked(const std::string& name) {
  Options options = options_;
  if (durable()) options.directory = dir_ / name;
  Datastore store = [&] {
    try {
      return cubby::open(prefix_ + name, options);
    } catch (const Error& error) {
      fail(error, name);
    }
  }();
  if (on_open_) on_open_(name, store);
  return store;
}

void Databases::fail(const Error& error, const std::string& name) const {
  if (dir_.empty()) throw error;
  const fs::path folder = dir_ / name;
  const std::string what = error.what();
  const auto says = [&what](std::string_view text) { return what.find(text) != std::string::npos; };
  std::string text;
  if (error.code() == Errc::locked) {
    const auto holder = detail::lock_holder(folder);
    const std::string by = holder && *holder > 0 ? "process " + std::to_string(*holder) : "another process";
    text = folder.string() + " is in use by " + by + ": end that first, as only one can have a store open to write";
  } else if (error.code() == Errc::wrong_key && says("is not encrypted")) {
    text = folder.string() + " is not encrypted: leave encryption-key-file out, or encrypt it with cubby rekey " +
           folder.string() + " --new-key-file " + key_file_;
  } else if (error.code() == Errc::wrong_key && says("is encrypted")) {
    text = folder.string() + " is encrypted: set encryption-key-file";
  } else if (error.code() == Errc::wrong_key) {
    text = folder.string() + " is encrypted with another key than the one in encryption-key-file " + key_file_;
  } else {
    // The library says first which call of which store it was.
    const std::string of_store = " of store \"" + prefix_ + name + "\": ";
    const std::size_t call_ends = what.find(of_store);
    text = call_ends == std::string::npos ? what : what.substr(call_ends + of_store.size());
    if (text.find(folder.lexically_normal().string()) == std::string::npos) text = folder.string() + ": " + text;
  }
  throw FolderError(error, folder, text);
}

void Databases::on_open(std::function<void(const std::string&, Datastore&)> f) {
  const std::lock_guard lock(mutex_);
  on_open_ = std::move(f);
  for (auto& [name, store] : stores_) on_open_(name, store);
}

std::vector<std::pair<std::string, Datastore>> Databases::all() const {
  const std::lock_guard lock(mutex_);
  return {stores_.begin(), stores_.end()};
}

std::optional<int> Databases::number_of(std::string_view name) noexcept {
  if (!name.starts_with("db") || name.size() < 3 || name.size() > 11) return std::nullopt;
  const std::string_view digits = name.substr(2);
  if (digits.front() < '0' || digits.front() > '9' || (digits.front() == '0' && digits.size() > 1)) return std::nullopt;
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

bool Databases::is_left_by_repair(std::string_view name) noexcept {
  constexpr std::string_view kStamp = "00000000-000000";  // date and time
  if (name.size() <= kStamp.size()) return false;
  const std::string_view stamp = name.substr(name.size() - kStamp.size());
  const auto fits = [](char byte, char pattern) { return pattern == '-' ? byte == '-' : byte >= '0' && byte <= '9'; };
  if (!std::ranges::equal(stamp, kStamp, fits)) return false;
  name.remove_suffix(kStamp.size());
  return name.ends_with(".damaged-") || name.ends_with(".repaired-");
}

bool Databases::save() {
  if (!begin_save(false)) return false;
  const std::exception_ptr failure = save_all();
  end_save(failure);
  if (failure) std::rethrow_exception(failure);
  return true;
}

bool Databases::start_save() {
  if (!begin_save(true)) return false;
  const std::lock_guard lock(saves_mutex_);
  if (saver_.joinable()) saver_.join();  // it has given up the lock for the last time
  try {
    // Only now, as close() has no thread to wait for before.
    if (no_more_saves_) fail_closed("save");
    saver_ = std::thread([this] { end_save(save_all()); });
  } catch (...) {
    saving_ = false;
    background_since_.reset();
    throw;
  }
  return true;
}

bool Databases::begin_save(bool in_background) {
  const std::lock_guard lock(saves_mutex_);
  if (no_more_saves_) fail_closed("save");
  if (saving_) return false;
  saving_ = true;
  if (in_background) background_since_ = std::chrono::steady_clock::now();
  return true;
}

std::exception_ptr Databases::save_all() {
  if (!durable()) return nullptr;
  std::exception_ptr first;
  for (auto& [name, store] : all()) {
    try {
      store.save();
    } catch (const std::exception&) {
      if (!first) first = std::current_exception();
    }
  }
  return first;
}

void Databases::end_save(const std::exception_ptr& failure) {
  const std::lock_guard lock(saves_mutex_);
  saving_ = false;
  if (background_since_) {
    const auto length = std::chrono::steady_clock::now() - *background_since_;
    saves_.last_background = std::chrono::duration_cast<std::chrono::seconds>(length);
    background_since_.reset();
  }
  saves_.last_error = failure ? message_of(failure) : std::string();
  if (!failure) saves_.last = std::chrono::system_clock::now();
}

Databases::Saves Databases::saves() const {
  const std::lock_guard lock(saves_mutex_);
  Saves saves = saves_;
  saves.running = saving_;
  if (background_since_) {
    const auto length = std::chrono::steady_clock::now() - *background_since_;
    saves.current = std::chrono::duration_cast<std::chrono::seconds>(length);
  }
  return saves;
}

void Databases::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  std::thread saver;
  {
    const std::lock_guard lock(saves_mutex_);
    no_more_saves_ = true;
    saver.swap(saver_);
  }
  if (saver.joinable()) saver.join();
  std::exception_ptr first;
  if (given_) {
    for (auto& [name, store] : all()) store.on_expired(nullptr);
    const std::lock_guard lock(mutex_);
    stores_.clear();
    return;
  }
  for (const auto& [name, store] : all()) {
    try {
      try {
        cubby::close(prefix_ + name);
      } catch (const Error& error) {
        fail(error, name);
      }
      const std::lock_guard lock(mutex_);
      stores_.erase(name);
    } catch (const std::exception&) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace cubby::server
