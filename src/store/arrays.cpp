// SPDX-License-Identifier: Apache-2.0
#include "store/key_write.hpp"

namespace cubby::detail {

std::size_t Store::push(std::string_view key, const Value& value, bool at_front) {
  const Operation operation = at_front ? Operation::unshift : Operation::push;
  check_value_size(operation, key, value);
  check_item_depth(operation, key, value);
  const Value own = ValueAccess::compact(value);  // a queued child must not keep its whole parent
  SingleWrite write(*this, operation, key);
  if (write.entry != nullptr && !write.entry->is_array()) {
    fail(Errc::type_mismatch, name_of(operation), key, "the key holds something else than an array");
  }
  Queue& queue = write.plan_change_of_array();
  if (at_front) {
    queue.reserve_front(1);
    queue.append_front(own);
  } else {
    queue.reserve_back(1);
    queue.append_back(own);
  }
  write.log_as(at_front ? OperationCode::unshift : OperationCode::push, &own);
  const std::size_t length = queue.size();
  write.commit();
  return length;
}

/// REQUIRES: the key holds an array that isn't empty.
Value Store::shift_now(SingleWrite& write, bool last) {
  Queue& queue = write.plan_change_of_array();
  Value taken = last ? queue.take_last(write.removed) : queue.take_first(write.removed);
  write.log_as(last ? OperationCode::pop : OperationCode::shift);
  write.commit();
  return taken;
}

std::optional<Value> Store::shift(std::string_view key, bool last, WhenEmptied when_emptied) {
  const Operation operation = last ? Operation::pop : Operation::shift;
  SingleWrite write(*this, operation, key);
  if (write.entry == nullptr) fail(Errc::key_not_found, name_of(operation), key, "there is no such key");
  if (!write.entry->is_array())
    fail(Errc::type_mismatch, name_of(operation), key, "the key holds something else than an array");
  const std::size_t size = write.entry->array_size();
  if (size <= 1 && when_emptied == WhenEmptied::erase) {
    std::optional<Value> taken;
    if (size == 1) taken = write.entry->is_queue() ? write.entry->queue().at(0) : write.entry->value()[0];
    write.plan_removal();
    write.commit();
    return taken;
  }
  if (size == 0) return std::nullopt;
  return shift_now(write, last);
}

}  // namespace cubby::detail
