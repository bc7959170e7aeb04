// SPDX-License-Identifier: Apache-2.0
#include "store/entry.hpp"

#include <algorithm>
#include <span>
#include <vector>

#include <cubby/error.hpp>

#include "base/allocator.hpp"

namespace cubby::detail {

namespace {

// Values up to this lie in the entry: a read touches them with the key. Larger ones are shared instead of copied by a write.
constexpr std::size_t kLargestNode = 2048;
static_assert(kLargestNode == kLargestRoomyNode);

}  // namespace

inline void Entry::fill(const Plan& plan, Form form, std::uint8_t flags) noexcept {
  new (&version_) std::atomic<std::uint32_t>(0);
  new (&created_) std::atomic<std::uint32_t>(0);
  key_size_ = static_cast<std::uint16_t>(plan.key.size());
  form_ = form;
  flags_ = static_cast<std::uint8_t>(flags | (plan.expires ? kExpires : 0));
  if (plan.expires) new (&expiry()) Expiry{kNoDeadline, nullptr};
  std::memcpy(const_cast<char*>(key().data()), plan.key.data(), plan.key.size());
}

/// Null if the value's block has no room, or not now. REQUIRES: a counted value.
inline Entry* Entry::make_in_place(const Plan& plan, std::size_t head) {
  if (!ValueAccess::may_have_room(*plan.value) || head + plan.key.size() > kRoomyOffset) return nullptr;
  Block* block = ValueAccess::block(*plan.value);
  if (!take_room(*block)) return nullptr;
  block->references.fetch_add(1, std::memory_order_relaxed);
  auto* entry = static_cast<Entry*>(block);
  entry->fill(plan, static_cast<Form>(ValueAccess::tag(*plan.value)), kInPlace);
  return entry;
}

Entry* Entry::make(const Plan& plan) {
  const std::size_t head = plan.expires ? kExpiryOffset + sizeof(Expiry) : sizeof(Entry);
  std::size_t payload = 0;
  Form form = plan.parts;
  Value apart;
  if (plan.value == nullptr) {
    payload = form == Form::queue ? sizeof(PartsPayload<Queue>) : sizeof(PartsPayload<Members>);
  } else if (!ValueAccess::is_counted(*plan.value)) {
    form = Form::inside;
    payload = 2 * sizeof(std::uint64_t);
  } else if (Entry* entry = make_in_place(plan, head)) {
    return entry;
  } else if (const std::size_t node = ValueAccess::node_size(*plan.value); node <= kLargestNode) {
    form = static_cast<Form>(ValueAccess::tag(*plan.value));
    payload = node;
  } else {
    form = Form::apart;
    payload = sizeof(Value);
    apart = ValueAccess::compact(*plan.value);
  }
  const std::size_t bytes = (((head + plan.key.size() + 7) & ~std::size_t{7}) + payload + 15) & ~std::size_t{15};
  auto* entry = static_cast<Entry*>(allocate(bytes));
  new (&entry->references) std::atomic<std::uint32_t>(1);
  new (&entry->shape) std::atomic<std::uint32_t>(make_shape(bytes, Room::none));
  entry->fill(plan, form, 0);
  switch (form) {
    case Form::queue:
      new (entry->payload()) PartsPayload<Queue>;
      break;
    case Form::members:
      new (entry->payload()) PartsPayload<Members>;
      break;
    case Form::inside: {
      const std::uint64_t words[2] = {ValueAccess::head(*plan.value), ValueAccess::body(*plan.value)};
      std::memcpy(entry->payload(), words, sizeof words);
      break;
    }
    case Form::apart:
      new (entry->payload()) Value(std::move(apart));
      break;
    default:
      std::memcpy(entry->payload(), ValueAccess::node(*plan.value), payload);
  }
  return entry;
}

bool Entry::is_array() const noexcept {
  if (is_queue()) return true;
  if (form_ == Form::apart) return reinterpret_cast<const Value*>(payload())->is_array();
  return static_cast<std::uint64_t>(form_) == node::kArray;
}

std::size_t Entry::array_size() const noexcept {
  return is_queue() ? queue().size() : with_value([](const Value& value) { return value.size(); });
}

Type Entry::type() const noexcept {
  if (is_queue()) return Type::array;
  if (is_members()) return Type::object;
  return with_value([](const Value& value) { return value.type(); });
}

std::optional<std::size_t> Entry::length() const noexcept {
  if (is_queue()) return queue().size();
  if (is_members()) return members().size();
  return with_value([](const Value& value) { return length_of(value); });
}

Value Entry::slice(std::size_t first, std::size_t count) const {
  if (!is_queue()) return with_value([&](const Value& value) { return slice_of(value, first, count); });
  const std::size_t size = queue().size();
  first = std::min(first, size);
  count = std::min(count, size - first);
  if (count == size) return flattened();
  std::vector<std::span<const Value>> runs;
  queue().add_runs(first, count, runs);
  return make_array(runs);
}

bool Entry::with_member(std::string_view name, FunctionRef<void(const Value&)> f) const {
  if (is_members()) {
    const Member* const member = members().find(name);
    if (member != nullptr) member->with_value(f);
    return member != nullptr;
  }
  return with_value([&](const Value& value) {
    const std::byte* const at = ValueAccess::node(value);
    const node::Object object(at);
    const std::int64_t index = object.find(name);
    if (index < 0) return false;
    f(ValueAccess::Borrowed(ValueAccess::block(value), node::decode(at, object.slot(static_cast<std::size_t>(index)))));
    return true;
  });
}

void Entry::with_members(std::size_t first, std::size_t count, FunctionRef<void(std::string_view, const Value&)> f) const {
  if (is_members()) {
    return members().walk(first, count, [f](const Member& member) {
      member.with_value([&](const Value& value) { f(member.name(), value); });
      return true;
    });
  }
  with_value([&](const Value& value) {
    const std::byte* const at = ValueAccess::node(value);
    const node::Object object(at);
    for (std::size_t index = first; index < object.count() && index - first < count; ++index) {
      f(object.name(index), ValueAccess::Borrowed(ValueAccess::block(value), node::decode(at, object.slot(index))));
    }
  });
}

Value Entry::value() const {
  if (in_parts()) return flattened();
  return with_value([](const Value& value) { return value; });
}

Value Entry::flattened() const {
  if (is_queue() ? queue().size() == 0 : members().size() == 0) return is_queue() ? Value::array({}) : Value::object({});
  Block* seen = flat().load(std::memory_order_acquire);  // synchronises with the exchange below
  if (seen != nullptr) {
    return ValueAccess::retained(seen, root_offset(*seen), is_queue() ? std::uint64_t{node::kArray} : node::kObject);
  }
  Value whole = is_queue() ? queue().flatten() : members().flatten();
  Block* const block = ValueAccess::block(whole);
  block->references.fetch_add(1, std::memory_order_relaxed);
  Block* expected = nullptr;
  if (!flat().compare_exchange_strong(expected, block, std::memory_order_acq_rel, std::memory_order_relaxed)) {
    block->references.fetch_sub(1, std::memory_order_relaxed);  // another reader was first
  }
  return whole;
}

Value Entry::value_or_length() const {
  if (is_queue()) return queue().size();
  return with_value([](const Value& value) -> Value { return value.is_array() ? Value(value.size()) : value; });
}

std::size_t Entry::bytes() const noexcept {
  std::size_t bytes = bytes_of(*this);
  if (is_queue()) bytes += queue().bytes();
  if (is_members()) bytes += members().bytes();
  if (form_ == Form::apart) bytes += ValueAccess::node_size(*reinterpret_cast<const Value*>(payload()));
  return bytes;
}

void Entry::release(Entry* entry) noexcept {
  // acq_rel: as in Value::release. Values of embedded nodes may be the last to let go; they free the block just as this does.
  if (entry->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (entry->form_ == Form::apart) {
    reinterpret_cast<Value*>(entry->payload())->~Value();
  } else if (entry->in_parts()) {
    if (Block* flat = entry->flat().load(std::memory_order_acquire)) {
      if (flat->references.fetch_sub(1, std::memory_order_acq_rel) == 1) detail::destroy(flat);
    }
  }
  detail::destroy(entry);
}

void Entry::drop(Entry* entry) noexcept {
  if ((entry->flags_ & kInPlace) != 0) leave_room(*entry);
  release(entry);
}

void Entry::dispose(Entry* entry) noexcept {
  if (entry->is_queue()) entry->queue_to_fill().destroy();
  if (entry->is_members()) entry->members_to_fill().destroy();
  drop(entry);
}

}  // namespace cubby::detail
