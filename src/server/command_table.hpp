// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "server/command.hpp"

namespace cubby::server {

/// All commands there are. Never changes.
///
/// Thread safety: all members, from any thread.
class CommandTable {
 public:
  static const CommandTable& instance();

  struct Slot {
    const CommandSpec* spec = nullptr;
    std::size_t index = 0;
  };
  /// Null if there is none. Case doesn't matter.
  const CommandSpec* find(std::string_view name) const noexcept;
  /// The same with its index.
  const Slot* slot_of(std::string_view name) const noexcept;
  /// By name; the place in it is the command's index.
  std::span<const CommandSpec* const> all() const noexcept { return all_; }
  /// REQUIRES: of this table.
  std::size_t index_of(const CommandSpec& spec) const noexcept;

 private:
  CommandTable();
  static std::uint64_t hash(const char* lower, std::size_t size) noexcept;

  static constexpr std::size_t kSlots = 1024;
  static constexpr std::size_t kLongestName = 32;
  std::array<Slot, kSlots> slots_{};
  std::vector<const CommandSpec*> all_;
};

}  // namespace cubby::server
