// SPDX-License-Identifier: Apache-2.0
#include "server/watches.hpp"

#include <algorithm>

#include "server/command.hpp"
#include "server/server.hpp"
#include "store/key_mark.hpp"

namespace cubby::server {

namespace {

/// Of the value that a mark keeps.
std::size_t kept_bytes(const KeyVersion& version) noexcept {
  const detail::KeyMark* mark = detail::Store::mark_of(version);
  return mark == nullptr || mark->entry() == nullptr ? 0 : mark->entry()->bytes();
}

bool is_untouched(const Watch& watch) { return watch.store.unchanged(watch.key, watch.version); }

}  // namespace

Watches::Watches(Server& server) : own_(server.client_memory), held_(server.watched_memory) {}

void Watches::add(const std::string& store_name, const Datastore& store, std::string_view key) {
  if (touched_ || names_.contains({store_name, key})) return;
  if (all_.size() == kMost) {
    throw CommandError("ERR too many keys are watched (" + std::to_string(kMost) + " at most)");
  }
  const Watch& watch = all_.emplace_back(Watch{store_name, store, std::string(key), store.version(key)});
  try {
    names_.emplace(watch.store_name, watch.key);
  } catch (...) {
    all_.pop_back();
    throw;
  }
  count_ = all_.size();
  constexpr std::size_t kNodes = 200;  // of the set and of the mark
  own_.add(sizeof(Watch) + kNodes + store_name.size() + 2 * key.size());
  held_.add(kept_bytes(watch.version));
}

void Watches::clear() noexcept {
  forget();
  count_ = 0;
  touched_ = false;
}

bool Watches::hold() const { return !touched_ && std::all_of(all_.begin(), all_.end(), is_untouched); }

void Watches::give_up_touched() noexcept {
  if (all_.empty()) return;
  try {
    if (hold()) return;
  } catch (const std::exception&) {
    // A store that is closing: nothing is known of the key.
  }
  touched_ = true;
  forget();
}

void Watches::forget() noexcept {
  names_.clear();
  all_.clear();
  own_.set(0);
  held_.set(0);
}

}  // namespace cubby::server
