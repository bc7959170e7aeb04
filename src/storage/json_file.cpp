// SPDX-License-Identifier: Apache-2.0
#include "storage/json_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <functional>
#include <utility>

#include <cubby/error.hpp>

#include "storage/file_replacement.hpp"
#include "value/access.hpp"

namespace cubby::detail {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr std::size_t kMostKeyBytes = 65535;
constexpr std::size_t kTextBlockBytes = std::size_t{256} << 10;
constexpr std::string_view kVersionMember = "version";
constexpr std::string_view kExpiresMember = "expires";

/// The key in quotes, whatever bytes it has, and shortened if it is long.
std::string readable(std::string_view key) {
  constexpr std::size_t kMostBytes = 80;
  std::string text = "\"";
  for (const char c : key.substr(0, kMostBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += "\\x";
      text += "0123456789abcdef"[byte >> 4U];
      text += "0123456789abcdef"[byte & 15U];
    }
  }
  return text + (key.size() > kMostBytes ? "...\"" : "\"");
}

// ---------------------------------------------------------------------------------------------------------------- writing

class JsonWriter {
 public:
  JsonWriter(FileSystem& file_system, const std::filesystem::path& path) : file_(file_system, path) {
    block_.reserve(kTextBlockBytes + kTextBlockBytes / 4);
  }

  void write(std::span<const SavedKey> keys) {
    const auto reserved = std::lower_bound(keys.begin(), keys.end(), kReservedKey,
                                           [](const SavedKey& saved, std::string_view name) { return saved.key < name; });
    const auto before = static_cast<std::size_t>(reserved - keys.begin());
    for (const SavedKey& saved : keys.first(before)) append_member(saved);
    append_deadlines(keys);
    for (const SavedKey& saved : keys.subspan(before)) append_member(saved);
    block_ += first_ ? "{}\n" : "\n}\n";
    file_.write(block_);
    file_.commit();
  }

 private:
  void append_member(const SavedKey& saved) {
    if (saved.key == kReservedKey) {
      throw Error(Errc::invalid_argument, "key " + readable(saved.key) + " can't be saved as JSON: the name is reserved");
    }
    begin_member(saved.key);
    append_value(saved);
    flush_full_block();
  }

  void append_deadlines(std::span<const SavedKey> keys) {
    bool any = false;
    for (const SavedKey& saved : keys) {
      if (!saved.expires_ms) continue;
      if (!any) {
        begin_member(kReservedKey);
        block_ += "{\n    ";
        append_key(kExpiresMember);
        block_ += ": {\n      ";
      } else {
        block_ += ",\n      ";
      }
      any = true;
      append_key(saved.key);
      block_ += ": ";
      append_integer(*saved.expires_ms);
      flush_full_block();
    }
    if (!any) return;
    block_ += "\n    },\n    ";
    append_key(kVersionMember);
    block_ += ": ";
    append_integer(kVersion);
    block_ += "\n  }";
  }

  void begin_member(std::string_view key) {
    block_ += first_ ? "{\n  " : ",\n  ";
    first_ = false;
    append_key(key);
    block_ += ": ";
  }

  void append_key(std::string_view key) {
    try {
      append_json_string(block_, key);
    } catch (const Error&) {
      throw Error(Errc::invalid_argument, "key " + readable(key) + " can't be saved as JSON: it is not UTF-8");
    }
  }

  void append_value(const SavedKey& saved) {
    try {
      append_json(block_, saved.value, 2, 1);
    } catch (const Error& error) {
      throw Error(Errc::invalid_argument,
                  "the value of key " + readable(saved.key) + " can't be saved as JSON: " + error.what());
    }
  }

  void append_integer(std::int64_t number) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    block_.append(digits.data(), end);
  }

  void flush_full_block() {
    if (block_.size() < kTextBlockBytes) return;
    file_.write(block_);
    block_.clear();
  }

  FileReplacement file_;
  std::string block_;
  bool first_ = true;
};

// ---------------------------------------------------------------------------------------------------------------- reading

/// Sorts by key. Of a repeated key the last one stays.
void sort_keeping_last(std::vector<LoadedKey>& list) {
  // A file that was written here is sorted already.
  if (std::ranges::adjacent_find(list, std::ranges::greater_equal(), &LoadedKey::key) == list.end()) return;
  std::ranges::stable_sort(list, std::ranges::less(), &LoadedKey::key);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i + 1 < list.size() && list[i].key == list[i + 1].key) continue;
    if (kept != i) list[kept] = std::move(list[i]);
    ++kept;
  }
  list.erase(list.begin() + static_cast<std::ptrdiff_t>(kept), list.end());
}

class JsonReader {
 public:
  explicit JsonReader(const std::filesystem::path& path) : path_(path) {}

  LoadedFile read(std::string_view text) {
    try {
      parse_json_object(text, [this](std::string_view name, Value value, std::size_t offset) {
        if (name == kReservedKey) {
          read_reserved(value, offset);
          return;
        }
        if (name.size() > kMostKeyBytes) fail(offset, "key " + readable(name) + " is longer than 65,535 bytes");
        file_.keys.push_back({std::string(name), std::move(value), std::nullopt});
      });
    } catch (const Error& error) {
      if (error.code() == Errc::value_too_large) throw Error(Errc::corrupt, path_.string() + " holds " + error.what());
      if (error.code() != Errc::parse) throw;
      throw Error(Errc::corrupt, path_.string() + " is damaged: " + error.what(), error.offset());  // which names the byte
    }
    sort_keeping_last(file_.keys);
    take_deadlines();
    return std::move(file_);
  }

 private:
  [[noreturn]] void fail(std::size_t offset, std::string_view reason) const {
    throw Error(Errc::corrupt, path_.string() + " is damaged at byte " + std::to_string(offset) + ": " + std::string(reason),
                offset);
  }

  void read_reserved(const Value& reserved, std::size_t offset) {
    deadlines_ = Value();  // of repeated members the last one counts
    if (!reserved.is_object()) fail(offset, "$cubby is not an object");
    // The version first: all else may mean something else in another one.
    const std::optional<Value> version = reserved.find(kVersionMember);
    if (!version) fail(offset, "$cubby has no version");
    if (!version->is_int()) fail(offset, "the version in $cubby is not an integer");
    if (version->as_int() != kVersion) {
      fail(offset, "the file is of version " + version->to_json() + ", and this release of cubby reads version 1");
    }
    for (const auto& [name, member] : reserved.members()) {
      if (name == kVersionMember) continue;
      if (name != kExpiresMember) fail(offset, "$cubby has a member " + readable(name) + ", which version 1 doesn't know");
      if (!member.is_object()) fail(offset, "\"expires\" in $cubby is not an object");
      for (const auto& [key, deadline] : member.members()) {
        if (!deadline.is_int()) fail(offset, "the deadline of key " + readable(key) + " is not an integer of 64 bits");
      }
      deadlines_ = member;
    }
  }

  /// Both keys and deadlines are sorted by now.
  void take_deadlines() {
    if (!deadlines_.is_object()) return;
    auto loaded = file_.keys.begin();
    for (const auto& [key, deadline] : deadlines_.members()) {
      while (loaded != file_.keys.end() && loaded->key < key) ++loaded;
      if (loaded == file_.keys.end()) return;
      if (loaded->key == key) loaded->expires_ms = deadline.as_int();
    }
  }

  const std::filesystem::path& path_;
  LoadedFile file_;
  Value deadlines_;  // checked; null if there are none
};

}  // namespace

void write_json_file(FileSystem& file_system, const std::filesystem::path& path, std::span<const SavedKey> sorted_by_key) {
  JsonWriter(file_system, path).write(sorted_by_key);
}

std::optional<LoadedFile> read_json_file(FileSystem& file_system, const std::filesystem::path& path) {
  const std::optional<std::string> text = file_system.read(path);
  if (text) return JsonReader(path).read(*text);
  const std::filesystem::path folder = file_system.resolve(path).parent_path();
  const auto status = file_system.status(folder);
  if (!status || status->kind != FileSystem::Kind::folder) throw_io_error("opening", path, ENOENT);
  return std::nullopt;
}

}  // namespace cubby::detail
