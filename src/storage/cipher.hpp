// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Encryption of files at rest: AES-256-GCM, with a key of its own for each file.
///
/// A file's key is HMAC-SHA256(the user's key, what the file's header says), and a header holds 64 random bits besides the
/// file's number. Within a file the nonce is the offset of what is encrypted, and no offset is written twice: so no pair of key
/// and nonce is used twice, and whoever changes a header changes the key.
///
/// Thread safety: all members, from any thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace cubby::detail {

using EncryptionKey = std::array<std::byte, 32>;

/// HMAC-SHA256.
std::array<std::byte, 32> authenticate(std::span<const std::byte> key, std::span<const std::byte> bytes);

/// Random bytes from the kernel.
void fill_randomly(std::span<std::byte> bytes);

/// The calling thread's memory for what it is about to encrypt: a mapped file is a file, whatever stands there gets to the disk
/// or outlives the process at any moment. Good until the thread asks again. Throws std::bad_alloc.
std::byte* clear_text(std::size_t bytes);
/// It is done with, and the thread keeps it only if there isn't much of it.
void drop_clear_text() noexcept;

class Cipher {
 public:
  static constexpr std::size_t kTagBytes = 16;

  /// For the file with this header.
  Cipher(const EncryptionKey& key, std::span<const std::byte> header);

  /// Encrypts `bytes` to `to`, where they may stand already. Nothing else is stored there, at no moment. `extra` is
  /// authenticated with them. Out of memory ends the process.
  void encrypt(std::uint64_t offset, std::span<const std::byte> extra, std::span<const std::byte> bytes, std::byte* to,
               std::span<std::byte, kTagBytes> tag) const noexcept;
  /// The reverse; false, with `bytes` spoilt, if they aren't what was encrypted.
  [[nodiscard]] bool decrypt(std::uint64_t offset, std::span<const std::byte> extra, std::span<std::byte> bytes,
                             std::span<const std::byte, kTagBytes> tag) const noexcept;

  /// A word that only who has the key can make: for what has no bytes to encrypt. Never 0.
  std::uint64_t code(std::string_view purpose, std::uint64_t first, std::uint64_t second) const noexcept;

 private:
  std::array<std::byte, 32> key_;
  std::uint64_t number_;  ///< of this object, ever: threads keep what they have derived from its key
};

}  // namespace cubby::detail
