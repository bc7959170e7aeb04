// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

namespace cubby {

class Datastore;

namespace detail {

class KeyMark;
class Store;

}  // namespace detail

/// A mark of what a key held when Datastore::version() was called, to find out whether it was touched since. It keeps the
/// memory of that value; of a key that was absent it is a note that the next write of the key strikes.
///
/// Thread safety: belongs to one thread at a time. It may outlive the handle and the store.
class KeyVersion {
 public:
  /// Of nothing: no key is unchanged since.
  KeyVersion() noexcept;
  KeyVersion(KeyVersion&&) noexcept;
  KeyVersion& operator=(KeyVersion&&) noexcept;
  ~KeyVersion();

 private:
  friend class detail::Store;
  explicit KeyVersion(std::unique_ptr<detail::KeyMark> mark) noexcept;
  std::unique_ptr<detail::KeyMark> mark_;
};

}  // namespace cubby
