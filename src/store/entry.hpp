// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include <cubby/function_ref.hpp>
#include <cubby/value.hpp>

#include "base/clock.hpp"
#include "base/epoch.hpp"
#include "base/timer_wheel.hpp"
#include "store/members.hpp"
#include "store/queue.hpp"
#include "table/bucket.hpp"
#include "value/access.hpp"

/// A key with its value: one counted block, replaced as a whole by each write.
///
///   0      4       8         12        16         18     19      20
///   +------+-------+---------+---------+----------+------+-------+- - - - - - - - - - - -+-----+- - - - -+---------+
///   | refs | shape | version | created | key size | form | flags | (4) deadline, reminder | key | padding | payload |
///   +------+-------+---------+---------+----------+------+-------+- - - - - - - - - - - -+-----+- - - - -+---------+
///
/// Deadline and reminder (8 bytes each, after 4 of padding) are there only if the key has been given a time to live.
///
/// A value that was just made lies in a block with room for all this in front of its node (value/write.hpp): then head and key
/// are written there, and nothing is copied. Else the value is copied into a block that is made for it.
///
/// The payload, by form: the words of a value that lies in itself; a node (the value's bytes, which Values that readers take
/// out share with the entry, by its reference count); a Value whose node is large, in a block apart; or the header of a queue
/// or of an object's members.
///
/// Invariants
///  1. Nothing changes once the entry is published, except: the deadline (atomic), the reminder (under the key's lock), the
///     flattened value of a queue or of members (atomic, set once).
///  2. A writer that is to replace or remove an entry freezes its deadline first. So an expire that changed the word is seen by
///  the
///     writer, and one that comes later finds it frozen and goes to the new entry.
///  3. The table holds one reference, given up through the epochs: within an epoch an entry found in the table stays.
///
/// Thread safety: readers within an epoch, or with a reference of their own.

namespace cubby::detail {

inline constexpr std::size_t kMaxKeyBytes = 65535;

/// Where the entries of keys with this hash are, for reclamation (base/epoch.hpp). A look-up without a lock looks at no entry
/// of another place, as it first compares the fingerprint in the slot; the tag beside it doesn't count: it may be that of a key
/// which was in the slot before. What queues and members are made of is of kSomewhere: it may go on to another key.
inline Place place_of(std::uint64_t hash) noexcept {
  return kFingerprintMask == 0 ? kEverywhere : static_cast<Place>(fingerprint_of(hash) >> 48) + 1;
}

/// No deadline. Deadlines are even; odd is frozen.
inline constexpr std::int64_t kNoDeadline = kNever & ~std::int64_t{1};
inline constexpr std::int64_t kFrozen = 1;
/// A time as a deadline word: rounded up, so never past too early; saturated, but never none.
constexpr std::int64_t as_deadline(std::int64_t due) noexcept {
  return due >= kNoDeadline - 2 ? kNoDeadline - 2 : (due + 1) & ~kFrozen;
}

enum class Form : std::uint8_t { inside = 0, apart = 1, queue = 2, members = 3 };  // from node::kString on: a node of this tag

/// A value in parts, which versions share.
template <class Parts>
struct PartsPayload {
  mutable std::atomic<Block*> flat{nullptr};  ///< the value as one block, once somebody has read it
  Parts parts;
};

class Entry : public Block {
 public:
  /// What an entry is made of, while it isn't published.
  struct Plan {
    std::string_view key;
    const Value* value = nullptr;  ///< null: in parts
    bool expires = false;          ///< has room for a deadline
    Form parts = Form::queue;      ///< if there is no value: which ones
  };

  /// Throws std::bad_alloc, Errc::value_too_large. The deadline, if there's room, is none.
  static Entry* make(const Plan& plan);

  /// Whether the entry lies in the block that the value is the node of.
  bool holds(const Value& value) const noexcept {
    return ValueAccess::is_counted(value) && ValueAccess::block(value) == this &&
           ValueAccess::offset(value) == payload_offset();
  }

  std::string_view key() const noexcept { return {reinterpret_cast<const char*>(this) + key_offset(), key_size_}; }
  bool has_key(std::string_view wanted) const noexcept {
    return key_size_ == wanted.size() &&
           node::equal_bytes(reinterpret_cast<const std::byte*>(this) + key_offset(), wanted.data(), wanted.size());
  }
  /// The store's version when the key came to be: that of its first entry.
  std::uint32_t created() const noexcept { return created_.load(std::memory_order_relaxed); }
  void set_created(std::uint32_t version) noexcept { created_.store(version, std::memory_order_relaxed); }
  std::uint32_t version() const noexcept { return version_.load(std::memory_order_relaxed); }
  void set_version(std::uint32_t version) noexcept { version_.store(version, std::memory_order_relaxed); }

  bool has_deadline() const noexcept { return (flags_ & kExpires) != 0; }
  /// The deadline word. REQUIRES: has_deadline().
  std::atomic<std::int64_t>& deadline_word() const noexcept { return expiry().deadline; }
  /// kNoDeadline if there's none.
  std::int64_t deadline() const noexcept {
    return has_deadline() ? deadline_word().load(std::memory_order_acquire) & ~kFrozen : kNoDeadline;
  }
  bool expired() const noexcept { return has_deadline() && is_past(deadline()); }
  Reminder*& reminder() const noexcept { return expiry().reminder; }

  bool is_queue() const noexcept { return form_ == Form::queue; }
  const Queue& queue() const noexcept { return parts<Queue>(); }
  Queue& queue_to_fill() noexcept { return const_cast<Queue&>(queue()); }  // not published yet
  bool is_members() const noexcept { return form_ == Form::members; }
  const Members& members() const noexcept { return parts<Members>(); }
  Members& members_to_fill() noexcept { return const_cast<Members&>(members()); }  // not published yet
  /// A queue or members: what it is made of belongs to the newest version.
  bool in_parts() const noexcept { return is_queue() || is_members(); }

  bool is_array() const noexcept;
  /// REQUIRES: is_array(). O(1).
  std::size_t array_size() const noexcept;
  Type type() const noexcept;
  /// Elements, members or bytes; empty for values that have none of these. O(1).
  std::optional<std::size_t> length() const noexcept;
  /// Elements [first, first + count) of an array, as far as it has them, as an array. REQUIRES: is_array().
  Value slice(std::size_t first, std::size_t count) const;
  bool is_object() const noexcept { return type() == Type::object; }
  /// Calls `f(const Value&)` on a member in place; false if there is none. REQUIRES: is_object().
  bool with_member(std::string_view name, FunctionRef<void(const Value&)> f) const;
  /// Calls `f(name, const Value&)` for the members [first, first + count), as far as there are any. REQUIRES: is_object().
  void with_members(std::size_t first, std::size_t count, FunctionRef<void(std::string_view, const Value&)> f) const;
  /// The value, owned. Copies what is in parts unless somebody has before.
  Value value() const;
  /// Calls `f(const Value&)` on the value in place.
  template <class F>
  decltype(auto) with_value(F&& f) const {
    switch (form_) {
      case Form::inside: {
        std::uint64_t words[2];
        std::memcpy(words, payload(), sizeof words);
        return f(ValueAccess::Borrowed(words[0], words[1]).get());
      }
      case Form::apart:
        return f(*reinterpret_cast<const Value*>(payload()));
      case Form::queue:
      case Form::members: {
        const Value flat = flattened();
        return f(flat);
      }
      default:
        return f(ValueAccess::Borrowed(const_cast<Entry*>(this), payload_offset(), static_cast<std::uint64_t>(form_)).get());
    }
  }
  /// What the wait_for predicate is given: the value, or an array's length.
  Value value_or_length() const;

  /// Memory of entry and value.
  std::size_t bytes() const noexcept;

  void retain() const noexcept { const_cast<Entry*>(this)->references.fetch_add(1, std::memory_order_relaxed); }
  /// Gives up a reference that was taken by retain().
  static void release(Entry* entry) noexcept;
  /// Gives up the table's reference. What is in parts belongs to the newest version, and is not touched.
  static void drop(Entry* entry) noexcept;
  /// Destroys the parts, and gives up the table's reference. REQUIRES: the entry is their newest version, and nobody reads it
  /// any more.
  static void dispose(Entry* entry) noexcept;

 private:
  struct Expiry {
    std::atomic<std::int64_t> deadline;
    Reminder* reminder;
  };
  static constexpr std::uint8_t kExpires = 1, kInPlace = 2;  // the latter: in the room of the value's own block
  static constexpr std::size_t kExpiryOffset = 24;

  Expiry& expiry() const noexcept {
    return *reinterpret_cast<Expiry*>(reinterpret_cast<std::byte*>(const_cast<Entry*>(this)) + kExpiryOffset);
  }
  std::uint32_t key_offset() const noexcept {
    return static_cast<std::uint32_t>(has_deadline() ? kExpiryOffset + sizeof(Expiry) : sizeof(Entry));
  }
  std::uint32_t payload_offset() const noexcept {
    return (flags_ & kInPlace) != 0 ? kRoomyOffset : (key_offset() + key_size_ + 7u) & ~7u;
  }
  static Entry* make_in_place(const Plan& plan, std::size_t head);
  void fill(const Plan& plan, Form form, std::uint8_t flags) noexcept;
  std::byte* payload() const noexcept { return reinterpret_cast<std::byte*>(const_cast<Entry*>(this)) + payload_offset(); }
  template <class Parts>
  const Parts& parts() const noexcept {
    return reinterpret_cast<const PartsPayload<Parts>*>(payload())->parts;
  }
  /// At the same place whatever the parts.
  std::atomic<Block*>& flat() const noexcept { return *reinterpret_cast<std::atomic<Block*>*>(payload()); }
  Value flattened() const;

  // Relaxed atomics: a reader may come through a marker before they are set.
  std::atomic<std::uint32_t> version_;
  std::atomic<std::uint32_t> created_;
  std::uint16_t key_size_;
  Form form_;
  std::uint8_t flags_;
};
static_assert(sizeof(Entry) == 20);

}  // namespace cubby::detail
