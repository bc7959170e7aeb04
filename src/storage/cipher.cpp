// SPDX-License-Identifier: Apache-2.0
#include "storage/cipher.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace cubby::detail {

namespace {

const unsigned char* raw(const std::byte* bytes) noexcept { return reinterpret_cast<const unsigned char*>(bytes); }
unsigned char* raw(std::byte* bytes) noexcept { return reinterpret_cast<unsigned char*>(bytes); }

void check(bool succeeded) noexcept {
  if (!succeeded) std::abort();  // OpenSSL is out of memory, or has no AES
}

/// A thread's context for one direction; it is made ready for a key once, and then for each record only given the nonce.
class Context {
 public:
  Context() : context_(EVP_CIPHER_CTX_new()) { check(context_ != nullptr); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_CIPHER_CTX_free(context_); }

  EVP_CIPHER_CTX* ready(std::uint64_t cipher, const std::array<std::byte, 32>& key, std::uint64_t offset, bool encrypts) {
    unsigned char nonce[12] = {};
    std::memcpy(nonce, &offset, sizeof offset);
    const bool known = cipher == cipher_;
    check(EVP_CipherInit_ex(context_, known ? nullptr : EVP_aes_256_gcm(), nullptr, known ? nullptr : raw(key.data()), nonce,
                            encrypts ? 1 : 0) == 1);
    cipher_ = cipher;
    return context_;
  }

 private:
  EVP_CIPHER_CTX* context_;
  std::uint64_t cipher_ = 0;
};

/// Both directions work in place too. EVP takes lengths as int.
bool crypt(EVP_CIPHER_CTX* context, std::span<const std::byte> extra, std::span<const std::byte> bytes,
           std::byte* to) noexcept {
  constexpr std::size_t kAtOnce = std::size_t{1} << 30;
  int length = 0;
  if (EVP_CipherUpdate(context, nullptr, &length, raw(extra.data()), static_cast<int>(extra.size())) != 1) return false;
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), kAtOnce));
    if (EVP_CipherUpdate(context, raw(to), &length, raw(part.data()), static_cast<int>(part.size())) != 1) return false;
    bytes = bytes.subspan(part.size());
    to += part.size();
  }
  return true;
}

constexpr std::size_t kLeastText = 4 << 10;
constexpr std::size_t kMostTextKept = 1 << 20;

/// A thread's contexts, and its clear text. They outlive the thread's own objects, whose destructors may still use stores, and
/// at the end of the process the main thread's are never freed, as stores are closed after them.
struct Contexts {
  Context encrypting;
  Context decrypting;
  std::unique_ptr<std::byte[]> text;
  std::size_t text_room = 0;
};

Contexts& contexts() {
  static const pthread_key_t key = [] {
    pthread_key_t made{};
    pthread_key_create(&made, [](void* object) { delete static_cast<Contexts*>(object); });
    return made;
  }();
  auto* mine = static_cast<Contexts*>(pthread_getspecific(key));
  if (mine == nullptr) {
    mine = new Contexts;
    pthread_setspecific(key, mine);
  }
  return *mine;
}

/// OpenSSL must not tidy itself up at exit before stores are closed there.
void keep_openssl() {
  static const bool kept = [] {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
    return true;
  }();
  (void)kept;
}

std::atomic<std::uint64_t> ciphers{0};

}  // namespace

std::array<std::byte, 32> authenticate(std::span<const std::byte> key, std::span<const std::byte> bytes) {
  keep_openssl();
  std::array<std::byte, 32> code{};
  unsigned length = 0;
  check(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), raw(bytes.data()), bytes.size(), raw(code.data()),
             &length) != nullptr &&
        length == code.size());
  return code;
}

void fill_randomly(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min<std::size_t>(bytes.size(), 256));  // getentropy's limit
    if (::getentropy(part.data(), part.size()) != 0) std::abort();            // nothing is safe then
    bytes = bytes.subspan(part.size());
  }
}

std::byte* clear_text(std::size_t bytes) {
  Contexts& mine = contexts();
  if (mine.text_room < bytes) [[unlikely]] {
    const std::size_t room = bytes > kMostTextKept ? bytes : std::max(std::bit_ceil(bytes), kLeastText);
    mine.text_room = 0;
    mine.text.reset();  // first: there may not be room for both
    mine.text = std::make_unique_for_overwrite<std::byte[]>(room);
    mine.text_room = room;
  }
  return mine.text.get();
}

void drop_clear_text() noexcept {
  Contexts& mine = contexts();
  if (mine.text_room <= kMostTextKept) [[likely]]
    return;
  mine.text.reset();
  mine.text_room = 0;
}

Cipher::Cipher(const EncryptionKey& key, std::span<const std::byte> header)
    : key_(authenticate(key, header)), number_(ciphers.fetch_add(1, std::memory_order_relaxed) + 1) {}

void Cipher::encrypt(std::uint64_t offset, std::span<const std::byte> extra, std::span<const std::byte> bytes, std::byte* to,
                     std::span<std::byte, kTagBytes> tag) const noexcept {
  EVP_CIPHER_CTX* context = contexts().encrypting.ready(number_, key_, offset, true);
  int length = 0;
  unsigned char none[16];
  check(crypt(context, extra, bytes, to) && EVP_CipherFinal_ex(context, none, &length) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, static_cast<int>(tag.size()), tag.data()) == 1);
}

std::uint64_t Cipher::code(std::string_view purpose, std::uint64_t first, std::uint64_t second) const noexcept {
  std::array<std::byte, 24> message{};  // purposes have 8 characters at most
  std::memcpy(message.data(), purpose.data(), std::min<std::size_t>(purpose.size(), 8));
  std::memcpy(message.data() + 8, &first, sizeof first);
  std::memcpy(message.data() + 16, &second, sizeof second);
  const auto whole = authenticate(key_, message);
  std::uint64_t word = 0;
  std::memcpy(&word, whole.data(), sizeof word);
  return word != 0 ? word : 1;
}

bool Cipher::decrypt(std::uint64_t offset, std::span<const std::byte> extra, std::span<std::byte> bytes,
                     std::span<const std::byte, kTagBytes> tag) const noexcept {
  EVP_CIPHER_CTX* context = contexts().decrypting.ready(number_, key_, offset, false);
  int length = 0;
  unsigned char none[16];
  unsigned char expected[kTagBytes];
  std::memcpy(expected, tag.data(), sizeof expected);
  return crypt(context, extra, bytes, bytes.data()) &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, sizeof expected, expected) == 1 &&
         EVP_CipherFinal_ex(context, none, &length) == 1;
}

}  // namespace cubby::detail
