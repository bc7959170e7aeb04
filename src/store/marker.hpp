// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "store/commit_status.hpp"
#include "store/entry.hpp"
#include "table/bucket.hpp"

/// How writes of several keys (transact, rename) take effect at one instant. Each of their slots gets a marker with the entry
/// before and the entry after; all markers look at one status word; then the word is changed; then the markers give way to the
/// entries.
///
/// Invariants
///  1. Markers are placed, changed and removed only under the locks of all their keys' buckets, so only readers meet them.
///  2. The status word changes once from undecided to committed, and carries the version then. A saver that meets an undecided
///     marker bars it: the commit then has to read the version again, and comes after the saver's cut.
///  3. All markers are in their slots before the version is read (a full fence between). So of a write of several keys a cut
///  has
///     all or nothing.
///
/// Thread safety: readers within an epoch.

namespace cubby::detail {

struct alignas(16) Marker {
  CommitStatus* status;
  Entry* before;  ///< null: absent
  Entry* after;   ///< null: absent

  std::string_view key() const noexcept { return (before != nullptr ? before : after)->key(); }
  const Entry* current() const noexcept { return status->committed() ? after : before; }
};

/// The rest of an entry comes while its first line is waited for.
inline void prefetch_entry(Word word) noexcept {
  const char* entry = pointer_of<const char>(word);
  __builtin_prefetch(entry + 64);
  __builtin_prefetch(entry + 128);
}

/// The entry that a slot stands for, null for absence. For any reader within an epoch.
inline const Entry* entry_of(Word word) noexcept {
  if (kind_of(word) == SlotKind::entry) [[likely]]
    return pointer_of<const Entry>(word);
  return pointer_of<const Marker>(word)->current();
}
inline bool is_key(Word word, std::string_view key) noexcept {
  if (kind_of(word) == SlotKind::entry) [[likely]]
    return pointer_of<const Entry>(word)->has_key(key);
  return pointer_of<const Marker>(word)->key() == key;
}
inline std::string_view key_of(Word word) noexcept {
  if (kind_of(word) == SlotKind::entry) [[likely]]
    return pointer_of<const Entry>(word)->key();
  return pointer_of<const Marker>(word)->key();
}

}  // namespace cubby::detail
