// SPDX-License-Identifier: Apache-2.0
#include "store/removed.hpp"

#include "value/access.hpp"

namespace cubby::detail {

void Removed::add(Block* block) noexcept {
  const auto release = [](void* object) {
    auto* counted = static_cast<Block*>(object);
    // acq_rel: as in Value::release
    if (counted->references.fetch_sub(1, std::memory_order_acq_rel) == 1) detail::destroy(counted);
  };
  add(block, release, bytes_of(*block));
}

void Removed::add(const Value& slot) noexcept {
  if (ValueAccess::is_counted(slot)) add(ValueAccess::block(slot));
}

}  // namespace cubby::detail
