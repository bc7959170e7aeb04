// SPDX-License-Identifier: Apache-2.0
#include "storage/durable_files.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <cubby/error.hpp>

#include "base/hash.hpp"
#include "storage/file_replacement.hpp"

namespace cubby::detail {

namespace fs = std::filesystem;

namespace {

constexpr char kManifestMagic[8] = {'C', 'U', 'B', 'B', 'Y', 'M', 'A', 'N'};
constexpr char kSegmentMagic[8] = {'C', 'U', 'B', 'B', 'Y', 'L', 'O', 'G'};
constexpr char kWindowMagic[8] = {'C', 'U', 'B', 'B', 'Y', 'W', 'I', 'N'};
constexpr char kCheckpointMagic[8] = {'C', 'U', 'B', 'B', 'Y', 'C', 'K', 'P'};
constexpr std::size_t kManifestBytes = 128;
constexpr std::uint32_t kEncrypted = 1, kClosed = 2;
constexpr char kKeyCheck[] = "cubby: is this the key?";
constexpr char kManifestSeal[] = "cubby: manifest";
constexpr std::string_view kDamagedAt = " is damaged at byte ";
constexpr std::string_view kMissing = " is missing, ";
constexpr std::string_view kAdvice = ". Nothing was changed; put a backup in its place, or see what `cubby repair` can save";

/// Fields at fixed places.
template <class T>
void put(std::span<std::byte> to, std::size_t offset, const T& field) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(to.data() + offset, &field, sizeof field);
}
template <class T>
T get(std::span<const std::byte> from, std::size_t offset) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  T field{};
  std::memcpy(&field, from.data() + offset, sizeof field);
  return field;
}

std::uint64_t checksum(std::span<const std::byte> bytes) noexcept { return XXH3_64bits(bytes.data(), bytes.size()); }

/// Sixteen bytes that only who has the key can make.
std::array<std::byte, 16> code_of(const EncryptionKey& key, std::string_view purpose, std::span<const std::byte> bytes) {
  std::string text(purpose);
  text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto whole = authenticate(key, std::as_bytes(std::span(text)));
  std::array<std::byte, 16> code{};
  std::copy_n(whole.begin(), code.size(), code.begin());
  return code;
}

std::string hex(std::uint32_t number) {
  std::string digits(8, '0');
  for (std::size_t place = 8; place-- > 0; number >>= 4U) digits[place] = "0123456789abcdef"[number & 15U];
  return digits;
}

std::optional<std::uint32_t> from_hex(std::string_view digits) {
  std::uint32_t number = 0;
  const auto end = digits.data() + digits.size();
  if (digits.size() != 8 || std::from_chars(digits.data(), end, number, 16).ptr != end || hex(number) != digits)
    return std::nullopt;
  return number;
}

struct RawManifest {
  Manifest manifest;
  std::array<std::byte, 16> key_check{};
  std::array<std::byte, 16> seal{};
  std::array<std::byte, kManifestBytes> bytes{};
};

std::optional<RawManifest> read_raw(FileSystem& files, const fs::path& folder) {
  const fs::path path = folder / kManifestName;
  const auto file = files.open(path);
  if (!file) return std::nullopt;
  RawManifest raw;
  const std::size_t length = file->read_at(0, raw.bytes);
  if (length != kManifestBytes || file->size() != kManifestBytes)
    fail_corrupt(path, length, "it has another length than a manifest");
  const std::span<const std::byte> bytes(raw.bytes);
  if (std::memcmp(bytes.data(), kManifestMagic, sizeof kManifestMagic) != 0) fail_corrupt(path, 0, "it is no manifest");
  if (get<std::uint64_t>(bytes, 120) != checksum(bytes.first(120))) fail_corrupt(path, 120, "its checksum is wrong");
  const auto version = get<std::uint32_t>(bytes, 8);
  if (version == 0 || version > kFormatVersion) {
    fail_corrupt(
        path, 8,
        "it has format version " + std::to_string(version) + "; this cubby reads up to " + std::to_string(kFormatVersion));
  }
  const auto flags = get<std::uint32_t>(bytes, 12);
  raw.manifest.encrypted = (flags & kEncrypted) != 0;
  raw.manifest.closed = (flags & kClosed) != 0;
  raw.manifest.store = get<StoreId>(bytes, 16);
  raw.manifest.checkpoint = get<std::uint32_t>(bytes, 32);
  raw.manifest.checkpoint_bytes = get<std::uint64_t>(bytes, 40);
  raw.manifest.keys = get<std::uint64_t>(bytes, 48);
  raw.key_check = get<std::array<std::byte, 16>>(bytes, 56);
  raw.seal = get<std::array<std::byte, 16>>(bytes, 104);
  return raw;
}

}  // namespace

std::string checkpoint_name(std::uint32_t generation) { return "checkpoint." + hex(generation); }
std::string segment_name(std::uint32_t generation, std::uint32_t number) {
  return "log." + hex(generation) + "." + hex(number);
}

std::string window_name(std::uint32_t generation, std::uint32_t number) {
  return "window." + hex(generation) + "." + hex(number);
}

std::optional<FileName> parse_name(std::string_view name) {
  constexpr std::string_view kCheckpoint = "checkpoint.", kLog = "log.", kWindow = "window.";
  if (name.ends_with(".tmp")) {
    const bool ours = name.starts_with(kCheckpoint) || name.starts_with(kManifestName);
    return ours ? std::optional(FileName{FileName::Kind::temporary}) : std::nullopt;
  }
  if (name.starts_with(kCheckpoint)) {
    if (const auto generation = from_hex(name.substr(kCheckpoint.size())))
      return FileName{FileName::Kind::checkpoint, *generation, 0};
    return std::nullopt;
  }
  const auto numbered = [&](std::string_view prefix, FileName::Kind kind) -> std::optional<FileName> {
    if (!name.starts_with(prefix) || name.size() != prefix.size() + 17 || name[prefix.size() + 8] != '.') return std::nullopt;
    const auto generation = from_hex(name.substr(prefix.size(), 8));
    const auto number = from_hex(name.substr(prefix.size() + 9));
    if (!generation || !number) return std::nullopt;
    return FileName{kind, *generation, *number};
  };
  if (const auto segment = numbered(kLog, FileName::Kind::segment)) return segment;
  return numbered(kWindow, FileName::Kind::window);
}

void write_manifest(FileSystem& files, const fs::path& folder, const Manifest& manifest,
                    const std::optional<EncryptionKey>& key) {
  std::array<std::byte, kManifestBytes> bytes{};
  const std::span<std::byte> to(bytes);
  std::memcpy(to.data(), kManifestMagic, sizeof kManifestMagic);
  put(to, 8, kFormatVersion);
  put(to, 12, (key ? kEncrypted : 0) | (manifest.closed ? kClosed : 0));
  put(to, 16, manifest.store);
  put(to, 32, manifest.checkpoint);
  put(to, 40, manifest.checkpoint_bytes);
  put(to, 48, manifest.keys);
  if (key) {
    put(to, 56, code_of(*key, kKeyCheck, manifest.store));
    put(to, 104, code_of(*key, kManifestSeal, to.first(104)));
  }
  put(to, 120, checksum(to.first(120)));
  FileReplacement file(files, folder / kManifestName);
  file.write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  file.commit();
}

std::optional<Manifest> read_manifest(FileSystem& files, const fs::path& folder, const std::optional<EncryptionKey>& key) {
  const std::optional<RawManifest> raw = read_raw(files, folder);
  if (!raw) return std::nullopt;
  if (raw->manifest.encrypted && !key) {
    throw Error(Errc::wrong_key, folder.string() + " is encrypted: give Options::encryption_key");
  }
  if (!raw->manifest.encrypted && key) {
    throw Error(Errc::wrong_key,
                folder.string() + " is not encrypted: leave Options::encryption_key out, or use `cubby rekey`");
  }
  if (key) {
    if (raw->key_check != code_of(*key, kKeyCheck, raw->manifest.store)) {
      throw Error(Errc::wrong_key, folder.string() + " was encrypted with another key");
    }
    if (raw->seal != code_of(*key, kManifestSeal, std::span(raw->bytes).first(104))) {
      fail_corrupt(folder / kManifestName, 104, "somebody without the key has changed it");
    }
  }
  return raw->manifest;
}

std::optional<Manifest> read_manifest_unverified(FileSystem& files, const fs::path& folder) {
  const std::optional<RawManifest> raw = read_raw(files, folder);
  return raw ? std::optional(raw->manifest) : std::nullopt;
}

void FileHeader::write(std::span<std::byte, kBytes> to) const noexcept {
  std::memset(to.data(), 0, to.size());
  const char* magic = kind == Kind::segment ? kSegmentMagic : kind == Kind::window ? kWindowMagic : kCheckpointMagic;
  std::memcpy(to.data(), magic, sizeof kSegmentMagic);
  put(to, 8, version);
  put(to, 12, encrypted ? kEncrypted : std::uint32_t{0});
  put(to, 16, store);
  put(to, 32, generation);
  put(to, 36, number);
  put(to, 40, salt);
  put(to, 48, size);
  put(to, 56, inode);
  put(to, 64, boot);
  put(to, 104, volume);
  put(to, 112, birth);
  put(to, 120, checksum(std::span<const std::byte>(to).first(120)));
}

std::optional<FileHeader> FileHeader::read(std::span<const std::byte> from) noexcept {
  if (from.size() < kBytes || get<std::uint64_t>(from, 120) != checksum(from.first(120))) return std::nullopt;
  FileHeader header;
  if (std::memcmp(from.data(), kSegmentMagic, sizeof kSegmentMagic) == 0) {
    header.kind = Kind::segment;
  } else if (std::memcmp(from.data(), kCheckpointMagic, sizeof kCheckpointMagic) == 0) {
    header.kind = Kind::checkpoint;
  } else if (std::memcmp(from.data(), kWindowMagic, sizeof kWindowMagic) == 0) {
    header.kind = Kind::window;
  } else {
    return std::nullopt;
  }
  header.version = get<std::uint32_t>(from, 8);
  if (header.version == 0 || header.version > kFormatVersion) return std::nullopt;
  header.encrypted = (get<std::uint32_t>(from, 12) & kEncrypted) != 0;
  header.store = get<StoreId>(from, 16);
  header.generation = get<std::uint32_t>(from, 32);
  header.number = get<std::uint32_t>(from, 36);
  header.salt = get<std::uint64_t>(from, 40);
  header.size = get<std::uint64_t>(from, 48);
  header.inode = get<std::uint64_t>(from, 56);
  header.boot = get<std::array<char, 36>>(from, 64);
  header.volume = get<std::uint64_t>(from, 104);
  header.birth = get<std::uint64_t>(from, 112);
  return header;
}

FrameCodec FileHeader::codec(const std::optional<EncryptionKey>& key) const {
  if (!encrypted) return {salt, std::nullopt, version};
  std::array<std::byte, kBytes> bytes{};
  write(bytes);
  return {salt, Cipher(*key, bytes), version};
}

void FileHeader::note_place(const std::optional<FileSystem::Status>& status) noexcept {
  const FileSystem::Status known = status.value_or(FileSystem::Status{});
  inode = known.inode;
  volume = known.volume;
  birth = known.birth;
}

bool FileHeader::is_untouched(const std::optional<FileSystem::Status>& status, std::string_view now) const noexcept {
  const std::string_view then = std::string_view(boot.data(), boot.size()).substr(0, now.size());
  if (!status || status->inode != inode || (volume != 0 && status->volume != volume)) return false;
  // Not every kernel tells it.
  if (birth != 0 && status->birth != 0 && status->birth != birth) return false;
  // Where the machine's runs can't be told apart, it may have died since.
  return !now.empty() && then == now;
}

std::uint64_t in_window_mark(std::uint64_t salt) noexcept {
  const std::uint64_t words[2] = {salt, kInWindowOffset};
  return XXH3_64bits(words, sizeof words) | 1;
}

std::uint64_t random_word() {
  std::uint64_t word = 0;
  fill_randomly(std::as_writable_bytes(std::span(&word, 1)));
  return word;
}

void fail_corrupt(const fs::path& path, std::uint64_t offset, std::string_view what) {
  throw Error(Errc::corrupt,
              path.string().append(kDamagedAt) + std::to_string(offset) + ": " + std::string(what) + std::string(kAdvice),
              static_cast<std::size_t>(offset));
}

void fail_missing(const fs::path& path, std::string_view why) {
  throw Error(Errc::corrupt, path.string().append(kMissing).append(why).append(kAdvice));
}

fs::path damaged_file(std::string_view what) { return what.substr(0, std::min(what.find(kDamagedAt), what.find(kMissing))); }

}  // namespace cubby::detail
