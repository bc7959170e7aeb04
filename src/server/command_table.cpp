// SPDX-License-Identifier: Apache-2.0
#include "server/command_table.hpp"

#include <algorithm>

namespace cubby::server {

namespace {

char lower(char byte) noexcept { return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + 32) : byte; }

}  // namespace

const CommandTable& CommandTable::instance() {
  static const CommandTable table;
  return table;
}

std::uint64_t CommandTable::hash(const char* lower, std::size_t size) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (std::size_t index = 0; index < size; ++index) {
    hash = (hash ^ static_cast<unsigned char>(lower[index])) * 0x100000001b3U;
  }
  return hash ^ (hash >> 29);
}

CommandTable::CommandTable() {
  for (const auto family :
       {connection_commands(), client_commands(), introspection_commands(), string_commands(), key_commands(),
        expiry_commands(), scan_commands(), list_commands(), blocking_list_commands(), hash_commands(), json_commands(),
        transaction_commands(), pubsub_commands(), server_commands(), cubby_commands()}) {
    for (const CommandSpec& spec : family) all_.push_back(&spec);
  }
  std::sort(all_.begin(), all_.end(), [](const CommandSpec* a, const CommandSpec* b) { return a->name < b->name; });
  for (std::size_t index = 0; index < all_.size(); ++index) {
    std::size_t slot = hash(all_[index]->name.data(), all_[index]->name.size()) % kSlots;
    while (slots_[slot].spec != nullptr) slot = (slot + 1) % kSlots;
    slots_[slot] = {all_[index], index};
  }
}

const CommandTable::Slot* CommandTable::slot_of(std::string_view name) const noexcept {
  if (name.size() > kLongestName) return nullptr;
  char text[kLongestName];
  for (std::size_t index = 0; index < name.size(); ++index) text[index] = lower(name[index]);
  const std::string_view wanted(text, name.size());
  for (std::size_t slot = hash(text, name.size()) % kSlots; slots_[slot].spec != nullptr; slot = (slot + 1) % kSlots) {
    if (slots_[slot].spec->name == wanted) return &slots_[slot];
  }
  return nullptr;
}

const CommandSpec* CommandTable::find(std::string_view name) const noexcept {
  const Slot* slot = slot_of(name);
  return slot == nullptr ? nullptr : slot->spec;
}

std::size_t CommandTable::index_of(const CommandSpec& spec) const noexcept { return slot_of(spec.name)->index; }

void find_keys(const CommandSpec& spec, Arguments arguments, std::vector<std::size_t>& places) {
  if (spec.find_keys != nullptr) {
    spec.find_keys(arguments, places);
    return;
  }
  if (spec.keys.first == 0) return;
  const auto count = static_cast<int>(arguments.size());
  const int last = std::min(spec.keys.last < 0 ? count + spec.keys.last : spec.keys.last, count - 1);
  for (int place = spec.keys.first; place <= last; place += std::max(spec.keys.step, 1)) {
    places.push_back(static_cast<std::size_t>(place));
  }
}

}  // namespace cubby::server
