// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "server/command.hpp"

/// Walking through a hash: HSCAN and HRANDFIELD. `hash` is an object everywhere; `key` holds one, or is absent.
///
/// Thread safety: plain functions.

namespace cubby::server {

/// Null if there is none; whether there is the key.
bool reply_random_field(Reply& reply, const Keyspace& keys, std::string_view key);
/// `count` different fields, or all if they are fewer; if negative, as many as that, which may repeat. Throws CommandError if
/// the reply gets larger than `most_bytes`.
void reply_random_fields(Reply& reply, const Value& hash, std::int64_t count, bool with_values, std::size_t most_bytes);

struct HashScanOptions {
  std::optional<std::string_view> pattern;
  std::size_t count = 10;
};
/// These throw CommandError.
HashScanOptions read_hash_scan_options(Arguments words);
std::uint64_t to_hash_cursor(std::string_view argument);

/// Replies with the cursor to go on with, and with the fields from this one on that match. From 0 to 0, fields there
/// throughout are seen at least once. Some O(count), and O(fields) if members before the cursor came or went in between.
///
/// A small hash, by Redis's measure (512 fields, none with more than 64 bytes), is replied as a whole, as there.
void reply_hash_scan(Reply& reply, const Keyspace& keys, std::string_view key, std::uint64_t cursor,
                     const HashScanOptions& options);
/// What there is of a key that is absent.
void reply_empty_hash_scan(Reply& reply);

}  // namespace cubby::server
