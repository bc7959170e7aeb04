// SPDX-License-Identifier: Apache-2.0

// RFC 7396 over sorted members: one merge pass a level, whole subtrees copied as they are. Recursion ends at the depth of the
// patch. And what one member is changed by.

#include "value/access.hpp"

namespace cubby::detail {

namespace {

using node::Object;
using node::View;

Composer::Item merged(Composer& composer, const View& target, const View& patch) {
  if (patch.tag() != node::kObject) return Composer::existing(patch);
  // What is no object counts as an empty one. Even a patch for a new member is merged, to drop the nulls in it.
  const bool has_members = target.tag() == node::kObject;
  const std::size_t first = composer.open().size();
  const Object changes(patch.node());
  std::size_t t = 0;
  const std::size_t members = has_members ? node::count(target.node()) : 0;
  const auto keep_before = [&](const std::string_view* limit) {
    if (!has_members) return;
    const Object old(target.node());
    for (; t < members && (limit == nullptr || old.name(t) < *limit); ++t) {
      composer.open().push_back(Composer::existing(node::decode(target.node(), old.slot(t)), old.name(t)));
    }
  };
  for (std::size_t p = 0; p < changes.count(); ++p) {
    const std::string_view name = changes.name(p);
    const View change = node::decode(patch.node(), changes.slot(p));
    keep_before(&name);
    View before;
    if (t < members) {
      const Object old(target.node());
      if (old.name(t) == name) before = node::decode(target.node(), old.slot(t++));
    }
    if (change.tag() == node::kNull) continue;
    Composer::Item item = merged(composer, before, change);
    item.name = name;
    composer.open().push_back(item);
  }
  keep_before(nullptr);
  return composer.close_object(first);
}

}  // namespace

Value merge_patch(const Value& target, const Value& patch) {
  Composer composer;
  return composer.finish(merged(composer, ValueAccess::view(target), ValueAccess::view(patch)));
}

Value with_member(const Value& object, std::string_view name, const Value* value) {
  Composer composer;
  const std::byte* const from = ValueAccess::node(object);
  const Object members(from);
  for (std::size_t index = 0; index < members.count(); ++index) {
    if (members.name(index) != name) {
      composer.open().push_back(Composer::existing(node::decode(from, members.slot(index)), members.name(index)));
    }
  }
  if (value != nullptr) composer.open().push_back(Composer::existing(ValueAccess::view(*value), name));
  return composer.finish(composer.close_object(0));
}

}  // namespace cubby::detail
