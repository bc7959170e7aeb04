// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A store as a JSON file: one object, key to value, indented by two spaces, members sorted by the bytes of their names at
/// every level, so that two saves differ where the stores do. Deadlines stand beside the data, in a member that is there only
/// if any key has one:
///
///   {
///     "$cubby": {
///       "expires": {
///         "session:7": 1767225600000
///       },
///       "version": 1
///     },
///     "session:7": {
///       "user": 7
///     }
///   }
///
/// Writing replaces the file atomically and holds no more than a block of text (or one value's) in memory. Reading is linear
/// and gives each value memory of its own, so that a key keeps no other's alive.
///
/// Thread safety: plain functions; what they are given must not change meanwhile.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <cubby/value.hpp>

#include "storage/file_system.hpp"

namespace cubby::detail {

/// The member that is the store's own; no key may have its name.
inline constexpr std::string_view kReservedKey = "$cubby";

struct SavedKey {
  std::string_view key;
  Value value;
  std::optional<std::int64_t> expires_ms;  ///< deadline in milliseconds since the epoch
};

/// Throws Errc::invalid_argument naming the key if a key, string or member name isn't UTF-8, or a key is kReservedKey; Errc::io
/// naming the path. In both cases the old file stands as it was (but see FileReplacement::commit).
///
/// REQUIRES: `sorted_by_key` is sorted by the bytes of the keys, and no key comes twice.
void write_json_file(FileSystem& file_system, const std::filesystem::path& path, std::span<const SavedKey> sorted_by_key);

struct LoadedKey {
  std::string key;
  Value value;
  std::optional<std::int64_t> expires_ms;  ///< as in the file, be it past or not
};

struct LoadedFile {
  std::vector<LoadedKey> keys;  ///< sorted by the bytes of the keys, none twice
};

/// Empty if there is no such file; Errc::io if it, or the folder it would lie in, can't be read or isn't there.
///
/// Errc::corrupt, with path and offset, for anything but the object described above; where the text is JSON, but not that
/// object, the offset is the end of the member that is wrong. Of a repeated key the last one counts, as everywhere in JSON
/// text. In kReservedKey whatever this version doesn't understand is refused rather than lost by the next save: a version other
/// than 1, other members, deadlines that are no 64-bit integers. The deadline of a key that isn't there says nothing, and is
/// ignored.
std::optional<LoadedFile> read_json_file(FileSystem& file_system, const std::filesystem::path& path);

}  // namespace cubby::detail
