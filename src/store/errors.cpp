// SPDX-License-Identifier: Apache-2.0
#include <cubby/error.hpp>

#include "store/store.hpp"

/// The texts of a store's errors: operation, store, key, what is wrong.

namespace cubby::detail {

namespace {

/// A key as it may stand in a message: long ones cut, bytes that don't print escaped.
std::string escaped_key(std::string_view key) {
  constexpr std::size_t kLongest = 80;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : key.substr(0, kLongest)) {
    const auto code = static_cast<unsigned char>(byte);
    if (code < 0x20 || code == 0x7f || byte == '"' || byte == '\\') {
      text += "\\x";
      text += kDigits[code >> 4];
      text += kDigits[code & 15];
    } else {
      text += byte;
    }
  }
  if (key.size() > kLongest) text += "...";
  return text;
}

}  // namespace

void Store::fail(Errc code, const char* operation, std::string_view key, std::string_view what) const {
  std::string text(operation);
  text.append("(\"").append(escaped_key(key)).append("\") in store \"").append(escaped_key(name_)).append("\": ").append(what);
  throw Error(code, text);
}

void Store::fail_key_size(Operation operation, std::string_view key) const {
  fail(Errc::invalid_argument, name_of(operation), key,
       "the key has " + std::to_string(key.size()) + " bytes; at most " + std::to_string(kMaxKeyBytes) + " are allowed");
}

void Store::fail_value_size(Operation operation, std::string_view key, std::size_t size) const {
  std::string what = "the value takes " + std::to_string(size) + " bytes; ";
  if (options_.max_value_bytes != 0) {
    what += "Options::max_value_bytes is " + std::to_string(options_.max_value_bytes);
  } else {
    what += "at most " + std::to_string(node::kMaxNodeSize) + " are possible";
  }
  fail(Errc::value_too_large, name_of(operation), key, what);
}

void Store::fail_object(const char* operation, std::string_view key) const {
  fail(Errc::type_mismatch, operation, key, "the key holds something else than an object");
}

void Store::fail_length(const char* operation, std::string_view key) const {
  fail(Errc::type_mismatch, operation, key, "the key holds something that has no length");
}

void Store::fail_depth(Operation operation, std::string_view key) const {
  fail(Errc::invalid_argument, name_of(operation), key,
       "in the array or object the value would nest deeper than the " + std::to_string(node::kMaxDepth) +
           " levels that are allowed");
}

void Store::check_open(const char* operation) {
  if (state_.load(std::memory_order_acquire) & kClosed) fail(Errc::closed, operation, {}, "the store was closed");
  check_not_locked(operation, {}, thread_record());
}

void Store::check_readable_slow(const char* operation, std::string_view key) {
  if (state_.load(std::memory_order_acquire) & kClosed) fail(Errc::closed, operation, key, "the store was closed");
  refresh_sys();
}

void Store::fail_locked(const char* operation, std::string_view key) const {
  fail(Errc::invalid_argument, operation, key,
       "not allowed in the function of modify or transact, which holds keys: only reads of a key are");
}

void Store::fail_not_writable(Operation operation, std::string_view key) const {
  if (state_.load(std::memory_order_acquire) & kClosed) fail(Errc::closed, name_of(operation), key, "the store was closed");
  fail(Errc::read_only, name_of(operation), key,
       (state_.load(std::memory_order_relaxed) & kSys) ? "it shows live figures and takes no writes"
                                                       : "it was opened with Options::read_only");
}

void Store::check_may_wait(Operation operation, std::string_view key, const ThreadRecord& record) const {
  check_not_locked(name_of(operation), key, record);
  if (record.callbacks != 0) {
    fail(Errc::invalid_argument, name_of(operation), key, "not allowed in a callback of the store, which must not wait");
  }
}

}  // namespace cubby::detail
