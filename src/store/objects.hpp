// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include <cubby/transaction.hpp>

#include "value/access.hpp"

/// What changes of an object's members have in common, in a transaction or not. Patches are objects, by RFC 7396.
///
/// Thread safety: plain functions.

namespace cubby::detail {

/// Whether all members of the patch are null.
bool only_removes(const Value& patch) noexcept;

/// What the patch changes.
MembersChanged count_changes(const Value& object, const Value& patch) noexcept;

/// Whether a patch with this for a member puts it, or with nothing removes it: a null would remove it, and an object merge.
inline bool merges_as_is(const std::optional<Value>& member) noexcept {
  return !member || (!member->is_null() && !member->is_object());
}
inline Value member_patch(std::string_view name, const std::optional<Value>& member) {
  return Value::object({{name, member.value_or(Value())}});
}

}  // namespace cubby::detail
